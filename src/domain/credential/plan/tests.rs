//! The rules for credentials, one by one.

use super::*;
use crate::domain::credential::input::{
    FIXED, QuotaInput, SETTABLE, check_grace_period, check_hosts, check_secret, refuse_masked,
};
use crate::domain::credential::rotation::{Rotation, rotate};
use crate::domain::credential::{CredentialState, MAX_GRACE_PERIOD, Quota, QuotaPeriod, QuotaUnit};
use crate::domain::endpoint::input::EndpointInput;
use crate::domain::endpoint::plan as endpoint_plan;
use crate::domain::error::Violations;
use crate::domain::id::ProviderId;
use crate::domain::mask::Presence;
use crate::domain::provider::{ProviderKind, plan as provider_plan};
use crate::domain::secret::{CredentialSecret, SecretText};
use crate::domain::view::memory::{FakeHosts, World, answered, story};

const HOUR: Duration = Duration::from_hours(1);

fn key(text: &str) -> Arc<CredentialSecret> {
    Arc::new(CredentialSecret { api_key: Some(SecretText::new(text.into())), ..CredentialSecret::default() })
}

/// Fingerprints of tests are the keys themselves.
fn new_secret(text: &str) -> NewSecret {
    NewSecret { secret: key(text), fingerprint: text.into() }
}

fn input(provider: ProviderId, alias: &str) -> CredentialInput {
    CredentialInput {
        provider_id: Some(provider),
        alias: Some(alias.into()),
        secret: Some(key("sk-first-0001")),
        ..CredentialInput::default()
    }
}

fn add_with(world: &mut World, input: &CredentialInput) -> Result<Plan> {
    let secret = new_secret("sk-first-0001");
    world.write(|view, context| create(input, &secret, &FakeHosts, view, context))
}

fn add(world: &mut World, provider: ProviderId, alias: &str) -> Arc<Credential> {
    credential(&add_with(world, &input(provider, alias)).unwrap())
}

fn change(world: &mut World, id: CredentialId, input: &CredentialInput, paths: &[&str]) -> Result<Plan> {
    let mask = mask(paths)?;
    let secret = input.secret.as_ref().map(|secret| NewSecret {
        secret: secret.clone(),
        fingerprint: secret.api_key.as_ref().unwrap().expose().into(),
    });
    world.write(|view, context| update(id, input, &mask, secret.as_ref(), None, view, context))
}

fn turn(world: &mut World, id: CredentialId, text: &str, grace_period: Duration, hosts: &[&str]) -> Plan {
    let allowed_hosts = hosts.iter().map(ToString::to_string).collect();
    let rotation = Rotation { secret: new_secret(text), grace_period, allowed_hosts };
    world.write(|view, context| rotate(id, &rotation, None, view, context)).unwrap()
}

fn mask(paths: &[&str]) -> Result<Mask> {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    Mask::parse(&paths, SETTABLE, FIXED)
}

fn credential(plan: &Plan) -> Arc<Credential> {
    match answered(plan) {
        Resource::Credential(credential) => credential,
        other => panic!("not a credential: {other:?}"),
    }
}

fn world() -> (World, ProviderId) {
    let mut world = World::default();
    let provider = world.provider("p", ProviderKind::OpenAi);
    (world, provider)
}

fn add_endpoint(world: &mut World, provider: ProviderId, host: &str) {
    let input = EndpointInput {
        provider_id: Some(provider),
        name: Some(host.into()),
        base_url: Some(format!("http://{host}:8000")),
        ..EndpointInput::default()
    };
    world.write(|view, context| endpoint_plan::create(&input, false, &FakeHosts, view, context)).unwrap();
}

fn hosts(credential: &Credential) -> Vec<String> {
    credential.allowed_hosts.hosts.iter().map(ToString::to_string).collect()
}

fn fields(error: &Error) -> Vec<&str> {
    match error {
        Error::InvalidField { violations } | Error::InvalidMask { violations } => {
            violations.iter().map(|violation| violation.field.as_str()).collect()
        }
        other => panic!("no violations: {other:?}"),
    }
}

fn shape(input: &CredentialInput, presence: Presence<'_>) -> Result<()> {
    let mut violations = Violations::default();
    input.check("credential", presence, &["api_key"], &mut violations);
    violations.into_result()
}

