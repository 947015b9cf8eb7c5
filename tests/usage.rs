//! What is counted: secrets that were handed out, how calls went, and quotas.

use std::time::Duration;

use modelward::domain::secret_use::SecretUseFilter;
use modelward::proto::v1::resolve_target_request::Selector;
use modelward::proto::v1::{self, CredentialState, HealthStatus, ProviderKind, QuotaPeriod, QuotaUnit, Role};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::support::resources::{credential, endpoint, in_seconds, model};
use crate::support::server::Caller;
use crate::support::vendor::{KEY, Mode, Vendor};
use crate::support::{Engine, Refused as _, Server, eventually, for_each_engine};

/// A provider that can be called.
struct Account {
    endpoint: v1::Endpoint,
    credential: v1::Credential,
    model: v1::Model,
}

async fn account(server: &Server, url: &str, quota: Option<v1::CredentialQuota>) -> Account {
    let provider = server.admin().add_provider("p", ProviderKind::Openai).await;
    let endpoint = server.admin().add_endpoint(endpoint(&provider.id, "main", url)).await;
    let credential = v1::Credential { quota, ..credential(&provider.id, "main", KEY) };
    let credential = server.admin().add_credential(credential).await;
    let model = server.admin().add_model(model(&provider.id, "m")).await;
    Account { endpoint, credential, model }
}

const URL: &str = "https://p.example.com/v1";

fn quota(limit: i64, unit: QuotaUnit, period: QuotaPeriod) -> Option<v1::CredentialQuota> {
    Some(v1::CredentialQuota { limit: Some(limit), unit: Some(unit.into()), period: Some(period.into()) })
}

impl Account {
    fn wanted(&self) -> v1::ResolveTargetRequest {
        v1::ResolveTargetRequest { selector: Some(Selector::ModelId(self.model.id.clone())), ..Default::default() }
    }

    fn outcome(&self, success: bool, input_tokens: i64, output_tokens: i64) -> v1::Outcome {
        v1::Outcome {
            endpoint_id: self.endpoint.id.clone(),
            credential_id: self.credential.id.clone(),
            model_id: self.model.id.clone(),
            success: Some(success),
            http_status: Some(if success { 200 } else { 400 }),
            input_tokens: Some(input_tokens),
            output_tokens: Some(output_tokens),
            ..Default::default()
        }
    }
}

async fn report(caller: &Caller, outcomes: Vec<v1::Outcome>) {
    caller.routing().report_outcome(v1::ReportOutcomeRequest { outcomes, ..Default::default() }).await.unwrap();
}

async fn usage(server: &Server, account: &Account) -> v1::CredentialUsage {
    server.admin().get_credential(&account.credential.id).await.usage.unwrap()
}

async fn uses(server: &Server, request: v1::ListSecretUseRequest) -> v1::ListSecretUseResponse {
    server.admin().audit().list_secret_use(request).await.unwrap().into_inner()
}

