//! Rows of `watchers`.

use crate::domain::watcher::Watcher;
use crate::domain::{Id, Revision};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant};

row! {
    WatcherRow in watchers (watch_id) {
        watch_id: DbId,
        replica_id: String,
        client: String,
        since: Instant,
        acknowledged_revision: i64,
    }
}

impl From<&Watcher> for WatcherRow {
    fn from(watcher: &Watcher) -> Self {
        Self {
            watch_id: DbId(watcher.id.uuid()),
            replica_id: watcher.replica.clone(),
            client: watcher.client.clone(),
            since: watcher.since.into(),
            acknowledged_revision: watcher.acknowledged.0,
        }
    }
}

impl From<WatcherRow> for Watcher {
    fn from(row: WatcherRow) -> Self {
        Self {
            id: Id::new(row.watch_id.0),
            client: row.client,
            replica: row.replica_id,
            since: row.since.into(),
            acknowledged: Revision(row.acknowledged_revision),
        }
    }
}
