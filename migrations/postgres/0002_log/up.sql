-- The one ordered log of changes, the counter that orders it, and the answers kept for repeated requests.

CREATE TABLE changes (
    revision BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    payload BYTEA NOT NULL,
    resource_kind TEXT NOT NULL,
    resource_id UUID NOT NULL,
    operation TEXT NOT NULL,
    actor TEXT NOT NULL,
    rpc TEXT NOT NULL,
    request_id TEXT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (revision, ordinal)
);
COMMENT ON TABLE changes IS 'The one ordered log of configuration changes.';
COMMENT ON COLUMN changes.revision IS 'Position in the log.';
COMMENT ON COLUMN changes.ordinal IS 'Place within the revision, from 0.';
COMMENT ON COLUMN changes.hash IS 'HMAC over this line and the hash before it.';
COMMENT ON COLUMN changes.payload IS 'The whole change, as it is hashed; the other columns are copies.';
COMMENT ON COLUMN changes.resource_kind IS 'Copy: kind of the resource.';
COMMENT ON COLUMN changes.resource_id IS 'Copy: id of the resource.';
COMMENT ON COLUMN changes.operation IS 'Copy: create, update, delete, undelete or access.';
COMMENT ON COLUMN changes.actor IS 'Copy: name of the identity that did it.';
COMMENT ON COLUMN changes.rpc IS 'Copy: the method that did it.';
COMMENT ON COLUMN changes.request_id IS 'Copy: the idempotency key of the caller, or empty.';
COMMENT ON COLUMN changes.time IS 'Copy: when it happened.';
CREATE INDEX changes_resource ON changes (resource_id, revision);

CREATE TABLE revision_counter (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value BIGINT NOT NULL,
    head_hash BYTEA NOT NULL CHECK (length(head_hash) = 32)
);
COMMENT ON TABLE revision_counter IS 'One row: the head of the log. Whoever locks it holds the write lock of the whole configuration.';
COMMENT ON COLUMN revision_counter.singleton IS 'Always 1.';
COMMENT ON COLUMN revision_counter.value IS 'Its value; it only rises.';
COMMENT ON COLUMN revision_counter.head_hash IS 'The hash of the last line of the log.';

CREATE TABLE request_ids (
    identity TEXT NOT NULL,
    request_id TEXT NOT NULL,
    payload_hash BYTEA NOT NULL CHECK (length(payload_hash) = 32),
    answer BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (identity, request_id)
);
COMMENT ON TABLE request_ids IS 'Answers kept for callers who repeat a request.';
COMMENT ON COLUMN request_ids.identity IS 'Whose request it was: ids of different identities never meet.';
COMMENT ON COLUMN request_ids.request_id IS 'The idempotency key of the caller, or empty.';
COMMENT ON COLUMN request_ids.payload_hash IS 'Hash of the request, to know a repetition from a mistake.';
COMMENT ON COLUMN request_ids.answer IS 'The encoded answer, configuration fields only.';
COMMENT ON COLUMN request_ids.revision IS 'The revision that was answered.';
COMMENT ON COLUMN request_ids.time IS 'When it happened.';
CREATE INDEX request_ids_time ON request_ids (time);
