//! The `modelward` binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    modelward::cli::main()
}
