//! Bindings: what a long-lived consumer declares to use, for a purpose.
//!
//! What a binding points to is always there and live: it has to be when the binding is made or turned, and while it is
//! bound it cannot be deleted.

use super::id::{BindingId, ModelId, ProviderId};
use super::meta::Meta;
use super::model::ModelParameters;
use super::text::Text;
use super::view::View;

pub mod input;
pub mod plan;

pub const CONSUMER: Text = Text::required(200);
pub const PURPOSE: Text = Text::required(100);
pub const DEFAULT_PURPOSE: &str = "default";

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Model(ModelId),
    Provider(ProviderId),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub id: BindingId,
    pub meta: Meta,
    pub consumer: String,
    pub purpose: String,
    pub target: Target,
    /// They come before the model's own; `None`: nothing of that kind.
    pub parameters: Option<ModelParameters>,
}

impl Binding {
    #[must_use]
    pub const fn model_id(&self) -> Option<ModelId> {
        match self.target {
            Target::Model(id) => Some(id),
            Target::Provider(_) => None,
        }
    }

    /// The provider that is bound as a whole.
    #[must_use]
    pub const fn provider_id(&self) -> Option<ProviderId> {
        match self.target {
            Target::Provider(id) => Some(id),
            Target::Model(_) => None,
        }
    }

    /// The provider that is used in the end: the bound one, or the bound model's.
    #[must_use]
    pub fn provider(&self, view: &(impl View + ?Sized)) -> Option<ProviderId> {
        match self.target {
            Target::Provider(id) => Some(id),
            Target::Model(id) => view.model(id).map(|model| model.provider_id),
        }
    }
}
