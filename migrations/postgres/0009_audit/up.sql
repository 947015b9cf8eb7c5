-- What auditors search the log by, and where a log begins whose oldest lines were removed.

CREATE INDEX changes_kind ON changes (resource_kind, revision, ordinal);
CREATE INDEX changes_actor ON changes (actor, revision, ordinal);
CREATE INDEX changes_request ON changes (request_id, revision) WHERE request_id <> '';
CREATE INDEX changes_time ON changes (time);

CREATE TABLE log_anchor (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    revision BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    seal BYTEA NOT NULL CHECK (length(seal) = 32)
);
COMMENT ON TABLE log_anchor IS 'At most one row: the last change that was removed from the log. None: the log is whole.';
COMMENT ON COLUMN log_anchor.singleton IS 'Always 1.';
COMMENT ON COLUMN log_anchor.revision IS 'The last revision that was removed.';
COMMENT ON COLUMN log_anchor.hash IS 'The hash of its last line, with which the kept log goes on.';
COMMENT ON COLUMN log_anchor.seal IS 'HMAC over both: nobody else can say that a log was shortened on purpose.';
