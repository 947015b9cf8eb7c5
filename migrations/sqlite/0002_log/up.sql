-- The one ordered log of changes, the counter that orders it, and the answers kept for repeated requests.

CREATE TABLE changes (
    revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    payload BLOB NOT NULL,
    resource_kind TEXT NOT NULL,
    resource_id BLOB NOT NULL CHECK (length(resource_id) = 16),
    operation TEXT NOT NULL,
    actor TEXT NOT NULL,
    rpc TEXT NOT NULL,
    request_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (revision, ordinal)
) STRICT;
CREATE INDEX changes_resource ON changes (resource_id, revision);

-- One row. Whoever updates it holds the write lock of the whole configuration.
CREATE TABLE revision_counter (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value INTEGER NOT NULL,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32)
) STRICT;

CREATE TABLE request_ids (
    identity TEXT NOT NULL,
    request_id TEXT NOT NULL,
    payload_hash BLOB NOT NULL CHECK (length(payload_hash) = 32),
    answer BLOB NOT NULL,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (identity, request_id)
) STRICT;
CREATE INDEX request_ids_time ON request_ids (time);