fn disabled() -> CredentialInput {
    CredentialInput { is_active: Some(false), ..CredentialInput::default() }
}

fn is_last(plan: Result<Plan>) -> bool {
    matches!(plan, Err(Error::LastCredential { .. }))
}

fn sealed(plan: &Plan) -> Vec<(i64, String)> {
    let text = |order: &SealOrder| order.secret.api_key.as_ref().unwrap().expose().to_owned();
    plan.seals.iter().map(|order| (order.version, text(order))).collect()
}

#[test]
fn every_wrong_field_of_a_credential_is_named_at_once_and_no_secret_is_quoted() {
    let secret = CredentialSecret {
        secret_key: Some(SecretText::new(format!("{}\u{7}", "geheim".repeat(100)))),
        access_token: Some(SecretText::new(" geheim".into())),
        session_token: Some(SecretText::new("geheim".repeat(700))),
        api_key: None,
    };
    let wrong = CredentialInput {
        alias: Some(String::new()),
        description: Some("d".repeat(1001)),
        secret: Some(Arc::new(secret)),
        allowed_hosts: vec!["a.example".into(), "https://a.example".into()],
        deny_all_hosts: true,
        quota: Some(QuotaInput { limit: Some(0), ..QuotaInput::default() }),
        labels: [(String::new(), String::new())].into(),
        ..CredentialInput::default()
    };
    let error = shape(&wrong, Presence::Create).unwrap_err();
    let expected = [
        "credential.provider_id",
        "credential.alias",
        "credential.description",
        "credential.secret.api_key",
        "credential.secret.secret_key",
        "credential.secret.access_token",
        "credential.secret.session_token",
        "credential.allowed_hosts[1]",
        "deny_all_hosts",
        "credential.quota.limit",
        "credential.labels.key",
    ];
    assert_eq!(fields(&error), expected);
    assert!(!error.to_string().contains("geheim"));
}

#[test]
fn a_secret_needs_one_field_that_is_not_empty() {
    for secret in [None, Some(CredentialSecret::default()), Some(CredentialSecret::clone(&key("")))] {
        let mut violations = Violations::default();
        check_secret("secret", secret.as_ref(), &[], &mut violations);
        assert_eq!(fields(&violations.into_result().unwrap_err()), ["secret"]);
    }
}

#[test]
fn the_longest_secrets_pass() {
    let longest = |max| Some(SecretText::new("k".repeat(max)));
    let secret = CredentialSecret {
        api_key: longest(500),
        secret_key: longest(500),
        access_token: longest(4096),
        session_token: longest(4096),
    };
    let mut violations = Violations::default();
    check_secret("secret", Some(&secret), &["api_key"], &mut violations);
    assert!(violations.is_empty());
}

#[test]
fn what_looks_like_a_mask_is_refused_as_a_secret() {
    for masked in ["****", "****abcd", "*****"] {
        let error = refuse_masked("credential.secret", &key(masked)).unwrap_err();
        assert_eq!(error, Error::SecretLooksMasked { field: "credential.secret.api_key".into() });
    }
    let token = CredentialSecret { access_token: Some(SecretText::new("****".into())), ..CredentialSecret::default() };
    assert!(refuse_masked("secret", &token).is_err());
    assert!(refuse_masked("secret", &key("sk-****abcd")).is_ok());
}

#[test]
fn too_many_hosts_and_too_long_a_grace_are_refused() {
    let mut violations = Violations::default();
    check_hosts("allowed_hosts", &vec!["a.example".to_owned(); 101], &mut violations);
    check_grace_period("grace_period", MAX_GRACE_PERIOD, &mut violations);
    check_grace_period("grace_period", MAX_GRACE_PERIOD + Duration::from_nanos(1), &mut violations);
    assert_eq!(fields(&violations.into_result().unwrap_err()), ["allowed_hosts", "grace_period"]);
}

#[test]
fn a_new_credential_shows_a_hint_and_orders_the_sealing_of_version_1() {
    let (mut world, provider) = world();
    let plan = add_with(&mut world, &input(provider, "a")).unwrap();
    let credential = credential(&plan);
    assert_eq!((credential.hint.as_str(), credential.fingerprint.as_str()), ("****0001", "sk-first-0001"));
    assert_eq!((credential.secret_version, credential.is_active, credential.quota), (1, true, None));
    assert_eq!(sealed(&plan), [(1, "sk-first-0001".to_owned())]);
    assert_eq!(story(&plan), ["create credential"]);
}

