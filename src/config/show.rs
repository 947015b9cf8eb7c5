//! Settings as text: what a process has and from where, and the example file. Both are TOML.

use std::fmt::Write as _;

use super::declare::Spec;
use super::layers::Values;
use super::{environment, specs};

/// Each setting with its value and its source, secrets hidden.
#[must_use]
pub fn shown(values: &Values) -> String {
    let lines: Vec<_> = values
        .shown()
        .map(|(spec, text, source)| (format!("{} = {}", spec.name, written(spec, &text)), source))
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    lines.into_iter().fold(String::new(), |mut out, (line, source)| {
        let _ = writeln!(out, "{line:width$}  # {source}");
        out
    })
}

/// The example file: every setting with its documentation and default, commented out.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Settings of Modelward. Every value below is the default; remove the # to change it.\n\
         #\n\
         # This file is given by --config or MODELWARD_CONFIG. A variable overrides it, a flag overrides both: each\n\
         # setting has the variable that is named with it, and can be given as `--set name=value`.\n\
         # `modelward config show` prints what is in force and where it comes from.\n",
    );
    let mut group = "";
    for spec in specs() {
        let (table, key) = spec.name.rsplit_once('.').unwrap_or(("", spec.name));
        if table != group {
            group = table;
            let _ = write!(out, "\n[{table}]\n");
        }
        out.push('\n');
        for line in spec.doc {
            let _ = writeln!(out, "# {}", line.trim().replace('`', ""));
        }
        let _ = writeln!(out, "# Variable: {}", environment::variable(spec.name));
        let _ = writeln!(out, "#{key} = {}", written(&spec, spec.default));
    }
    out
}

fn written(spec: &Spec, text: &str) -> String {
    if spec.bare && !text.is_empty() { text.to_owned() } else { toml::Value::String(text.to_owned()).to_string() }
}
