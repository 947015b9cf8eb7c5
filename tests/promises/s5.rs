//! The master key rotates online.