/// The whole record in pages of four, each of which tells the same size and revision.
async fn pages_of_uses(server: &Server, order_by: &str) -> Vec<v1::SecretUse> {
    let mut request = v1::ListSecretUseRequest { page_size: 4, order_by: order_by.into(), ..Default::default() };
    let (mut found, mut told) = (Vec::new(), std::collections::BTreeSet::new());
    loop {
        let page = uses(server, request.clone()).await;
        found.extend(page.secret_uses);
        told.insert((page.total_size, page.revision));
        if page.next_page_token.is_empty() {
            assert_eq!(told.len(), 1);
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// (identity, method without its package, version, count), whatever the hour.
async fn use_lines(server: &Server) -> Vec<(String, String, i64, i64)> {
    let answer = uses(server, v1::ListSecretUseRequest::default()).await;
    let mut lines = std::collections::BTreeMap::new();
    for found in answer.secret_uses {
        let rpc = found.rpc.trim_start_matches("modelward.v1.").to_owned();
        *lines.entry((found.identity, rpc, found.secret_version)).or_default() += found.count;
    }
    lines.into_iter().map(|((identity, rpc, version), count)| (identity, rpc, version, count)).collect()
}

for_each_engine! {
    async fn secrets_are_fetched_in_order_and_only_usable_ones(server: &Server) {
        let account = account(server, URL, None).await;
        let provider = account.endpoint.provider_id.clone().unwrap();
        let mut ids = vec![account.credential.id.clone()];
        for (alias, is_active, expire_time) in
            [("b", true, None), ("disabled", false, None), ("expired", true, in_seconds(-5)), ("a", true, in_seconds(600))]
        {
            let made = v1::Credential { is_active: Some(is_active), expire_time, ..credential(&provider, alias, &format!("sk-{alias}-0123456789")) };
            ids.push(server.admin().add_credential(made).await.id);
        }
        let revoked = server.admin().add_credential(credential(&provider, "revoked", "sk-revoked-0123456789")).await.id;
        let revoke = v1::RevokeCredentialRequest { id: revoked.clone(), ..Default::default() };
        server.credentials().revoke_credential(revoke).await.unwrap();
        let unknown = "01234567-0000-7000-8000-000000000000".to_owned();
        let credential_ids = vec![ids[4].clone(), unknown, ids[2].clone(), ids[0].clone(), revoked, ids[3].clone(), ids[1].clone()];
        let request = v1::FetchSecretsRequest { credential_ids };
        let answer = server.routing().fetch_secrets(request).await.unwrap().into_inner();
        let found: Vec<_> = answer.secrets.iter().map(|s| (s.credential_id.clone(), s.secret.as_ref().unwrap().api_key())).collect();
        let expected = [(ids[4].clone(), "sk-a-0123456789"), (ids[0].clone(), KEY), (ids[1].clone(), "sk-b-0123456789")];
        assert_eq!(found, expected);
        assert_eq!(answer.secrets[1].allowed_hosts, server.admin().get_credential(&ids[0]).await.allowed_hosts);
        assert_eq!(answer.secrets[1].secret_version, 1);

        for (credential_ids, field) in [
            (vec![], "credential_ids"),
            (vec![ids[0].clone(); 1001], "credential_ids"),
            (vec![ids[0].clone(), "x".into()], "credential_ids[1]"),
        ] {
            let request = v1::FetchSecretsRequest { credential_ids };
            let refusal = server.routing().fetch_secrets(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(refusal.fields, [field]);
        }
    }

    async fn every_secret_that_leaves_is_counted(server: &Server) {
        let vendor = Vendor::start().await;
        vendor.list(&["m"]);
        let account = account(server, &vendor.url(), None).await;
        let consumer = server.as_role(Role::Consumer).await;
        let with_secret = v1::ResolveTargetRequest { include_secret: true, ..account.wanted() };
        for _ in 0..3 {
            consumer.routing().resolve_target(with_secret.clone()).await.unwrap();
            consumer.routing().resolve_target(account.wanted()).await.unwrap();
        }
        let id = account.credential.id.clone();
        let fetch = v1::FetchSecretsRequest { credential_ids: vec![id.clone(), id.clone()] };
        consumer.routing().fetch_secrets(fetch).await.unwrap();
        let access = v1::AccessCredentialRequest { id: id.clone(), ..Default::default() };
        server.credentials().access_credential(access).await.unwrap();
        server.credentials().validate_credential(v1::ValidateCredentialRequest { id: id.clone() }).await.unwrap();
        let sync = v1::SyncModelsRequest { provider_id: account.endpoint.provider_id.clone().unwrap(), ..Default::default() };
        server.models().sync_models(sync).await.unwrap();
        server.models().test_model(v1::TestModelRequest { id: account.model.id.clone() }).await.unwrap();
        let admin = "admin".to_owned();
        let lines = use_lines(server).await;
        let count = |rpc: &str| lines.iter().filter(|(_, found, ..)| found == rpc).map(|(.., count)| *count).collect::<Vec<_>>();
        assert_eq!(count("RoutingService/ResolveTarget"), [3], "{lines:?}");
        assert_eq!(count("RoutingService/FetchSecrets"), [2], "{lines:?}");
        for rpc in ["CredentialService/AccessCredential", "CredentialService/ValidateCredential", "ModelService/SyncModels", "ModelService/TestModel"] {
            assert_eq!(count(rpc), [1], "{rpc} {lines:?}");
        }
        let who: std::collections::BTreeSet<_> = lines.iter().map(|(identity, ..)| identity.clone()).collect();
        assert_eq!(who.len(), 2, "{who:?} {admin}");
        // Again is more, in the same line.
        consumer.routing().resolve_target(with_secret).await.unwrap();
        let lines = use_lines(server).await;
        assert!(lines.iter().any(|(_, rpc, version, count)| (rpc.as_str(), *version, *count) == ("RoutingService/ResolveTarget", 1, 4)), "{lines:?}");
    }

    async fn the_record_is_listed_with_filters_orders_and_pages(server: &Server) {
        let account = account(server, URL, None).await;
        let provider = account.endpoint.provider_id.clone().unwrap();
        let mut ids = vec![account.credential.id.clone()];
        for number in 0..6 {
            ids.push(server.admin().add_credential(credential(&provider, &format!("c{number}"), "sk-0123456789")).await.id);
        }
        let consumer = server.as_role(Role::Consumer).await;
        for caller in [server.admin(), &consumer] {
            for id in &ids {
                let fetch = v1::FetchSecretsRequest { credential_ids: vec![id.clone()] };
                caller.routing().fetch_secrets(fetch).await.unwrap();
            }
        }
        let all = uses(server, v1::ListSecretUseRequest::default()).await;
        assert_eq!((all.secret_uses.len(), all.total_size, all.next_page_token.as_str()), (14, 14, ""));
        let keys: Vec<_> = all.secret_uses.iter().map(|u| (u.credential_id.clone(), u.identity.clone(), u.hour.map(|h| h.seconds))).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(keys, sorted);
        let hour = all.secret_uses[0].hour.unwrap();
        assert_eq!((hour.seconds % 3600, hour.nanos), (0, 0));
        assert!(all.secret_uses[0].first_use_time.unwrap().seconds >= hour.seconds);

        for (order_by, descending) in [("", false), ("name desc, update_time", true), ("update_time desc", true)] {
            let found = pages_of_uses(server, order_by).await;
            let places: std::collections::BTreeSet<_> = found.iter().map(|u| (u.credential_id.clone(), u.identity.clone())).collect();
            assert_eq!((found.len(), places.len()), (14, 14), "{order_by}");
            if order_by.starts_with("name") {
                assert!(found.windows(2).all(|pair| pair[0].identity >= pair[1].identity));
            } else if descending {
                let time = |found: &v1::SecretUse| found.last_use_time.map(|time| (time.seconds, time.nanos));
                assert!(found.windows(2).all(|pair| time(&pair[0]) >= time(&pair[1])));
            }
        }
        let count = async |request: v1::ListSecretUseRequest| uses(server, request).await.secret_uses.len();
        let of = |change: fn(&mut v1::ListSecretUseRequest)| {
            let mut request = v1::ListSecretUseRequest::default();
            change(&mut request);
            request
        };
        assert_eq!(count(v1::ListSecretUseRequest { credential_id: ids[0].clone(), ..Default::default() }).await, 2);
        let identity = all.secret_uses[0].identity.clone();
        assert_eq!(count(v1::ListSecretUseRequest { identity, ..Default::default() }).await, 7);
        assert_eq!(count(of(|request| request.identity = "nobody".into())).await, 0);
        assert_eq!(count(of(|request| request.start_time = in_seconds(-600))).await, 14);
        assert_eq!(count(of(|request| request.start_time = in_seconds(600))).await, 0);
        assert_eq!(count(of(|request| request.end_time = in_seconds(-600))).await, 0);
        let bad = v1::ListSecretUseRequest { page_size: -1, credential_id: "x".into(), order_by: "create".into(), ..Default::default() };
        let mut fields = server.admin().audit().list_secret_use(bad).await.refused(Code::InvalidArgument, "INVALID_FIELD").fields;
        fields.sort_unstable();
        assert_eq!(fields, ["credential_id", "order_by", "page_size"]);
        let token = uses(server, v1::ListSecretUseRequest { page_size: 4, ..Default::default() }).await.next_page_token;
        let other = v1::ListSecretUseRequest { page_token: token, identity: "x".into(), ..Default::default() };
        server.admin().audit().list_secret_use(other).await.refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    }

    async fn outcomes_are_counted_at_once_and_written_later(server: &Server) {
        let account = account(server, URL, None).await;
        let revision = server.parts().snapshot.head().revision;
        report(server.admin(), vec![account.outcome(true, 10, 20), account.outcome(false, 1, 0), account.outcome(true, 0, 0)]).await;
        let used = usage(server, &account).await;
        assert_eq!((used.total_requests, used.total_failures, used.total_tokens, used.used), (3, 1, 31, 0));
        assert!(used.last_use_time.is_some());
        let used = server.admin().get_model(&account.model.id).await.usage.unwrap();
        assert_eq!((used.total_requests, used.total_failures), (3, 1));
        assert_eq!((used.total_input_tokens, used.total_output_tokens), (11, 20));
        assert!(used.last_use_time.is_some());
        let list = v1::ListCredentialsRequest::default();
        let listed = server.credentials().list_credentials(list).await.unwrap().into_inner().credentials;
        assert_eq!(listed[0].usage.as_ref().unwrap().total_requests, 3);
        let stored = async || {
            let values = server.parts().store.load_statuses().await.unwrap().values;
            values.iter().find_map(|value| match value {
                modelward::domain::image::StatusValue::CredentialUsage(_, usage) => Some(usage.total_requests),
                _ => None,
            })
        };
        eventually("they are written", || async { (stored().await == Some(3)).then_some(()) }).await;
        report(server.admin(), vec![account.outcome(true, 0, 0)]).await;
        eventually("more is added", || async { (stored().await == Some(4)).then_some(()) }).await;
        assert_eq!(usage(server, &account).await.total_requests, 4);
        assert_eq!(server.parts().snapshot.head().revision, revision, "status makes no revision");
    }

    async fn bad_outcomes_are_refused_and_unknown_ids_ignored(server: &Server) {
        let account = account(server, URL, None).await;
        let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let bad = v1::Outcome {
            endpoint_id: "e".into(),
            credential_id: "c".into(),
            model_id: "m".into(),
            success: None,
            http_status: Some(99),
            latency: duration(-1),
            input_tokens: Some(-1),
            output_tokens: Some(i64::MAX),
            time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        };
        let outcomes = vec![account.outcome(true, 0, 0), bad];
        let request = v1::ReportOutcomeRequest { outcomes, ..Default::default() };
        let mut fields = server.routing().report_outcome(request).await.refused(Code::InvalidArgument, "INVALID_FIELD").fields;
        fields.sort_unstable();
        let expected = ["credential_id", "endpoint_id", "http_status", "input_tokens", "latency", "model_id", "output_tokens", "success", "time"];
        assert_eq!(fields, expected.map(|field| format!("outcomes[1].{field}")));
        assert_eq!(usage(server, &account).await.total_requests, 0, "nothing of it was counted");
        for count in [0, 1001] {
            let outcomes = vec![account.outcome(true, 0, 0); count];
            let request = v1::ReportOutcomeRequest { outcomes, ..Default::default() };
            let refusal = server.routing().report_outcome(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(refusal.fields, ["outcomes"]);
        }
        let request = v1::ReportOutcomeRequest { outcomes: vec![account.outcome(true, 0, 0)], report_id: "x".repeat(101) };
        let refusal = server.routing().report_outcome(request).await.refused(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(refusal.fields, ["report_id"]);
        let unknown = "01234567-0000-7000-8000-000000000000".to_owned();
        let strange = v1::Outcome { endpoint_id: unknown.clone(), model_id: unknown, http_status: None, ..account.outcome(false, 0, 0) };
        let times = [in_seconds(-1_000_000), in_seconds(1_000_000)];
        let odd = times.map(|time| v1::Outcome { time, ..account.outcome(true, 0, 0) });
        report(server.admin(), [vec![strange], odd.to_vec()].concat()).await;
        let used = usage(server, &account).await;
        assert_eq!((used.total_requests, used.total_failures), (3, 1));
        let last = used.last_use_time.unwrap().seconds;
        let now = in_seconds(0).unwrap().seconds;
        assert!((now - 60..=now).contains(&last), "a time ahead counts as now");
    }

    async fn a_report_that_is_repeated_under_its_id_counts_once(server: &Server) {
        let account = account(server, URL, None).await;
        let report = |report_id: &str| {
            v1::ReportOutcomeRequest { outcomes: vec![account.outcome(true, 1, 1)], report_id: report_id.to_owned() }
        };
        for id in ["a", "a", "b", "a", "", ""] {
            server.routing().report_outcome(report(id)).await.unwrap();
        }
        assert_eq!(usage(server, &account).await.total_requests, 4, "a, b, and twice without an id");
    }

    async fn a_quota_that_is_used_up_stops_its_credential_and_no_other(server: &Server) {
        let account = account(server, URL, quota(10, QuotaUnit::Tokens, QuotaPeriod::Day)).await;
        let provider = account.endpoint.provider_id.clone().unwrap();
        report(server.admin(), vec![account.outcome(true, 5, 4)]).await;
        let shown = server.admin().get_credential(&account.credential.id).await;
        assert_eq!((shown.usage.unwrap().used, shown.state), (9, CredentialState::Active.into()));
        server.routing().resolve_target(account.wanted()).await.unwrap();
        report(server.admin(), vec![account.outcome(false, 1, 0)]).await;
        let shown = server.admin().get_credential(&account.credential.id).await;
        assert_eq!(shown.state(), CredentialState::Exhausted);
        let used = shown.usage.unwrap();
        assert_eq!((used.used, used.window_start_time.unwrap().seconds % 86_400), (10, 0));
        let refusal = server.routing().resolve_target(account.wanted()).await.refused(Code::ResourceExhausted, "QUOTA_EXHAUSTED");
        assert_eq!(refusal.metadata["provider_id"], provider);
        let list = v1::ListCredentialsRequest { state: Some(CredentialState::Exhausted.into()), ..Default::default() };
        assert_eq!(server.credentials().list_credentials(list).await.unwrap().into_inner().credentials.len(), 1);

        let spare = server.admin().add_credential(credential(&provider, "spare", "sk-spare-0123456789")).await;
        let answer = server.routing().resolve_target(account.wanted()).await.unwrap().into_inner();
        assert_eq!(answer.target.unwrap().credential_id, spare.id);
        // A wider quota counts what was used before.
        let wider = v1::Credential { id: account.credential.id.clone(), quota: quota(2, QuotaUnit::Requests, QuotaPeriod::Month), ..Default::default() };
        let update = |credential| v1::UpdateCredentialRequest { credential: Some(credential), ..Default::default() };
        server.credentials().update_credential(update(wider.clone())).await.unwrap();
        assert_eq!(server.admin().get_credential(&account.credential.id).await.state(), CredentialState::Exhausted);
        let total = v1::Credential { quota: quota(3, QuotaUnit::Requests, QuotaPeriod::Total), ..wider };
        server.credentials().update_credential(update(total)).await.unwrap();
        let shown = server.admin().get_credential(&account.credential.id).await;
        assert_eq!((shown.state(), shown.usage.unwrap().used), (CredentialState::Active, 2));
    }

    async fn failures_that_are_reported_degrade_an_endpoint_until_a_probe_says_more(server: &Server) {
        let vendor = Vendor::start().await;
        let account = account(server, &vendor.url(), None).await;
        let status = async || server.admin().get_endpoint(&account.endpoint.id).await.health.unwrap().status();
        let failed = |http_status| v1::Outcome { http_status, ..account.outcome(false, 0, 0) };
        report(server.admin(), vec![failed(Some(401)), failed(Some(400)), account.outcome(true, 0, 0)]).await;
        assert_eq!(status().await, HealthStatus::Unknown, "that says nothing about the endpoint");
        vendor.set_mode(Mode::Slow(Duration::from_millis(700)));
        report(server.admin(), vec![failed(None)]).await;
        eventually("it is degraded", || async { (status().await == HealthStatus::Degraded).then_some(()) }).await;
        eventually("the probe finds it alive", || async { (status().await == HealthStatus::Healthy).then_some(()) }).await;
    }
}

async fn strict(engine: Engine) {
    let server = Server::start_with(engine, |settings| settings.usage.strict_secret_use = true).await;
    let account = account(&server, URL, None).await;
    let with_secret = v1::ResolveTargetRequest { include_secret: true, ..account.wanted() };
    server.routing().resolve_target(with_secret.clone()).await.unwrap();
    let rows = server.parts().store.count_secret_uses(&SecretUseFilter::default()).await.unwrap();
    assert_eq!(rows, 1, "it is there before the answer");
    server.sql("DROP TABLE secret_use");
    let refused = server.routing().resolve_target(with_secret).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::Internal), "{refused:?}");
    let fetch = v1::FetchSecretsRequest { credential_ids: vec![account.credential.id.clone()] };
    assert!(server.routing().fetch_secrets(fetch).await.is_err());
    server.routing().resolve_target(account.wanted()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_no_secret_where_the_setting_says_so_on_sqlite() {
    Box::pin(strict(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_no_secret_where_the_setting_says_so_on_postgres() {
    Box::pin(strict(Engine::Postgres)).await;
}

const FLUSH: Duration = Duration::from_millis(300);
/// A replica reads what others wrote at least so often.
const POLL: Duration = Duration::from_secs(1);
/// For a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);
const LIMIT: u64 = 60;

/// Resolves and reports until the quota is used up, a call every few milliseconds; when each call was.
async fn use_up(server: &Server, account: &Account) -> Vec<Instant> {
    let mut calls = Vec::new();
    while let Ok(answer) = server.routing().resolve_target(account.wanted()).await {
        drop(answer);
        calls.push(Instant::now());
        report(server.admin(), vec![account.outcome(true, 1, 1)]).await;
        sleep(Duration::from_millis(10)).await;
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_exceed_a_quota_only_as_long_as_they_have_not_told_each_other() {
    let one = Server::start_with(Engine::Postgres, |settings| settings.usage.flush_interval = FLUSH).await;
    let limit = i64::try_from(LIMIT).unwrap();
    let account = account(&one, URL, quota(limit, QuotaUnit::Requests, QuotaPeriod::Total)).await;
    let two = one.replica().await;
    let (here, there) = tokio::join!(use_up(&one, &account), use_up(&two, &account));
    let mut all = [here, there].concat();
    all.sort_unstable();
    let used_up = all[usize::try_from(LIMIT).unwrap() - 1];
    let last = *all.last().unwrap();
    assert!(all.len() >= usize::try_from(LIMIT).unwrap());
    assert!(last - used_up <= FLUSH + POLL + SLACK, "calls went on for {:?}", last - used_up);
    println!("{} calls of {LIMIT}, {:?} beyond", all.len(), last - used_up);
    let count = i64::try_from(all.len()).unwrap();
    for server in [&one, &two] {
        eventually("both add up the same", || async {
            let shown = server.admin().get_credential(&account.credential.id).await;
            let used = shown.usage.unwrap();
            (used.total_requests == count && used.total_tokens == 2 * count).then_some(())
        })
        .await;
        let shown = server.admin().get_credential(&account.credential.id).await;
        assert_eq!(shown.state(), CredentialState::Exhausted);
        server.routing().resolve_target(account.wanted()).await.refused(Code::ResourceExhausted, "QUOTA_EXHAUSTED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_is_written_when_the_server_stops() {
    let server =
        Server::start_with(Engine::Sqlite, |settings| settings.usage.flush_interval = Duration::from_secs(10)).await;
    let account = account(&server, URL, None).await;
    report(server.admin(), vec![account.outcome(true, 1, 2); 7]).await;
    let fetch = v1::FetchSecretsRequest { credential_ids: vec![account.credential.id.clone()] };
    server.routing().fetch_secrets(fetch).await.unwrap();
    let server = server.restart().await;
    assert_eq!(usage(&server, &account).await.total_requests, 7);
    assert_eq!(use_lines(&server).await.len(), 1);
}
