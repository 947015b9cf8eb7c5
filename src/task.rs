//! Background tasks: spawned by name, watched, drained. The only place that spawns.
//!
//! A task ends when it wants to, or soon after [`Tasks::stopping`] says so; what does not is cut off at the limit. A
//! panic ends its own task alone and is logged with the task's name.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How the tasks of one name fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskStatus {
    pub running: usize,
    /// How many ended by themselves.
    pub ended: u64,
    /// How many panicked: bugs.
    pub panicked: u64,
}

/// The tasks of a process, or of a test; cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tracker: TaskTracker,
    stopping: CancellationToken,
    /// A task without which the process is of no use has ended before its time.
    crippled: CancellationToken,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    next: u64,
    live: BTreeMap<u64, (&'static str, Option<AbortHandle>)>,
    status: BTreeMap<&'static str, TaskStatus>,
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a future in the background. Several may have the same name: one connection each, say.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entry = self.enter(name);
        let id = entry.id;
        let run = async move {
            let result = AssertUnwindSafe(future).catch_unwind().await;
            entry.leave(result.is_err());
        };
        let handle = tokio::spawn(self.0.tracker.track_future(run)).abort_handle();
        if let Some((_, abort)) = self.0.book().live.get_mut(&id) {
            *abort = Some(handle);
        }
    }

    /// Runs a future that the process cannot do without: when it ends before it was told to, [`Tasks::crippled`] says
    /// so, and the process should end too, so that whoever watches it starts another one.
    pub fn spawn_vital<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stopping, crippled) = (self.stopping(), self.0.crippled.clone());
        self.spawn(name, async move {
            // Also when the future panics.
            let _guard = Vital { name, stopping, crippled };
            future.await;
        });
    }

    /// Says when a vital task has ended before its time.
    #[must_use]
    pub fn crippled(&self) -> CancellationToken {
        self.0.crippled.child_token()
    }

    /// Says when to stop: `tasks.stopping().cancelled().await`.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.child_token()
    }

    /// How the tasks fare, by name.
    #[must_use]
    pub fn status(&self) -> BTreeMap<&'static str, TaskStatus> {
        self.0.book().status.clone()
    }

    /// Tells all tasks to stop and waits for them; what is left at the limit is cut off and named.
    pub async fn shutdown(&self, limit: Duration) -> Vec<&'static str> {
        self.0.stopping.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(limit, self.0.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        let mut names = Vec::new();
        for (name, abort) in self.0.book().live.values() {
            names.push(*name);
            if let Some(abort) = abort {
                abort.abort();
            }
        }
        names.dedup();
        tracing::warn!(tasks = ?names, "tasks were cut off because they did not stop in time");
        names
    }

    fn enter(&self, name: &'static str) -> Entry {
        let mut book = self.0.book();
        let id = book.next;
        book.next += 1;
        book.live.insert(id, (name, None));
        book.status.entry(name).or_default().running += 1;
        Entry { inner: Arc::clone(&self.0), id, name, ended: false }
    }
}

impl Inner {
    /// The book is consistent at every unlock, so a panic elsewhere does not spoil it.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped when a vital task ends.
struct Vital {
    name: &'static str,
    stopping: CancellationToken,
    crippled: CancellationToken,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.stopping.is_cancelled() {
            tracing::error!(task.name = self.name, "a task that the server cannot do without has ended");
            self.crippled.cancel();
        }
    }
}

/// A live task in the book; it leaves when the future ends, and also when that is cut off.
struct Entry {
    inner: Arc<Inner>,
    id: u64,
    name: &'static str,
    ended: bool,
}

impl Entry {
    fn leave(mut self, panicked: bool) {
        self.ended = true;
        let mut book = self.inner.book();
        let status = book.status.entry(self.name).or_default();
        if panicked {
            status.panicked += 1;
            tracing::error!(task.name = self.name, "a background task ended in a panic");
        } else {
            status.ended += 1;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.inner.book();
        book.live.remove(&self.id);
        if let Some(status) = book.status.get_mut(self.name) {
            status.running -= 1;
        }
        if !self.ended {
            tracing::debug!(task.name = self.name, "a background task was cut off");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_task_is_told_to_stop_and_waited_for() {
        let tasks = Tasks::new();
        let (done, is_done) = oneshot::channel();
        let stopping = tasks.stopping();
        tasks.spawn("worker", async move {
            stopping.cancelled().await;
            let _ = done.send(());
        });
        assert_eq!(tasks.status()["worker"], TaskStatus { running: 1, ..TaskStatus::default() });
        assert_eq!(tasks.shutdown(SOON).await, Vec::<&str>::new());
        is_done.await.unwrap();
        assert_eq!(tasks.status()["worker"], TaskStatus { ended: 1, ..TaskStatus::default() });
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_cut_off_and_named() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_millis(1)).await, ["deaf"]);
        tasks.0.tracker.wait().await;
        assert_eq!(tasks.status()["deaf"], TaskStatus::default());
    }

    #[tokio::test]
    async fn a_vital_task_that_ends_too_early_cripples_the_process() {
        let tasks = Tasks::new();
        tasks.spawn_vital("told", {
            let stopping = tasks.stopping();
            async move { stopping.cancelled().await }
        });
        assert!(!tasks.crippled().is_cancelled());
        tasks.spawn_vital("broken", async { panic!("seeded") });
        tokio::time::timeout(SOON, tasks.crippled().cancelled()).await.unwrap();

        let sound = Tasks::new();
        let stopping = sound.stopping();
        sound.spawn_vital("told", async move { stopping.cancelled().await });
        sound.shutdown(SOON).await;
        assert!(!sound.crippled().is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_task_alone_and_is_counted() {
        let tasks = Tasks::new();
        let (go, gone) = oneshot::channel::<()>();
        tasks.spawn("broken", async { panic!("seeded") });
        tasks.spawn("sound", async move {
            let _ = gone.await;
        });
        while tasks.status()["broken"].panicked == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.status()["sound"].running, 1);
        go.send(()).unwrap();
        assert_eq!(tasks.shutdown(SOON).await, Vec::<&str>::new());
    }
}
