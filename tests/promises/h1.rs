//! A health check cannot probe the inside of the network, and neither can any other call of ours.
//!
//! Every spelling of a forbidden host goes through every call that leaves the real program, with strace beside it: what
//! it connects to is what the system saw, and a listener on this machine counts what arrives. Names that resolve to
//! one thing and then to another go through the guarded client with a resolver of the test.

mod ask;
mod matrix;
mod names;
mod trace;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use futures_util::stream::{self, StreamExt as _};
use modelward::proto::v1::{self, HealthCause, HealthStatus, ProviderKind, ValidationCause, ValidationStatus};
use prost::Message as _;
use tempfile::TempDir;
use tonic::Code;

use self::ask::{Answers, Asked, Subject};
use self::matrix::{Fate, MATRIX};
use self::trace::connections;
use super::report;
use crate::support::Refusal;
use crate::support::process::Process;
use crate::support::recorder::Recorder;
use crate::support::resources::endpoint;
use crate::support::server::Caller;

/// Kinds that are vendors' own: an inner address is no business of theirs.
const VENDORS: [ProviderKind; 12] = [
    ProviderKind::Openai,
    ProviderKind::Anthropic,
    ProviderKind::AwsBedrock,
    ProviderKind::AzureOpenai,
    ProviderKind::Tongyi,
    ProviderKind::Baidu,
    ProviderKind::Deepseek,
    ProviderKind::Doubao,
    ProviderKind::Zhipu,
    ProviderKind::Moonshot,
    ProviderKind::Gemini,
    ProviderKind::Mistral,
];
const SELF_HOSTED: [ProviderKind; 3] = [ProviderKind::Ollama, ProviderKind::Vllm, ProviderKind::OpenaiCompatible];
/// Calls at a time.
const AT_ONCE: usize = 16;

/// The real program, watched by strace.
struct Watched {
    process: Process,
    directory: TempDir,
}

impl Watched {
    fn start(allow_private: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let trace = directory.path().join("trace");
        let allow = allow_private.to_string();
        let variables = [("MODELWARD_EGRESS__ALLOW_PRIVATE", allow.as_str())];
        let process = Process::start_watching_connections(directory.path(), &trace, &variables);
        Self { process, directory }
    }

