//! What a file of identities may say, and what is told of one that may not.

use super::*;

const ISSUER: &str = r#"
[[issuer]]
name = "k8s"
issuer = "https://kubernetes.default.svc.cluster.local"
audiences = ["modelward"]
jwks_file = "/run/jwks.json"
"#;
const RULE: &str = r#"
[[issuer.rule]]
claim = "kubernetes.io.namespace"
value = "prod"
roles = ["viewer", "consumer"]
"#;

fn parse(text: &str) -> Result<Identities, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity.toml");
    fs::write(&path, text).unwrap();
    let shown = format!("{}", path.display());
    read(&path).map_err(|error| error.problems().iter().map(|problem| problem.replace(&shown, "FILE")).collect())
}

#[test]
fn a_file_says_who_is_believed_and_the_rest_has_defaults() {
    let certificate = "[[certificate]]\nuri = \"spiffe://example.org/gateway\"\nroles = [\"consumer\"]\n";
    let found = parse(&format!("{ISSUER}{RULE}{certificate}")).unwrap();
    let [issuer] = &found.issuers[..] else { panic!("{found:?}") };
    assert_eq!(issuer.keys, KeySource::File("/run/jwks.json".into()));
    assert_eq!(issuer.rules[0].roles, Roles::from_iter([Role::Viewer, Role::Consumer]));
    assert_eq!(issuer.algorithms, SignatureAlgorithm::ALL);
    assert_eq!((issuer.leeway, issuer.max_age), (Duration::from_secs(30), Duration::from_hours(24)));
    assert_eq!(issuer.name_claim, "sub");
    assert_eq!(found.certificates[0].kind, NameKind::Uri);
    let discovered = parse(&format!("{}{RULE}", ISSUER.replace("jwks_file = \"/run/jwks.json\"", ""))).unwrap();
    assert!(matches!(discovered.issuers[0].keys, KeySource::Discovery(_)));
    assert_eq!(parse("").unwrap(), Identities::default());
}

#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let page = include_str!("../../../../docs/IDENTITY.md");
    let examples: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        parse(example).unwrap();
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_remedy() {
    let with = |line: &str| format!("{ISSUER}{line}\n{RULE}");
    let cases = [
        (ISSUER.to_owned(), "FILE: issuer k8s: it has no [[issuer.rule]]"),
        (with("algorithms = [\"HS256\"]"), "FILE: issuer k8s: algorithms takes some of RS256, "),
        (with("algorithms = [\"none\"]"), "FILE: issuer k8s: algorithms takes some of RS256, "),
        (with("jwks_url = \"https://x/jwks\""), "FILE: issuer k8s: jwks_file and jwks_url are both set"),
        (with("leeway = \"11m\""), "FILE: issuer k8s: leeway is more than 10m"),
        (with("max_age = \"forever\""), "FILE: issuer k8s: max_age is not valid; give a whole number with its unit"),
        (with("audience = \"x\""), "FILE line 7: unknown field `audience`"),
        (with("").replace("\"modelward\"", ""), "FILE: issuer k8s: audiences must name at least one"),
        (with("").replace("\"viewer\"", "\"root\""), "FILE: issuer k8s: roles must name at least one of"),
        (with("").replace("\"k8s\"", "\"k8s/x\""), "FILE: issuer k8s/x: name takes 1 to 32 letters"),
        (format!("{ISSUER}{RULE}{ISSUER}{RULE}"), "FILE: issuer k8s: its name or its URL is another issuer's too"),
        (
            with("").replace("jwks_file = \"/run/jwks.json\"", "jwks_url = \"http://x/jwks\""),
            "FILE: issuer k8s: jwks_url is no https URL",
        ),
        ("[[certificate]]\nroles = [\"viewer\"]".to_owned(), "FILE: certificate 1: give exactly one of"),
        ("[[certificate]]\ndns = \"*.x\"\nroles = [\"viewer\"]".to_owned(), "FILE: certificate 1: the name is empty"),
        ("[[certificate]]\nuri = \"spiffe://x/*\"\nroles = [\"viewer\"]".to_owned(), "FILE: certificate 1: the name"),
        ("[[certificate]]\ndns = \"x\"\nroles = []".to_owned(), "FILE: certificate 1: roles: roles must name"),
        ("issuers = 1".to_owned(), "FILE line 1: unknown field `issuers`"),
    ];
    for (text, expected) in cases {
        let problems = parse(&text).unwrap_err();
        assert!(problems[0].starts_with(expected), "{problems:?} is not {expected}");
    }
    let missing = read(Path::new("/nowhere/identity.toml")).unwrap_err();
    assert!(missing.to_string().contains("correct MODELWARD_IDENTITY__FILE or its rights"), "{missing}");
}
