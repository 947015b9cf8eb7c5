//! Follows the control plane: one Watch after the other, each from where the last one ended.
//!
//! One loop. A stream that is silent for longer than bookmarks may be ([`SILENCE`]) counts as lost, and is taken up
//! elsewhere after a wait that grows; what is in memory stays meanwhile. Up to where it has applied the changes is told
//! once a second at most ([`ACKS`]).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::backoff::Backoff;
use super::replica::{Broken, Replica};
use super::upstream::Upstream;
use crate::changes::Contact;
use crate::proto::v1;
use crate::proto::v1::watch_service_client::WatchServiceClient;

/// Bookmarks come at least every ten seconds.
const SILENCE: Duration = Duration::from_secs(20);
/// How often it is told up to where changes were applied, at most.
pub const ACKS: Duration = Duration::from_secs(1);
const LEAST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(5);
/// A message has at most 1 MiB; more is not the control plane's.
const MAX_MESSAGE: usize = 4 << 20;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{}", .0.message())]
    Refused(Status),
    #[error("it is silent")]
    Silent,
    #[error("the stream has ended")]
    Closed,
    #[error("{0}")]
    Broken(#[from] Broken),
}

/// What was applied last: a stream and its last token.
type Applied = Option<(String, String)>;

/// The loop.
pub struct Mirror {
    upstream: Upstream,
    replica: Replica,
    /// What the sidecar calls itself.
    name: String,
    contact: watch::Sender<Contact>,
    applied: watch::Sender<Applied>,
    backoff: Backoff,
    /// Why the last stream ended, as it was told.
    told: String,
}

impl Mirror {
    #[must_use]
    pub fn new(upstream: Upstream, replica: Replica, name: String, contact: watch::Sender<Contact>) -> Self {
        let (applied, _) = watch::channel(None);
        Self { upstream, replica, name, contact, applied, backoff: Backoff::new(LEAST, MOST), told: String::new() }
    }

    /// Tells the control plane up to where this sidecar has applied the changes.
    #[must_use]
    pub fn acks(&self) -> Acks {
        Acks { upstream: self.upstream.clone(), applied: self.applied.subscribe() }
    }

    /// Follows until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.follow() => ended,
            };
            let wait = self.settle(&ended);
            self.upstream.elsewhere().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// Follows one stream to its end.
    async fn follow(&mut self) -> Ended {
        match self.read().await {
            Ok(()) => Ended::Closed,
            Err(ended) => ended,
        }
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.replica.begin();
        let place = self.replica.place().unwrap_or_default().to_owned();
        let request = v1::WatchRequest {
            include_state: place.is_empty(),
            show_deleted: true,
            resume_token: place,
            client_name: self.name.clone(),
            ..v1::WatchRequest::default()
        };
        let open = self.upstream.ask(|upstream| {
            let request = request.clone();
            async move {
                let mut client = WatchServiceClient::new(upstream).max_decoding_message_size(MAX_MESSAGE);
                client.watch(request).await
            }
        });
        let opened = timeout(SILENCE, open).await.map_err(|_| Ended::Silent)?;
        let mut stream = opened.map_err(Ended::Refused)?.into_inner();
        while let Some(message) =
            timeout(SILENCE, stream.message()).await.map_err(|_| Ended::Silent)?.map_err(Ended::Refused)?
        {
            self.take(message)?;
        }
        Ok(())
    }

    fn take(&mut self, message: v1::WatchResponse) -> Result<(), Broken> {
        let is_state = message.event == i32::from(v1::WatchEvent::StateComplete);
        let building = message.event == i32::from(v1::WatchEvent::State);
        let applied =
            (!message.resume_token.is_empty()).then(|| (message.watch_id.clone(), message.resume_token.clone()));
        self.replica.take(message)?;
        if applied.is_some() {
            self.applied.send_replace(applied);
        }
        if !building {
            self.backoff.succeeded();
            self.confirmed(is_state);
        }
        Ok(())
    }

    /// What is in memory is what the control plane has now.
    fn confirmed(&self, anew: bool) {
        let was = *self.contact.borrow();
        if !was.connected {
            tracing::info!("follows the control plane");
        }
        let loads = was.loads + u64::from(anew);
        self.contact.send_replace(Contact { connected: true, fresh: Instant::now(), loads, loaded: true });
    }

    /// Notes how a stream ended; how long to wait before the next.
    fn settle(&mut self, ended: &Ended) -> Duration {
        let anew = match ended {
            Ended::Refused(status) => history(status),
            Ended::Broken(_) => Some(false),
            Ended::Silent | Ended::Closed => None,
        };
        if let Some(forked) = anew {
            tracing::warn!(cause = %ended, "cannot go on from what is held; the state is taken anew");
            self.replica.forget_place(forked);
            // Until the state is here, what is in memory falls behind.
            let was = *self.contact.borrow();
            self.contact.send_replace(Contact { connected: false, ..was });
            self.told = ended.to_string();
            return self.backoff.failed();
        }
        let (was, cause) = (*self.contact.borrow(), ended.to_string());
        // Once for an outage, and again where it has become another one: who was unreachable may now refuse.
        if was.connected || self.told != cause {
            tracing::warn!(cause, "the control plane does not answer; serving from memory");
            self.contact.send_replace(Contact { connected: false, ..was });
            self.told = cause;
        }
        self.backoff.failed()
    }
}

/// Whether a stream was refused because its place is gone; and if so, whether with its history.
fn history(status: &Status) -> Option<bool> {
    if status.code() != Code::OutOfRange {
        return None;
    }
    Some(status.get_details_error_info().is_none_or(|info| info.reason != "COMPACTED"))
}

/// The loop that acknowledges.
pub struct Acks {
    upstream: Upstream,
    applied: watch::Receiver<Applied>,
}

impl Acks {
    /// Acknowledges until `stop`. What fails is made up for by the next.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.applied.changed() => if changed.is_err() { return },
            }
            let Some((watch_id, resume_token)) = self.applied.borrow_and_update().clone() else { continue };
            let request = self.upstream.request(v1::AckRequest { watch_id, resume_token });
            let acknowledged = async {
                drop(WatchServiceClient::new(self.upstream.clone()).ack(request).await);
                sleep(ACKS).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = acknowledged => {}
            }
        }
    }
}
