//! Claims of every shape.

use serde_json::json;
use url::Url;

use super::super::{KeySource, SignatureAlgorithm};
use super::*;
use crate::domain::caller::Role;

const NOW: i64 = 1_800_000_000;

fn rule(claim: &str, value: &str, role: Role) -> ClaimRule {
    ClaimRule { claim: claim.to_owned(), value: value.to_owned(), roles: Roles::from_iter([role]) }
}

fn issuer() -> Issuer {
    let url = Url::parse("https://issuer.example").unwrap();
    Issuer {
        name: "k8s".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audiences: vec!["modelward".to_owned(), "other".to_owned()],
        keys: KeySource::Discovery(url),
        ca_file: None,
        token_file: None,
        refresh: Duration::from_mins(10),
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        leeway: Duration::from_secs(30),
        max_age: Duration::from_hours(24),
        required_claims: vec!["kubernetes.io.namespace".to_owned()],
        name_claim: "sub".to_owned(),
        rules: vec![
            rule("sub", "system:serviceaccount:prod:gateway", Role::Consumer),
            rule("kubernetes.io.namespace", "prod", Role::Viewer),
            rule("groups", "ops", Role::Editor),
            rule("scope", "modelward.admin", Role::Admin),
        ],
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": ["modelward"], "sub": "system:serviceaccount:prod:gateway",
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3600, "kubernetes.io": {"namespace": "prod"},
    })
}

fn judged(change: Value) -> Result<Person, &'static str> {
    let mut all = claims();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::String(text) if text == "<none>" => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    issuer().judge(all.as_object().unwrap(), Timestamp::from_micros(NOW * 1_000_000))
}

#[test]
fn somebody_has_a_stable_identity_a_name_and_the_roles_of_all_rules_that_hold() {
    let person = judged(json!({})).unwrap();
    assert_eq!(person.identity, "https://issuer.example|system:serviceaccount:prod:gateway");
    assert_eq!(person.name, "k8s/system:serviceaccount:prod:gateway");
    assert_eq!(person.roles, Roles::from_iter([Role::Viewer, Role::Consumer]));
    assert_eq!(person.until, Timestamp::from_micros((NOW + 3630) * 1_000_000));
    let roles = |change| judged(change).unwrap().roles;
    assert_eq!(roles(json!({"sub": "x", "groups": ["dev", "ops"]})), Roles::from_iter([Role::Viewer, Role::Editor]));
    assert_eq!(roles(json!({"sub": "x", "scope": "a modelward.admin"})), Roles::from_iter([Role::Viewer, Role::Admin]));
    let nobody = json!({"sub": "x", "kubernetes.io": {"namespace": "test"}, "groups": "ops dev", "scope": "admin"});
    assert!(roles(nobody).is_empty());
}

#[test]
fn what_is_not_for_this_server_or_not_for_now_is_refused() {
    let refused = [
        json!({"iss": "https://issuer.example/"}),
        json!({"iss": ["https://issuer.example"]}),
        json!({"iss": "<none>"}),
        json!({"aud": "modelward2"}),
        json!({"aud": ["x", "y"]}),
        json!({"aud": [["modelward"]]}),
        json!({"aud": ["modelward", 1]}),
        json!({"aud": {"modelward": true}}),
        json!({"aud": []}),
        json!({"aud": "<none>"}),
        json!({"exp": NOW - 31}),
        json!({"exp": -1}),
        json!({"exp": "<none>"}),
        json!({"exp": null}),
        json!({"exp": (NOW + 60).to_string()}),
        json!({"exp": 1e300}),
        json!({"exp": u64::MAX}),
        json!({"nbf": NOW + 31}),
        json!({"nbf": "now"}),
        json!({"iat": NOW + 31}),
        json!({"iat": NOW - 24 * 3600 - 31}),
        json!({"iat": "<none>"}),
        json!({"kubernetes.io": {}}),
        json!({"kubernetes.io": {"namespace": null}}),
        json!({"sub": "<none>"}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "a\u{0}b"}),
        json!({"sub": "a\nb"}),
        json!({"sub": "nimda\u{202e}"}),
        json!({"sub": "ad\u{200b}min"}),
        json!({"sub": " admin"}),
        json!({"sub": "x".repeat(MAX_NAME + 1)}),
    ];
    for change in refused {
        assert!(judged(change.clone()).is_err(), "{change}");
    }
    for fine in
        [json!({"exp": NOW - 29}), json!({"nbf": NOW + 29}), json!({"exp": 1_800_000_000.5}), json!({"aud": "other"})]
    {
        assert!(judged(fine.clone()).is_ok(), "{fine}");
    }
}

#[test]
fn the_longest_name_that_is_there_counts() {
    let claims = json!({"a.b": {"c": "1"}, "a": {"b": {"c": "2"}, "d": "3"}, "a.b.d": "4"});
    let found = |path| find(claims.as_object().unwrap(), path).and_then(Value::as_str);
    assert_eq!(found("a.b.c"), Some("1"));
    assert_eq!(found("a.d"), Some("3"));
    assert_eq!(found("a.b.d"), Some("4"));
    assert_eq!(found("a.b.c.d"), None);
    assert_eq!(found("b"), None);
    assert_eq!(found("a..d"), None);
}
