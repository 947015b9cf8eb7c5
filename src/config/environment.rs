//! The environment as a list of given values; the only module that reads it.
//!
//! A setting's variable is `MODELWARD_` and its name in capitals, a dot being two underscores. Kubernetes puts
//! variables of its own into each pod for a service that is named like this program; these are passed over.

use std::ffi::OsString;
use std::path::PathBuf;

use super::declare::Spec;
use super::layers::{Given, SEE_ALL, Source, nearest};
use crate::failpoint;

const PREFIX: &str = "MODELWARD_";
/// The variables that all programs share which tell traces: [`super::traces`] reads them.
const SHARED: &str = "OTEL_";

/// Names the path of the configuration file.
pub const CONFIG: &str = "MODELWARD_CONFIG";

/// Short names beside those that the rule makes.
const ALIASES: [(&str, &str); 3] = [
    ("MODELWARD_DATABASE_URL", "database.url"),
    ("MODELWARD_LOG", "log.level"),
    ("MODELWARD_LOG_FORMAT", "log.format"),
];

/// Variables that are not settings: of the client verbs and of this project's own tests.
const CLIENT: [&str; 5] =
    ["MODELWARD_SERVER", "MODELWARD_TOKEN_FILE", "MODELWARD_CA_FILE", "MODELWARD_CERT_FILE", "MODELWARD_KEY_FILE"];
const TESTS: &str = "MODELWARD_TEST_";

/// The variables of this process that are meant for this program.
pub type Variables = Vec<(String, OsString)>;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn variables() -> Variables {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    named.filter(|(name, _)| name.starts_with(PREFIX) || name.starts_with(SHARED)).collect()
}

/// Whether the user asked for plain output everywhere (<https://no-color.org>).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The rules of fail points, which only debug builds have.
#[cfg(debug_assertions)]
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn fail_points() -> Option<OsString> {
    std::env::var_os(failpoint::VARIABLE)
}

/// The variable that an operator should use for a setting.
#[must_use]
pub fn variable(setting: &str) -> String {
    let alias = ALIASES.iter().find(|(_, name)| *name == setting);
    alias.map_or_else(|| by_rule(setting), |(alias, _)| (*alias).to_owned())
}

fn by_rule(setting: &str) -> String {
    format!("{PREFIX}{}", setting.replace('.', "__").to_uppercase())
}

/// The path of the configuration file, if a variable names it.
#[must_use]
pub fn config_file(variables: &Variables) -> Option<PathBuf> {
    let (_, path) = variables.iter().find(|(name, path)| name == CONFIG && !path.is_empty())?;
    Some(PathBuf::from(path))
}

/// # Errors
/// All variables that no setting has, and settings given twice.
pub fn read(variables: &Variables, specs: &[Spec]) -> Result<Vec<Given>, Vec<String>> {
    let mut given: Vec<Given> = Vec::new();
    let mut problems = Vec::new();
    for (variable, value) in variables {
        if is_other(variable) {
            continue;
        }
        let Some(spec) = specs.iter().find(|spec| names(spec.name).any(|name| name == *variable)) else {
            problems.push(format!("the variable {variable} is no setting; {}", meant(variable, specs)));
            continue;
        };
        let Some(text) = value.to_str() else {
            problems.push(format!("the value of {variable} is not UTF-8; correct it"));
            continue;
        };
        if let Some(earlier) = given.iter().find(|given| given.name == spec.name) {
            problems.push(format!("{variable} repeats {}; unset one of them", earlier.source));
        }
        given.push(Given { name: spec.name, text: text.to_owned(), source: Source::Environment(variable.clone()) });
    }
    if problems.is_empty() { Ok(given) } else { Err(problems) }
}

fn names(setting: &str) -> impl Iterator<Item = String> {
    let aliases = ALIASES.iter().filter(move |(_, name)| *name == setting).map(|(alias, _)| (*alias).to_owned());
    aliases.chain([by_rule(setting)])
}

