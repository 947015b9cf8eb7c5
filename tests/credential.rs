//! Credentials: secrets go in, and come out only where they may.

use std::time::Duration;

use modelward::proto::v1::{self, CredentialState, ProviderKind, Role, ValidationCause, ValidationStatus};
use tonic::Code;

use crate::support::resources::{credential, endpoint, in_seconds, mask, seconds, secret};
use crate::support::vendor::{KEY, Mode, Vendor};
use crate::support::{Refusal, Refused as _, Server, eventually, for_each_engine};

const OTHER_KEY: &str = "sk-other-key-9876543210";
/// A digest of nothing: no provider has it.
const NOWHERE: &str = "0199aaaa-0000-7000-8000-000000000000";

fn update(id: &str, change: v1::Credential, paths: &[&str]) -> v1::UpdateCredentialRequest {
    let credential = Some(v1::Credential { id: id.to_owned(), ..change });
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    v1::UpdateCredentialRequest { credential, update_mask, ..Default::default() }
}

async fn change(server: &Server, id: &str, change: v1::Credential, paths: &[&str]) -> v1::Credential {
    server.credentials().update_credential(update(id, change, paths)).await.unwrap().into_inner().credential.unwrap()
}

fn rotate(id: &str, key: &str) -> v1::RotateCredentialRequest {
    v1::RotateCredentialRequest { id: id.to_owned(), secret: Some(secret(key)), ..Default::default() }
}

fn revoke(id: &str) -> v1::RevokeCredentialRequest {
    v1::RevokeCredentialRequest { id: id.to_owned(), ..Default::default() }
}

fn delete(id: &str) -> v1::DeleteCredentialRequest {
    v1::DeleteCredentialRequest { id: id.to_owned(), ..Default::default() }
}

fn access(id: &str, secret_version: i64) -> v1::AccessCredentialRequest {
    v1::AccessCredentialRequest { id: id.to_owned(), secret_version, ..Default::default() }
}

/// The key and its version, as AccessCredential hands them out.
async fn key(server: &Server, id: &str, version: i64) -> (String, i64) {
    let answer = server.credentials().access_credential(access(id, version)).await.unwrap().into_inner();
    (answer.secret.unwrap().api_key().to_owned(), answer.secret_version)
}

async fn validate(server: &Server, id: &str) -> v1::CredentialValidation {
    let request = v1::ValidateCredentialRequest { id: id.to_owned() };
    let answer = server.credentials().validate_credential(request).await.unwrap();
    answer.into_inner().credential.unwrap().validation.unwrap()
}

fn hosts(hosts: &[&str]) -> v1::Credential {
    v1::Credential { allowed_hosts: hosts.iter().map(ToString::to_string).collect(), ..Default::default() }
}

