//! What goes where: data to stdout, all else to stderr. A reader that has gone away is no failure.

use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use serde_json::Value;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Columns, for people
    #[default]
    Table,
    /// JSON, for programs
    Json,
}

/// Writes an answer to stdout, for people or for programs.
pub fn answer(format: Format, value: &Value, table: impl FnOnce() -> String) -> anyhow::Result<()> {
    match format {
        Format::Table => data(&table())?,
        Format::Json => data(&format!("{value:#}\n"))?,
    }
    Ok(())
}

/// Writes data to stdout.
pub fn data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Tells the operator something, on a line of its own.
pub fn note(text: &str) {
    // Nothing can be told to somebody whose terminal is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
