//! What was: the log for auditors, resources as they were, and the way back to that.

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::{Control, Mutation};
use crate::domain::{Answer, Error, Id, ProviderId, Resource, ResourceKind, Result, Revision, View as _, rollback};
use crate::snapshot::Snapshot;
use crate::store::{ChangeFilter, LinePlace, LogRow, StoreError, Trace};
use crate::wire;

/// A search through a long log takes its time; a database that is gone takes no longer than this.
const READ_LIMIT: Duration = Duration::from_secs(5);

impl Control {
    /// The changes that match, strictly behind a place; with `count` also how many match in all.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`].
    pub async fn list_changes(
        &self,
        filter: &ChangeFilter,
        behind: Option<LinePlace>,
        descending: bool,
        limit: i64,
        count: bool,
    ) -> Result<(Vec<LogRow>, Option<i64>)> {
        bounded(self.parts.store.list_changes(filter, behind, descending, limit, count)).await
    }

    /// A resource as it was at a revision, as far as it was to be seen then.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it did not exist or its provider was deleted, [`Error::Compacted`],
    /// [`Error::ReplicaBehind`], [`Error::StoreUnavailable`].
    pub async fn resource_at(&self, kind: ResourceKind, id: Uuid, revision: Revision) -> Result<Resource> {
        let snapshot = self.snapshot().load();
        let current = snapshot.head().revision;
        if revision > current {
            return Err(Error::ReplicaBehind { current });
        }
        let gone = || Error::not_found(kind, format!("{id} at revision {revision}"));
        let found = self.value_at(&snapshot, kind, id, revision).await?.ok_or_else(gone)?;
        let Some(provider) = provider_of(&found) else { return Ok(found) };
        match self.value_at(&snapshot, ResourceKind::Provider, provider.uuid(), revision).await? {
            Some(Resource::Provider(provider)) if provider.delete_time.is_none() => Ok(found),
            _ => Err(gone()),
        }
    }

    /// A resource at a revision that `held` has reached, hidden or not: as the last change until then left it, or as
    /// the first one after then found it. With neither, nothing has changed since.
    async fn value_at(
        &self,
        held: &Snapshot,
        kind: ResourceKind,
        id: Uuid,
        revision: Revision,
    ) -> Result<Option<Resource>> {
        let Trace { anchor, last, next } = bounded(self.parts.store.trace(kind, id, revision)).await?;
        if let Some(anchor) = anchor.filter(|anchor| anchor.head.revision > revision) {
            return Err(Error::Compacted { oldest: anchor.head.revision });
        }
        let read = |row: &LogRow| {
            wire::log::decode(&row.payload).map_err(|error| {
                tracing::error!(revision = row.revision.0, error = %error, "a line of the log does not decode");
                Error::internal()
            })
        };
        match (last, next) {
            (Some(last), _) => Ok(read(&last)?.after),
            (None, Some(next)) => Ok(read(&next)?.before),
            (None, None) => Ok(current(held, kind, id)),
        }
    }

    /// Makes a resource again what it was at a revision.
    ///
    /// # Errors
    /// As [`resource_at`](Self::resource_at) and [`rollback::rollback`], and what the writer meets.
    pub async fn rollback_resource(
        &self,
        mutation: Mutation,
        kind: ResourceKind,
        id: Uuid,
        revision: Revision,
        expected: Option<Revision>,
    ) -> Result<Resource> {
        // The history of a call that is repeated may be gone meanwhile.
        let answer = if let Some(answer) = self.answered(&mutation).await? {
            answer
        } else {
            let then = self.resource_at(kind, id, revision).await?;
            self.write(mutation, move |view, context| rollback::rollback(&then, expected, view, context)).await?
        };
        if let Answer::Resource(resource) = answer {
            return Ok(resource);
        }
        tracing::error!("a rollback answered with no resource");
        Err(Error::internal())
    }
}

fn provider_of(resource: &Resource) -> Option<ProviderId> {
    match resource {
        Resource::Endpoint(one) => Some(one.provider_id),
        Resource::Credential(one) => Some(one.provider_id),
        Resource::Model(one) => Some(one.provider_id),
        Resource::Provider(_) | Resource::Binding(_) | Resource::Token(_) | Resource::Keyring(_) => None,
    }
}

fn current(held: &Snapshot, kind: ResourceKind, id: Uuid) -> Option<Resource> {
    match kind {
        ResourceKind::Provider => held.provider(Id::new(id)).map(Resource::Provider),
        ResourceKind::Endpoint => held.endpoint(Id::new(id)).map(Resource::Endpoint),
        ResourceKind::Credential => held.credential(Id::new(id)).map(Resource::Credential),
        ResourceKind::Model => held.model(Id::new(id)).map(Resource::Model),
        ResourceKind::Binding => held.binding(Id::new(id)).map(Resource::Binding),
        ResourceKind::Token => held.token(Id::new(id)).map(Resource::Token),
        ResourceKind::Keyring => Some(held.keyring()).filter(|ring| ring.id == id).map(Resource::Keyring),
    }
}

async fn bounded<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
    match timeout(READ_LIMIT, read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the log cannot be read");
            Err(error.into())
        }
        Err(_) => Err(Error::StoreUnavailable),
    }
}
