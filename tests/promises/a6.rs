//! One client cannot exhaust the server.
