//! The load benchmarks: `cargo bench --bench load -- [case…]`, all of them without a name.
//!
//! What is measured is the real program in a process of its own; who calls it is another process, and so is what it is
//! compared with. The tables are Markdown on standard output; what happens meanwhile is told on standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use std::process::ExitCode;

mod call;
mod case;
mod duel;
mod echo;
mod generator;
mod home;
mod process;
mod report;
mod seed;
mod server;

#[expect(clippy::expect_used, clippy::panic, reason = "the tests' harness ends what it cannot start")]
#[path = "../../tests/support/keeper.rs"]
mod keeper;

#[expect(clippy::expect_used, reason = "the tests' harness ends what it cannot start")]
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/support/postgres.rs"]
mod postgres;

#[path = "../../tests/support/raw.rs"]
mod raw;

#[expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "made for tests")]
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/support/vendor.rs"]
mod vendor;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [echo::ROLE, answer] => echo::run(answer),
        [generator::ROLE, plan] => generator::run(plan),
        cases => case::run(cases),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
