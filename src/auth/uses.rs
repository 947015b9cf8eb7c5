//! When each token was last used: noted in memory on every call, written now and then.
//!
//! One loop, every [`WRITE`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::changes::Statuses;
use crate::domain::image::StatusValue;
use crate::domain::{Timestamp, TokenId};

/// How often the times are written.
pub const WRITE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct TokenUses {
    latest: Mutex<HashMap<TokenId, Timestamp>>,
}

impl TokenUses {
    pub fn note(&self, token: TokenId, now: Timestamp) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(token, now);
    }

    /// Takes what was noted since the last time.
    fn take(&self) -> Vec<StatusValue> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.drain().map(|(token, time)| StatusValue::TokenUse(token, time)).collect()
    }

    /// Writes the times now and then, and once more at the end.
    pub async fn write(&self, statuses: Statuses, stop: CancellationToken) {
        loop {
            let ended = tokio::time::timeout(WRITE, stop.cancelled()).await.is_ok();
            statuses.record(self.take()).await;
            if ended {
                return;
            }
        }
    }
}