#[test]
fn a_list_that_is_not_given_is_made_of_the_endpoints_and_the_kind() {
    let (mut world, provider) = world();
    add_endpoint(&mut world, provider, "gpu");
    let credential = add(&mut world, provider, "a");
    assert!(!credential.allowed_hosts.explicit);
    assert_eq!(hosts(&credential), ["http://gpu:8000", "control.gpu", "own.example"]);
    add_endpoint(&mut world, provider, "gpu2");
    let credential = world.view.credential(credential.id).unwrap();
    assert_eq!(
        hosts(&credential),
        ["http://gpu:8000", "http://gpu2:8000", "control.gpu", "control.gpu2", "own.example"]
    );
}

#[test]
fn a_given_list_is_explicit_and_so_is_the_empty_one() {
    let (mut world, provider) = world();
    let given = CredentialInput { allowed_hosts: vec!["B.example".into(), "a.example".into()], ..input(provider, "a") };
    let given = credential(&add_with(&mut world, &given).unwrap());
    let nowhere = CredentialInput { deny_all_hosts: true, ..input(provider, "b") };
    let nowhere = credential(&add_with(&mut world, &nowhere).unwrap());
    add_endpoint(&mut world, provider, "gpu");
    assert!(given.allowed_hosts.explicit && nowhere.allowed_hosts.explicit);
    assert_eq!(hosts(&world.view.credential(given.id).unwrap()), ["a.example", "b.example"]);
    assert!(hosts(&world.view.credential(nowhere.id).unwrap()).is_empty());
}

#[test]
fn a_twenty_first_credential_and_a_taken_alias_are_refused() {
    let (mut world, provider) = world();
    let first = add(&mut world, provider, "K0");
    let error = add_with(&mut world, &input(provider, "k0")).err().unwrap();
    assert!(matches!(error, Error::AlreadyExists { field: "alias", holder, .. } if holder == first.id.uuid()));
    for number in 1..20 {
        add(&mut world, provider, &format!("k{number}"));
    }
    let error = add_with(&mut world, &input(provider, "k0")).err().unwrap();
    assert!(matches!(error, Error::LimitExceeded { limit: 20, .. }), "{error}");
    let rename = CredentialInput { alias: Some("k1".into()), ..CredentialInput::default() };
    assert!(matches!(change(&mut world, first.id, &rename, &[]), Err(Error::AlreadyExists { .. })));
}

#[test]
fn a_carried_quota_changes_its_carried_fields_and_a_named_one_is_replaced() {
    let (mut world, provider) = world();
    let quota = QuotaInput { limit: Some(10), unit: Some(QuotaUnit::Tokens), period: None };
    let given = CredentialInput { quota: Some(quota), ..input(provider, "a") };
    let id = credential(&add_with(&mut world, &given).unwrap()).id;
    let limit = QuotaInput { limit: Some(20), ..QuotaInput::default() };
    let limit = CredentialInput { quota: Some(limit), ..CredentialInput::default() };
    let mut quota_after = |paths: &[&str], input: &CredentialInput| {
        change(&mut world, id, input, paths).map(|plan| credential(&plan).quota)
    };
    let quota = |limit, unit| Some(Quota { limit, unit, period: QuotaPeriod::Total });
    assert_eq!(quota_after(&[], &limit).unwrap(), quota(20, QuotaUnit::Tokens));
    assert_eq!(quota_after(&["quota.unit"], &limit).unwrap(), quota(20, QuotaUnit::Requests));
    assert_eq!(quota_after(&["quota"], &limit).unwrap(), quota(20, QuotaUnit::Requests));
    let error = quota_after(&["quota.limit"], &CredentialInput::default()).unwrap_err();
    assert_eq!(fields(&error), ["credential.quota.limit"]);
    assert_eq!(quota_after(&["quota"], &CredentialInput::default()).unwrap(), None);
    let unit = QuotaInput { unit: Some(QuotaUnit::Tokens), ..QuotaInput::default() };
    let unit = CredentialInput { quota: Some(unit), ..CredentialInput::default() };
    assert_eq!(fields(&quota_after(&[], &unit).unwrap_err()), ["credential.quota.limit"]);
    let empty = CredentialInput { quota: Some(QuotaInput::default()), ..CredentialInput::default() };
    assert_eq!(quota_after(&[], &empty).unwrap(), None);
    assert!(shape(&empty, Presence::Update(&Mask::Carried)).is_ok());
    let error = shape(&empty, Presence::Update(&mask(&["quota"]).unwrap())).unwrap_err();
    assert_eq!(fields(&error), ["credential.quota.limit"]);
}

