//! Lists, answered from one snapshot: filters, orders and pages.
//!
//! A page begins behind a [`Position`], not at an offset, so what is written between two pages neither repeats nor
//! hides an item that stays where it is in the order.

mod binding;
mod capability;
mod credential;
mod endpoint;
mod model;
mod order;
mod page;
mod provider;
mod text;
mod token;
mod watcher;

use std::ops::Bound;
use std::sync::Arc;

pub use binding::BindingFilter;
pub use credential::CredentialFilter;
pub use endpoint::EndpointFilter;
pub use model::ModelFilter;
pub use order::{Listed, Order, Position, SortField, SortKey};
pub use page::{Cursor, Page, PageRequest, PageSize};
pub use provider::ProviderFilter;
pub use text::Needle;
pub use watcher::{WatcherFilter, watchers};

use page::Builder;

use super::entry::Entry;
use super::state::Snapshot;
use super::status::Board;
use super::table::{Child, Entries, Table};
use crate::domain::error::Result;
use crate::domain::id::{Id, ProviderId};
use crate::domain::meta::Labels;
use crate::domain::time::Timestamp;
use crate::domain::view::View;

/// What a list may depend on besides the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    pub now: Timestamp,
    pub board: &'a Board,
}

/// Whether `labels` has all of `wanted`, with these values.
fn has_labels(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a filter that may be absent lets `value` pass.
fn passes<T: PartialEq>(filter: Option<&T>, value: &T) -> bool {
    filter.is_none_or(|wanted| wanted == value)
}

/// A page of `entries`. Without an order the walk begins at the position and stops at the end of the page; `open` says
/// that everything matches, so that nothing need be counted either.
fn list<T: Listed>(
    entries: &Entries<T>,
    open: bool,
    builder: Builder<'_, impl FnMut(&Arc<Entry<T>>) -> bool>,
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    let position = builder.request.position()?;
    if !builder.request.order.is_by_id() {
        return Ok(builder.sort(entries.values(), position, matches));
    }
    let lower = position.map_or(Bound::Unbounded, |position| Bound::Excluded(Id::new(position.id)));
    let source = entries.range::<_, Id<T>>((lower, Bound::Unbounded)).map(|(_, entry)| entry);
    Ok(builder.walk(source, open.then(|| entries.len()), matches))
}

/// The children of one live provider, or of all.
fn scope<T: Child + PartialEq>(
    snapshot: &Snapshot,
    table: &Table<T>,
    provider: Option<ProviderId>,
) -> Result<Entries<T>> {
    let Some(id) = provider else { return Ok(table.live().clone()) };
    snapshot.live_provider(id)?;
    Ok(table.of(id).cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests;
