-- What auditors search the log by, and where a log begins whose oldest lines were removed.

CREATE INDEX changes_kind ON changes (resource_kind, revision, ordinal);
CREATE INDEX changes_actor ON changes (actor, revision, ordinal);
CREATE INDEX changes_request ON changes (request_id, revision) WHERE request_id <> '';
CREATE INDEX changes_time ON changes (time);

CREATE TABLE log_anchor (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    revision INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    seal BLOB NOT NULL CHECK (length(seal) = 32)
) STRICT;
