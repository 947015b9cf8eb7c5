//! Waiting for what happens soon, never for longer than it takes.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Looks again and again until `look` finds something.
///
/// # Panics
/// When nothing is found in time.
pub async fn within<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The same with a limit that only a hanging test reaches.
pub async fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(Duration::from_secs(20), what, look).await
}
