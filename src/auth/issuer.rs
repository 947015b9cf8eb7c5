//! An issuer of tokens in force: its keys as they are now, and who somebody is whose token one of them has signed.
//!
//! Invariant: a key vouches for its callers exactly while it is in the issuer's set: the set that replaces it withdraws
//! the vouchers of the keys that are gone, and leaves those of the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::identities::Parts;
use crate::domain::identity::{Issuer, KeySource};
use crate::domain::{Caller, Pass, Timestamp, Voucher};
use crate::secrets::{JwtKey, KeySet, SignedToken};

mod source;

pub use source::Source;

/// A key that nobody knows makes the set be looked for again at most so often: a file, a URL.
const AGAIN_FILE: Duration = Duration::from_millis(100);
const AGAIN_URL: Duration = Duration::from_secs(10);
/// How long a call waits for that.
const PATIENCE: Duration = Duration::from_secs(3);

/// An issuer and its keys.
pub struct LiveIssuer {
    pub config: Issuer,
    source: Source,
    keys: ArcSwap<Keys>,
    /// Withdrawn when the issuer itself is not believed any more.
    own: Voucher,
    looked: Mutex<Looked>,
    parts: Arc<Parts>,
}

#[derive(Default)]
struct Keys {
    set: KeySet,
    vouchers: HashMap<[u8; 32], Voucher>,
}

/// How the last look for keys went.
#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    /// The last one for a key that nobody knew.
    asked: Option<Instant>,
    problem: Option<String>,
}

impl LiveIssuer {
    #[must_use]
    pub fn new(config: Issuer, parts: &Arc<Parts>) -> Self {
        let source = Source::new(&config, parts.ca_file.as_deref(), Arc::clone(&parts.clock));
        let (keys, own, looked) = (ArcSwap::default(), Voucher::default(), Mutex::default());
        Self { config, source, keys, own, looked, parts: Arc::clone(parts) }
    }

    /// Who somebody is that comes with this token; the problem is for the operator.
    pub async fn caller(&self, token: &SignedToken<'_>, now: Timestamp) -> Result<Caller, &'static str> {
        let mut keys = self.keys.load_full();
        let known = token.key_id.as_ref().is_none_or(|id| keys.set.names(id));
        if !known && self.config.algorithms.contains(&token.algorithm) && self.look_again().await {
            keys = self.keys.load_full();
        }
        let fitting = keys.set.fitting(token, &self.config.algorithms);
        if fitting.is_empty() {
            return Err("no key of the issuer's is for it");
        }
        let verified = fitting.into_iter().find_map(|key| Some((key, token.verify(key).ok()?)));
        let (key, claims) = verified.ok_or("its signature does not fit, or its claims are not sound")?;
        let person = self.config.judge(claims.all(), now)?;
        let voucher = keys.vouchers.get(key.thumbprint()).cloned().ok_or("its key is gone")?;
        let pass = Some(Pass { until: person.until, voucher });
        Ok(Caller { identity: person.identity, name: person.name, roles: person.roles, token: None, pass })
    }

    /// Looks for a key that nobody knows, unless that was done a moment ago; whether it was. Many that ask at a time are
    /// answered by one look.
    async fn look_again(&self) -> bool {
        let came = Instant::now();
        let again = if matches!(self.config.keys, KeySource::File(_)) { AGAIN_FILE } else { AGAIN_URL };
        let look = async {
            let mut looked = self.looked.lock().await;
            if looked.at.is_some_and(|at| at >= came) {
                return true;
            }
            let left = looked.asked.map_or(Duration::ZERO, |asked| again.saturating_sub(asked.elapsed()));
            if left > AGAIN_FILE {
                return false;
            }
            sleep(left).await;
            looked.asked = Some(Instant::now());
            self.look(&mut looked).await;
            true
        };
        timeout(PATIENCE, look).await.unwrap_or(false)
    }

    /// Looks for other keys if it is time.
    pub async fn refresh(&self) {
        let mut looked = self.looked.lock().await;
        let pause = match (&self.config.keys, &looked.problem) {
            (KeySource::File(_), _) => Duration::ZERO,
            (_, None) if !self.keys.load().vouchers.is_empty() => self.config.refresh,
            _ => self.config.refresh.min(AGAIN_URL),
        };
        if looked.at.is_none_or(|at| at.elapsed() >= pause) {
            self.look(&mut looked).await;
        }
    }

    /// Looks for the keys at once; an issuer that does not answer soon is asked again later.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn first_look(&self) -> Result<(), String> {
        let look = async {
            let mut looked = self.looked.lock().await;
            self.look(&mut looked).await;
            looked.problem.clone().map_or(Ok(()), Err)
        };
        timeout(PATIENCE, look).await.unwrap_or(Ok(()))
    }

    async fn look(&self, looked: &mut Looked) {
        // Before, so that one that hangs and is given up counts as well.
        let first = looked.at.replace(Instant::now()).is_none();
        let found = self.source.keys().await;
        let issuer = self.config.name.as_str();
        match found {
            Ok(set) => {
                if looked.problem.take().is_some() {
                    tracing::info!(issuer, "the keys of an issuer can be read again");
                }
                self.take(set);
            }
            // A file that cannot be read at first keeps its issuer out, and whoever wanted it in tells that.
            Err(problem) if first && matches!(self.config.keys, KeySource::File(_)) => looked.problem = Some(problem),
            Err(problem) => {
                self.parts.metrics.reload_failed("issuer_keys");
                if looked.problem.as_ref() != Some(&problem) {
                    tracing::error!(issuer, problem, "the keys of an issuer cannot be read; the former ones stay");
                }
                looked.problem = Some(problem);
            }
        }
    }

    /// Puts a set in force.
    fn take(&self, set: KeySet) {
        let before = self.keys.load_full();
        let same = before.set.iter().count() == set.iter().count() && before.set.iter().all(|key| set.has(key));
        if same {
            return;
        }
        let voucher = |key: &JwtKey| before.vouchers.get(key.thumbprint()).cloned().unwrap_or_default();
        let vouchers = set.iter().map(|key| (*key.thumbprint(), voucher(key))).collect();
        let (keys, passed_over) = (set.iter().count(), set.passed_over.len());
        let why = set.passed_over.first().copied().unwrap_or_default();
        tracing::info!(issuer = self.config.name, keys, passed_over, why, "an issuer's keys were taken");
        self.keys.store(Arc::new(Keys { set, vouchers }));
        let gone = |thumbprint: &&[u8; 32]| !self.keys.load().vouchers.contains_key(*thumbprint);
        let gone: Vec<_> = before.vouchers.iter().filter(|(thumbprint, _)| gone(thumbprint)).collect();
        for (_, voucher) in &gone {
            voucher.withdraw();
        }
        if self.own.is_withdrawn() {
            // A look that began before must not bring back what has ended since.
            self.withdraw();
        }
        if !gone.is_empty() {
            (self.parts.withdrawn)();
        }
    }

    /// Nobody is vouched for any more, whatever keys are found yet.
    pub fn withdraw(&self) {
        self.own.withdraw();
        self.keys.swap(Arc::default()).vouchers.values().for_each(Voucher::withdraw);
    }
}
