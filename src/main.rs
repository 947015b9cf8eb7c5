//! The `modelward` binary: parse, run, exit code.

use std::process::ExitCode;

/// What one thread allocates another one often frees; this allocator lets neither wait.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    modelward::cli::main()
}
