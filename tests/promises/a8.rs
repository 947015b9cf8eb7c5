//! Shutdown drains, then is forced.
