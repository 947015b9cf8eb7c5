//! No secret in logs, errors, responses, metrics, Debug output or the database.
