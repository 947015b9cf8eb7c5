//! What a model must be able to do to be selected.

use super::{Capability, Model, ModelType, Score};

/// All of it must hold; absent and empty parts ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirement {
    pub model_type: Option<ModelType>,
    /// Without duplicates.
    pub capabilities: Vec<Capability>,
    /// In each of `capabilities`.
    pub min_score: Score,
    /// A model whose window is not known does not meet any.
    pub min_context_window: Option<i64>,
}

impl Requirement {
    /// Whether the model's window is large enough.
    #[must_use]
    pub fn has_room(&self, model: &Model) -> bool {
        self.min_context_window.is_none_or(|least| model.context_window.is_some_and(|window| window >= least))
    }
}
