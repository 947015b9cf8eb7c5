//! Lists of watchers. They are no configuration, so whoever lists them brings them along.

use std::sync::Arc;

use super::page::{Builder, Page, PageRequest};
use super::passes;
use crate::domain::error::Result;
use crate::domain::revision::Revision;
use crate::domain::watcher::Watcher;
use crate::snapshot::entry::Entry;

#[derive(Debug, Clone, Default)]
pub struct WatcherFilter {
    pub client: Option<String>,
    pub replica: Option<String>,
}

/// A page of `watchers`.
///
/// # Errors
/// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
pub fn watchers(
    watchers: Vec<Watcher>,
    revision: Revision,
    filter: &WatcherFilter,
    request: &PageRequest,
) -> Result<Page<Watcher>> {
    let entries: Vec<_> = watchers.into_iter().map(|watcher| Arc::new(Entry::new(Arc::new(watcher)))).collect();
    let builder = Builder::new(request, revision, |_: &Arc<Entry<Watcher>>| true);
    let matches = |watcher: &Watcher| {
        passes(filter.client.as_ref(), &watcher.client) && passes(filter.replica.as_ref(), &watcher.replica)
    };
    Ok(builder.sort(entries.iter(), request.position()?, matches))
}
