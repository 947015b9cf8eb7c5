//! The snapshot is the database is the fold of the log.
