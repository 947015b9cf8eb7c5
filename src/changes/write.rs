//! What callers hand to the writer, and what they get back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::domain::{Answer, CallContext, Error, PlanFn, Result, Revision};

/// How many writes may wait; the next caller waits for a place.
pub const QUEUE: usize = 1024;

/// How long a caller waits for a place in the queue and then for the writer to begin. Nothing was written by then, and
/// it is told so.
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

/// A write that the writer has begun with: it runs to its end, whatever becomes of its caller.
pub(super) struct Item {
    pub write: Write,
    reply: oneshot::Sender<Result<Committed>>,
}

impl Item {
    /// Answers the caller, who may be gone.
    pub fn answer(self, result: Result<Committed>) {
        drop(self.reply.send(result));
    }
}

/// A write that waits. Whoever takes it out first has it: the writer, who then answers for it, or the caller, who does
/// not want to wait any longer.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Write>>>);

impl Slot {
    fn of(write: Write) -> Self {
        Self(Arc::new(Mutex::new(Some(write))))
    }

    fn take(&self) -> Option<Write> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A place in the queue.
pub(super) struct Queued {
    slot: Slot,
    reply: oneshot::Sender<Result<Committed>>,
}

impl Queued {
    /// Begins with the write, unless its caller has given up.
    pub fn begin(self) -> Option<Item> {
        Some(Item { write: self.slot.take()?, reply: self.reply })
    }
}

/// The way into the one writer of this process.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Queued>,
}

impl Writer {
    /// The handle, and the queue that the writer's task drains.
    pub(super) fn channel() -> (Self, mpsc::Receiver<Queued>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { queue: sender }, receiver)
    }

    /// Queues a write and waits until it is committed and applied here.
    ///
    /// # Errors
    /// What the plan refuses; [`Error::StoreUnavailable`] when nothing was written; [`Error::DeadlineExceeded`] when
    /// the outcome is not known in time.
    pub async fn submit(&self, write: Write) -> Result<Committed> {
        let (reply, mut answer) = oneshot::channel();
        let slot = Slot::of(write);
        let queued = Queued { slot: slot.clone(), reply };
        let early = timeout(PATIENCE, async {
            self.queue.send(queued).await.ok()?;
            (&mut answer).await.ok()
        });
        match early.await {
            Ok(Some(result)) => result,
            _ if slot.take().is_some() => Err(Error::StoreUnavailable),
            // A writer that was cut off between begin and answer may have committed.
            Ok(None) => Err(Error::DeadlineExceeded),
            Err(_) => answer.await.unwrap_or(Err(Error::DeadlineExceeded)),
        }
    }
}
