//! Taking over a vendor's list of models.

use tokio::time::Instant;

use super::{Opened, share};
use crate::adapter::{self, Target};
use crate::control::{Control, Mutation};
use crate::domain::image::StatusValue;
use crate::domain::model::sync::Listing;
use crate::domain::model::{SyncSummary, sync};
use crate::domain::plan::check_revision;
use crate::domain::provider::{Provider, SyncResult, SyncStatus};
use crate::domain::{Answer, CallContext, Error, ProviderId, ResourceKind, Result, Revision, View as _};
use crate::routing::{self, Prefer};
use crate::snapshot::Snapshot;

impl Control {
    /// Fetches the provider's models and takes them over, or only tells what that would do.
    ///
    /// # Errors
    /// [`Error::UnsupportedByProvider`], [`Error::ProviderDisabled`], [`Error::NoEndpoint`],
    /// [`Error::HostNotAllowed`], [`Error::ProviderError`]; as [`sync::sync`]; what the writer meets.
    pub async fn sync_models(
        &self,
        mutation: Mutation,
        id: ProviderId,
        force: bool,
        expected: Option<Revision>,
    ) -> Result<SyncSummary> {
        if let Some(answer) = self.answered(&mutation).await? {
            return summary(answer);
        }
        let snapshot = self.snapshot().load();
        let provider = snapshot.live_provider(id)?;
        check_revision(ResourceKind::Provider, id.uuid(), expected, provider.meta.revision)?;
        let rehearsal = mutation.validate_only;
        let deadline = self.deadline(&mutation.call);
        let claim = mutation.claim.clone();
        let result = self.sync_now(mutation, &provider, force, expected, deadline, &snapshot).await;
        // What a person got wrong says nothing about the vendor.
        if !rehearsal && !matches!(result, Err(Error::ProviderDisabled { .. })) {
            let status = StatusValue::Sync(id, self.sync_status(&result));
            self.parts.statuses.record_under(claim.as_ref(), vec![status]).await;
        }
        result.map(|(summary, _)| summary)
    }

    /// What was done, and what is to be said about the vendor's list.
    async fn sync_now(
        &self,
        mutation: Mutation,
        provider: &Provider,
        force: bool,
        expected: Option<Revision>,
        deadline: Instant,
        snapshot: &Snapshot,
    ) -> Result<(SyncSummary, String)> {
        let listing = self.list_models(&mutation.call, provider, deadline, snapshot).await?;
        let (id, message) = (provider.id, listing.message());
        // The provider may have changed while the vendor was asked: its revision counts when the models are written.
        let plan = self.write(mutation, move |view, context| sync::sync(id, &listing, force, expected, view, context));
        Ok((summary(plan.await?)?, message))
    }

    /// The vendor's list, from the first endpoint that gives one.
    async fn list_models(
        &self,
        call: &CallContext,
        provider: &Provider,
        deadline: Instant,
        snapshot: &Snapshot,
    ) -> Result<Listing> {
        let (adapter, catalogue) = (adapter::for_kind(provider.kind), self.catalogue());
        let mut failed = None;
        let mut route = routing::order(snapshot, &self.board().load(), provider.id, Prefer::Default)?.into_iter();
        while let Some(endpoint) = route.next() {
            let opened = match self.open_for(call, provider, &endpoint, snapshot).await {
                Ok(opened) => opened,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let authority = opened.as_ref().map(Opened::authority);
            let (begun, until) = (Instant::now(), share(deadline, route.len() == 0));
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority, deadline: until };
            match adapter.list_models(&self.parts.client, &catalogue, &target).await {
                Ok(models) => return Ok(Listing::new(models)),
                Err(error) => {
                    self.tell_of(&endpoint, error.ailment(), begun);
                    let elsewhere = error.is_about_the_endpoint();
                    failed = Some(error.into());
                    if !elsewhere || Instant::now() >= deadline {
                        break;
                    }
                }
            }
        }
        Err(failed.unwrap_or(Error::NoEndpoint { provider_id: provider.id.uuid() }))
    }

    fn sync_status(&self, result: &Result<(SyncSummary, String)>) -> SyncStatus {
        let last_time = self.parts.clock.now();
        match result {
            Ok((summary, message)) => SyncStatus {
                last_time,
                result: SyncResult::Succeeded,
                message: message.clone(),
                added: summary.added,
                updated: summary.updated,
                deprecated: summary.deprecated,
                restored: summary.restored,
                unchanged: summary.unchanged,
            },
            Err(error) => SyncStatus {
                last_time,
                result: SyncResult::Failed,
                message: format!("{:.500}", error.to_string()),
                added: 0,
                updated: 0,
                deprecated: 0,
                restored: 0,
                unchanged: 0,
            },
        }
    }
}

fn summary(answer: Answer) -> Result<SyncSummary> {
    if let Answer::Sync(summary) = answer {
        return Ok(summary);
    }
    tracing::error!("a synchronisation was answered with something else");
    Err(Error::internal())
}
