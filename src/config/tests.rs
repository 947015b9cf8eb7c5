//! What no single layer shows: precedence, sources, contradictions, and that the example file is complete.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::*;

fn variables(given: &[(&str, &str)]) -> environment::Variables {
    given.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect()
}

fn set(name: &str, value: &str) -> Flags {
    Flags { set: vec![(name.to_owned(), value.to_owned())], ..Flags::default() }
}

fn problems(flags: &Flags, given: &[(&str, &str)]) -> Vec<String> {
    resolve(flags, &variables(given)).err().map(|error| error.problems).unwrap_or_default()
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    fs::write(&path, "[limits]\nendpoints_per_provider = 1\ncredentials_per_provider = 1\nmax_connections = 1")
        .unwrap();
    let mut flags = set("limits.endpoints_per_provider", "3");
    flags.named.push(("--data-dir", "data_dir", "/d".to_owned()));
    let environment = variables(&[
        ("MODELWARD_CONFIG", path.to_str().unwrap()),
        ("MODELWARD_LIMITS__ENDPOINTS_PER_PROVIDER", "2"),
        ("MODELWARD_LIMITS__CREDENTIALS_PER_PROVIDER", "2"),
        ("MODELWARD_DATA_DIR", "/e"),
    ]);
    let Loaded { settings, values } = resolve(&flags, &environment).unwrap();
    assert_eq!(settings.limits.endpoints_per_provider, 3);
    assert_eq!(settings.limits.credentials_per_provider, 2);
    assert_eq!(settings.limits.max_connections, 1);
    assert_eq!(settings.server.data_dir, Path::new("/d"));
    assert_eq!(settings.health.max_in_flight, 64);

    let source = |name: &str| {
        values.shown().find(|(spec, ..)| spec.name == name).map(|(_, _, source)| source.to_string()).unwrap()
    };
    assert_eq!(source("limits.endpoints_per_provider"), "flag --set");
    assert_eq!(source("limits.credentials_per_provider"), "environment MODELWARD_LIMITS__CREDENTIALS_PER_PROVIDER");
    assert_eq!(source("limits.max_connections"), format!("file {}", path.display()));
    assert_eq!(source("data_dir"), "flag --data-dir");
    assert_eq!(source("health.max_in_flight"), "default");
}

#[test]
fn a_wrong_value_is_reported_with_its_source_and_without_itself() {
    let given = [("MODELWARD_DATABASE_URL", "mysql://u:pw4711@h/d"), ("MODELWARD_EGRESS__CALL_BUDGET", "9h")];
    assert_eq!(
        problems(&set("limits.max_message", "4MB"), &given),
        [
            "the value of database.url from environment MODELWARD_DATABASE_URL is not valid; \
             give postgres://user:password@host/database or sqlite:///path/to/file",
            "the value of egress.call_budget from environment MODELWARD_EGRESS__CALL_BUDGET is not valid; \
             give a value from 1s to 5m",
            "the value of limits.max_message from flag --set is not valid; \
             give a number of bytes, or a whole number with KiB, MiB or GiB, as in 4MiB",
        ]
    );
}

#[test]
fn problems_of_all_layers_are_reported_together() {
    let found =
        problems(&set("limits.max_mesage", "1"), &[("MODELWARD_LISTEM", "x"), ("MODELWARD_CONFIG", "/nowhere")]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[2].contains("did you mean limits.max_message?"), "{found:?}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let tls = [("MODELWARD_TLS__CERT_FILE", "c.pem"), ("MODELWARD_TLS__KEY_FILE", "k.pem")];
    let with_tls = |name, value| [tls[0], tls[1], (name, value)];
    let contradictions: [&[(&str, &str)]; 8] = [
        &with_tls("MODELWARD_TLS__CLIENT_AUTH", "required"),
        &with_tls("MODELWARD_TLS__CLIENT_CA_FILE", "ca.pem"),
        &with_tls("MODELWARD_TLS__CLIENT_CRL_FILE", "crl.pem"),
        &[("MODELWARD_TLS__CLIENT_AUTH", "optional"), ("MODELWARD_TLS__CLIENT_CA_FILE", "ca.pem")],
        &[("MODELWARD_TLS__CERT_FILE", "c.pem")],
        &[("MODELWARD_MASTER_KEYS", "k"), ("MODELWARD_MASTER_KEY_FILE", "f")],
        &[("MODELWARD_SHUTDOWN__LAME_DUCK", "25s")],
        &[("MODELWARD_OPS_LISTEN", "127.0.0.1:50051")],
    ];
    for given in contradictions {
        assert_eq!(problems(&Flags::default(), given).len(), 1, "{given:?}");
    }
    assert_eq!(problems(&Flags::default(), &[("MODELWARD_OPS_LISTEN", "")]), Vec::<String>::new());
}

#[test]
fn secrets_are_hidden_when_shown_and_refused_as_flags() {
    let given = [("MODELWARD_MASTER_KEYS", "k1:canary"), ("MODELWARD_DATABASE_URL", "postgres://u:canary@h/d")];
    let text = shown(&resolve(&Flags::default(), &variables(&given)).unwrap().values);
    assert!(text.contains("master_keys = \"<hidden>\""), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let refused = problems(&set("master_keys", "k1:canary"), &[]);
    assert_eq!(refused, ["--set master_keys would show a secret to all users; use MODELWARD_MASTER_KEYS"]);
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = shown(&resolve(&set("egress.allow_private", "true"), &Vec::new()).unwrap().values);
    let again = read_text(&text);
    assert!(again.egress.allow_private);
    assert!(again.server == defaults().unwrap().server);
}

/// The file is what `modelward config example` prints; on a difference, write that to it.
#[test]
fn the_example_file_has_every_setting_with_its_documentation_and_default() {
    assert_eq!(include_str!("../../modelward.example.toml"), example());
}

#[test]
fn the_example_file_is_accepted_as_it_stands_and_with_every_setting_uncommented() {
    let uncommented: String = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = uncommented.lines().filter(|line| !line.starts_with('#') && line.contains(" = "));
    assert_eq!(settings.count(), specs().count());
    assert!(read_text(&example()) == defaults().unwrap());
    assert!(read_text(&uncommented) == defaults().unwrap());
}

fn read_text(text: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    fs::write(&path, text).unwrap();
    resolve(&Flags { config: Some(path), ..Flags::default() }, &Vec::new()).unwrap().settings
}
