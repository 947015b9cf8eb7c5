//! The one guarded client: every connection that leaves this server is opened here.
//!
//! Invariant: a call is made only if its secret may go to its host, over a connection to an address that may be
//! reached; no redirect is followed, no proxy is asked, no body grows beyond its bound, no call outlives its deadline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::address::Reach;
use super::answer::{self, Answer, MAX_BODY, MAX_PROBE};
use super::asked::Asked;
use super::connection::{Connection, Failure};
use super::dial::{Dialer, Resolve, SystemResolver};
use super::fault::CallError;
use super::pool::{Key, Pool};
use super::request::Call;
use super::retry;
use super::tls::{self, SetupError};
use crate::domain::endpoint::{Endpoint, Host, RetryPolicy};
use crate::domain::provider::ProviderKind;
use crate::domain::{Clock, Timestamp};

/// Settings of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// Whether providers of all kinds may have private addresses, not only self-hosted ones.
    pub allow_private: bool,
    /// More certificate authorities to trust, as PEM.
    pub extra_ca_file: Option<PathBuf>,
}

pub struct Client {
    allow_private: bool,
    dialer: Dialer,
    pool: Pool,
    clock: Arc<dyn Clock>,
}

/// How far and how long one call may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) reach: Reach,
    /// For name, connection and TLS together.
    pub(super) connect_timeout: Duration,
    /// From the request to the end of its answer, for each attempt.
    pub(super) read_timeout: Duration,
    pub(super) retry: RetryPolicy,
    /// For all attempts and waits together.
    pub(super) deadline: Instant,
}

/// What a probe got back.
pub(super) struct Echo {
    pub(super) status: http::StatusCode,
    pub(super) body: Vec<u8>,
    /// Whether `body` is the whole body.
    pub(super) complete: bool,
}

impl Client {
    /// # Errors
    /// [`SetupError`] when the file of certificate authorities is of no use.
    pub fn new(config: &ClientConfig, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        Self::with_resolver(config, clock, Arc::new(SystemResolver))
    }

    /// The same with another source of addresses.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_resolver(
        config: &ClientConfig,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, SetupError> {
        let tls = tls::config(config.extra_ca_file.as_deref())?;
        let (dialer, pool) = (Dialer::new(tls, resolver), Pool::default());
        Ok(Self { allow_private: config.allow_private, dialer, pool, clock })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) const fn reach(&self, kind: ProviderKind) -> Reach {
        if self.allow_private || kind.is_self_hosted() { Reach::PrivateToo } else { Reach::PublicOnly }
    }

    pub(super) fn terms(&self, kind: ProviderKind, endpoint: &Endpoint, deadline: Instant) -> Terms {
        Terms {
            reach: self.reach(kind),
            connect_timeout: endpoint.connect_timeout,
            read_timeout: endpoint.read_timeout,
            retry: endpoint.retry,
            deadline,
        }
    }

    /// Makes a call, repeating it where that is safe and makes sense: one that may have cost only before it was sent.
    pub(super) async fn call(&self, call: &Call<'_>, terms: &Terms) -> Result<Answer, CallError> {
        let key = Key { host: call.destination()?, reach: terms.reach };
        let mut failures = 0;
        loop {
            let Failure { error, unsent, .. } = match self.attempt(call, terms, &key).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            failures += 1;
            let last = i64::from(failures) >= i64::from(terms.retry.max_attempts);
            if last || !(call.repeatable || unsent) || !retry::is_worth_it(&error) {
                return Err(error);
            }
            let pause = retry::pause(&terms.retry, failures, error.retry_after, fastrand::f64());
            if Instant::now() + pause >= terms.deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>, terms: &Terms, key: &Key) -> Result<Answer, Failure> {
        if let Some(connection) = self.pool.take(key) {
            match self.exchange(connection, call, terms, key).await {
                // The peer closed the idle connection meanwhile: a new one, unless the request may have arrived.
                Err(stale) if stale.unsent || (stale.cut && call.repeatable) => {}
                outcome => return outcome,
            }
        }
        let bound = terms.connect_timeout.min(left(terms.deadline));
        let connection = timeout(bound, self.open(&key.host, terms.reach));
        let connection = connection.await.unwrap_or_else(|_| Err(CallError::timeout("no connection", bound)));
        self.exchange(connection.map_err(Failure::unsent)?, call, terms, key).await
    }

    async fn open(&self, host: &Host, reach: Reach) -> Result<Connection, CallError> {
        Connection::open(self.dialer.dial(host, reach).await?).await
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        call: &Call<'_>,
        terms: &Terms,
        key: &Key,
    ) -> Result<Answer, Failure> {
        let bound = terms.read_timeout.min(left(terms.deadline));
        let end = Instant::now() + bound;
        let late = |_| CallError::timeout("no whole answer", bound);
        let mut asked = Asked::begin(call.method(), &key.host);
        let request = asked.tell(call.request(connection.version())?);
        let sent = timeout_at(end, connection.send(request)).await.map_err(late)?;
        let (head, body) = sent?.into_parts();
        asked.answered(head.status);
        let redactor = call.redactor();
        if !head.status.is_success() {
            // Of an error's body the beginning is enough, and a body that does not come is no other error.
            let body = timeout_at(end, answer::beginning(body, MAX_PROBE)).await;
            let (body, complete) = body.unwrap_or_default();
            if complete {
                self.keep(key, connection);
            }
            return Err(answer::error_of(&head, &body, &redactor, self.now()).into());
        }
        let body = timeout_at(end, answer::whole(body, MAX_BODY)).await.map_err(late)??;
        self.keep(key, connection);
        Ok(Answer::new(head.status.as_u16(), body, redactor))
    }

    fn keep(&self, key: &Key, connection: Connection) {
        self.pool.put(key.clone(), connection);
    }

    /// Asks once, over a connection of its own, without any secret. Whoever calls bounds the time.
    pub(super) async fn probe(&self, call: &Call<'_>, reach: Reach) -> Result<Echo, CallError> {
        let host = call.destination()?;
        let mut asked = Asked::begin(call.method(), &host);
        let mut connection = self.open(&host, reach).await?;
        let request = asked.tell(call.request(connection.version())?);
        let (head, body) = connection.send(request).await.map_err(|failure| failure.error)?.into_parts();
        asked.answered(head.status);
        let (body, complete) = answer::beginning(body, MAX_PROBE).await;
        Ok(Echo { status: head.status, body, complete })
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests;
