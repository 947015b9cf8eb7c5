//! No update is lost.
