//! The `modelward` binary.
fn main() {}
