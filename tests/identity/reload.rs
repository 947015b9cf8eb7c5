//! Keys and certificates that are replaced under load: no call fails, and what does not fit is not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use modelward::proto::v1;
use rcgen::{CertificateParams, date_time_ymd};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::authority::{Authority, Pair};
use super::issuer::{Signer, claims, key_set};
use super::place::Place;
use crate::promises::effort;
use crate::support::server::Caller;
use crate::support::{Engine, Server, within};

const CALLERS: usize = 4;

/// Callers that never rest, until they are told to; each makes its caller anew for every few calls.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(caller: impl Fn(usize) -> Caller + Clone + Send + Sync + 'static) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let workers = (0..CALLERS).map(|_| {
            let (stop, calls, caller) = (Arc::clone(&stop), Arc::clone(&calls), caller.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let client = caller(calls.load(Ordering::Relaxed));
                    for _ in 0..5 {
                        calls.fetch_add(1, Ordering::Relaxed);
                        let listed = client.providers().list_providers(v1::ListProvidersRequest::default()).await;
                        failures.extend(listed.err().map(|status| format!("{status:?}")));
                    }
                }
                failures
            })
        });
        let workers = workers.collect();
        Self { stop, calls, workers }
    }

    /// Waits until so many calls more were made.
    async fn go_on(&self, calls: usize) {
        let until = self.calls.load(Ordering::Relaxed) + calls;
        within(Duration::from_secs(30), "calls are made", || async {
            (self.calls.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// How many calls there were, and those that failed.
    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for worker in self.workers {
            failures.extend(worker.await.unwrap());
        }
        (self.calls.load(Ordering::Relaxed), failures)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuers_keys_are_replaced_under_load_without_a_failed_call() {
    let rounds = effort(10, 200);
    let keys: Vec<_> = (0..=rounds).map(|number| Arc::new(Signer::ec(&format!("key-{number}")))).collect();
    let place = Place::with_issuer(&[&keys[0]]);
    let server = place.serve(Engine::Sqlite).await;
    let channel = server.new_channel();
    let signer = Arc::new(std::sync::Mutex::new(Arc::clone(&keys[0])));
    let load = Load::start({
        let signer = Arc::clone(&signer);
        move |_| {
            let signer = Arc::clone(&signer.lock().unwrap());
            Caller::new(channel.clone(), Some(signer.token(&claims("system:serviceaccount:prod:gateway"))))
        }
    });
    for pair in keys.windows(2) {
        // The next key is published as the issuer begins to sign with it: nobody waits for a poll.
        place.write("jwks.json", key_set(&[&pair[0], &pair[1]]));
        *signer.lock().unwrap() = Arc::clone(&pair[1]);
        load.go_on(20 * CALLERS).await;
        place.write("jwks.json", key_set(&[&pair[1]]));
        load.go_on(10 * CALLERS).await;
    }
    let (calls, failures) = load.end().await;
    assert_eq!(failures, Vec::<String>::new());
    println!("keys replaced {rounds} times under load: 0 of {calls} calls failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_over_a_key_that_nobody_shows_fails() {
    let (known, unknown) = (Signer::ec("known"), Signer::ec("unknown"));
    let place = Place::with_issuer(&[&known]);
    let server = place.serve(Engine::Sqlite).await;
    let channel = server.new_channel();
    let token = unknown.token(&claims("system:serviceaccount:prod:gateway"));
    let load = Load::start(move |_| Caller::new(channel.clone(), Some(token.clone())));
    load.go_on(CALLERS).await;
    let (calls, failures) = load.end().await;
    assert_eq!(failures.len(), calls, "the checker sees what fails");
}

struct Secured {
    place: Place,
    authority: Arc<Authority>,
    server: Server,
}

impl Secured {
    async fn start() -> Self {
        let (place, authority) = (Place::new(), Arc::new(Authority::new("servers")));
        place.write("identity.toml", "");
        write(&place, &authority.server());
        let server = Server::start_with(Engine::Sqlite, |settings| {
            place.settings()(settings);
            settings.tls.cert_file = Some(place.path("server.pem"));
            settings.tls.key_file = Some(place.path("server.key"));
        })
        .await;
        Self { place, authority, server }
    }

    /// The metric's value.
    fn metric(&self, name: &str) -> Option<i64> {
        let text = self.server.parts().metrics.render();
        let line = text.lines().find(|line| line.starts_with(&format!("modelward_{name} ")))?.to_owned();
        line.rsplit(' ').next()?.parse().ok()
    }

    async fn served(&self, end: i64) {
        let name = "certificate_expiry_timestamp_seconds{kind=\"server\"}";
        let what = format!("the certificate that ends at {end} is served");
        within(Duration::from_secs(10), &what, || async { (self.metric(name)? == end).then_some(()) }).await;
    }
}

fn write(place: &Place, pair: &Pair) {
    place.write("server.key", &pair.key);
    place.write("server.pem", &pair.cert);
}

/// A certificate for a server that ends in a year of its own.
fn ending(authority: &Authority, year: i32) -> (Pair, i64) {
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let pair = authority.sign(&params);
    let der = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let end = certificate.validity().not_after.timestamp();
    (pair, end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_certificate_is_replaced_under_load_without_a_failed_call() {
    let secured = Secured::start().await;
    let port = secured.server.address().port();
    let token = secured.server.admin().token().unwrap().to_owned();
    let load = Load::start({
        let authority = Arc::clone(&secured.authority);
        // A connection of its own for every few calls: handshakes meet the change.
        move |_| Caller::new(authority.channel(port, None), Some(token.clone()))
    });
    let rounds = effort(8, 200);
    for round in 0..rounds {
        let (pair, end) = ending(&secured.authority, 2030 + i32::try_from(round % 500).unwrap());
        write(&secured.place, &pair);
        secured.served(end).await;
        load.go_on(5 * CALLERS).await;
    }
    let (calls, failures) = load.end().await;
    assert_eq!(failures, Vec::<String>::new());
    println!("certificates replaced {rounds} times under load: 0 of {calls} calls failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_does_not_fit_or_cannot_be_read_leaves_the_former_one_in_force() {
    let secured = Secured::start().await;
    let (pair, end) = ending(&secured.authority, 2040);
    write(&secured.place, &pair);
    secured.served(end).await;
    let (other, _) = ending(&secured.authority, 2041);
    let failures = || secured.metric("reload_failures_total{kind=\"tls\"}").unwrap_or_default();
    let spoil: [&dyn Fn(); 4] = [
        &|| secured.place.write("server.pem", &other.cert),
        &|| secured.place.write("server.pem", "no certificate"),
        &|| secured.place.write("server.key", ""),
        &|| std::fs::remove_file(secured.place.path("server.pem")).unwrap(),
    ];
    for spoil in spoil {
        let before = failures();
        spoil();
        within(Duration::from_secs(10), "the failure is counted", || async { (failures() > before).then_some(()) })
            .await;
        let once = failures();
        let begin = Instant::now();
        // Longer than two looks: it is counted and told once.
        while begin.elapsed() < Duration::from_millis(300) {
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(failures(), once);
        let channel = secured.authority.channel(secured.server.address().port(), None);
        let caller = Caller::new(channel, secured.server.admin().token().map(str::to_owned));
        caller.providers().list_providers(v1::ListProvidersRequest::default()).await.unwrap();
        assert_eq!(secured.metric("certificate_expiry_timestamp_seconds{kind=\"server\"}"), Some(end));
    }
    let (next, end) = ending(&secured.authority, 2042);
    write(&secured.place, &next);
    secured.served(end).await;
}