#[test]
fn naming_the_expire_time_without_one_clears_it() {
    let (mut world, provider) = world();
    let end = world.now.after(HOUR);
    let given = CredentialInput { expire_time: Some(end), ..input(provider, "a") };
    let id = credential(&add_with(&mut world, &given).unwrap()).id;
    let nothing = CredentialInput::default();
    assert_eq!(credential(&change(&mut world, id, &nothing, &[]).unwrap()).expire_time, Some(end));
    assert_eq!(credential(&change(&mut world, id, &nothing, &["expire_time"]).unwrap()).expire_time, None);
}

#[test]
fn a_secret_changes_only_when_it_is_named_as_a_whole() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let carried = CredentialInput { secret: Some(key("sk-second-0002")), ..input(provider, "a") };
    for paths in [&[][..], &["*"], &["alias"]] {
        let plan = change(&mut world, id, &carried, paths).unwrap();
        assert!(plan.seals.is_empty() && plan.edits.is_empty(), "{paths:?}");
    }
    assert!(matches!(mask(&["secret.api_key"]), Err(Error::InvalidMask { .. })));
    let plan = change(&mut world, id, &carried, &["secret"]).unwrap();
    assert_eq!(sealed(&plan), [(2, "sk-second-0002".to_owned())]);
    assert_eq!(plan.destroy, [(id, Some(1))]);
    let after = credential(&plan);
    assert_eq!(
        (after.secret_version, after.hint.as_str(), after.rotate_time),
        (2, "****0002", Some(after.meta.update_time))
    );
    assert_eq!(after.previous_secret_expire_time, None);
    assert_eq!(story(&plan), ["update credential hint,fingerprint,secret_version,rotate_time"]);
}

#[test]
fn a_secret_that_is_named_must_be_carried_and_one_that_is_not_is_not_looked_at() {
    let nothing = CredentialInput::default();
    let error = shape(&nothing, Presence::Update(&mask(&["secret"]).unwrap())).unwrap_err();
    assert_eq!(fields(&error), ["credential.secret"]);
    let full = CredentialInput { alias: Some("a".into()), ..CredentialInput::default() };
    assert!(shape(&full, Presence::Update(&Mask::Full)).is_ok());
    assert!(shape(&nothing, Presence::Update(&Mask::Carried)).is_ok());
}

#[test]
fn hosts_are_changed_by_an_admin_or_with_the_secret() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let wider = CredentialInput {
        allowed_hosts: vec!["new.example".into()],
        secret: Some(key("sk-second-0002")),
        ..CredentialInput::default()
    };
    world.act_as(Role::Editor);
    let forbidden = Error::Forbidden { role: Role::Admin };
    assert_eq!(change(&mut world, id, &wider, &["allowed_hosts"]).err(), Some(forbidden.clone()));
    assert_eq!(change(&mut world, id, &wider, &[]).err(), Some(forbidden.clone()));
    let nowhere = change(&mut world, id, &CredentialInput::default(), &["allowed_hosts"]);
    assert_eq!(nowhere.err(), Some(forbidden));
    let plan = change(&mut world, id, &wider, &["allowed_hosts", "secret"]).unwrap();
    assert_eq!(hosts(&credential(&plan)), ["new.example"]);
    assert!(credential(&plan).allowed_hosts.explicit);
    world.act_as(Role::Admin);
    let plan = change(&mut world, id, &CredentialInput::default(), &["allowed_hosts"]).unwrap();
    assert!(credential(&plan).allowed_hosts.explicit && hosts(&credential(&plan)).is_empty());
}

