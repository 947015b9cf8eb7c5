CREATE TABLE watchers (
    watch_id UUID NOT NULL PRIMARY KEY,
    replica_id TEXT NOT NULL,
    client TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    acknowledged_revision BIGINT NOT NULL
);
COMMENT ON TABLE watchers IS 'The open Watch streams of all replicas.';
COMMENT ON COLUMN watchers.watch_id IS 'The stream.';
COMMENT ON COLUMN watchers.replica_id IS 'The server process that serves it; no foreign key, rows of those that are gone are swept.';
COMMENT ON COLUMN watchers.client IS 'What the client calls itself.';
COMMENT ON COLUMN watchers.since IS 'When it began.';
COMMENT ON COLUMN watchers.acknowledged_revision IS 'Up to where the client has applied the changes; 0: it has not told.';
CREATE INDEX watchers_replica_id ON watchers (replica_id);
