-- The configuration: one table per resource. Durations are nanoseconds, prices billionths of the currency's unit.

CREATE TABLE providers (
    id UUID NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels JSON NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    description TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    sync_enabled BOOLEAN NOT NULL,
    sync_interval_ns BIGINT NOT NULL,
    delete_time TIMESTAMPTZ,
    purge_time TIMESTAMPTZ
);
COMMENT ON TABLE providers IS 'Accounts with vendors, and self-hosted runtimes.';
COMMENT ON COLUMN providers.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN providers.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN providers.create_time IS 'When it was created.';
COMMENT ON COLUMN providers.update_time IS 'When its own configuration last changed.';
COMMENT ON COLUMN providers.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN providers.updated_by IS 'The name of the identity that last changed it.';
COMMENT ON COLUMN providers.labels IS 'Free key-value pairs, a JSON object of strings.';
COMMENT ON COLUMN providers.name IS 'The name that people gave it.';
COMMENT ON COLUMN providers.name_key IS 'The name in Unicode lower case: the form in which names are unique.';
COMMENT ON COLUMN providers.kind IS 'Which API it speaks.';
COMMENT ON COLUMN providers.description IS 'Free text.';
COMMENT ON COLUMN providers.is_active IS 'Whether it may serve.';
COMMENT ON COLUMN providers.sync_enabled IS 'Whether models are fetched without being asked.';
COMMENT ON COLUMN providers.sync_interval_ns IS 'How often, in nanoseconds.';
COMMENT ON COLUMN providers.delete_time IS 'When it was deleted; NULL: it is live.';
COMMENT ON COLUMN providers.purge_time IS 'When a deleted one is destroyed for good.';
CREATE UNIQUE INDEX providers_live_name ON providers (name_key) WHERE delete_time IS NULL;

CREATE TABLE endpoints (
    id UUID NOT NULL PRIMARY KEY,
    provider_id UUID NOT NULL REFERENCES providers (id),
    revision BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels JSON NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    base_url TEXT NOT NULL,
    api_version TEXT NOT NULL,
    region TEXT NOT NULL,
    connect_timeout_ns BIGINT NOT NULL,
    read_timeout_ns BIGINT NOT NULL,
    retry_max_attempts INTEGER NOT NULL,
    retry_initial_backoff_ns BIGINT NOT NULL,
    retry_max_backoff_ns BIGINT NOT NULL,
    is_default BOOLEAN NOT NULL,
    is_active BOOLEAN NOT NULL,
    priority INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    check_enabled BOOLEAN NOT NULL,
    check_interval_ns BIGINT NOT NULL,
    check_timeout_ns BIGINT NOT NULL,
    check_unhealthy_threshold INTEGER NOT NULL,
    check_healthy_threshold INTEGER NOT NULL,
    check_degraded_latency_ns BIGINT NOT NULL,
    check_path TEXT NOT NULL
);
COMMENT ON TABLE endpoints IS 'Base URLs of providers.';
COMMENT ON COLUMN endpoints.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN endpoints.provider_id IS 'The provider that it belongs to.';
COMMENT ON COLUMN endpoints.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN endpoints.create_time IS 'When it was created.';
COMMENT ON COLUMN endpoints.update_time IS 'When its own configuration last changed.';
COMMENT ON COLUMN endpoints.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN endpoints.updated_by IS 'The name of the identity that last changed it.';
COMMENT ON COLUMN endpoints.labels IS 'Free key-value pairs, a JSON object of strings.';
COMMENT ON COLUMN endpoints.name IS 'The name that people gave it.';
COMMENT ON COLUMN endpoints.name_key IS 'The name in Unicode lower case: the form in which names are unique.';
COMMENT ON COLUMN endpoints.base_url IS 'http or https URL without user information, query and fragment.';
COMMENT ON COLUMN endpoints.api_version IS 'The version of the API that is asked for, or empty.';
COMMENT ON COLUMN endpoints.region IS 'The region of the vendor, or empty.';
COMMENT ON COLUMN endpoints.connect_timeout_ns IS 'Limit for connecting, in nanoseconds.';
COMMENT ON COLUMN endpoints.read_timeout_ns IS 'Limit for an answer, in nanoseconds.';
COMMENT ON COLUMN endpoints.retry_max_attempts IS 'Attempts in all.';
COMMENT ON COLUMN endpoints.retry_initial_backoff_ns IS 'Wait before the second attempt, in nanoseconds.';
COMMENT ON COLUMN endpoints.retry_max_backoff_ns IS 'Longest wait between attempts, in nanoseconds.';
COMMENT ON COLUMN endpoints.is_default IS 'Whether it is the default: of its provider (endpoints), of its type (models).';
COMMENT ON COLUMN endpoints.is_active IS 'Whether it may serve.';
COMMENT ON COLUMN endpoints.priority IS 'Tier: lower ones are tried first.';
COMMENT ON COLUMN endpoints.weight IS 'Share among the endpoints of its tier.';
COMMENT ON COLUMN endpoints.check_enabled IS 'Whether it is probed.';
COMMENT ON COLUMN endpoints.check_interval_ns IS 'Time between probes, in nanoseconds.';
COMMENT ON COLUMN endpoints.check_timeout_ns IS 'Limit for one probe, in nanoseconds.';
COMMENT ON COLUMN endpoints.check_unhealthy_threshold IS 'Failed probes in a row until it counts as unhealthy.';
COMMENT ON COLUMN endpoints.check_healthy_threshold IS 'Good probes in a row until it counts as healthy again.';
COMMENT ON COLUMN endpoints.check_degraded_latency_ns IS 'Answers that take longer count as degraded, in nanoseconds.';
COMMENT ON COLUMN endpoints.check_path IS 'Path that is probed; empty: that of its kind.';
CREATE UNIQUE INDEX endpoints_name ON endpoints (provider_id, name_key);
CREATE UNIQUE INDEX endpoints_default ON endpoints (provider_id) WHERE is_default;

