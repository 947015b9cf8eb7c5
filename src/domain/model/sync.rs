//! Synchronisation with a vendor's list of models.

mod listing;

pub use listing::{Facts, ListedModel, Listing};
