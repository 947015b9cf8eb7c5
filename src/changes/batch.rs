//! Planning a batch: from queued writes and a snapshot to one write set, without touching the database.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::write::{Committed, Write};
use crate::domain::secret::SealedSecret;
use crate::domain::{
    Answer, ChainHash, Change, Clock, Edit, Error, Head, IdSource, Limits, Plan, PlanContext, Resource, ResourceKind,
    Result, Revision, View as _,
};
use crate::secrets::Secrets;
use crate::snapshot::Snapshot;
use crate::store::{LogLine, RequestKey, StoredRequest, WriteSet};
use crate::wire;

/// What planning needs besides the writes themselves.
pub struct Planner {
    pub secrets: Secrets,
    pub limits: Limits,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
}

/// The effects of a batch, and each write's result if the batch commits.
pub struct Batch {
    pub set: WriteSet,
    pub changes: Vec<Change>,
    pub sealed: Vec<SealedSecret>,
    pub head: Head,
    pub results: Vec<Result<Committed>>,
}

impl Batch {
    /// Whether the transaction has anything to write.
    pub fn is_empty(&self) -> bool {
        self.set.log.is_empty() && self.set.requests.is_empty()
    }
}

/// The key under which a write's answer is remembered, if it asked for that.
pub fn request_key(write: &Write) -> Option<RequestKey> {
    let request = write.request.as_ref()?;
    Some(RequestKey { identity: write.call.caller.identity.clone(), request_id: request.id.clone() })
}

impl Planner {
    /// Plans one write over `snapshot` and throws the effects away: what `validate_only` answers with.
    ///
    /// # Errors
    /// What the plan refuses.
    pub fn rehearse(&self, write: &Write, snapshot: &Snapshot) -> Result<Answer> {
        let plan = (write.plan)(snapshot, &self.context(write, snapshot.head().revision.next()))?;
        Ok(plan.answer)
    }

    fn context<'a>(&'a self, write: &'a Write, revision: Revision) -> PlanContext<'a> {
        PlanContext { revision, now: self.clock.now(), call: &write.call, limits: &self.limits, ids: self.ids.as_ref() }
    }

    /// Plans `writes` in order over `base`, which is the committed configuration at `base.head()`. A write that fails
    /// or changes nothing takes no revision.
    pub fn plan<'a>(
        &self,
        writes: impl IntoIterator<Item = &'a Write>,
        base: &Snapshot,
        stored: Vec<StoredRequest>,
    ) -> Batch {
        let mut run = Run {
            planner: self,
            working: base.clone(),
            known: stored.into_iter().map(|request| (request.key.clone(), request)).collect(),
            batch: Batch {
                set: WriteSet { head: base.head(), ..WriteSet::default() },
                changes: Vec::new(),
                sealed: Vec::new(),
                head: base.head(),
                results: Vec::new(),
            },
        };
        for write in writes {
            let result = run.guarded(write);
            run.batch.results.push(result);
        }
        run.batch.set.head = run.batch.head;
        run.batch.set.notify = !run.batch.set.log.is_empty();
        run.batch.set.sealed.clone_from(&run.batch.sealed);
        run.batch
    }
}

struct Run<'a> {
    planner: &'a Planner,
    /// The snapshot with the writes of this batch so far.
    working: Snapshot,
    known: HashMap<RequestKey, StoredRequest>,
    batch: Batch,
}