CREATE TABLE credentials (
    id UUID NOT NULL PRIMARY KEY,
    provider_id UUID NOT NULL REFERENCES providers (id),
    revision BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels JSON NOT NULL,
    alias TEXT NOT NULL,
    description TEXT NOT NULL,
    hint TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    secret_version BIGINT NOT NULL,
    allowed_hosts JSON NOT NULL,
    allowed_hosts_explicit BOOLEAN NOT NULL,
    expire_time TIMESTAMPTZ,
    quota_limit BIGINT,
    quota_unit TEXT,
    quota_period TEXT,
    is_active BOOLEAN NOT NULL,
    revoke_time TIMESTAMPTZ,
    rotate_time TIMESTAMPTZ,
    previous_secret_expire_time TIMESTAMPTZ
);
COMMENT ON TABLE credentials IS 'Secrets of providers, described; the sealed secrets are in credential_secrets.';
COMMENT ON COLUMN credentials.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN credentials.provider_id IS 'The provider that it belongs to.';
COMMENT ON COLUMN credentials.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN credentials.create_time IS 'When it was created.';
COMMENT ON COLUMN credentials.update_time IS 'When its own configuration last changed.';
COMMENT ON COLUMN credentials.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN credentials.updated_by IS 'The name of the identity that last changed it.';
COMMENT ON COLUMN credentials.labels IS 'Free key-value pairs, a JSON object of strings.';
COMMENT ON COLUMN credentials.alias IS 'The name that people gave it, unique in the provider.';
COMMENT ON COLUMN credentials.description IS 'Free text.';
COMMENT ON COLUMN credentials.hint IS 'What is shown instead of the secret.';
COMMENT ON COLUMN credentials.fingerprint IS 'Keyed hash of the secret: equal secrets, equal fingerprints.';
COMMENT ON COLUMN credentials.secret_version IS 'The current version of the secret.';
COMMENT ON COLUMN credentials.allowed_hosts IS 'Where the secret may be sent, a JSON array of host, host:port or http://host:port.';
COMMENT ON COLUMN credentials.allowed_hosts_explicit IS 'Whether a person gave that list; otherwise it follows the endpoints.';
COMMENT ON COLUMN credentials.expire_time IS 'When it ends; NULL: never.';
COMMENT ON COLUMN credentials.quota_limit IS 'How much may be used; NULL: no quota, and unit and period are NULL too.';
COMMENT ON COLUMN credentials.quota_unit IS 'requests or tokens.';
COMMENT ON COLUMN credentials.quota_period IS 'total, day or month.';
COMMENT ON COLUMN credentials.is_active IS 'Whether it may serve.';
COMMENT ON COLUMN credentials.revoke_time IS 'When it was revoked; NULL: it was not.';
COMMENT ON COLUMN credentials.rotate_time IS 'When the secret was last replaced.';
COMMENT ON COLUMN credentials.previous_secret_expire_time IS 'Until when the version before the current one can be read.';
CREATE UNIQUE INDEX credentials_alias ON credentials (provider_id, alias);

