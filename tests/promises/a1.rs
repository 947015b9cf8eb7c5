//! Retried creates make one resource.
