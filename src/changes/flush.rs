//! Writing what is gathered in memory: now and then, and once more at the end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// Runs `flush` every `every`, and a last time at `stop`. What it cannot write it keeps; `what` that is, for the log.
pub(super) async fn now_and_then<F>(every: Duration, stop: CancellationToken, what: &'static str, flush: impl Fn() -> F)
where
    F: Future<Output = Result<(), StoreError>>,
{
    loop {
        let ended = tokio::time::timeout(every, stop.cancelled()).await.is_ok();
        if let Err(error) = flush().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                what,
                "what was counted could not be written; it is kept and written later"
            );
        }
        if ended {
            return;
        }
    }
}
