//! Pages: a bounded piece of a list, and where the next one begins.
//!
//! Two ways lead to a page. A source that is in order already is walked from the position until the page is full; any
//! other is read whole through a heap that holds one page, so memory is bounded by the page and not by the list.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::order::{Listed, Order, Position};
use crate::domain::error::{Error, Result, Violations};
use crate::domain::revision::Revision;
use crate::snapshot::entry::Entry;

pub const DEFAULT_PAGE_SIZE: usize = 50;
pub const MAX_PAGE_SIZE: usize = 1000;

/// How many items a page has at most: 1 to [`MAX_PAGE_SIZE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(usize);

impl PageSize {
    /// Reads `page_size`: 0 is the default, more than the maximum is the maximum, negative is a violation.
    #[must_use]
    pub fn read(size: i32, violations: &mut Violations) -> Self {
        match usize::try_from(size) {
            Ok(0) => Self(DEFAULT_PAGE_SIZE),
            Ok(size) => Self(size.min(MAX_PAGE_SIZE)),
            Err(_) => {
                violations.add("page_size", format!("must not be negative, found {size}"));
                Self(DEFAULT_PAGE_SIZE)
            }
        }
    }

    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

/// Where a list goes on: what a page token carries, besides a mark of its filters and order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub position: Position,
    /// As counted for the first page.
    pub total_size: usize,
    /// Of the first page.
    pub revision: Revision,
}

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    pub size: PageSize,
    pub order: Order,
    /// Absent: the first page.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    /// Reads the fields that all list requests have. What is wrong with `page_size` and `order_by` goes to
    /// `violations`; the cursor comes from a page token that was read before.
    #[must_use]
    pub fn read<T: Listed>(size: i32, order_by: &str, cursor: Option<Cursor>, violations: &mut Violations) -> Self {
        Self { size: PageSize::read(size, violations), order: Order::read::<T>(order_by, violations), cursor }
    }

    /// Where to go on, checked against the order.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`] for the position of another order.
    pub(super) fn position(&self) -> Result<Option<&Position>> {
        match &self.cursor {
            Some(cursor) if !self.order.fits(&cursor.position) => Err(Error::InvalidPageToken),
            cursor => Ok(cursor.as_ref().map(|cursor| &cursor.position)),
        }
    }
}

/// A piece of a list.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<Arc<Entry<T>>>,
    /// Absent on the last page.
    pub next: Option<Cursor>,
    pub total_size: usize,
    /// Of the first page: the same on all pages of a list.
    pub revision: Revision,
}

/// Makes one page. `fits` is asked once for each item in turn whether it may still go onto the page (which has a limit
/// in bytes that only the caller knows); the first item always goes.
pub(super) struct Builder<'r, F> {
    pub request: &'r PageRequest,
    pub revision: Revision,
    pub fits: F,
}

impl<'r, F> Builder<'r, F> {
    pub(super) const fn new(request: &'r PageRequest, revision: Revision, fits: F) -> Self {
        Self { request, revision, fits }
    }

    /// From a source that is in order and begins behind the position. `total`: how many match, where that is known
    /// without counting.
    pub(super) fn walk<'a, T: Listed + 'a>(
        mut self,
        source: impl Iterator<Item = &'a Arc<Entry<T>>>,
        total: Option<usize>,
        matches: impl Fn(&T) -> bool,
    ) -> Page<T>
    where
        F: FnMut(&Arc<Entry<T>>) -> bool,
    {
        let total = self.request.cursor.as_ref().map(|cursor| cursor.total_size).or(total);
        let (mut items, mut count, mut full) = (Vec::new(), 0, false);
        for entry in source.filter(|entry| matches(entry.value())) {
            count += 1;
            full = full || items.len() == self.request.size.get() || !((self.fits)(entry) || items.is_empty());
            if !full {
                items.push(Arc::clone(entry));
            } else if total.is_some() {
                break;
            }
        }
        self.page(items, full, total.unwrap_or(count))
    }

    /// From a source in any order that begins anywhere.
    pub(super) fn sort<'a, T: Listed + 'a>(
        self,
        source: impl Iterator<Item = &'a Arc<Entry<T>>>,
        position: Option<&Position>,
        matches: impl Fn(&T) -> bool,
    ) -> Page<T>
    where
        F: FnMut(&Arc<Entry<T>>) -> bool,
    {
        let order = &self.request.order;
        // One more than the page, to know whether there is another.
        let room = self.request.size.get() + 1;
        let mut heap = BinaryHeap::with_capacity(room + 1);
        let mut count = 0;
        for entry in source.filter(|entry| matches(entry.value())) {
            count += 1;
            if position.is_some_and(|position| !order.is_behind(&**entry.value(), position)) {
                continue;
            }
            heap.push(Ranked { order, entry });
            if heap.len() > room {
                heap.pop();
            }
        }
        let sorted = heap.into_sorted_vec();
        self.walk(sorted.into_iter().map(|ranked| ranked.entry), Some(count), |_| true)
    }

    fn page<T: Listed>(&self, items: Vec<Arc<Entry<T>>>, more: bool, total_size: usize) -> Page<T> {
        let revision = self.request.cursor.as_ref().map_or(self.revision, |cursor| cursor.revision);
        let last = items.last().filter(|_| more);
        let next =
            last.map(|entry| Cursor { position: self.request.order.position(&**entry.value()), total_size, revision });
        Page { items, next, total_size, revision }
    }
}

/// An entry in the heap; the greatest is the one to give up.
struct Ranked<'a, T> {
    order: &'a Order,
    entry: &'a Arc<Entry<T>>,
}

impl<T: Listed> PartialEq for Ranked<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<T: Listed> Eq for Ranked<'_, T> {}
impl<T: Listed> PartialOrd for Ranked<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T: Listed> Ord for Ranked<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.compare(&**self.entry.value(), &**other.entry.value())
    }
}
