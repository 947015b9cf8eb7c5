//! What writes to providers would do.
