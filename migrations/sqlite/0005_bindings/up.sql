-- What long-lived consumers declare to use.

CREATE TABLE bindings (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels TEXT NOT NULL,
    consumer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    model_id BLOB REFERENCES models (id) CHECK (length(model_id) = 16),
    provider_id BLOB REFERENCES providers (id) CHECK (length(provider_id) = 16),
    parameters TEXT,
    CHECK ((model_id IS NULL) <> (provider_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX bindings_consumer ON bindings (consumer, purpose);
CREATE INDEX bindings_model ON bindings (model_id) WHERE model_id IS NOT NULL;
CREATE INDEX bindings_provider ON bindings (provider_id) WHERE provider_id IS NOT NULL;
