//! TLS of the gRPC listener as it is in force: certificate, key, and the authorities of clients. Read again when a file
//! changes; connections that are open keep what they began with, but callers by certificate are judged anew.
//!
//! Invariant: what is in force was read as a whole: a key that does not fit its certificate, or authorities that cannot
//! be read, leave everything as it was.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::reload::Seen;
use crate::auth::LiveIdentities;
use crate::auth::certificate::not_after;
use crate::config::{self, ClientAuth};
use crate::domain::{Clock as _, SystemClock};
use crate::telemetry::Metrics;

const HTTP2: &[u8] = b"h2";
/// Certificates that end sooner than this are told of, unless they never last long.
const WARN: Duration = Duration::from_hours(14 * 24);
/// How often.
const REMIND: Duration = Duration::from_hours(24);

/// What the listener serves with.
pub struct LiveTls {
    settings: config::Tls,
    config: ArcSwap<ServerConfig>,
    /// Who is told what callers' certificates are verified with.
    identities: Option<LiveIdentities>,
    metrics: Metrics,
    looked: Mutex<Looked>,
}

struct Looked {
    seen: Seen,
    ends: Vec<(&'static str, Span)>,
    /// When an operator was last told that a certificate ends.
    told: Option<tokio::time::Instant>,
}

/// Everything that was read at once.
struct Read {
    config: ServerConfig,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    ends: Vec<(&'static str, Span)>,
}

/// From when until when a certificate is good, in seconds since 1970.
#[derive(Clone, Copy)]
struct Span {
    begin: i64,
    end: i64,
}

impl LiveTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn open(
        settings: &config::Tls,
        identities: Option<&LiveIdentities>,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let seen = Seen::of(files(settings));
        let Read { config, verifier, ends } = read(settings)?;
        if verifier.is_none() && identities.is_some_and(LiveIdentities::has_certificate_rules) {
            tracing::warn!("the identities have rules for certificates that nobody is asked for; set tls.client_auth");
        }
        if let (Some(identities), Some(_)) = (identities, &verifier) {
            identities.verify_by(verifier);
        }
        let looked = Mutex::new(Looked { seen, ends, told: None });
        let config = ArcSwap::from_pointee(config);
        let live = Self {
            settings: settings.clone(),
            config,
            identities: identities.cloned(),
            metrics: metrics.clone(),
            looked,
        };
        live.tell_ends();
        Ok(live)
    }

    /// What the next connection is served with.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Takes the files again if they have changed.
    pub fn look_again(&self) {
        let now = Seen::of(files(&self.settings));
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut looked.seen, now) == now {
                drop(looked);
                return self.tell_ends();
            }
        }
        match read(&self.settings) {
            Ok(Read { config, verifier, ends }) => {
                self.config.store(Arc::new(config));
                if let (Some(identities), Some(_)) = (&self.identities, &verifier) {
                    identities.verify_by(verifier);
                }
                let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
                (looked.ends, looked.told) = (ends, None);
                tracing::info!("the files of TLS were read again");
            }
            Err(error) => {
                self.metrics.reload_failed("tls");
                let problem = format!("{error:#}");
                tracing::error!(problem, "the files of TLS were not read again; the former ones stay");
            }
        }
        self.tell_ends();
    }

    /// Says when the certificates end: in the metrics always, in the log when it is soon.
    fn tell_ends(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now().micros() / 1_000_000;
        let due = looked.told.is_none_or(|told| told.elapsed() >= REMIND);
        for (kind, span) in looked.ends.clone() {
            self.metrics.certificate_ends(kind, span.end);
            if due && span.is_soon_over(now) {
                looked.told = Some(tokio::time::Instant::now());
                let hours = (span.end - now) / 3600;
                tracing::warn!(certificate = kind, hours, "a certificate of TLS ends soon; replace its file");
            }
        }
    }
}

impl Span {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let begin = certificate.validity().not_before.timestamp();
        Some(Self { begin, end: not_after(&certificate).micros() / 1_000_000 })
    }

    /// Those that never last long are replaced when a third or a half is left; a fifth means that nobody did.
    fn is_soon_over(self, now: i64) -> bool {
        let fifth = (self.end - self.begin) / 5;
        self.end - now < fifth.min(i64::try_from(WARN.as_secs()).unwrap_or(i64::MAX))
    }
}

fn files(settings: &config::Tls) -> impl Iterator<Item = &PathBuf> {
    let config::Tls { cert_file, key_file, client_ca_file, client_crl_file, client_auth: _ } = settings;
    [cert_file, key_file, client_ca_file, client_crl_file].into_iter().flatten()
}

fn read(settings: &config::Tls) -> anyhow::Result<Read> {
    let (cert_file, key_file) =
        settings.files().ok_or_else(|| anyhow!("tls.cert_file and tls.key_file are not set"))?;
    let chain = certificates(cert_file, "tls.cert_file")?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| anyhow!("cannot read the TLS file {} ({error}); correct tls.key_file", key_file.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut ends: Vec<_> = chain.first().and_then(Span::of).map(|span| ("server", span)).into_iter().collect();
    let (verifier, client_ca) = client_verifier(settings, &provider)?;
    ends.extend(client_ca.map(|span| ("client_ca", span)));
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match &verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).with_context(|| {
        let (cert, key) = (cert_file.display(), key_file.display());
        format!("cannot use the TLS files {cert} and {key}; they have to belong together")
    })?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(Read { config, verifier, ends })
}

type Verifier = Option<Arc<dyn ClientCertVerifier>>;

/// What clients' certificates are verified with, and the first of its authorities to end.
fn client_verifier(settings: &config::Tls, provider: &Arc<CryptoProvider>) -> anyhow::Result<(Verifier, Option<Span>)> {
    let Some(path) = &settings.client_ca_file else { return Ok((None, None)) };
    let mut roots = RootCertStore::empty();
    let authorities = certificates(path, "tls.client_ca_file")?;
    let ends = authorities.iter().filter_map(Span::of).min_by_key(|span| span.end);
    for authority in authorities {
        roots.add(authority).with_context(|| format!("{} has something else than an authority", path.display()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &settings.client_crl_file {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect);
        let cannot = |problem: String| {
            anyhow!("cannot read the TLS file {} ({problem}); correct tls.client_crl_file", path.display())
        };
        let lists = lists.map_err(|error| cannot(error.to_string()))?;
        ensure!(!lists.is_empty(), cannot("it has no list".to_owned()));
        // Authorities below the named ones need no list of their own.
        builder = builder.with_crls(lists).only_check_end_entity_revocation().allow_unknown_revocation_status();
    }
    if settings.client_auth == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().with_context(|| format!("cannot use the authorities in {}", path.display()))?;
    Ok((Some(verifier), ends))
}

fn certificates(path: &Path, setting: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let cannot =
        |problem: String| anyhow!("cannot read the TLS file {} ({problem}); correct {setting}", path.display());
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = read.map_err(|error| cannot(error.to_string()))?;
    ensure!(!found.is_empty(), cannot("it has no certificate".to_owned()));
    Ok(found)
}
