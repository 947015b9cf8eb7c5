//! What callers hand to the writer, and what they get back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::{Answer, CallContext, Error, PlanFn, Result, Revision};

/// How many writes may wait; the next caller waits for a place, at most [`PATIENCE`].
pub const QUEUE: usize = 1024;

/// How long a write may wait before it is in a transaction. Nothing was written by then, and it says so.
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

/// A write in the queue.
pub(super) struct Item {
    pub write: Write,
    pub queued: Instant,
    pub reply: oneshot::Sender<Result<Committed>>,
}

impl Item {
    /// Answers the caller, who may be gone: a write runs to its end all the same.
    pub fn answer(self, result: Result<Committed>) {
        drop(self.reply.send(result));
    }
}

/// The way into the one writer of this process.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Item>,
}

impl Writer {
    /// The handle, and the queue that the writer's task drains.
    pub(super) fn channel() -> (Self, mpsc::Receiver<Item>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { queue: sender }, receiver)
    }

    /// Queues a write and waits until it is committed and applied here.
    ///
    /// # Errors
    /// What the plan refuses; [`Error::StoreUnavailable`] when nothing was written; [`Error::DeadlineExceeded`] when
    /// the outcome is not known in time.
    pub async fn submit(&self, write: Write) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        let item = Item { write, queued: Instant::now(), reply };
        self.queue.send_timeout(item, PATIENCE).await.map_err(|_| Error::StoreUnavailable)?;
        // A writer that ends without an answer was stopped before it began with this write.
        answer.await.unwrap_or(Err(Error::StoreUnavailable))
    }
}
