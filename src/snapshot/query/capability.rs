//! Lists of the models that have a capability, best first.

use std::sync::Arc;

use super::order::{Order, Position, SortKey};
use super::page::{Builder, Page, PageRequest};
use crate::domain::error::{Error, Result};
use crate::domain::model::{Capability, Model, Score};
use crate::snapshot::entry::Entry;
use crate::snapshot::models::RankKey;
use crate::snapshot::state::Snapshot;

impl Snapshot {
    /// A page of the live models that have the capability with at least this score, usable or not. Without an order:
    /// highest score, then lowest price of input, then name; models without a price come after those with one.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`] for a cursor of another order.
    pub fn list_models_by_capability(
        &self,
        capability: Capability,
        min_score: Score,
        request: &PageRequest,
        fits: impl FnMut(&Arc<Entry<Model>>) -> bool,
    ) -> Result<Page<Model>> {
        let revision = self.head().revision;
        if !request.order.is_by_id() {
            let source = self.model_index.ranked(capability, min_score, None);
            return Ok(Builder::new(request, revision, fits).sort(source, request.position()?, |_| true));
        }
        let request = PageRequest { order: Order::by_rank(capability), ..request.clone() };
        let after = request.position()?.map(rank).transpose()?;
        let source = self.model_index.ranked(capability, min_score, after);
        let total = self.model_index.count_with(capability, min_score);
        Ok(Builder::new(&request, revision, fits).walk(source, Some(total), |_| true))
    }
}

/// The place in the index that a position of [`Order::by_rank`] names.
fn rank(position: &Position) -> Result<(Score, RankKey<'_>)> {
    let [SortKey::Int(score), price, SortKey::Text(name)] = position.keys.as_slice() else {
        return Err(Error::InvalidPageToken);
    };
    let price = match price {
        SortKey::Int(price) => Some(*price),
        _ => None,
    };
    let score = Score::try_from(*score).map_err(|_| Error::InvalidPageToken)?;
    Ok((score, RankKey::new(price, name, position.id)))
}