#[test]
fn a_star_leaves_the_hosts_alone_unless_they_are_carried() {
    let (mut world, provider) = world();
    let given = CredentialInput { allowed_hosts: vec!["a.example".into()], ..input(provider, "a") };
    let id = credential(&add_with(&mut world, &given).unwrap()).id;
    let full = CredentialInput { alias: Some("b".into()), ..CredentialInput::default() };
    assert_eq!(hosts(&credential(&change(&mut world, id, &full, &["*"]).unwrap())), ["a.example"]);
    let full = CredentialInput { allowed_hosts: vec!["b.example".into()], ..full };
    assert_eq!(hosts(&credential(&change(&mut world, id, &full, &["*"]).unwrap())), ["b.example"]);
}

#[test]
fn hosts_that_come_back_as_they_were_read_change_nothing() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    world.act_as(Role::Editor);
    let read = CredentialInput { allowed_hosts: vec!["own.example".into()], ..CredentialInput::default() };
    assert!(change(&mut world, id, &read, &[]).unwrap().edits.is_empty());
    world.act_as(Role::Admin);
    let plan = change(&mut world, id, &read, &["allowed_hosts"]).unwrap();
    assert!(credential(&plan).allowed_hosts.explicit);
}

#[test]
fn the_last_usable_credential_is_neither_deleted_nor_disabled_nor_expired() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let past = CredentialInput { expire_time: Some(world.now), ..CredentialInput::default() };
    assert!(is_last(change(&mut world, id, &disabled(), &[])));
    assert!(is_last(change(&mut world, id, &past, &[])));
    assert!(is_last(world.write(|view, context| delete(id, None, view, context))));
    let future = CredentialInput { expire_time: Some(world.now.after(HOUR)), ..CredentialInput::default() };
    change(&mut world, id, &future, &[]).unwrap();
    let other = add(&mut world, provider, "b").id;
    world.write(|view, context| revoke(other, None, view, context)).unwrap();
    assert!(is_last(world.write(|view, context| delete(id, None, view, context))));
    assert!(world.write(|view, context| delete(other, None, view, context)).is_ok());
    add(&mut world, provider, "c");
    change(&mut world, id, &disabled(), &[]).unwrap();
    let plan = world.write(|view, context| delete(id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["delete credential"]);
}

#[test]
fn the_last_credential_may_go_where_none_is_needed() {
    let mut world = World::default();
    let provider = world.provider("local", ProviderKind::Ollama);
    let id = add(&mut world, provider, "a").id;
    change(&mut world, id, &disabled(), &[]).unwrap();
    world.write(|view, context| delete(id, None, view, context)).unwrap();
    assert!(world.view.credentials_of(provider).is_empty());
}

#[test]
fn revoking_works_on_the_last_one_and_under_a_deleted_provider_and_destroys_nothing() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    let plan = world.write(|view, context| revoke(id, None, view, context)).unwrap();
    assert_eq!(story(&plan), ["update credential revoke_time"]);
    assert!(plan.destroy.is_empty());
    let revoked = credential(&plan);
    assert_eq!(revoked.state(world.now, false), CredentialState::Revoked);
    let again = world.write(|view, context| revoke(id, None, view, context)).unwrap();
    assert!(again.edits.is_empty());
    assert_eq!(credential(&again).revoke_time, revoked.revoke_time);
}

#[test]
fn a_rotation_without_grace_destroys_the_old_secret() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let plan = turn(&mut world, id, "sk-second-0002", Duration::ZERO, &[]);
    assert_eq!((sealed(&plan), plan.destroy.clone()), (vec![(2, "sk-second-0002".to_owned())], vec![(id, Some(1))]));
    assert!(plan.expire.is_empty());
    assert!(!credential(&plan).is_readable(1, world.now));
}

#[test]
fn a_rotation_with_grace_keeps_the_version_before_and_no_older_one() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let end = world.now.after(HOUR);
    let plan = turn(&mut world, id, "sk-second-0002", HOUR, &[]);
    assert_eq!((plan.expire.clone(), plan.destroy.len()), (vec![(id, 1, end)], 0));
    assert_eq!(credential(&plan).previous_secret_expire_time, Some(end));
    let plan = turn(&mut world, id, "sk-third-0003", HOUR, &[]);
    assert_eq!((plan.expire[0].1, plan.destroy.clone()), (2, vec![(id, Some(1))]));
    let plan = turn(&mut world, id, "sk-fourth-0004", Duration::ZERO, &[]);
    assert_eq!(plan.destroy, [(id, Some(2)), (id, Some(3))]);
    assert_eq!((credential(&plan).previous_secret_expire_time, credential(&plan).secret_version), (None, 4));
}

