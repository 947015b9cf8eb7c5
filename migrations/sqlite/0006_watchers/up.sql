-- The open Watch streams of all replicas.
CREATE TABLE watchers (
    watch_id BLOB NOT NULL PRIMARY KEY CHECK (length(watch_id) = 16),
    replica_id TEXT NOT NULL,
    client TEXT NOT NULL,
    since INTEGER NOT NULL,
    acknowledged_revision INTEGER NOT NULL
) STRICT;
CREATE INDEX watchers_replica_id ON watchers (replica_id);