CREATE TABLE credential_secrets (
    credential_id UUID NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    master_key_id TEXT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    ciphertext BYTEA NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    expire_time TIMESTAMPTZ,
    status_revision BIGINT NOT NULL,
    PRIMARY KEY (credential_id, version)
);
COMMENT ON TABLE credential_secrets IS 'Sealed secrets: one row for each version of a credential that can still be read.';
COMMENT ON COLUMN credential_secrets.credential_id IS 'The credential.';
COMMENT ON COLUMN credential_secrets.version IS 'Which version of the secret, from 1.';
COMMENT ON COLUMN credential_secrets.master_key_id IS 'Which master key wraps the key.';
COMMENT ON COLUMN credential_secrets.wrapped_key IS 'Nonce and wrapped data key.';
COMMENT ON COLUMN credential_secrets.ciphertext IS 'Nonce and ciphertext.';
COMMENT ON COLUMN credential_secrets.create_time IS 'When it was created.';
COMMENT ON COLUMN credential_secrets.expire_time IS 'When a version that was rotated away can no longer be read; NULL: the current one.';
COMMENT ON COLUMN credential_secrets.status_revision IS 'Position in the order of status of the last re-wrapping; 0: never.';
CREATE INDEX credential_secrets_master_key ON credential_secrets (master_key_id);
CREATE INDEX credential_secrets_status_revision ON credential_secrets (status_revision) WHERE status_revision > 0;

CREATE TABLE models (
    id UUID NOT NULL PRIMARY KEY,
    provider_id UUID NOT NULL REFERENCES providers (id),
    revision BIGINT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels JSON NOT NULL,
    model_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version TEXT NOT NULL,
    model_type TEXT NOT NULL,
    context_window BIGINT,
    max_output_tokens BIGINT,
    currency TEXT,
    input_per_1k_nanos BIGINT,
    output_per_1k_nanos BIGINT,
    capabilities JSON NOT NULL,
    recommended_uses JSON NOT NULL,
    default_parameters JSON,
    is_active BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    pinned_fields JSON NOT NULL,
    field_sources JSON NOT NULL,
    is_default BOOLEAN NOT NULL
);
COMMENT ON TABLE models IS 'Models of providers.';
COMMENT ON COLUMN models.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN models.provider_id IS 'The provider that it belongs to.';
COMMENT ON COLUMN models.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN models.create_time IS 'When it was created.';
COMMENT ON COLUMN models.update_time IS 'When its own configuration last changed.';
COMMENT ON COLUMN models.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN models.updated_by IS 'The name of the identity that last changed it.';
COMMENT ON COLUMN models.labels IS 'Free key-value pairs, a JSON object of strings.';
COMMENT ON COLUMN models.model_id IS 'The vendor''s identifier, unique in the provider.';
COMMENT ON COLUMN models.name IS 'The name that is shown.';
COMMENT ON COLUMN models.description IS 'Free text.';
COMMENT ON COLUMN models.version IS 'Version of the model, or empty.';
COMMENT ON COLUMN models.model_type IS 'What it does: chat, embedding, ...';
COMMENT ON COLUMN models.context_window IS 'In tokens.';
COMMENT ON COLUMN models.max_output_tokens IS 'In tokens.';
COMMENT ON COLUMN models.currency IS 'ISO 4217; NULL: no pricing is known.';
COMMENT ON COLUMN models.input_per_1k_nanos IS 'Price of 1,000 input tokens, in billionths of the currency''s unit.';
COMMENT ON COLUMN models.output_per_1k_nanos IS 'Price of 1,000 output tokens, in billionths of the currency''s unit.';
COMMENT ON COLUMN models.capabilities IS 'JSON object: capability to score (0: unrated, 1 to 5).';
COMMENT ON COLUMN models.recommended_uses IS 'JSON array of texts.';
COMMENT ON COLUMN models.default_parameters IS 'JSON object; NULL: none.';
COMMENT ON COLUMN models.is_active IS 'Whether it may serve.';
COMMENT ON COLUMN models.status IS 'available, maintenance or deprecated.';
COMMENT ON COLUMN models.source IS 'synced or manual.';
COMMENT ON COLUMN models.pinned_fields IS 'JSON array: fields that a person changed and a synchronisation leaves alone.';
COMMENT ON COLUMN models.field_sources IS 'JSON object: field to vendor, catalogue or person.';
COMMENT ON COLUMN models.is_default IS 'Whether it is the default: of its provider (endpoints), of its type (models).';
CREATE UNIQUE INDEX models_model_id ON models (provider_id, model_id);

