//! `WatchService`.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::status::status;
use crate::changes::{Filter, Session, Start, Wanted};
use crate::domain::text::Text;
use crate::domain::watcher::{Watcher, WatcherId};
use crate::domain::{Caller, Error, ProviderId, ResourceKind, Result, Revision, Violations};
use crate::proto::v1;
use crate::proto::watch::watch_service_server::WatchService;
use crate::snapshot::query::{self, WatcherFilter};
use crate::wire;
use crate::wire::watch::{RawWatch, ResumeToken};

const CLIENT_NAME: Text = Text::optional(200);

impl Services {
    /// What a request wants, checked.
    fn wanted(&self, message: &v1::WatchRequest) -> Result<Wanted> {
        let mut violations = Violations::default();
        let start = start(message, &mut violations);
        let kinds: Vec<ResourceKind> = wire::enums::list("resource_kinds", &message.resource_kinds, &mut violations);
        if kinds.iter().any(|kind| matches!(kind, ResourceKind::Token | ResourceKind::Keyring)) {
            violations.add("resource_kinds", "TOKEN and KEYRING are not streamed; ListChanges shows their changes");
        }
        let provider: Option<ProviderId> = wire::id::parse_filter("provider_id", &message.provider_id, &mut violations);
        CLIENT_NAME.check("client_name", &message.client_name, &mut violations);
        violations.into_result()?;
        // Who comes back may well want to hear that it was deleted.
        if let (Some(id), Start::Now) = (provider, start) {
            let snapshot = self.reads.snapshot().load();
            snapshot.provider_entry(id).ok_or_else(|| Error::not_found(ResourceKind::Provider, id))?;
        }
        Ok(Wanted {
            watch_id: self.reads.new_id(),
            start,
            state: message.include_state,
            deleted: message.show_deleted,
            filter: Filter { kinds, provider },
            client: message.client_name.clone(),
            token: None,
            pass: None,
        })
    }
}

fn start(message: &v1::WatchRequest, violations: &mut Violations) -> Start {
    match (message.resume_token.as_str(), message.from_revision) {
        ("", None) => Start::Now,
        ("", Some(revision)) => {
            if revision < 0 {
                violations.add("from_revision", "must be 0 or more");
            }
            Start::After(Revision(revision))
        }
        (token, from_revision) => {
            if from_revision.is_some() {
                violations.add("from_revision", "cannot be combined with resume_token; send one of the two");
            }
            read_token(token, violations).map_or(Start::Now, Start::Token)
        }
    }
}

fn read_token(token: &str, violations: &mut Violations) -> Option<ResumeToken> {
    let read = ResumeToken::read(token);
    if read.is_none() {
        violations.add("resume_token", "is not one that a stream gave out; begin with include_state");
    }
    read
}

/// The messages of a session, and why it ended.
fn messages(session: Session, trace_id: Arc<str>) -> BoxStream<'static, Result<RawWatch, Status>> {
    stream::unfold(Some((session, trace_id)), |open| async move {
        let (mut session, trace_id) = open?;
        match session.next().await {
            Ok(message) => Some((Ok(message), Some((session, trace_id)))),
            Err(error) => {
                let watcher = session.watcher();
                tracing::info!(
                    watch.id = %watcher.id,
                    watch.client = watcher.client,
                    request_id = &*trace_id,
                    reason = error.reason(),
                    "a watch has ended"
                );
                Some((Err(status(error, &trace_id)), None))
            }
        }
    })
    .boxed()
}

#[async_trait]
impl WatchService for Services {
    type WatchStream = BoxStream<'static, Result<RawWatch, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        serve(request, async |call, message: v1::WatchRequest| {
            let Caller { token, pass, .. } = &*call.caller;
            let wanted = Wanted { token: *token, pass: pass.clone(), ..self.wanted(&message)? };
            let session = self.roster.watches().open(wanted).await?;
            Ok(messages(session, call.trace_id))
        })
        .await
    }

    async fn ack(&self, request: Request<v1::AckRequest>) -> Result<Response<v1::AckResponse>, Status> {
        serve(request, async |_, message: v1::AckRequest| {
            let mut violations = Violations::default();
            let id: WatcherId = wire::id::parse("watch_id", &message.watch_id, &mut violations);
            if message.resume_token.is_empty() {
                violations.add("resume_token", "required");
            }
            let token = read_token(&message.resume_token, &mut violations);
            violations.into_result()?;
            if let Some(token) = token {
                self.roster.acknowledge(id, &token).await?;
            }
            Ok(v1::AckResponse {})
        })
        .await
    }

    async fn list_watchers(
        &self,
        request: Request<v1::ListWatchersRequest>,
    ) -> Result<Response<v1::ListWatchersResponse>, Status> {
        serve(request, async |call, message: v1::ListWatchersRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Watcher>(call.rpc, &message, &mut violations)?;
            violations.into_result()?;
            let filter = WatcherFilter { client: list::text(message.client), replica: list::text(message.replica) };
            let head = self.reads.snapshot().head().revision;
            let page = query::watchers(self.roster.list().await?, head, &filter, list.request())?;
            Ok(v1::ListWatchersResponse {
                watchers: page.items.iter().map(|entry| show(entry, head)).collect(),
                next_page_token: list.next_token(page.next.as_ref()),
                total_size: list::total(page.total_size),
                revision: page.revision.0,
            })
        })
        .await
    }
}

fn show(watcher: &Watcher, head: Revision) -> v1::Watcher {
    v1::Watcher {
        watch_id: wire::id::write(watcher.id.uuid()),
        client: watcher.client.clone(),
        replica: watcher.replica.clone(),
        since: Some(wire::time::write(watcher.since)),
        acknowledged_revision: watcher.acknowledged.0,
        lag: head.0.saturating_sub(watcher.acknowledged.0).max(0),
    }
}
