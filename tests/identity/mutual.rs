//! Callers by their certificates: who they are, who is not let in, and names that pretend to be others.

use std::time::Duration;

use modelward::config::{ClientAuth, Settings};
use modelward::proto::v1::{self, ProviderKind};
use rcgen::{ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::authority::{Authority, Pair, client, dns, email, uri};
use super::issuer::{Signer, claims};
use super::place::Place;
use crate::support::resources::provider;
use crate::support::server::Caller;
use crate::support::watching::Watching;
use crate::support::{Engine, Refusal, Server, eventually, within};

const GATEWAY: &str = "spiffe://example.org/ns/prod/sa/gateway";
const RULES: &str = r#"
[[certificate]]
uri = "spiffe://example.org/ns/prod/sa/gateway"
roles = ["viewer"]

[[certificate]]
dns = "deployer.prod.example.org"
roles = ["editor"]

[[certificate]]
email = "ops@example.org"
roles = ["admin"]

[[certificate]]
subject_cn = "auditor"
roles = ["viewer"]
"#;

/// A server that asks for certificates of an authority.
struct Guarded {
    place: Place,
    authority: Authority,
    server: Server,
}

impl Guarded {
    async fn start(auth: ClientAuth) -> Self {
        Self::start_with(auth, |_, _, _| {}).await
    }

    async fn start_with(auth: ClientAuth, more: impl Fn(&Place, &Authority, &mut Settings)) -> Self {
        let (place, authority) = (Place::new(), Authority::new("clients and servers"));
        place.write("identity.toml", RULES);
        write(&place, &authority.server());
        place.write("ca.pem", &authority.pem);
        let server = Server::start_with(Engine::Sqlite, |settings| {
            place.settings()(settings);
            settings.tls.cert_file = Some(place.path("server.pem"));
            settings.tls.key_file = Some(place.path("server.key"));
            settings.tls.client_ca_file = Some(place.path("ca.pem"));
            settings.tls.client_auth = auth;
            more(&place, &authority, settings);
        })
        .await;
        Self { place, authority, server }
    }

    fn caller(&self, shown: Option<&Pair>, token: Option<&str>) -> Caller {
        let channel = self.authority.channel(self.server.address().port(), shown);
        Caller::new(channel, token.map(str::to_owned))
    }

    fn admin_token(&self) -> String {
        self.server.admin().token().unwrap().to_owned()
    }
}

fn write(place: &Place, pair: &Pair) {
    place.write("server.pem", &pair.cert);
    place.write("server.key", &pair.key);
}

async fn list(caller: &Caller) -> Result<(), Status> {
    caller.providers().list_providers(v1::ListProvidersRequest::default()).await.map(drop)
}

async fn create(caller: &Caller, name: &str) -> Result<v1::Provider, Status> {
    let request =
        v1::CreateProviderRequest { provider: Some(provider(name, ProviderKind::Ollama)), ..Default::default() };
    caller.providers().create_provider(request).await.map(|answer| answer.into_inner().provider.unwrap())
}

/// Whether the call got no answer of the API's at all: there was no connection to ask on.
fn is_cut_off(status: &Status) -> bool {
    Refusal::read(status).is_err()
}

fn code(outcome: Result<(), Status>) -> Code {
    outcome.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_certificates_have_the_roles_of_the_rules() {
    let guarded = Guarded::start(ClientAuth::Required).await;
    let signed = |names: &[_], common: &[&str]| guarded.authority.client(names, common);
    let gateway = guarded.caller(Some(&signed(&[uri(GATEWAY)], &[])), None);
    list(&gateway).await.unwrap();
    assert_eq!(create(&gateway, "x").await.unwrap_err().code(), Code::PermissionDenied);
    let deployer = guarded.caller(Some(&signed(&[dns("Deployer.prod.example.org")], &["whoever"])), None);
    let made = create(&deployer, "by certificate").await.unwrap();
    assert_eq!(made.created_by, "certificate/Deployer.prod.example.org");
    let admin = guarded.caller(Some(&signed(&[email("ops@example.org")], &[])), None);
    admin.tokens().list_tokens(v1::ListTokensRequest::default()).await.unwrap();
    list(&guarded.caller(Some(&signed(&[], &["auditor"])), None)).await.unwrap();
    let nobody = guarded.caller(Some(&signed(&[dns("other.example.org")], &[])), None);
    assert_eq!(code(list(&nobody).await), Code::PermissionDenied);
    let nameless = guarded.caller(Some(&signed(&[], &[])), None);
    assert_eq!(code(list(&nameless).await), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_certificate_or_a_strangers_is_not_let_in() {
    let guarded = Guarded::start(ClientAuth::Required).await;
    let stranger = Authority::new("clients and servers");
    let mut expired = client(&[uri(GATEWAY)], &[]);
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let mut early = client(&[uri(GATEWAY)], &[]);
    (early.not_before, early.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    let mut of_a_server = client(&[uri(GATEWAY)], &[]);
    of_a_server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = rcgen::KeyPair::generate().unwrap();
    let by_itself =
        Pair { cert: client(&[uri(GATEWAY)], &[]).self_signed(&own).unwrap().pem(), key: own.serialize_pem() };
    let shown = [
        ("none", None),
        ("of a stranger of the same name", Some(stranger.client(&[uri(GATEWAY)], &[]))),
        ("expired", Some(guarded.authority.sign(&expired))),
        ("not yet good", Some(guarded.authority.sign(&early))),
        ("for servers only", Some(guarded.authority.sign(&of_a_server))),
        ("signed by itself", Some(by_itself)),
    ];
    for (name, pair) in shown {
        // Whoever gets no connection gets no answer either, also with a good token.
        for token in [None, Some(guarded.admin_token())] {
            let status = list(&guarded.caller(pair.as_ref(), token.as_deref())).await.expect_err(name);
            assert!(is_cut_off(&status), "{name}: {status:?}");
        }
    }
    // Probes go to the plain listener.
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{}", guarded.server.ops_address())).unwrap();
    let asked = HealthClient::new(plain.connect().await.unwrap()).check(HealthCheckRequest::default()).await;
    assert_eq!(asked.unwrap().into_inner().status, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_certificates_are_optional_a_token_does_and_wins_over_one() {
    let guarded = Guarded::start(ClientAuth::Optional).await;
    assert_eq!(code(list(&guarded.caller(None, None)).await), Code::Unauthenticated);
    let token = guarded.admin_token();
    list(&guarded.caller(None, Some(&token))).await.unwrap();
    let pair = guarded.authority.client(&[uri(GATEWAY)], &[]);
    let both = guarded.caller(Some(&pair), Some(&token));
    create(&both, "the token is an admin's").await.unwrap();
    let bad = guarded.caller(Some(&pair), Some("mw_no"));
    assert_eq!(code(list(&bad).await), Code::Unauthenticated, "a bad token is not made good by a certificate");
    let signed = Signer::ed("unknown").token(&claims("x"));
    assert_eq!(code(list(&guarded.caller(Some(&pair), Some(&signed))).await), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_pretend_to_be_others_have_no_role() {
    let guarded = Guarded::start(ClientAuth::Required).await;
    let spoofed: &[(&str, Vec<_>, &[&str])] = &[
        ("NUL in the common name", vec![], &["auditor\0.evil.example"]),
        ("NUL behind the common name", vec![], &["auditor\0"]),
        ("another alphabet", vec![], &["\u{430}uditor"]),
        ("a blank behind", vec![], &["auditor "]),
        ("a wildcard", vec![dns("*.prod.example.org")], &[]),
        ("a wildcard for all", vec![dns("*")], &[]),
        ("a name as a common name", vec![], &["deployer.prod.example.org"]),
        ("an address as a common name", vec![], &["ops@example.org"]),
        ("a name as an address", vec![email("auditor")], &[]),
        ("a URI as a name", vec![dns("spiffe://example.org/ns/prod/sa/gateway")], &[]),
        ("two ids", vec![uri(GATEWAY), uri("spiffe://example.org/ns/prod/sa/evil")], &[]),
        ("an id below", vec![uri(&format!("{GATEWAY}/x"))], &[]),
        ("an id above", vec![uri("spiffe://example.org/ns/prod/sa")], &[]),
        ("an id of another trust domain", vec![uri("spiffe://example.org.evil/ns/prod/sa/gateway")], &[]),
        ("an id with dots", vec![uri("spiffe://example.org/ns/prod/sa/x/../gateway")], &[]),
        ("an id with escapes", vec![uri("spiffe://example.org/ns/prod/sa/%67ateway")], &[]),
        ("an address with capitals", vec![email("OPS@example.org")], &[]),
        ("NUL in a name", vec![dns("deployer.prod.example.org\0.evil")], &[]),
    ];
    for (name, names, common) in spoofed {
        let pair = guarded.authority.client(names, common);
        let status = list(&guarded.caller(Some(&pair), None)).await.expect_err(name);
        let refused = matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated);
        assert!(refused || is_cut_off(&status), "{name}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_that_are_taken_away_end_calls_and_streams_of_open_connections() {
    let guarded = Guarded::start(ClientAuth::Required).await;
    let pair = guarded.authority.client(&[uri(GATEWAY)], &[]);
    let caller = guarded.caller(Some(&pair), None);
    list(&caller).await.unwrap();
    let mut stream = Watching::from_now(&caller).await;
    let successor = Authority::new("the next one");
    guarded.place.write("ca.pem", format!("{}{}", guarded.authority.pem, successor.pem));
    let next = successor.client(&[uri(GATEWAY)], &[]);
    eventually("both are believed", || async { list(&guarded.caller(Some(&next), None)).await.ok() }).await;
    list(&caller).await.unwrap();
    // Authorities have changed, so streams look up their caller anew: who is still believed comes back.
    assert_eq!(stream.end().await.code(), Code::Unauthenticated);
    let mut stream = Watching::from_now(&caller).await;
    guarded.place.write("ca.pem", &successor.pem);
    assert_eq!(stream.end().await.code(), Code::Unauthenticated);
    // The connection is open, its certificate is not believed.
    assert_eq!(code(list(&caller).await), Code::Unauthenticated);
    eventually("no new connection", || async {
        list(&guarded.caller(Some(&pair), None)).await.err().filter(is_cut_off)
    })
    .await;
    list(&guarded.caller(Some(&next), None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_not_let_in() {
    let numbered = |authority: &Authority, serial: u64| {
        let mut params = client(&[uri(GATEWAY)], &[]);
        params.serial_number = Some(SerialNumber::from(serial));
        authority.sign(&params)
    };
    let guarded = Guarded::start_with(ClientAuth::Required, |place, authority, settings| {
        place.write("crl.pem", authority.revoke(7));
        settings.tls.client_crl_file = Some(place.path("crl.pem"));
    })
    .await;
    let (one, two) = (numbered(&guarded.authority, 1), numbered(&guarded.authority, 2));
    let caller = |pair: &Pair| guarded.caller(Some(pair), None);
    let open = caller(&one);
    list(&open).await.unwrap();
    guarded.place.write("crl.pem", guarded.authority.revoke(1));
    within(Duration::from_secs(10), "its open connection is refused", || async {
        list(&open).await.err().filter(|status| status.code() == Code::Unauthenticated)
    })
    .await;
    assert!(is_cut_off(&list(&caller(&one)).await.unwrap_err()));
    list(&caller(&two)).await.unwrap();
}
