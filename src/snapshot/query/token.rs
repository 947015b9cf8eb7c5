//! Lists of tokens: all of them, valid or not.

use std::sync::Arc;

use super::list;
use super::page::{Builder, Page, PageRequest};
use crate::domain::error::Result;
use crate::domain::token::Token;
use crate::snapshot::entry::Entry;
use crate::snapshot::state::Snapshot;

impl Snapshot {
    /// A page of tokens.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`](crate::domain::Error::InvalidPageToken) for a cursor of another order.
    pub fn list_tokens(
        &self,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Token>>) -> bool,
    ) -> Result<Page<Token>> {
        list(&self.tokens, true, Builder::new(request, self.head().revision, fits), |_| true)
    }
}
