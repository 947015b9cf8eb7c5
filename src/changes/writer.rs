//! The one writer of a process: drains its queue into transactions, one at a time.
//!
//! A batch is: lock the revision counter, make sure that the snapshot is the committed configuration, plan in memory,
//! write in bulk, commit, hand the changes to the tail, answer when they are applied. The transaction runs to its end
//! whatever its callers do once COMMIT is sent; until then each of them may give up. Every step is bounded here, because
//! a frozen database still acknowledges TCP.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Planner, request_key};
use super::commit::{self, Failure};
use super::spans::Spans;
use super::tail::{Tail, Transition};
use super::write::{Committed, Item, Writer};
use crate::domain::{Error, Head, Result, Revision};
use crate::failpoint;
use crate::snapshot::{Snapshot, SnapshotHandle};
use crate::store::{Store, WriteTx, WriterSession};
use crate::telemetry::Metrics;

/// How many writes share a transaction.
pub const BATCH: usize = 64;
/// A step before COMMIT that takes longer costs the connection; nothing was written.
pub const STEP: Duration = Duration::from_millis(1500);
/// How much longer the statements of a large batch may take, for each line of the log.
const PER_LINE: Duration = Duration::from_micros(250);
/// How far behind the snapshot may be to be brought up to date while the lock is held.
const CATCH_UP: i64 = 1000;
/// How long to wait until the tail has applied what was handed to it.
const APPLY: Duration = Duration::from_secs(5);

/// The loop behind [`Writer`].
pub struct WriterTask {
    queue: mpsc::Receiver<Item>,
    store: Store,
    snapshot: SnapshotHandle,
    tail: Tail,
    planner: Arc<Planner>,
    session: Option<WriterSession>,
    metrics: Metrics,
}

impl WriterTask {
    /// The handle and the loop.
    #[must_use]
    pub fn build(
        store: Store,
        snapshot: SnapshotHandle,
        tail: Tail,
        planner: Arc<Planner>,
        metrics: Metrics,
    ) -> (Writer, Self) {
        let (writer, queue) = Writer::channel();
        (writer, Self { queue, store, snapshot, tail, planner, session: None, metrics })
    }

    /// Writes until `stop`; what is queued by then is still written.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                item = self.queue.recv() => item,
                () = stop.cancelled() => break,
            };
            let Some(first) = first else { return };
            self.drain(first).await;
        }
        self.queue.close();
        while let Some(first) = self.queue.recv().await {
            self.drain(first).await;
        }
    }

    /// Writes one item and whatever else is waiting.
    async fn drain(&mut self, first: Item) {
        let mut items = vec![first];
        while items.len() < BATCH {
            let Ok(item) = self.queue.try_recv() else { break };
            items.push(item);
        }
        items.retain(|item| !item.turn.is_given_up());
        if !items.is_empty() {
            self.metrics.writer_batch_size.observe(u32::try_from(items.len()).unwrap_or(u32::MAX).into());
            self.process(items).await;
        }
    }

    /// Brings a batch to its end. A constraint that the snapshot did not foresee means that snapshot and database
    /// differ: everything is loaded anew. Then, and when the database refuses a statement for any other reason, the
    /// writes are run one by one, so that the one which it refuses takes no other with it.
    async fn process(&mut self, mut items: Vec<Item>) {
        match self.rounds(&mut items).await {
            Ok(results) => answer_all(items, results).await,
            Err(Failure::Constraint) => {
                self.tail.reload().await;
                self.one_by_one(items).await;
            }
            Err(Failure::Bug) if items.len() > 1 => self.one_by_one(items).await,
            Err(failure) => refuse_all(items, failure),
        }
    }

    async fn one_by_one(&mut self, items: Vec<Item>) {
        for item in items {
            let mut single = vec![item];
            match self.rounds(&mut single).await {
                Ok(results) => answer_all(single, results).await,
                Err(failure) => refuse_all(single, failure),
            }
        }
    }

    /// Runs a batch, again where that can help: after a conflict, after catching up, after loading anew.
    async fn rounds(&mut self, items: &mut Vec<Item>) -> Result<Vec<Result<Committed>>, Failure> {
        let mut left = 3;
        loop {
            left -= 1;
            // On the heap: the futures of a database's connection are large.
            let mut spans = Spans::begin(items, self.store.engine());
            let failure = match Box::pin(self.round(items, &spans)).await {
                Ok(results) => return Ok(results),
                Err(failure) => failure,
            };
            spans.fail(failure);
            if !matches!(failure, Failure::Aborted | Failure::GivenUp) {
                self.session = None;
            }
            if let Some(kind) = failure.kind() {
                self.metrics.store_error(kind);
            }
            match failure {
                // Each time there is one write less.
                Failure::GivenUp => left += 1,
                Failure::Behind | Failure::OtherHistory | Failure::Aborted if left == 0 => {
                    return Err(Failure::Unavailable);
                }
                Failure::Behind => self.catch_up().await,
                Failure::OtherHistory => self.tail.reload().await,
                Failure::Aborted => {}
                Failure::Constraint => {
                    tracing::error!("the database refused a write that the snapshot allowed; loading anew");
                    return Err(Failure::Constraint);
                }
                other => return Err(other),
            }
        }
    }

    /// One transaction.
    async fn round(&mut self, items: &mut Vec<Item>, spans: &Spans) -> Result<Vec<Result<Committed>>, Failure> {
        if self.session.is_none() {
            self.session = Some(step(self.store.writer()).await?);
        }
        let session = self.session.as_mut().ok_or(Failure::Unavailable)?;
        failpoint::reach("writer.before_lock").await;
        let begun = Instant::now();
        let mut transaction = step(session.begin()).await?;
        failpoint::reach("writer.locked").await;
        let base = align(&mut transaction, &self.snapshot, &self.tail).await?;
        let keys: Vec<_> = items.iter().filter_map(|item| request_key(&item.write)).collect();
        let stored = if keys.is_empty() { Vec::new() } else { step(transaction.requests(&keys)).await? };
        items.retain(|item| !item.turn.is_given_up());
        refuse_unclaimed(&mut transaction, items).await?;
        let batch = self.planner.plan(items.iter().map(|item| &item.write), &base, stored);
        if batch.is_empty() {
            step(transaction.rollback()).await?;
            return Ok(batch.results);
        }
        let lines = u32::try_from(batch.set.log.len()).unwrap_or(u32::MAX);
        bounded(STEP + PER_LINE.saturating_mul(lines), transaction.write(&batch.set)).await?;
        if !items.iter().all(|item| item.turn.begin()) {
            step(transaction.rollback()).await?;
            return Err(Failure::GivenUp);
        }
        failpoint::reach("writer.written").await;
        let commits = spans.commit();
        match commit::commit(transaction, items).await {
            Ok(()) => {}
            Err(Failure::Unknown) => {
                self.session = None;
                commit::resolve(&self.store, batch.head, items).await?;
            }
            Err(failure) => return Err(failure),
        }
        drop(commits);
        self.metrics.writer_transaction_duration.observe(begun.elapsed().as_secs_f64());
        failpoint::reach("writer.committed").await;
        self.applied(&base, batch).await
    }

    /// Hands a committed batch to the tail and waits until everybody here can see it.
    async fn applied(&self, base: &Snapshot, batch: Batch) -> Result<Vec<Result<Committed>>, Failure> {
        log_changes(&batch);
        let Batch { changes, sealed, head, results, set } = batch;
        let hashes = set.log.iter().map(|line| line.hash).collect();
        self.tail.own(Transition { base: base.head(), head, changes, hashes, sealed });
        // The write is on disk: an answer that comes late is better than one that is wrong.
        if self.snapshot.wait_for(head.revision, APPLY).await.is_err() {
            tracing::error!(revision = head.revision.0, "a committed write is not applied yet");
        }
        Ok(results)
    }

    async fn catch_up(&self) {
        self.tail.hint();
        let goal = match timeout(STEP, self.store.head()).await {
            Ok(Ok(Head { revision, .. })) => revision,
            _ => Revision::default(),
        };
        // Whether that was enough shows in the next round.
        drop(self.snapshot.wait_for(goal, APPLY).await);
    }
}

