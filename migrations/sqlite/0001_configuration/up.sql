-- The configuration: one table per resource. Ids are 16 bytes, instants microseconds since 1970, durations
-- nanoseconds, prices billionths of the currency's unit.

CREATE TABLE providers (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    description TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    sync_enabled INTEGER NOT NULL CHECK (sync_enabled IN (0, 1)),
    sync_interval_ns INTEGER NOT NULL,
    delete_time INTEGER,
    purge_time INTEGER
) STRICT;
CREATE UNIQUE INDEX providers_live_name ON providers (name_key) WHERE delete_time IS NULL;

CREATE TABLE endpoints (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    provider_id BLOB NOT NULL REFERENCES providers (id),
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    base_url TEXT NOT NULL,
    api_version TEXT NOT NULL,
    region TEXT NOT NULL,
    connect_timeout_ns INTEGER NOT NULL,
    read_timeout_ns INTEGER NOT NULL,
    retry_max_attempts INTEGER NOT NULL,
    retry_initial_backoff_ns INTEGER NOT NULL,
    retry_max_backoff_ns INTEGER NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    priority INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    check_enabled INTEGER NOT NULL CHECK (check_enabled IN (0, 1)),
    check_interval_ns INTEGER NOT NULL,
    check_timeout_ns INTEGER NOT NULL,
    check_unhealthy_threshold INTEGER NOT NULL,
    check_healthy_threshold INTEGER NOT NULL,
    check_degraded_latency_ns INTEGER NOT NULL,
    check_path TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX endpoints_name ON endpoints (provider_id, name_key);
CREATE UNIQUE INDEX endpoints_default ON endpoints (provider_id) WHERE is_default = 1;

CREATE TABLE credentials (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    provider_id BLOB NOT NULL REFERENCES providers (id),
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels TEXT NOT NULL,
    alias TEXT NOT NULL,
    description TEXT NOT NULL,
    hint TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    secret_version INTEGER NOT NULL,
    allowed_hosts TEXT NOT NULL,
    allowed_hosts_explicit INTEGER NOT NULL CHECK (allowed_hosts_explicit IN (0, 1)),
    expire_time INTEGER,
    quota_limit INTEGER,
    quota_unit TEXT,
    quota_period TEXT,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    revoke_time INTEGER,
    rotate_time INTEGER,
    previous_secret_expire_time INTEGER
) STRICT;
CREATE UNIQUE INDEX credentials_alias ON credentials (provider_id, alias);

CREATE TABLE credential_secrets (
    credential_id BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    master_key_id TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER,
    status_revision INTEGER NOT NULL,
    PRIMARY KEY (credential_id, version)
) STRICT;
CREATE INDEX credential_secrets_master_key ON credential_secrets (master_key_id);
CREATE INDEX credential_secrets_status_revision ON credential_secrets (status_revision) WHERE status_revision > 0;

CREATE TABLE models (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    provider_id BLOB NOT NULL REFERENCES providers (id),
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    labels TEXT NOT NULL,
    model_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version TEXT NOT NULL,
    model_type TEXT NOT NULL,
    context_window INTEGER,
    max_output_tokens INTEGER,
    currency TEXT,
    input_per_1k_nanos INTEGER,
    output_per_1k_nanos INTEGER,
    capabilities TEXT NOT NULL,
    recommended_uses TEXT NOT NULL,
    default_parameters TEXT,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    pinned_fields TEXT NOT NULL,
    field_sources TEXT NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX models_model_id ON models (provider_id, model_id);

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    revision INTEGER NOT NULL,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expire_time INTEGER,
    revoke_time INTEGER,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32)
) STRICT;

-- One row: what makes this database a cluster of its own, and which master key is the active one.
CREATE TABLE cluster (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    cluster_id BLOB NOT NULL CHECK (length(cluster_id) = 16),
    create_time INTEGER NOT NULL,
    active_key_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;

CREATE TABLE keyring (
    purpose TEXT NOT NULL PRIMARY KEY,
    master_key_id TEXT NOT NULL,
    wrapped BLOB NOT NULL
) STRICT;