fn meant(unknown: &str, specs: &[Spec]) -> String {
    let known: Vec<_> = specs.iter().flat_map(|spec| names(spec.name)).chain([CONFIG.to_owned()]).collect();
    // Compared without the prefix, which would make all names look alike.
    let tails = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let near = nearest(unknown.trim_start_matches(PREFIX), tails);
    near.map_or_else(|| SEE_ALL.to_owned(), |tail| format!("did you mean {PREFIX}{tail}?"))
}

fn is_other(variable: &str) -> bool {
    let is_fail_points = cfg!(debug_assertions) && variable == failpoint::VARIABLE;
    is_fail_points
        || variable == CONFIG
        || variable.starts_with(SHARED)
        || CLIENT.contains(&variable)
        || variable.starts_with(TESTS)
        || is_service_link(variable)
}

/// Whether Kubernetes made it for a service: `…_SERVICE_HOST`, `…_SERVICE_PORT[_<name>]`, `…_PORT[_<n>_<protocol>…]`.
fn is_service_link(variable: &str) -> bool {
    let rest = variable.trim_start_matches(PREFIX);
    let ends = |tail: &str| rest == tail || rest.ends_with(&format!("_{tail}"));
    let numbered = rest.split("PORT_").skip(1).any(|tail| {
        let mut parts = tail.split('_');
        parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    });
    ends("SERVICE_HOST") || ends("SERVICE_PORT") || ends("PORT") || rest.contains("SERVICE_PORT_") || numbered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<(&'static str, String)>, Vec<String>> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let specs: Vec<_> = config::specs().collect();
        let given = super::read(&variables, &specs)?;
        Ok(given.into_iter().map(|given| (given.name, given.text)).collect())
    }

    #[test]
    fn names_follow_the_rule_or_are_the_fixed_short_ones() {
        assert_eq!(variable("data_dir"), "MODELWARD_DATA_DIR");
        assert_eq!(variable("egress.allow_private"), "MODELWARD_EGRESS__ALLOW_PRIVATE");
        assert_eq!(variable("database.url"), "MODELWARD_DATABASE_URL");
        assert_eq!(variable("log.level"), "MODELWARD_LOG");
        assert_eq!(
            read(&[("MODELWARD_LIMITS__ENDPOINTS_PER_PROVIDER", "3"), ("MODELWARD_DATABASE__POOL_SIZE", "4")]),
            Ok(vec![("limits.endpoints_per_provider", "3".to_owned()), ("database.pool_size", "4".to_owned())])
        );
    }

    #[test]
    fn an_unknown_variable_is_an_error_that_says_what_was_probably_meant() {
        assert_eq!(
            read(&[("MODELWARD_DATADIR", "x"), ("MODELWARD_ZZZ", "x")]).unwrap_err(),
            [
                "the variable MODELWARD_DATADIR is no setting; did you mean MODELWARD_DATA_DIR?",
                "the variable MODELWARD_ZZZ is no setting; `modelward config example` lists all of them",
            ]
        );
    }

    #[test]
    fn one_setting_under_two_names_is_an_error() {
        let problems = read(&[("MODELWARD_DATABASE_URL", "a"), ("MODELWARD_DATABASE__URL", "b")]).unwrap_err();
        assert_eq!(problems, ["MODELWARD_DATABASE__URL repeats environment MODELWARD_DATABASE_URL; unset one of them"]);
    }

    #[test]
    fn variables_of_kubernetes_services_are_passed_over() {
        let links = [
            "MODELWARD_SERVICE_HOST",
            "MODELWARD_SERVICE_PORT",
            "MODELWARD_SERVICE_PORT_GRPC",
            "MODELWARD_PORT",
            "MODELWARD_PORT_50051_TCP",
            "MODELWARD_PORT_50051_TCP_ADDR",
            "MODELWARD_PROD_SERVICE_HOST",
            "MODELWARD_PROD_PORT_9090_TCP_PROTO",
        ];
        for link in links {
            assert_eq!(read(&[(link, "tcp://10.0.0.1:50051")]), Ok(vec![]), "{link}");
        }
        assert!(read(&[("MODELWARD_PORT_X", "1")]).is_err());
    }

    #[test]
    fn no_setting_has_a_name_that_would_be_passed_over() {
        for spec in config::specs() {
            for name in names(spec.name) {
                assert!(!is_other(&name), "{name}");
            }
        }
    }
}