CREATE TABLE tokens (
    id UUID NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    roles JSON NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    expire_time TIMESTAMPTZ,
    revoke_time TIMESTAMPTZ,
    secret_hash BYTEA NOT NULL CHECK (length(secret_hash) = 32)
);
COMMENT ON TABLE tokens IS 'Bearer tokens of callers; only hashes of their secrets.';
COMMENT ON COLUMN tokens.id IS 'UUID, version 7 for those made by the server.';
COMMENT ON COLUMN tokens.revision IS 'The revision of the last change of its own configuration.';
COMMENT ON COLUMN tokens.name IS 'The name that people gave it.';
COMMENT ON COLUMN tokens.roles IS 'JSON array: viewer, consumer, editor, admin.';
COMMENT ON COLUMN tokens.create_time IS 'When it was created.';
COMMENT ON COLUMN tokens.created_by IS 'The name of the identity that created it.';
COMMENT ON COLUMN tokens.expire_time IS 'When it ends; NULL: never.';
COMMENT ON COLUMN tokens.revoke_time IS 'When it was revoked; NULL: it was not.';
COMMENT ON COLUMN tokens.secret_hash IS 'SHA-256 of the secret half of the token.';

CREATE TABLE cluster (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    cluster_id UUID NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    active_key_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    updated_by TEXT NOT NULL
);
COMMENT ON TABLE cluster IS 'One row: what makes this database a cluster of its own, and which master key is the active one.';
COMMENT ON COLUMN cluster.singleton IS 'Always 1.';
COMMENT ON COLUMN cluster.cluster_id IS 'The identity of the cluster; sealed secrets are bound to it.';
COMMENT ON COLUMN cluster.create_time IS 'When the cluster was initialised.';
COMMENT ON COLUMN cluster.active_key_id IS 'The master key that wraps what is written now.';
COMMENT ON COLUMN cluster.revision IS 'The revision of the last change of the key ring.';
COMMENT ON COLUMN cluster.update_time IS 'When the key ring last changed.';
COMMENT ON COLUMN cluster.updated_by IS 'Who last changed the key ring.';

CREATE TABLE keyring (
    purpose TEXT NOT NULL PRIMARY KEY,
    master_key_id TEXT NOT NULL,
    wrapped BYTEA NOT NULL
);
COMMENT ON TABLE keyring IS 'The keys of the cluster itself, wrapped by a master key: one of each purpose.';
COMMENT ON COLUMN keyring.purpose IS 'What the key is for.';
COMMENT ON COLUMN keyring.master_key_id IS 'Which master key wraps it.';
COMMENT ON COLUMN keyring.wrapped IS 'Nonce and wrapped key.';
