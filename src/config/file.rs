//! The TOML file as a list of given values. Its text is never repeated in an error: it may hold a password.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::declare::Spec;
use super::layers::{Given, Source, suggestion};

/// Reads the file.
///
/// # Errors
/// All that is wrong with its form or its names.
pub fn read(path: &Path, specs: &[Spec]) -> Result<Vec<Given>, Vec<String>> {
    let text = fs::read_to_string(path).map_err(|error| {
        vec![format!(
            "the configuration file {} cannot be read ({error}); check --config and its rights",
            path.display()
        )]
    })?;
    parse(&text, path, specs)
}

fn parse(text: &str, path: &Path, specs: &[Spec]) -> Result<Vec<Given>, Vec<String>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        vec![format!("{} line {line} is not TOML; see `modelward config example` for the form", path.display())]
    })?;
    let mut reading = Reading { path, specs, given: Vec::new(), problems: Vec::new() };
    reading.table("", &table);
    if reading.problems.is_empty() { Ok(reading.given) } else { Err(reading.problems) }
}

struct Reading<'a> {
    path: &'a Path,
    specs: &'a [Spec],
    given: Vec<Given>,
    problems: Vec<String>,
}

impl Reading<'_> {
    fn table(&mut self, prefix: &str, table: &Table) {
        for (key, value) in table {
            let name = format!("{prefix}{key}");
            match value {
                Value::Table(inner) if self.is_group(&name) => self.table(&format!("{name}."), inner),
                _ => self.value(&name, value),
            }
        }
    }

    fn is_group(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    fn value(&mut self, name: &str, value: &Value) {
        let Some(spec) = self.specs.iter().find(|spec| spec.name == name) else {
            let groups = self.specs.iter().filter_map(|spec| spec.name.split_once('.').map(|(group, _)| group));
            let meant = suggestion(name, self.specs.iter().map(|spec| spec.name).chain(groups));
            return self.problems.push(format!("{} has an unknown setting {name}; {meant}", self.path.display()));
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                let problem = format!("{name} in {} is no plain value; give a string", self.path.display());
                return self.problems.push(problem);
            }
        };
        self.given.push(Given { name: spec.name, text, source: Source::File(self.path.to_owned()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn parse(text: &str) -> Result<Vec<(&'static str, String)>, Vec<String>> {
        let specs: Vec<_> = config::specs().collect();
        let given = super::parse(text, Path::new("m.toml"), &specs)?;
        Ok(given.into_iter().map(|given| (given.name, given.text)).collect())
    }

    #[test]
    fn tables_and_dotted_keys_mean_the_same() {
        let expected = Ok(vec![("egress.allow_private", "true".to_owned()), ("egress.call_budget", "5s".to_owned())]);
        assert_eq!(parse("[egress]\nallow_private = true\ncall_budget = '5s'"), expected);
        assert_eq!(parse("egress.allow_private = true\negress.call_budget = '5s'"), expected);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_what_was_probably_meant() {
        let problems = parse("[egress]\nalow_private = true\n[limit]\nmax_message = 1").unwrap_err();
        assert_eq!(
            problems,
            [
                "m.toml has an unknown setting egress.alow_private; did you mean egress.allow_private?",
                "m.toml has an unknown setting limit; did you mean limits?",
            ]
        );
    }

    #[test]
    fn a_broken_file_is_located_without_repeating_what_it_says() {
        let problems = parse("listen = '127.0.0.1:1'\nmaster_keys = \"k1:c2VjcmV0").unwrap_err().join("");
        assert!(problems.contains("line 2"), "{problems}");
        assert!(!problems.contains("c2VjcmV0"), "{problems}");
    }
}
