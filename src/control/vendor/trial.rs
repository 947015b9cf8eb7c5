//! Trying models.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Opened, active, share};
use crate::adapter::{self, ModelVerdict, Subject, Target};
use crate::control::Control;
use crate::domain::image::StatusValue;
use crate::domain::model::{Availability, AvailabilityCause, Model};
use crate::domain::provider::Provider;
use crate::domain::{CallContext, Error, ModelId, Result, View as _};
use crate::routing::{self, Prefer};
use crate::snapshot::Snapshot;

impl Control {
    /// Lets the vendor run a model once, minimally, and keeps the verdict.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ProviderDisabled`]. All else is a verdict.
    pub async fn test_model(&self, call: &CallContext, id: ModelId) -> Result<(Arc<Model>, Availability)> {
        let snapshot = self.snapshot().load();
        let model = snapshot.live_model(id)?;
        let provider = active(snapshot.live_provider(model.provider_id)?)?;
        let board = self.board().load();
        let former = board.availability(id).map(|entry| Availability::clone(&***entry)).unwrap_or_default();
        let verdict = self.try_model(call, &provider, &model, &snapshot).await;
        let availability = verdict.over(&former, self.parts.clock.now());
        self.parts.statuses.record(vec![StatusValue::Availability(id, availability.clone())]).await;
        Ok((model, availability))
    }

    async fn try_model(
        &self,
        call: &CallContext,
        provider: &Provider,
        model: &Model,
        snapshot: &Snapshot,
    ) -> ModelVerdict {
        let deadline = self.deadline(call);
        let adapter = adapter::for_kind(provider.kind);
        let subject = Subject { model_id: &model.model_id, model_type: model.model_type };
        let mut last = ModelVerdict::undecided(AvailabilityCause::NoEndpoint, "the provider has no active endpoint");
        let Ok(route) = routing::order(snapshot, &self.board().load(), provider.id, Prefer::Priority) else {
            return last;
        };
        let mut route = route.into_iter();
        while let Some(endpoint) = route.next() {
            let opened = match self.open_for(call, provider, &endpoint, snapshot).await {
                Ok(opened) => opened,
                Err(Error::HostNotAllowed { host, .. }) => {
                    let message = format!("no credential may be sent to {host}");
                    last = ModelVerdict::undecided(AvailabilityCause::HostNotAllowed, message);
                    continue;
                }
                Err(error) => return ModelVerdict::undecided(AvailabilityCause::NoCredential, error.to_string()),
            };
            let authority = opened.as_ref().map(Opened::authority);
            let (begun, until) = (Instant::now(), share(deadline, route.len() == 0));
            let target = Target { kind: provider.kind, endpoint: &endpoint, authority, deadline: until };
            last = adapter.test_model(&self.parts.client, &target, subject).await;
            self.tell_of(&endpoint, last.ailment, begun);
            if !last.try_elsewhere || Instant::now() >= deadline {
                break;
            }
        }
        last
    }
}
