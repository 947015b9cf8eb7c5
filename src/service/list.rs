//! The frame of every list: page size, order, token; and the page put together from encodings that are kept.

use std::sync::Arc;

use prost::Message;

use crate::domain::text::Text;
use crate::domain::{Error, Id, Result, Violations};
use crate::proto::v1;
use crate::snapshot::Entry;
use crate::snapshot::query::{Cursor, Listed, Needle, Page, PageRequest};
use crate::wire;
use crate::wire::page::{RawItem, RawPage};

/// A page ends early at this size, in bytes, so that no client has to raise its limit of 4 MiB.
pub const MAX_PAGE_BYTES: usize = 3 << 20;

/// What a list is searched for.
const QUERY: Text = Text::optional(200);

/// At most this much surrounds an item: its tag and its length.
const ITEM_FRAME: usize = 8;

/// A request for a page.
pub trait Listing: Message + Clone {
    fn page_size(&self) -> i32;
    fn order_by(&self) -> &str;
    fn page_token(&self) -> &str;
    /// The request as far as all its pages share it: a token is refused with other filters.
    fn filters(&self) -> Self;
}

macro_rules! listing {
    ($($request:ident),+ $(,)?) => {
        $(impl Listing for v1::$request {
            fn page_size(&self) -> i32 {
                self.page_size
            }

            fn order_by(&self) -> &str {
                &self.order_by
            }

            fn page_token(&self) -> &str {
                &self.page_token
            }

            fn filters(&self) -> Self {
                Self { page_size: 0, page_token: String::new(), ..self.clone() }
            }
        })+
    };
}

listing!(
    ListProvidersRequest,
    ListEndpointsRequest,
    ListCredentialsRequest,
    ListModelsRequest,
    ListModelsByCapabilityRequest,
    ListBindingsRequest,
    ListChangesRequest,
    ListTokensRequest,
    ListSecretUseRequest,
    ListWatchersRequest,
);

/// What a list was asked for, besides its filters.
pub struct List {
    request: PageRequest,
    filter_hash: wire::page::FilterHash,
}

impl List {
    /// Reads page size, order and token.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`]; other problems are added to `violations`.
    pub fn read<T: Listed>(rpc: &str, message: &impl Listing, violations: &mut Violations) -> Result<Self> {
        let filter_hash = wire::page::filter_hash(rpc, &message.filters());
        let cursor = match message.page_token() {
            "" => None,
            token => Some(wire::page::read(token, &filter_hash)?),
        };
        let request = PageRequest::read::<T>(message.page_size(), message.order_by(), cursor, violations);
        Ok(Self { request, filter_hash })
    }

    #[must_use]
    pub const fn request(&self) -> &PageRequest {
        &self.request
    }

    /// The token of the page after this one; empty behind the last.
    #[must_use]
    pub fn next_token(&self, next: Option<&Cursor>) -> String {
        next.map(|next| wire::page::write(next, &self.filter_hash)).unwrap_or_default()
    }

    /// Runs `query` and assembles its page. `encode` gives an item's kept encoding.
    ///
    /// # Errors
    /// What the query refuses.
    pub fn answer<T>(
        &self,
        query: impl FnOnce(&PageRequest, &mut dyn FnMut(&Arc<Entry<T>>) -> bool) -> Result<Page<T>>,
        encode: impl Fn(&Entry<T>) -> RawItem,
    ) -> Result<RawPage> {
        let mut items: Vec<RawItem> = Vec::new();
        let mut size = 0;
        let page = query(&self.request, &mut |entry| {
            let item = encode(entry);
            size += item.encoded_len() + ITEM_FRAME;
            let fits = size <= MAX_PAGE_BYTES || items.is_empty();
            if fits {
                items.push(item);
            }
            fits
        })?;
        // The query may look one item further than the page goes.
        items.truncate(page.items.len());
        Ok(RawPage {
            items,
            next_page_token: self.next_token(page.next.as_ref()),
            total_size: total(page.total_size),
            revision: page.revision.0,
        })
    }
}

/// A count as the wire carries it.
pub fn total(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A filter by exact text; none when empty.
pub fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A filter by part of a text; none when empty.
pub fn query(text: &str, violations: &mut Violations) -> Option<Needle> {
    QUERY.check("query", text, violations);
    Needle::new(text)
}

/// The only field of many requests.
///
/// # Errors
/// [`Error::InvalidField`].
pub fn id<T>(field: &str, text: &str) -> Result<Id<T>> {
    Id::parse(text).ok_or_else(|| Error::field(field, "must be a UUID"))
}

/// A field that has no default.
pub fn required<T: Default>(field: &str, value: Option<T>, violations: &mut Violations) -> T {
    if value.is_none() {
        violations.add(field, "required");
    }
    value.unwrap_or_default()
}
