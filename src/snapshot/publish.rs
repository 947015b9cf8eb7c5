//! Publication: one writer replaces the current snapshot, any number of readers take it.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::state::Snapshot;
use crate::domain::error::{Error, Result};
use crate::domain::revision::{Head, Revision};

/// Makes `first` the current snapshot. The [`Publisher`] belongs to the tail of the log and to nobody else.
#[must_use]
pub fn publish(first: Snapshot) -> (Publisher, SnapshotHandle) {
    let (heads, seen) = watch::channel(first.head());
    let current = Arc::new(ArcSwap::from_pointee(first));
    (Publisher { current: Arc::clone(&current), heads }, SnapshotHandle { current, heads: seen })
}

/// The right to replace the current snapshot. Not `Clone`: there is one way in.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    heads: watch::Sender<Head>,
}

impl Publisher {
    /// What the next snapshot is made from.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the current snapshot, then tells those who wait. Whoever learns of a head therefore finds a snapshot
    /// that is at least as new.
    pub fn store(&mut self, next: Snapshot) {
        let head = next.head();
        self.current.store(Arc::new(next));
        self.heads.send_replace(head);
    }
}

/// Read access to the current snapshot.
///
/// A call answers from one snapshot: take it once and use it to the end, or it may see two revisions.
/// [`load`](Self::load) when it crosses an `.await` or goes to another task; [`pin`](Self::pin) for a look within a
/// function.
#[derive(Debug, Clone)]
pub struct SnapshotHandle {
    current: Arc<ArcSwap<Snapshot>>,
    heads: watch::Receiver<Head>,
}

impl SnapshotHandle {
    /// The current snapshot, owned: it stays as it is for as long as it is held, also across `.await`.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The current snapshot for the moment, without touching its reference count. Few guards are cheap at a time and a
    /// held one keeps an old configuration in memory, so it must not be held across `.await`: it is not `Send`, and a
    /// task that tries does not compile.
    #[must_use]
    pub fn pin(&self) -> Pinned {
        Pinned { guard: self.current.load(), not_send: PhantomData }
    }

    #[must_use]
    pub fn head(&self) -> Head {
        self.current.load().head()
    }

    /// Follows the head. It may step back, when another history was loaded.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.heads.clone()
    }

    /// Waits until `revision` is applied.
    ///
    /// # Errors
    /// [`Error::ReplicaBehind`] when it is not after `timeout`, or when nothing will be applied any more.
    pub async fn wait_for(&self, revision: Revision, timeout: Duration) -> Result<Arc<Snapshot>> {
        let mut heads = self.subscribe();
        let reached = heads.wait_for(|head| head.revision >= revision);
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(self.load()),
            Ok(Err(_)) | Err(_) => Err(Error::ReplicaBehind { current: self.head().revision }),
        }
    }
}

/// A snapshot pinned by [`SnapshotHandle::pin`].
pub struct Pinned {
    guard: Guard<Arc<Snapshot>>,
    not_send: PhantomData<*const ()>,
}

impl Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixtures;

    fn at(revision: i64) -> Snapshot {
        let mut image = fixtures::image();
        image.head.revision = Revision(revision);
        Snapshot::from_image(image)
    }

    #[tokio::test]
    async fn waiting_ends_when_the_revision_is_applied() {
        let (mut publisher, handle) = publish(at(1));
        let wait = handle.wait_for(Revision(3), Duration::from_mins(1));
        let store = async {
            tokio::task::yield_now().await;
            publisher.store(at(2));
            publisher.store(at(3));
        };
        let (reached, ()) = tokio::join!(wait, store);
        assert_eq!(reached.unwrap().head().revision, Revision(3));
        assert_eq!(handle.pin().head().revision, Revision(3));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_timeout_or_with_the_publisher() {
        let (publisher, handle) = publish(at(1));
        let behind = Error::ReplicaBehind { current: Revision(1) };
        assert_eq!(handle.wait_for(Revision(2), Duration::ZERO).await.unwrap_err(), behind);
        drop(publisher);
        assert_eq!(handle.wait_for(Revision(2), Duration::from_mins(1)).await.unwrap_err(), behind);
        assert!(handle.wait_for(Revision(1), Duration::ZERO).await.is_ok());
    }

    #[test]
    fn a_held_snapshot_does_not_change() {
        let (mut publisher, handle) = publish(at(1));
        let held = handle.load();
        publisher.store(at(2));
        assert_eq!(held.head().revision, Revision(1));
        assert_eq!(handle.load().head().revision, Revision(2));
    }
}
