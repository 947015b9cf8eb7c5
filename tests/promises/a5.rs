//! Bad input never panics.