    /// Asks everything about every host of the matrix, in the name of these kinds in turn.
    async fn ask_all(&self, kinds: &[ProviderKind], port: u16) -> Vec<(Fate, &'static str, Asked)> {
        let admin = self.process.admin();
        let asked = MATRIX.iter().enumerate().map(|(row, (fate, host))| {
            let (admin, kind) = (admin.clone(), kinds[row % kinds.len()]);
            async move { (*fate, *host, ask_about(&admin, kind, host, port).await) }
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
    }

    /// Ends it; where it has connected to.
    fn connections(mut self) -> BTreeSet<SocketAddr> {
        assert!(self.process.terminate().success());
        connections(&std::fs::read_to_string(self.directory.path().join("trace")).unwrap())
    }
}

async fn ask_about(admin: &Caller, kind: ProviderKind, host: &str, port: u16) -> Asked {
    Subject::new(admin, kind, &format!("http://{host}:{port}/v1")).await.ask().await
}

/// What a host of the matrix stands for. Names stand for this machine.
fn addresses(fate: Fate) -> BTreeSet<IpAddr> {
    let of = |host: &&str| -> Vec<IpAddr> {
        let url = url::Url::parse(&format!("http://{host}/")).unwrap();
        match url.host().unwrap() {
            url::Host::Ipv4(address) => vec![address.into()],
            url::Host::Ipv6(address) => vec![address.into()],
            url::Host::Domain(_) => ["127.0.0.1", "::1"].map(|address| address.parse().unwrap()).to_vec(),
        }
    };
    MATRIX.iter().filter(|(told, _)| *told == fate).flat_map(|(_, host)| of(host)).collect()
}

/// Refused before anything was connected to, in so many words and in none of anybody else's.
#[track_caller]
fn assert_refused(host: &str, asked: &Asked) {
    let Asked::All(answers) = asked else { panic!("{host}: {asked:?}") };
    let Answers { health, sync, validation, availability } = &**answers;
    assert_eq!((health.status(), health.cause()), (HealthStatus::Unknown, HealthCause::AddressRefused), "{host}");
    assert_eq!((health.http_status, health.latency.as_ref()), (0, None), "{host}");
    let sync = Refusal::of(sync.as_ref().unwrap_err());
    sync.is(Code::Unavailable, "PROVIDER_ERROR");
    assert!(sync.message.contains("not connected to"), "{host}: {sync}");
    let told = (validation.status(), validation.cause());
    assert_eq!(told, (ValidationStatus::Unreachable, ValidationCause::Network), "{host}: {validation:?}");
    assert_eq!(availability.cause(), v1::AvailabilityCause::Network, "{host}: {availability:?}");
    for message in [&health.message, &validation.message, &availability.message] {
        assert!(message.contains("not connected to"), "{host}: {message}");
    }
}

#[test]
fn h1_the_matrix_is_as_large_as_promised() {
    let count = |fate| MATRIX.iter().filter(|(told, _)| *told == fate).count();
    let all: BTreeSet<_> = MATRIX.iter().map(|(_, host)| host).collect();
    assert_eq!(all.len(), MATRIX.len(), "none twice");
    assert!(count(Fate::Never) >= 70 && count(Fate::Private) >= 40 && count(Fate::Unwritable) >= 20);
    assert!(addresses(Fate::Never).is_disjoint(&addresses(Fate::Private)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_nobody_is_sent_into_the_network() {
    let (vendors, own) = (Recorder::start_everywhere().await, Recorder::start_everywhere().await);
    let watched = Watched::start(false);
    let (of_vendors, of_own) =
        tokio::join!(watched.ask_all(&VENDORS, vendors.port()), watched.ask_all(&SELF_HOSTED, own.port()));
    for (fate, host, asked) in of_vendors {
        match fate {
            Fate::Unwritable => assert!(matches!(asked, Asked::Unwritable), "{host}: {asked:?}"),
            Fate::Never | Fate::Private => assert_refused(host, &asked),
        }
    }
    for (fate, host, asked) in of_own {
        match fate {
            Fate::Unwritable => assert!(matches!(asked, Asked::Unwritable), "{host}: {asked:?}"),
            Fate::Never => assert_refused(host, &asked),
            Fate::Private => assert!(!asked.was_refused(), "{host}: {asked:?}"),
        }
    }
    let connected = watched.connections();
    let to = |port| connected.iter().filter(move |address| address.port() == port).map(SocketAddr::ip);
    assert_eq!((to(vendors.port()).collect::<Vec<_>>(), vendors.connections()), (Vec::new(), 0));
    let reached: BTreeSet<_> = to(own.port()).collect();
    assert!(reached.is_disjoint(&addresses(Fate::Never)), "{reached:?}");
    assert!(reached.is_subset(&addresses(Fate::Private)), "{reached:?}");
    assert!(reached.len() > 20 && own.connections() > 20, "the trace tells of those that may be: {reached:?}");
    report(&format!(
        "h1: {} hosts through 4 calls and the background checks in the name of 15 kinds: 0 connections in the name of \
         vendors, {} private addresses in the name of servers of one's own",
        MATRIX.len(),
        reached.len()
    ));
}

/// The setting opens private networks for all kinds, and nothing else; and both measures see what is connected to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_the_setting_opens_private_networks_and_nothing_else() {
    let vendors = Recorder::start_everywhere().await;
    let watched = Watched::start(true);
    for (fate, host, asked) in watched.ask_all(&VENDORS, vendors.port()).await {
        match fate {
            Fate::Unwritable => assert!(matches!(asked, Asked::Unwritable), "{host}: {asked:?}"),
            Fate::Never => assert_refused(host, &asked),
            Fate::Private => assert!(!asked.was_refused(), "{host}: {asked:?}"),
        }
    }
    let reached: BTreeSet<_> = watched.connections().iter().map(SocketAddr::ip).collect();
    assert!(reached.is_disjoint(&addresses(Fate::Never)), "{reached:?}");
    assert!(reached.len() > 20 && vendors.connections() > 20, "{reached:?}");
}

/// A server of one's own that sends its callers on, to where they may not go and to where they may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_no_redirect_leads_into_the_network() {
    let (sender, inside) = (Recorder::start().await, Recorder::start_everywhere().await);
    let watched = Watched::start(true);
    let admin = watched.process.admin();
    let subject = Subject::new(&admin, ProviderKind::OpenaiCompatible, &format!("http://{}/v1", sender.address)).await;
    let port = inside.port();
    for place in
        [format!("http://127.0.0.1:{port}/"), format!("//[::1]:{port}/v1/models"), "http://169.254.169.254/x".into()]
    {
        for status in [300, 301, 302, 303, 305, 307, 308] {
            sender.answer(status, &[("location", &place)], "");
            let Asked::All(answers) = subject.ask().await else { panic!("its base URL is sound") };
            let Answers { health, sync, validation, availability } = *answers;
            assert_eq!(health.status(), HealthStatus::Unhealthy);
            assert_eq!((health.cause(), health.http_status), (HealthCause::UnexpectedAnswer, status.into()));
            assert!(sync.is_err());
            assert_eq!(validation.cause(), ValidationCause::UnexpectedAnswer);
            assert_eq!(availability.cause(), v1::AvailabilityCause::UnexpectedAnswer);
        }
    }
    assert!(sender.connections() >= 3 * 7 * 4);
    let elsewhere: Vec<_> = watched.connections().into_iter().filter(|address| *address != sender.address).collect();
    assert_eq!((elsewhere, inside.connections()), (Vec::new(), 0));
}

/// What a health check tells of an answer is an enum and a status: nobody reads the inside of the network through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_a_health_check_never_tells_what_was_answered() {
    const SECRET: &str = "role-credentials-of-this-machine";
    let inside = Recorder::start().await;
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let admin = process.admin();
    let provider = admin.add_provider("own", ProviderKind::OpenaiCompatible).await;
    let url = format!("http://{}/latest/meta-data", inside.address);
    for (number, path) in ["", "/latest/meta-data/iam", "/@169.254.169.254/x"].into_iter().enumerate() {
        let policy = v1::HealthCheckPolicy { path: Some(path.into()), ..Default::default() };
        let wanted = v1::Endpoint { health_check: Some(policy), ..endpoint(&provider.id, &number.to_string(), &url) };
        let id = admin.add_endpoint(wanted).await.id;
        for status in [200, 204, 302, 400, 401, 403, 404, 418, 429, 500, 503, 529] {
            let json = format!(r#"{{"error":{{"message":"{SECRET}","code":"{SECRET}"}}}}"#);
            for body in [SECRET, &json, &format!("<html>{SECRET}</html>")] {
                let headers = [("x-request-id", SECRET), ("location", SECRET), ("retry-after", SECRET)];
                inside.answer(status, &headers, body);
                let asked = v1::CheckEndpointHealthRequest { id: id.clone() };
                let checked = admin.endpoints().check_endpoint_health(asked).await.unwrap().into_inner();
                let health = checked.endpoint.clone().unwrap().health.unwrap();
                assert_eq!(health.http_status, i32::from(status), "{health:?}");
                let told = String::from_utf8_lossy(&checked.encode_to_vec()).into_owned();
                assert!(!told.contains(&SECRET[..8]), "{told}");
            }
        }
    }
    assert!(!process.log().contains(SECRET), "the log neither");
    assert!(inside.connections() >= 3 * 12 * 3);
}