for_each_engine! {
    async fn a_secret_is_masked_wherever_a_credential_is_shown(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let mut wanted = credential(&provider.id, "main", KEY);
        wanted.secret.as_mut().unwrap().secret_key = Some("another-secret-part".into());
        let created = server.admin().add_credential(wanted).await;
        assert_eq!((created.hint.as_str(), created.secret_version), ("****6789", 1));
        assert_eq!((created.state(), created.decryptable, created.is_active()), (CredentialState::Active, true, true));
        assert!(created.secret.is_none() && !created.fingerprint.is_empty());
        assert_eq!(created.validation.as_ref().unwrap().status(), ValidationStatus::Unknown);
        let read = server.admin().get_credential(&created.id).await;
        assert_eq!(read, created);
        let listed = server.credentials().list_credentials(v1::ListCredentialsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.credentials, std::slice::from_ref(&created));
        let touched = change(server, &created.id, v1::Credential { description: Some("d".into()), ..Default::default() }, &[]).await;
        let rotated = server.credentials().rotate_credential(rotate(&created.id, OTHER_KEY)).await.unwrap();
        for shown in [read, touched, rotated.into_inner().credential.unwrap()] {
            let text = format!("{shown:?}");
            assert!(shown.secret.is_none(), "{text}");
            assert!(!text.contains("sk-good") && !text.contains("another-secret") && !text.contains("sk-other"), "{text}");
        }
    }

    async fn short_secrets_show_nothing_and_equal_ones_have_equal_fingerprints(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let short = server.admin().add_credential(credential(&provider.id, "short", "1234567")).await;
        assert_eq!(short.hint, "****");
        let one = server.admin().add_credential(credential(&provider.id, "one", KEY)).await;
        let two = server.admin().add_credential(credential(&provider.id, "two", KEY)).await;
        assert_eq!(one.fingerprint, two.fingerprint);
        assert_ne!(one.fingerprint, short.fingerprint);
    }

    async fn a_secret_comes_out_only_through_access_and_each_access_is_recorded(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        let head = async || {
            let info = server.tokens().get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner();
            info.server_info.unwrap().revision
        };
        let before = head().await;
        assert_eq!(key(server, &created.id, 0).await, (KEY.to_owned(), 1));
        assert_eq!(key(server, &created.id, 1).await, (KEY.to_owned(), 1));
        assert_eq!(head().await, before + 2, "a record each");
        let read = server.admin().get_credential(&created.id).await;
        assert_eq!((read.revision, read.update_time), (created.revision, created.update_time), "and nothing else");
        let editor = server.as_role(Role::Editor).await;
        editor.credentials().access_credential(access(&created.id, 0)).await.refused(Code::PermissionDenied, "FORBIDDEN");
        server.credentials().access_credential(access(&created.id, 2)).await.refused(Code::NotFound, "NOT_FOUND");
        server.credentials().access_credential(access(&created.id, -1)).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["secret_version"]);
    }

    async fn a_mask_is_never_taken_for_a_secret(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        for masked in [created.hint.as_str(), "****", "****wxyz"] {
            let create = v1::CreateCredentialRequest { credential: Some(credential(&provider.id, "c", masked)), ..Default::default() };
            server.credentials().create_credential(create).await.refused(Code::InvalidArgument, "SECRET_LOOKS_MASKED")
                .names(&["credential.secret.api_key"]);
            server.credentials().rotate_credential(rotate(&created.id, masked)).await
                .refused(Code::InvalidArgument, "SECRET_LOOKS_MASKED").names(&["secret.api_key"]);
            let shown = v1::Credential { secret: Some(secret(masked)), ..Default::default() };
            server.credentials().update_credential(update(&created.id, shown, &["secret"])).await
                .refused(Code::InvalidArgument, "SECRET_LOOKS_MASKED");
        }
        assert_eq!(key(server, &created.id, 0).await.0, KEY);
    }

    async fn a_secret_changes_only_when_it_is_named(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        let carried = || v1::Credential { alias: Some("main".into()), secret: Some(secret(OTHER_KEY)), ..Default::default() };
        for paths in [&[][..], &["*"], &["alias"]] {
            let same = change(server, &created.id, carried(), paths).await;
            assert_eq!(same.secret_version, 1, "{paths:?}");
        }
        assert_eq!(key(server, &created.id, 0).await.0, KEY);
        let changed = change(server, &created.id, carried(), &["secret"]).await;
        assert_eq!((changed.secret_version, changed.hint.as_str()), (2, "****3210"));
        assert!(changed.rotate_time.is_some() && changed.previous_secret_expire_time.is_none());
        assert_eq!(key(server, &created.id, 0).await, (OTHER_KEY.to_owned(), 2));
        server.credentials().access_credential(access(&created.id, 1)).await.refused(Code::NotFound, "NOT_FOUND");
        for bad in ["secret.api_key", "hint", "secret_version", "provider_id", "state"] {
            server.credentials().update_credential(update(&created.id, carried(), &[bad])).await
                .refused(Code::InvalidArgument, "INVALID_MASK");
        }
        server.credentials().update_credential(update(&created.id, v1::Credential::default(), &["secret"])).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["credential.secret"]);
    }

    async fn a_rotated_secret_stays_readable_for_its_grace_period(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        let graceful = v1::RotateCredentialRequest { grace_period: seconds(2), ..rotate(&created.id, OTHER_KEY) };
        let rotated = server.credentials().rotate_credential(graceful).await.unwrap().into_inner().credential.unwrap();
        assert_eq!((rotated.secret_version, rotated.hint.as_str()), (2, "****3210"));
        assert!(rotated.previous_secret_expire_time.is_some());
        assert_eq!(key(server, &created.id, 0).await, (OTHER_KEY.to_owned(), 2));
        assert_eq!(key(server, &created.id, 1).await, (KEY.to_owned(), 1));
        eventually("the old secret is gone", || async {
            server.credentials().access_credential(access(&created.id, 1)).await.err()
        }).await;
        server.credentials().access_credential(access(&created.id, 1)).await.refused(Code::NotFound, "NOT_FOUND");

        let third = server.credentials().rotate_credential(rotate(&created.id, "sk-third-0123456789")).await.unwrap();
        assert_eq!(third.into_inner().credential.unwrap().secret_version, 3);
        server.credentials().access_credential(access(&created.id, 2)).await.refused(Code::NotFound, "NOT_FOUND");
        let without = v1::RotateCredentialRequest { id: created.id.clone(), ..Default::default() };
        server.credentials().rotate_credential(without).await.refused(Code::InvalidArgument, "INVALID_FIELD").names(&["secret"]);
    }

    async fn a_repeated_rotation_rotates_once(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        let once = v1::RotateCredentialRequest { request_id: "r".into(), ..rotate(&created.id, OTHER_KEY) };
        for _ in 0..3 {
            let answer = server.credentials().rotate_credential(once.clone()).await.unwrap().into_inner().credential.unwrap();
            assert_eq!(answer.secret_version, 2);
        }
        let other = v1::RotateCredentialRequest { secret: Some(secret("sk-yet-another")), ..once };
        server.credentials().rotate_credential(other).await.refused(Code::InvalidArgument, "REQUEST_ID_REUSED");
    }

    async fn revocation_always_works_and_only_a_new_secret_clears_it(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let only = server.admin().add_credential(credential(&provider.id, "only", KEY)).await;
        let revoked = server.credentials().revoke_credential(revoke(&only.id)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(revoked.state(), CredentialState::Revoked);
        let again = server.credentials().revoke_credential(revoke(&only.id)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(again.revoke_time, revoked.revoke_time);
        let same = server.credentials().rotate_credential(rotate(&only.id, KEY)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(same.state(), CredentialState::Revoked, "the revoked secret does not come back");
        let new = server.credentials().rotate_credential(rotate(&only.id, OTHER_KEY)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!((new.state(), new.revoke_time), (CredentialState::Active, None));

        let gone = v1::DeleteProviderRequest { id: provider.id.clone(), ..Default::default() };
        server.providers().delete_provider(gone).await.unwrap();
        let under = server.credentials().revoke_credential(revoke(&only.id)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(under.state(), CredentialState::Revoked, "under a deleted provider, too");
        server.credentials().rotate_credential(rotate(&only.id, KEY)).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn the_last_usable_credential_stays_where_the_kind_needs_one(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let first = server.admin().add_credential(credential(&provider.id, "first", KEY)).await;
        let second = server.admin().add_credential(credential(&provider.id, "second", KEY)).await;
        let off = || v1::Credential { is_active: Some(false), ..Default::default() };
        change(server, &second.id, off(), &[]).await;
        let past = v1::Credential { expire_time: in_seconds(-60), ..Default::default() };
        for (request, title) in [(update(&first.id, off(), &[]), "disabled"), (update(&first.id, past, &[]), "expired")] {
            let status = server.credentials().update_credential(request).await.expect_err(title);
            Refusal::of(&status).is(Code::FailedPrecondition, "LAST_CREDENTIAL");
        }
        server.credentials().delete_credential(delete(&first.id)).await.refused(Code::FailedPrecondition, "LAST_CREDENTIAL");
        server.credentials().delete_credential(delete(&second.id)).await.unwrap();
        server.credentials().delete_credential(delete(&first.id)).await.refused(Code::FailedPrecondition, "LAST_CREDENTIAL");
        let third = server.admin().add_credential(credential(&provider.id, "third", KEY)).await;
        server.credentials().delete_credential(delete(&first.id)).await.unwrap();
        server.credentials().revoke_credential(revoke(&third.id)).await.unwrap();
        server.credentials().delete_credential(delete(&third.id)).await.unwrap();

        let local = server.admin().add_provider("local", ProviderKind::Ollama).await;
        let needless = server.admin().add_credential(credential(&local.id, "c", KEY)).await;
        server.credentials().delete_credential(delete(&needless.id)).await.unwrap();
        server.credentials().delete_credential(delete(&needless.id)).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn aliases_are_unique_and_their_number_is_limited(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let create = |alias: &str| v1::CreateCredentialRequest {
            credential: Some(credential(&provider.id, alias, KEY)), ..Default::default()
        };
        server.credentials().create_credential(create("Ä")).await.unwrap();
        server.credentials().create_credential(create("ä")).await.refused(Code::AlreadyExists, "ALREADY_EXISTS");
        for number in 1..20 {
            server.credentials().create_credential(create(&format!("c{number}"))).await.unwrap();
        }
        server.credentials().create_credential(create("one more")).await
            .refused(Code::ResourceExhausted, "LIMIT_EXCEEDED").has("limit", "20");
        let nowhere = v1::CreateCredentialRequest { credential: Some(credential(NOWHERE, "c", KEY)), ..Default::default() };
        server.credentials().create_credential(nowhere).await.refused(Code::NotFound, "NOT_FOUND");
    }

    async fn states_are_told_by_the_first_that_holds_and_filtered(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let add = async |alias: &str, is_active: bool, expire_time| {
            let wanted = v1::Credential { is_active: Some(is_active), expire_time, ..credential(&provider.id, alias, KEY) };
            server.admin().add_credential(wanted).await
        };
        add("active", true, in_seconds(3600)).await;
        add("expired", true, in_seconds(-3600)).await;
        add("disabled", false, in_seconds(-3600)).await;
        let revoked = add("revoked", false, None).await;
        server.credentials().revoke_credential(revoke(&revoked.id)).await.unwrap();
        for (state, alias) in [
            (CredentialState::Active, "active"), (CredentialState::Expired, "expired"),
            (CredentialState::Disabled, "disabled"), (CredentialState::Revoked, "revoked"),
        ] {
            let request = v1::ListCredentialsRequest { state: Some(state.into()), ..Default::default() };
            let found = server.credentials().list_credentials(request).await.unwrap().into_inner().credentials;
            assert_eq!(found.iter().map(|one| (one.alias(), one.state())).collect::<Vec<_>>(), [(alias, state)]);
        }
        let brief = add("brief", true, in_seconds(2)).await;
        assert_eq!(brief.state(), CredentialState::Active);
        eventually("it expires by itself", || async {
            let now = server.admin().get_credential(&brief.id).await;
            (now.state() == CredentialState::Expired && now.revision == brief.revision).then_some(())
        }).await;
    }

    async fn a_list_of_hosts_follows_the_endpoints_that_admins_add(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let main = server.admin().add_endpoint(endpoint(&provider.id, "main", "https://proxy.example.com/v1")).await;
        let implicit = server.admin().add_credential(credential(&provider.id, "implicit", KEY)).await;
        for host in ["api.openai.com", "proxy.example.com"] {
            assert!(implicit.allowed_hosts.contains(&host.to_owned()), "{host} in {:?}", implicit.allowed_hosts);
        }
        assert!(!implicit.allowed_hosts_explicit);
        let explicit = v1::Credential { allowed_hosts: vec!["api.openai.com".into()], ..credential(&provider.id, "explicit", KEY) };
        let explicit = server.admin().add_credential(explicit).await;
        assert!(explicit.allowed_hosts_explicit);

        let editor = server.as_role(Role::Editor).await;
        editor.add_endpoint(endpoint(&provider.id, "by editor", "https://editor.example.com/v1")).await;
        assert_eq!(server.admin().get_credential(&implicit.id).await.allowed_hosts, implicit.allowed_hosts);
        let added = server.admin().add_endpoint(endpoint(&provider.id, "by admin", "http://10.0.0.1:8080/v1")).await;
        let now = server.admin().get_credential(&implicit.id).await;
        let new: Vec<_> = now.allowed_hosts.iter().filter(|host| !implicit.allowed_hosts.contains(host)).collect();
        assert_eq!((new, now.allowed_hosts.len()), (vec![&"http://10.0.0.1:8080".to_owned()], implicit.allowed_hosts.len() + 1));
        assert_eq!(now.revision, added.revision, "in the same write");
        let moved = v1::Endpoint { id: main.id.clone(), base_url: Some("https://moved.example.com/v1".into()), ..Default::default() };
        let moved = v1::UpdateEndpointRequest { endpoint: Some(moved), ..Default::default() };
        server.endpoints().update_endpoint(moved).await.unwrap();
        let now = server.admin().get_credential(&implicit.id).await;
        assert!(now.allowed_hosts.contains(&"moved.example.com".to_owned()), "{:?}", now.allowed_hosts);
        assert_eq!(server.admin().get_credential(&explicit.id).await, explicit, "an explicit list stays");
    }

    async fn hosts_are_widened_by_an_admin_or_with_the_secret_itself(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let created = server.admin().add_credential(credential(&provider.id, "main", KEY)).await;
        let editor = server.as_role(Role::Editor).await;
        let elsewhere = hosts(&["evil.example.com"]);
        let named = update(&created.id, elsewhere.clone(), &["allowed_hosts"]);
        editor.credentials().update_credential(named.clone()).await.refused(Code::PermissionDenied, "FORBIDDEN").has("role", "admin");
        let carried = update(&created.id, elsewhere.clone(), &[]);
        editor.credentials().update_credential(carried).await.refused(Code::PermissionDenied, "FORBIDDEN");
        assert_eq!(server.admin().get_credential(&created.id).await, created);

        // Whoever brings the secret may say where it goes.
        let with_secret = v1::Credential { secret: Some(secret(OTHER_KEY)), ..elsewhere };
        let with_secret = update(&created.id, with_secret, &["allowed_hosts", "secret"]);
        let changed = editor.credentials().update_credential(with_secret).await.unwrap().into_inner().credential.unwrap();
        assert_eq!((changed.allowed_hosts, changed.allowed_hosts_explicit), (vec!["evil.example.com".to_owned()], true));
        let rotated = v1::RotateCredentialRequest { allowed_hosts: vec!["two.example.com".into()], ..rotate(&created.id, KEY) };
        let rotated = editor.credentials().rotate_credential(rotated).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(rotated.allowed_hosts, ["two.example.com"]);
        let kept = editor.credentials().rotate_credential(rotate(&created.id, OTHER_KEY)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(kept.allowed_hosts, ["two.example.com"], "a rotation that carries no list leaves it");

        let changed = change(server, &created.id, hosts(&["a.example.com", "b.example.com:8443"]), &["allowed_hosts"]).await;
        assert_eq!(changed.allowed_hosts.len(), 2);
        let star = v1::Credential { alias: Some("main".into()), ..Default::default() };
        let starred = change(server, &created.id, star, &["*"]).await;
        assert_eq!(starred.allowed_hosts, changed.allowed_hosts, "a star leaves it");
        let nowhere = change(server, &created.id, hosts(&[]), &["allowed_hosts"]).await;
        assert!(nowhere.allowed_hosts.is_empty() && nowhere.allowed_hosts_explicit);
        server.admin().add_endpoint(endpoint(&provider.id, "new", "https://new.example.com/v1")).await;
        assert!(server.admin().get_credential(&created.id).await.allowed_hosts.is_empty(), "nowhere means nowhere");
    }

    async fn validation_is_a_verdict(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let id = &account.credential.id;
        let good = validate(server, id).await;
        assert_eq!((good.status(), good.cause(), good.secret_version), (ValidationStatus::Valid, ValidationCause::Unspecified, 1));
        assert!(vendor.seen().iter().any(|seen| seen.authorization() == Some(&format!("Bearer {KEY}"))));
        let shown = server.admin().get_credential(id).await;
        assert_eq!((shown.validation.as_ref(), shown.revision), (Some(&good), account.credential.revision));

        server.credentials().rotate_credential(rotate(id, OTHER_KEY)).await.unwrap();
        let bad = validate(server, id).await;
        assert_eq!((bad.status(), bad.cause(), bad.secret_version), (ValidationStatus::Invalid, ValidationCause::BadKey, 2));
        assert!(!bad.message.contains(OTHER_KEY), "{}", bad.message);
        vendor.set_mode(Mode::Echoing);
        let echoed = validate(server, id).await;
        assert!(!echoed.message.contains(OTHER_KEY) && !echoed.message.contains("9876543210"), "{}", echoed.message);

        vendor.stop().await;
        let away = validate(server, id).await;
        assert_eq!((away.status(), away.cause()), (ValidationStatus::Unreachable, ValidationCause::Network));
    }

    async fn a_secret_is_sent_nowhere_but_to_its_hosts(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        change(server, &account.credential.id, hosts(&["api.openai.com"]), &["allowed_hosts"]).await;
        let verdict = validate(server, &account.credential.id).await;
        assert_eq!(verdict.cause(), ValidationCause::HostNotAllowed, "{verdict:?}");
        let sync = v1::SyncModelsRequest { provider_id: account.provider.id.clone(), ..Default::default() };
        server.models().sync_models(sync).await.refused(Code::FailedPrecondition, "HOST_NOT_ALLOWED")
            .has("credential_id", &account.credential.id).has("host", &vendor.host());
        assert!(vendor.seen().iter().all(|seen| seen.authorization().is_none()));

        change(server, &account.credential.id, hosts(&[&vendor.host()]), &["allowed_hosts"]).await;
        assert_eq!(validate(server, &account.credential.id).await.status(), ValidationStatus::Valid);
        server.credentials().revoke_credential(revoke(&account.credential.id)).await.unwrap();
        vendor.forget();
        let verdict = validate(server, &account.credential.id).await;
        assert!(verdict.message.contains("revoked"), "{verdict:?}");
        assert!(vendor.seen().is_empty(), "a revoked secret is sent nowhere");
    }

    async fn servers_without_a_list_give_no_verdict_and_disabled_providers_no_calls(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.set_mode(Mode::Failing(404));
        let account = server.admin().add_account("p", ProviderKind::OpenaiCompatible, &vendor).await;
        assert_eq!(validate(server, &account.credential.id).await.status(), ValidationStatus::Unsupported);
        let off = v1::UpdateProviderStatusRequest { id: account.provider.id, is_active: Some(false), ..Default::default() };
        server.providers().update_provider_status(off).await.unwrap();
        let request = v1::ValidateCredentialRequest { id: account.credential.id };
        server.credentials().validate_credential(request).await.refused(Code::FailedPrecondition, "PROVIDER_DISABLED");
    }

    async fn validate_first_keeps_the_old_secret_when_the_vendor_refuses_the_new_one(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        let id = &account.credential.id;
        let first = |key: &str| v1::RotateCredentialRequest { validate_first: true, ..rotate(id, key) };
        let refusal = server.credentials().rotate_credential(first(OTHER_KEY)).await.refused(Code::FailedPrecondition, "SECRET_REFUSED");
        assert!(!refusal.message.contains(OTHER_KEY));
        assert_eq!(key(server, id, 0).await, (KEY.to_owned(), 1));
        vendor.take_key(OTHER_KEY);
        let rotated = server.credentials().rotate_credential(first(OTHER_KEY)).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(rotated.secret_version, 2);
        vendor.set_mode(Mode::Failing(500));
        server.credentials().rotate_credential(first(KEY)).await.refused(Code::Unavailable, "PROVIDER_ERROR");
        assert_eq!(key(server, id, 0).await.1, 2);
    }

    async fn a_vendor_that_hangs_is_given_up_before_the_callers_deadline(server: &Server) {
        let vendor = Vendor::start().await;
        let account = server.admin().add_account("p", ProviderKind::Openai, &vendor).await;
        vendor.set_mode(Mode::Slow(Duration::from_mins(1)));
        let mut request = tonic::Request::new(v1::ValidateCredentialRequest { id: account.credential.id.clone() });
        request.set_timeout(Duration::from_secs(2));
        let answer = server.credentials().validate_credential(request).await.unwrap().into_inner().credential.unwrap();
        assert_eq!(answer.validation.unwrap().status(), ValidationStatus::Unreachable);
    }

    async fn quotas_are_kept_merged_and_cleared(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let quota = |limit, unit, period| Some(v1::CredentialQuota { limit, unit, period });
        let wanted = v1::Credential { quota: quota(Some(10), None, None), ..credential(&provider.id, "c", KEY) };
        let created = server.admin().add_credential(wanted).await;
        let shown = created.quota.unwrap();
        assert_eq!((shown.limit(), shown.unit(), shown.period()), (10, v1::QuotaUnit::Requests, v1::QuotaPeriod::Total));
        let by_day = v1::Credential { quota: quota(None, None, Some(v1::QuotaPeriod::Day.into())), ..Default::default() };
        let shown = change(server, &created.id, by_day, &[]).await.quota.unwrap();
        assert_eq!((shown.limit(), shown.period()), (10, v1::QuotaPeriod::Day));
        assert!(change(server, &created.id, v1::Credential::default(), &["quota"]).await.quota.is_none());
        let no_limit = v1::Credential { quota: quota(None, None, Some(v1::QuotaPeriod::Day.into())), ..Default::default() };
        server.credentials().update_credential(update(&created.id, no_limit, &[])).await
            .refused(Code::InvalidArgument, "INVALID_FIELD").names(&["credential.quota.limit"]);
    }

    async fn a_rehearsed_credential_leaves_nothing_behind(server: &Server) {
        let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
        let request = v1::CreateCredentialRequest {
            credential: Some(credential(&provider.id, "c", KEY)), validate_only: true, ..Default::default()
        };
        let would = server.credentials().create_credential(request).await.unwrap().into_inner().credential.unwrap();
        assert_eq!((would.id.as_str(), would.revision, would.hint.as_str()), ("", 0, "****6789"));
        let listed = server.credentials().list_credentials(v1::ListCredentialsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.total_size, 0);
    }
}
