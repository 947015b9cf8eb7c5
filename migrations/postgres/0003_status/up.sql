-- Status: the latest values, in an order of their own. No foreign keys to the configuration; orphans are swept.

CREATE TABLE status_counter (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value BIGINT NOT NULL
);
COMMENT ON TABLE status_counter IS 'One row. Whoever updates it orders its batch of status among all others.';
COMMENT ON COLUMN status_counter.singleton IS 'Always 1.';
COMMENT ON COLUMN status_counter.value IS 'Its value; it only rises.';

CREATE TABLE endpoint_status (
    endpoint_id UUID NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    latency_ns BIGINT,
    last_check_time TIMESTAMPTZ,
    last_transition_time TIMESTAMPTZ,
    consecutive_failures BIGINT NOT NULL,
    consecutive_successes BIGINT NOT NULL,
    message TEXT NOT NULL,
    http_status INTEGER,
    status_revision BIGINT NOT NULL
);
COMMENT ON TABLE endpoint_status IS 'Health of endpoints: the latest values.';
COMMENT ON COLUMN endpoint_status.endpoint_id IS 'The endpoint; no foreign key, orphans are swept.';
COMMENT ON COLUMN endpoint_status.status IS 'unknown, healthy, degraded or unhealthy.';
COMMENT ON COLUMN endpoint_status.cause IS 'Why the status is what it is.';
COMMENT ON COLUMN endpoint_status.latency_ns IS 'Of the last probe, in nanoseconds.';
COMMENT ON COLUMN endpoint_status.last_check_time IS 'When it was last probed.';
COMMENT ON COLUMN endpoint_status.last_transition_time IS 'When the status last changed.';
COMMENT ON COLUMN endpoint_status.consecutive_failures IS 'Failed probes in a row.';
COMMENT ON COLUMN endpoint_status.consecutive_successes IS 'Good probes in a row.';
COMMENT ON COLUMN endpoint_status.message IS 'Short text, made by this server.';
COMMENT ON COLUMN endpoint_status.http_status IS 'Of the last probe.';
COMMENT ON COLUMN endpoint_status.status_revision IS 'Position of the last write in the order of status.';
CREATE INDEX endpoint_status_revision ON endpoint_status (status_revision);

CREATE TABLE credential_status (
    credential_id UUID NOT NULL PRIMARY KEY,
    validation_status TEXT,
    validation_cause TEXT,
    validation_message TEXT,
    validation_time TIMESTAMPTZ,
    validation_secret_version BIGINT,
    usage_used BIGINT,
    usage_window_start_time TIMESTAMPTZ,
    usage_total_requests BIGINT,
    usage_total_failures BIGINT,
    usage_total_tokens BIGINT,
    usage_last_use_time TIMESTAMPTZ,
    status_revision BIGINT NOT NULL
);
COMMENT ON TABLE credential_status IS 'Validation and usage of credentials: the latest values, written apart; NULL: never written.';
COMMENT ON COLUMN credential_status.credential_id IS 'The credential; no foreign key, orphans are swept.';
COMMENT ON COLUMN credential_status.validation_status IS 'What the vendor says of the secret.';
COMMENT ON COLUMN credential_status.validation_cause IS 'Why.';
COMMENT ON COLUMN credential_status.validation_message IS 'Short text.';
COMMENT ON COLUMN credential_status.validation_time IS 'When the vendor was last asked.';
COMMENT ON COLUMN credential_status.validation_secret_version IS 'Which version was tried.';
COMMENT ON COLUMN credential_status.usage_used IS 'Used of the quota, in its unit, in the current window.';
COMMENT ON COLUMN credential_status.usage_window_start_time IS 'When the current window began.';
COMMENT ON COLUMN credential_status.usage_total_requests IS 'Requests so far.';
COMMENT ON COLUMN credential_status.usage_total_failures IS 'Failed requests so far.';
COMMENT ON COLUMN credential_status.usage_total_tokens IS 'Tokens so far.';
COMMENT ON COLUMN credential_status.usage_last_use_time IS 'When it was last used.';
COMMENT ON COLUMN credential_status.status_revision IS 'Position of the last write in the order of status.';
CREATE INDEX credential_status_revision ON credential_status (status_revision);