impl Run<'_> {
    /// A plan that panics is a bug, and that write's alone: its effects are taken when it is complete, or not at all.
    fn guarded(&mut self, write: &Write) -> Result<Committed> {
        catch_unwind(AssertUnwindSafe(|| self.one(write))).unwrap_or_else(|_| {
            tracing::error!(rpc = write.call.rpc, "planning a write panicked; this is a bug");
            Err(Error::internal())
        })
    }

    fn one(&mut self, write: &Write) -> Result<Committed> {
        if let Some(replay) = self.replay(write)? {
            return Ok(replay);
        }
        let revision = self.batch.head.revision.next();
        let context = self.planner.context(write, revision);
        let mut plan = (write.plan)(&self.working, &context)?;
        let edits = std::mem::take(&mut plan.edits);
        let answer = plan.answer.clone();
        let taken = if edits.is_empty() {
            self.batch.head.revision
        } else {
            self.take(write, &context, edits, plan)?;
            revision
        };
        self.remember(write, &answer, taken, &context);
        Ok(Committed { answer, revision: taken, replayed: false })
    }

    /// The earlier answer to the same request id.
    fn replay(&self, write: &Write) -> Result<Option<Committed>> {
        let Some((key, request)) = request_key(write).zip(write.request.as_ref()) else { return Ok(None) };
        let Some(stored) = self.known.get(&key) else { return Ok(None) };
        if stored.payload_hash != request.payload_hash {
            return Err(Error::RequestIdReused { request_id: key.request_id });
        }
        let answer = wire::answer::decode(&stored.answer).map_err(|error| {
            tracing::error!(error = %error, "a stored answer does not decode");
            Error::internal()
        })?;
        Ok(Some(Committed { answer, revision: stored.revision, replayed: true }))
    }

    /// Adds the effects of a plan that stands.
    fn take(&mut self, write: &Write, context: &PlanContext<'_>, edits: Vec<Edit>, plan: Plan) -> Result<()> {
        let sealed = self.seal(&plan, context)?;
        let mut head = self.batch.head;
        let mut changes = Vec::with_capacity(edits.len());
        let mut lines = Vec::with_capacity(edits.len());
        for (ordinal, edit) in (0_u32..).zip(edits) {
            let change = change_of(write, context, ordinal, edit)?;
            let payload = wire::log::encode(&change);
            let hash: ChainHash = self.planner.secrets.chain(change.revision, ordinal, &head.hash, &payload);
            head = Head { revision: context.revision, hash };
            lines.push(LogLine { change: Arc::new(change.clone()), hash, payload });
            changes.push(change);
        }
        self.working = self.working.apply(&changes, &sealed, head);
        self.batch.head = head;
        self.batch.changes.append(&mut changes);
        self.batch.sealed.extend(sealed);
        self.batch.set.log.append(&mut lines);
        self.batch.set.destroy.extend(plan.destroy);
        self.batch.set.expire.extend(plan.expire);
        Ok(())
    }

    fn seal(&self, plan: &Plan, context: &PlanContext<'_>) -> Result<Vec<SealedSecret>> {
        let active = self.working.keyring().active_key_id.clone();
        let seal = |order: &crate::domain::SealOrder| {
            self.planner.secrets.seal(&active, order.credential_id, order.version, context.now, &order.secret).map_err(
                |error| {
                    tracing::error!(error = %error, "a secret cannot be sealed");
                    Error::internal()
                },
            )
        };
        plan.seals.iter().map(seal).collect()
    }

    fn remember(&mut self, write: &Write, answer: &Answer, revision: Revision, context: &PlanContext<'_>) {
        let Some((key, request)) = request_key(write).zip(write.request.as_ref()) else { return };
        let stored = StoredRequest {
            key: key.clone(),
            payload_hash: request.payload_hash,
            answer: wire::answer::encode(answer),
            revision,
            time: context.now,
        };
        self.known.insert(key, stored.clone());
        self.batch.set.requests.push(stored);
    }
}

fn change_of(write: &Write, context: &PlanContext<'_>, ordinal: u32, edit: Edit) -> Result<Change> {
    let (kind, id) = edit.resource().map(about).ok_or_else(|| {
        tracing::error!(rpc = write.call.rpc, "a plan has an edit of nothing");
        Error::internal()
    })?;
    Ok(Change {
        revision: context.revision,
        ordinal,
        resource_kind: kind,
        resource_id: id,
        operation: edit.operation,
        actor: context.actor().to_owned(),
        rpc: write.call.rpc.to_owned(),
        request_id: write.request.as_ref().map(|request| request.id.clone()).unwrap_or_default(),
        reason: write.reason.clone(),
        peer_address: write.call.peer_address.map(|address| address.to_string()).unwrap_or_default(),
        user_agent: write.call.user_agent.clone(),
        time: context.now,
        before: edit.before,
        after: edit.after,
        changed_fields: edit.changed_fields,
    })
}

fn about(resource: &Resource) -> (ResourceKind, uuid::Uuid) {
    (resource.kind(), resource.id())
}

#[cfg(test)]
mod tests;
