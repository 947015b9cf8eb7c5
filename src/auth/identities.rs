//! Everybody who is believed besides this server's own tokens, as it is in force now: issuers of tokens, and names in
//! certificates.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;

use super::cache::Cache;
use super::certificate::Certificates;
use super::issuer::LiveIssuer;
use crate::domain::identity::{Identities, KeySource};
use crate::domain::{Caller, Clock, Voucher};
use crate::secrets::{self, SignedToken};
use crate::telemetry::Metrics;

/// What a look at the issuers and the certificates needs.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    /// The authorities for issuers that name none.
    pub ca_file: Option<PathBuf>,
    /// Called when somebody is not vouched for any more: streams look again whether they are welcome.
    pub withdrawn: Box<dyn Fn() + Send + Sync>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct LiveIdentities(Arc<Shared>);

struct Shared {
    parts: Arc<Parts>,
    issuers: ArcSwap<Vec<Arc<LiveIssuer>>>,
    certificates: ArcSwap<Certificates>,
    cache: Cache,
}

impl LiveIdentities {
    /// Nobody yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let none = Certificates { rules: Vec::new(), verifier: None, voucher: Voucher::default() };
        let (issuers, certificates) = (ArcSwap::default(), ArcSwap::from_pointee(none));
        Self(Arc::new(Shared { parts: Arc::new(parts), issuers, certificates, cache: Cache::default() }))
    }

    /// Puts others in force. An issuer of which nothing has changed keeps its keys and its callers.
    ///
    /// # Errors
    /// A file of keys that cannot be read: then all stays as it was. A URL may be away for a while.
    pub async fn replace(&self, identities: Identities) -> Result<(), String> {
        let Identities { issuers: wanted, certificates: rules } = identities;
        let before = self.0.issuers.load_full();
        let mut issuers = Vec::new();
        for config in wanted {
            if let Some(same) = before.iter().find(|known| known.config == config) {
                issuers.push(Arc::clone(same));
                continue;
            }
            let issuer = LiveIssuer::new(config, &self.0.parts);
            let looked = issuer.first_look().await;
            if let (Err(problem), KeySource::File(_)) = (looked, &issuer.config.keys) {
                return Err(format!("issuer {}: {problem}; correct jwks_file", issuer.config.name));
            }
            issuers.push(Arc::new(issuer));
        }
        let gone: Vec<_> = before.iter().filter(|old| !issuers.iter().any(|new| Arc::ptr_eq(old, new))).collect();
        self.0.issuers.store(Arc::new(issuers));
        for issuer in &gone {
            issuer.withdraw();
        }
        let certificates = self.0.certificates.load_full();
        if certificates.rules != rules {
            self.put(Certificates { rules, verifier: certificates.verifier.clone(), voucher: Voucher::default() });
        } else if !gone.is_empty() {
            (self.0.parts.withdrawn)();
        }
        Ok(())
    }

    /// Believes other authorities for certificates.
    pub fn verify_by(&self, verifier: Option<Arc<dyn ClientCertVerifier>>) {
        let rules = self.0.certificates.load().rules.clone();
        self.put(Certificates { rules, verifier, voucher: Voucher::default() });
    }

    fn put(&self, certificates: Certificates) {
        self.0.certificates.swap(Arc::new(certificates)).voucher.withdraw();
        (self.0.parts.withdrawn)();
    }

    /// Whether a rule is about certificates.
    #[must_use]
    pub fn has_certificate_rules(&self) -> bool {
        !self.0.certificates.load().rules.is_empty()
    }

    /// Looks for other keys wherever it is time.
    pub async fn refresh(&self) {
        let issuers = self.0.issuers.load_full();
        join_all(issuers.iter().map(|issuer| issuer.refresh())).await;
    }

    /// Who comes with this token.
    pub async fn by_token(&self, text: &str) -> Option<Arc<Caller>> {
        let (now, digest) = (self.0.parts.clock.now(), secrets::digest(text.as_bytes()));
        if let Some(caller) = self.0.cache.get(&digest, now) {
            return Some(caller);
        }
        let judged = async {
            let token = SignedToken::read(text).map_err(|error| error.to_string())?;
            let issuers = self.0.issuers.load_full();
            let issuer = issuers.iter().find(|issuer| issuer.config.issuer == token.issuer);
            let issuer = issuer.ok_or("its issuer is none of those that are believed")?;
            issuer.caller(&token, now).await.map_err(|problem| format!("issuer {}: {problem}", issuer.config.name))
        };
        self.keep(judged.await, digest, "token")
    }

    /// Who shows these certificates.
    #[must_use]
    pub fn by_certificate(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<Caller>> {
        let (now, digest) = (self.0.parts.clock.now(), secrets::digest(chain.first()?));
        if let Some(caller) = self.0.cache.get(&digest, now) {
            return Some(caller);
        }
        let judged = self.0.certificates.load().caller(chain, now);
        self.keep(judged.map_err(str::to_owned), digest, "certificate")
    }

    fn keep(&self, judged: Result<Caller, String>, digest: [u8; 32], came_with: &str) -> Option<Arc<Caller>> {
        match judged {
            Ok(caller) => {
                let caller = Arc::new(caller);
                self.0.cache.put(digest, &caller, self.0.parts.clock.now());
                Some(caller)
            }
            Err(problem) => {
                // Not for the caller: which part is wrong would help who tries.
                tracing::debug!(came_with, problem, "an identity was not believed");
                None
            }
        }
    }
}