CREATE TABLE model_status (
    model_id UUID NOT NULL PRIMARY KEY,
    availability_status TEXT,
    availability_cause TEXT,
    availability_latency_ns BIGINT,
    availability_message TEXT,
    availability_test_time TIMESTAMPTZ,
    usage_total_requests BIGINT,
    usage_total_failures BIGINT,
    usage_total_input_tokens BIGINT,
    usage_total_output_tokens BIGINT,
    usage_last_use_time TIMESTAMPTZ,
    status_revision BIGINT NOT NULL
);
COMMENT ON TABLE model_status IS 'Availability and usage of models: the latest values, written apart; NULL: never written.';
COMMENT ON COLUMN model_status.model_id IS 'The model (models.id); no foreign key, orphans are swept.';
COMMENT ON COLUMN model_status.availability_status IS 'Whether the model answered the last test.';
COMMENT ON COLUMN model_status.availability_cause IS 'Why.';
COMMENT ON COLUMN model_status.availability_latency_ns IS 'Of the last test, in nanoseconds.';
COMMENT ON COLUMN model_status.availability_message IS 'Short text.';
COMMENT ON COLUMN model_status.availability_test_time IS 'When it was last tested.';
COMMENT ON COLUMN model_status.usage_total_requests IS 'Requests so far.';
COMMENT ON COLUMN model_status.usage_total_failures IS 'Failed requests so far.';
COMMENT ON COLUMN model_status.usage_total_input_tokens IS 'Input tokens so far.';
COMMENT ON COLUMN model_status.usage_total_output_tokens IS 'Output tokens so far.';
COMMENT ON COLUMN model_status.usage_last_use_time IS 'When it was last used.';
COMMENT ON COLUMN model_status.status_revision IS 'Position of the last write in the order of status.';
CREATE INDEX model_status_revision ON model_status (status_revision);

CREATE TABLE provider_status (
    provider_id UUID NOT NULL PRIMARY KEY,
    sync_time TIMESTAMPTZ NOT NULL,
    sync_result TEXT NOT NULL,
    sync_message TEXT NOT NULL,
    sync_added BIGINT NOT NULL,
    sync_updated BIGINT NOT NULL,
    sync_deprecated BIGINT NOT NULL,
    sync_restored BIGINT NOT NULL,
    sync_unchanged BIGINT NOT NULL,
    status_revision BIGINT NOT NULL
);
COMMENT ON TABLE provider_status IS 'The last synchronisation of each provider.';
COMMENT ON COLUMN provider_status.provider_id IS 'The provider; no foreign key, orphans are swept.';
COMMENT ON COLUMN provider_status.sync_time IS 'When it ended.';
COMMENT ON COLUMN provider_status.sync_result IS 'succeeded or failed.';
COMMENT ON COLUMN provider_status.sync_message IS 'Short text.';
COMMENT ON COLUMN provider_status.sync_added IS 'Models added.';
COMMENT ON COLUMN provider_status.sync_updated IS 'Models updated.';
COMMENT ON COLUMN provider_status.sync_deprecated IS 'Models that the vendor no longer lists.';
COMMENT ON COLUMN provider_status.sync_restored IS 'Models that the vendor lists again.';
COMMENT ON COLUMN provider_status.sync_unchanged IS 'Models found as they were.';
COMMENT ON COLUMN provider_status.status_revision IS 'Position of the last write in the order of status.';
CREATE INDEX provider_status_revision ON provider_status (status_revision);

CREATE TABLE token_status (
    token_id UUID NOT NULL PRIMARY KEY,
    last_use_time TIMESTAMPTZ NOT NULL,
    status_revision BIGINT NOT NULL
);
COMMENT ON TABLE token_status IS 'The last use of each token.';
COMMENT ON COLUMN token_status.token_id IS 'The token; no foreign key, orphans are swept.';
COMMENT ON COLUMN token_status.last_use_time IS 'When it was last used.';
COMMENT ON COLUMN token_status.status_revision IS 'Position of the last write in the order of status.';
CREATE INDEX token_status_revision ON token_status (status_revision);

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expire_time TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE leases IS 'Who may run a background task, by the clock of this database.';
COMMENT ON COLUMN leases.name IS 'What the lease is for.';
COMMENT ON COLUMN leases.owner IS 'Who holds it.';
COMMENT ON COLUMN leases.epoch IS 'Rises whenever the owner changes.';
COMMENT ON COLUMN leases.expire_time IS 'When it ends; NULL: never.';

CREATE TABLE replicas (
    replica_id TEXT NOT NULL PRIMARY KEY,
    readable_key_ids JSON NOT NULL,
    applied_revision BIGINT NOT NULL,
    heartbeat_time TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE replicas IS 'Signs of life of the server processes.';
COMMENT ON COLUMN replicas.replica_id IS 'The server process.';
COMMENT ON COLUMN replicas.readable_key_ids IS 'JSON array: ids of the master keys that it can read.';
COMMENT ON COLUMN replicas.applied_revision IS 'How far it has applied the log.';
COMMENT ON COLUMN replicas.heartbeat_time IS 'Its last sign of life.';