#[test]
fn only_a_new_secret_clears_a_revocation() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    world.write(|view, context| revoke(id, None, view, context)).unwrap();
    let same = credential(&turn(&mut world, id, "sk-first-0001", Duration::ZERO, &[]));
    assert!(same.revoke_time.is_some() && same.secret_version == 2);
    let on = CredentialInput { is_active: Some(true), ..CredentialInput::default() };
    assert!(credential(&change(&mut world, id, &on, &["is_active"]).unwrap()).revoke_time.is_some());
    let other = credential(&turn(&mut world, id, "sk-second-0002", Duration::ZERO, &[]));
    assert_eq!(other.state(world.now, false), CredentialState::Active);
}

#[test]
fn a_rotation_leaves_the_hosts_alone_unless_it_carries_them() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    world.act_as(Role::Editor);
    assert_eq!(hosts(&credential(&turn(&mut world, id, "k2", Duration::ZERO, &[]))), ["own.example"]);
    let after = credential(&turn(&mut world, id, "k3", Duration::ZERO, &["b.example", "a.example"]));
    assert_eq!((hosts(&after), after.allowed_hosts.explicit), (vec!["a.example".into(), "b.example".into()], true));
}

#[test]
fn reading_a_secret_is_recorded_and_leaves_the_credential_as_it_is() {
    let (mut world, provider) = world();
    let created = add(&mut world, provider, "a");
    world.act_as(Role::Admin);
    let plan = world.write(|view, context| access(created.id, 0, view, context)).unwrap();
    assert_eq!(story(&plan), ["access credential"]);
    assert_eq!(credential(&plan), created);
    assert_eq!(world.revision, Revision(3));
}

#[test]
fn an_old_version_is_readable_only_within_its_grace() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    turn(&mut world, id, "sk-second-0002", HOUR, &[]);
    let readable = |world: &World, version| {
        let plan = world.plan(|view, context| access(id, version, view, context));
        match plan {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let of_all = |world: &World| [-1, 0, 1, 2, 3].map(|version| readable(world, version));
    assert_eq!(of_all(&world), [false, true, true, true, false]);
    world.pass(HOUR);
    assert_eq!(of_all(&world), [false, true, false, true, false]);
    world.write(|view, context| revoke(id, None, view, context)).unwrap();
    assert!(readable(&world, 0), "an admin may look at a revoked secret");
    world.write(|view, context| provider_plan::delete(provider, None, view, context)).unwrap();
    assert!(!readable(&world, 0), "nobody at one of a deleted provider");
}

#[test]
fn every_write_to_a_credential_checks_the_expected_revision() {
    let (mut world, provider) = world();
    let id = add(&mut world, provider, "a").id;
    let old = Some(Revision(1));
    let rotation = Rotation { secret: new_secret("k2"), grace_period: HOUR, allowed_hosts: Vec::new() };
    let nothing = CredentialInput::default();
    for plan in [
        world.plan(|view, context| update(id, &nothing, &Mask::Carried, None, old, view, context)),
        world.plan(|view, context| rotate(id, &rotation, old, view, context)),
        world.plan(|view, context| revoke(id, old, view, context)),
        world.plan(|view, context| delete(id, old, view, context)),
    ] {
        assert!(matches!(plan, Err(Error::RevisionMismatch { current: Revision(2), .. })));
    }
}

#[test]
fn another_provider_is_refused_without_a_mask() {
    let (mut world, provider) = world();
    let elsewhere = world.provider("q", ProviderKind::OpenAi);
    let id = add(&mut world, provider, "a").id;
    let error = change(&mut world, id, &input(elsewhere, "a"), &[]).err().unwrap();
    assert_eq!(fields(&error), ["credential.provider_id"]);
    assert!(change(&mut world, id, &input(elsewhere, "a"), &["*"]).unwrap().edits.is_empty());
}