/// Makes sure that the snapshot is the committed configuration, which nobody can change while the lock is held.
async fn align(
    transaction: &mut WriteTx<'_>,
    snapshot: &SnapshotHandle,
    tail: &Tail,
) -> Result<Arc<Snapshot>, Failure> {
    let head = transaction.head();
    let held = snapshot.load();
    if head == held.head() {
        return Ok(held);
    }
    let distance = head.revision.0.saturating_sub(held.head().revision.0);
    if distance <= 0 {
        return Err(Failure::OtherHistory);
    }
    if distance > CATCH_UP {
        return Err(Failure::Behind);
    }
    tail.rows(step(transaction.log_after(held.head().revision, CATCH_UP)).await?);
    drop(snapshot.wait_for(head.revision, STEP).await);
    let held = snapshot.load();
    if held.head() == head { Ok(held) } else { Err(Failure::OtherHistory) }
}

/// Refuses the writes that are made under a lease which is another replica's by now.
async fn refuse_unclaimed(transaction: &mut WriteTx<'_>, items: &mut Vec<Item>) -> Result<(), Failure> {
    let mut lost = Vec::new();
    for claim in items.iter().filter_map(|item| item.write.claim.as_ref()) {
        if !lost.contains(claim) && !step(transaction.check_lease(claim)).await? {
            lost.push(claim.clone());
        }
    }
    for item in items.extract_if(.., |item| item.write.claim.as_ref().is_some_and(|claim| lost.contains(claim))) {
        tracing::warn!(rpc = item.write.call.rpc, "a write was refused because its lease is another replica's");
        item.answer(Err(Error::StoreUnavailable));
    }
    Ok(())
}

/// One step of a transaction before its COMMIT, bounded.
pub(super) async fn step<T, E: Into<Failure>>(step: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    bounded(STEP, step).await
}

async fn bounded<T, E: Into<Failure>>(limit: Duration, step: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let Ok(result) = timeout(limit, step).await else {
        tracing::warn!(limit_ms = limit.as_millis(), "the database did not answer a write in time");
        return Err(Failure::Unavailable);
    };
    result.map_err(Into::into)
}

async fn answer_all(items: Vec<Item>, results: Vec<Result<Committed>>) {
    failpoint::reach("writer.answering").await;
    for (item, result) in items.into_iter().zip(results) {
        item.answer(result);
    }
}

fn refuse_all(items: Vec<Item>, failure: Failure) {
    let error = failure.to_error();
    for item in items {
        item.answer(Err(error.clone()));
    }
}

fn log_changes(batch: &Batch) {
    for change in &batch.changes {
        tracing::info!(
            revision = change.revision.0,
            resource.kind = change.resource_kind.noun(),
            resource.id = %change.resource_id,
            operation = change.operation.name(),
            actor = change.actor,
            "change committed"
        );
    }
}

#[cfg(test)]
mod tests;
