-- Status: the latest values, in an order of their own. No foreign keys to the configuration; orphans are swept.

-- One row. Whoever updates it orders its batch of status among all others.
CREATE TABLE status_counter (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value INTEGER NOT NULL
) STRICT;

CREATE TABLE endpoint_status (
    endpoint_id BLOB NOT NULL PRIMARY KEY CHECK (length(endpoint_id) = 16),
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    latency_ns INTEGER,
    last_check_time INTEGER,
    last_transition_time INTEGER,
    consecutive_failures INTEGER NOT NULL,
    consecutive_successes INTEGER NOT NULL,
    message TEXT NOT NULL,
    http_status INTEGER,
    status_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoint_status_revision ON endpoint_status (status_revision);

-- Two pieces of status that are written apart: `validation_…` and `usage_…`; a piece never written is NULL.
CREATE TABLE credential_status (
    credential_id BLOB NOT NULL PRIMARY KEY CHECK (length(credential_id) = 16),
    validation_status TEXT,
    validation_cause TEXT,
    validation_message TEXT,
    validation_time INTEGER,
    validation_secret_version INTEGER,
    usage_used INTEGER,
    usage_window_start_time INTEGER,
    usage_total_requests INTEGER,
    usage_total_failures INTEGER,
    usage_total_tokens INTEGER,
    usage_last_use_time INTEGER,
    status_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_status_revision ON credential_status (status_revision);

CREATE TABLE model_status (
    model_id BLOB NOT NULL PRIMARY KEY CHECK (length(model_id) = 16),
    availability_status TEXT,
    availability_cause TEXT,
    availability_latency_ns INTEGER,
    availability_message TEXT,
    availability_test_time INTEGER,
    usage_total_requests INTEGER,
    usage_total_failures INTEGER,
    usage_total_input_tokens INTEGER,
    usage_total_output_tokens INTEGER,
    usage_last_use_time INTEGER,
    status_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX model_status_revision ON model_status (status_revision);

CREATE TABLE provider_status (
    provider_id BLOB NOT NULL PRIMARY KEY CHECK (length(provider_id) = 16),
    sync_time INTEGER NOT NULL,
    sync_result TEXT NOT NULL,
    sync_message TEXT NOT NULL,
    sync_added INTEGER NOT NULL,
    sync_updated INTEGER NOT NULL,
    sync_deprecated INTEGER NOT NULL,
    sync_restored INTEGER NOT NULL,
    sync_unchanged INTEGER NOT NULL,
    status_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX provider_status_revision ON provider_status (status_revision);

CREATE TABLE token_status (
    token_id BLOB NOT NULL PRIMARY KEY CHECK (length(token_id) = 16),
    last_use_time INTEGER NOT NULL,
    status_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX token_status_revision ON token_status (status_revision);

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    expire_time INTEGER NOT NULL
) STRICT;

CREATE TABLE replicas (
    replica_id TEXT NOT NULL PRIMARY KEY,
    readable_key_ids TEXT NOT NULL,
    applied_revision INTEGER NOT NULL,
    heartbeat_time INTEGER NOT NULL
) STRICT;
