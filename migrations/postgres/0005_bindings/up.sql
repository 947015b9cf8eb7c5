-- What long-lived consumers declare to use.

CREATE TABLE bindings (
    id UUID NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels JSON NOT NULL,
    consumer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    model_id UUID REFERENCES models (id),
    provider_id UUID REFERENCES providers (id),
    parameters JSON,
    CHECK ((model_id IS NULL) <> (provider_id IS NULL))
);
COMMENT ON TABLE bindings IS 'What consumers declare to use, which protects it from deletion.';
COMMENT ON COLUMN bindings.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN bindings.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN bindings.create_time IS 'When it was created.';
COMMENT ON COLUMN bindings.update_time IS 'When its own configuration last changed.';
COMMENT ON COLUMN bindings.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN bindings.updated_by IS 'The name of the identity that last changed it.';
COMMENT ON COLUMN bindings.labels IS 'Free key-value pairs, a JSON object of strings.';
COMMENT ON COLUMN bindings.consumer IS 'Who uses it.';
COMMENT ON COLUMN bindings.purpose IS 'What for; unique for the consumer.';
COMMENT ON COLUMN bindings.model_id IS 'The id of the model that is used; NULL: a provider is.';
COMMENT ON COLUMN bindings.provider_id IS 'The provider that is used as a whole; NULL: a model is.';
COMMENT ON COLUMN bindings.parameters IS 'JSON object of parameters that come before the model''s own; NULL: none.';
CREATE UNIQUE INDEX bindings_consumer ON bindings (consumer, purpose);
CREATE INDEX bindings_model ON bindings (model_id) WHERE model_id IS NOT NULL;
CREATE INDEX bindings_provider ON bindings (provider_id) WHERE provider_id IS NOT NULL;
