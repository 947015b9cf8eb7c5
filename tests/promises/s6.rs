//! A wrong or missing master key fails closed.
