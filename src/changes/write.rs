//! What callers hand to the writer, and what they get back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::domain::{Answer, CallContext, Error, PlanFn, Result, Revision};
use crate::store::Claim;
use crate::telemetry::traces::{self, Place};

/// How many writes may wait; the next caller waits for a place.
pub const QUEUE: usize = 1024;

/// How long a caller waits until the COMMIT of a write is sent, a place in the queue included. Nothing was written by
/// then, and the answer says so.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// An idempotency key with the keyed hash of what was asked for under it.
#[derive(Debug, Clone)]
pub struct RequestId {
    pub id: String,
    pub payload_hash: [u8; 32],
}

/// One write: who asks, why, and the plan.
pub struct Write {
    pub call: CallContext,
    pub request: Option<RequestId>,
    pub reason: String,
    /// Under which lease it is made, if under one: once that is another replica's, nothing is written.
    pub claim: Option<Claim>,
    pub plan: PlanFn,
}

/// A write that is on disk and in this process's snapshot, or that changed nothing.
#[derive(Debug, Clone)]
pub struct Committed {
    pub answer: Answer,
    /// The revision of the write; of the state that answered, if it changed nothing.
    pub revision: Revision,
    /// The answer of an earlier call with the same request id.
    pub replayed: bool,
}

/// A write in the queue.
pub(super) struct Item {
    pub write: Write,
    pub turn: Turn,
    pub reply: oneshot::Sender<Result<Committed>>,
    /// Where in its caller's trace it is.
    pub place: Option<Place>,
}

impl Item {
    /// Answers the caller, who may be gone: a write runs to its end all the same.
    pub fn answer(self, result: Result<Committed>) {
        drop(self.reply.send(result));
    }
}

/// Whose turn a queued write is. Either the writer begins to commit it or its caller gives it up, never both: so a
/// caller who was told that nothing was written was told the truth.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

impl Turn {
    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Begins to commit, again where the writer runs a batch once more; false when the caller has given up.
    pub fn begin(&self) -> bool {
        self.settle(Self::BEGUN) == Self::BEGUN
    }

    /// Gives up; false when the writer has begun.
    fn give_up(&self) -> bool {
        self.settle(Self::GIVEN_UP) == Self::GIVEN_UP
    }

    pub fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::GIVEN_UP
    }

    /// Moves on from waiting; what it is then.
    fn settle(&self, wanted: u8) -> u8 {
        match self.0.compare_exchange(Self::WAITING, wanted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => wanted,
            Err(settled) => settled,
        }
    }
}

/// The way into the one writer of this process.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Item>,
    patience: Duration,
}

impl Writer {
    /// The handle, and the queue that the writer's task drains.
    pub(super) fn channel() -> (Self, mpsc::Receiver<Item>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { queue: sender, patience: PATIENCE }, receiver)
    }

    /// How many writes wait for their transaction.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }

    /// Queues a write and waits until it is committed and applied here.
    ///
    /// # Errors
    /// What the plan refuses; [`Error::StoreUnavailable`] when nothing was written; [`Error::DeadlineExceeded`] when
    /// the outcome is not known in time.
    pub async fn submit(&self, write: Write) -> Result<Committed> {
        let (reply, mut answer) = oneshot::channel();
        let turn = Turn::default();
        let item = Item { write, turn: turn.clone(), reply, place: traces::here() };
        let deadline = Instant::now() + self.patience;
        self.queue.send_timeout(item, self.patience).await.map_err(|_| Error::StoreUnavailable)?;
        let answered = match timeout_at(deadline, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if turn.give_up() => return Err(Error::StoreUnavailable),
            Err(_) => answer.await,
        };
        // A writer that ends without an answer was stopped: before it began with this write, or within it.
        answered.unwrap_or_else(|_| Err(if turn.give_up() { Error::StoreUnavailable } else { Error::DeadlineExceeded }))
    }

    /// The answer that was given to the same request before, if there is one: for calls that do something expensive
    /// before they write. It is looked up under the lock, like every other: a plan that is reached tells that there is
    /// none.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`]; that the database does not answer.
    pub async fn answered(&self, call: CallContext, request: RequestId) -> Result<Option<Committed>> {
        let reached = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&reached);
        let plan: PlanFn = Box::new(move |_, _| {
            mark.store(true, Ordering::Release);
            Err(Error::internal())
        });
        match self.submit(Write { call, request: Some(request), reason: String::new(), claim: None, plan }).await {
            Err(_) if reached.load(Ordering::Acquire) => Ok(None),
            other => other.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write() -> Write {
        let plan: PlanFn = Box::new(|_, _| Err(Error::HistoryChanged));
        Write { call: CallContext::system("test"), request: None, reason: String::new(), claim: None, plan }
    }

    fn channel(patience: Duration) -> (Writer, mpsc::Receiver<Item>) {
        let (writer, queue) = Writer::channel();
        (Writer { patience, ..writer }, queue)
    }

    #[tokio::test]
    async fn a_write_that_nobody_begins_is_given_up_and_never_begun_later() {
        let (writer, mut queue) = channel(Duration::from_millis(1));
        assert_eq!(writer.submit(write()).await.unwrap_err(), Error::StoreUnavailable);
        let item = queue.recv().await.unwrap();
        assert!(item.turn.is_given_up());
        assert!(!item.turn.begin());
    }

    #[tokio::test]
    async fn a_write_that_was_begun_is_waited_for() {
        let (writer, mut queue) = channel(Duration::from_millis(1));
        let begun = async {
            let item = queue.recv().await.unwrap();
            assert!(item.turn.begin());
            assert!(item.turn.begin(), "a batch that is run again begins again");
            item.answer(Err(Error::StoreFull));
        };
        let (result, ()) = tokio::join!(writer.submit(write()), begun);
        assert_eq!(result.unwrap_err(), Error::StoreFull);
    }

    #[tokio::test]
    async fn a_writer_that_stops_within_a_write_leaves_its_outcome_open() {
        let (writer, mut queue) = channel(Duration::from_mins(1));
        let stopped = async { queue.recv().await.unwrap().turn.begin() };
        let (result, begun) = tokio::join!(writer.submit(write()), stopped);
        assert!(begun);
        assert_eq!(result.unwrap_err(), Error::DeadlineExceeded);

        let stopped = async { drop(queue.recv().await.unwrap()) };
        let (result, ()) = tokio::join!(writer.submit(write()), stopped);
        assert_eq!(result.unwrap_err(), Error::StoreUnavailable);
    }

    #[tokio::test]
    async fn a_plan_that_is_reached_tells_that_there_was_no_answer() {
        let (writer, mut queue) = channel(Duration::from_mins(1));
        let request = RequestId { id: "once".into(), payload_hash: [0; 32] };
        let replay = Committed { answer: Answer::Empty, revision: Revision(7), replayed: true };
        let asked = writer.answered(CallContext::system("test"), request.clone());
        let (found, ()) = tokio::join!(asked, async { queue.recv().await.unwrap().answer(Ok(replay)) });
        assert_eq!(found.unwrap().map(|found| found.revision), Some(Revision(7)));

        let refused = Error::RequestIdReused { request_id: "once".into() };
        let asked = writer.answered(CallContext::system("test"), request);
        let (found, ()) = tokio::join!(asked, async { queue.recv().await.unwrap().answer(Err(refused.clone())) });
        assert_eq!(found.unwrap_err(), refused);
    }
}
