//! Which models a selector means, best first.

use std::sync::Arc;

use crate::domain::binding::Target as Bound;
use crate::domain::change::ResourceKind;
use crate::domain::error::{Error, Result};
use crate::domain::id::{ModelId, ProviderId};
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{Model, ModelStatus, ModelType};
use crate::domain::view::View as _;
use crate::snapshot::{Entry, Snapshot};

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    Id(ModelId),
    /// The vendor's identifier, or "provider-name/vendor-id".
    Name(String),
    Requirement(Requirement),
    /// The default model of the type.
    Default(ModelType),
    /// What the consumer has bound for the purpose.
    Binding {
        consumer: String,
        purpose: String,
    },
}

/// How the candidates of a selector relate.
pub(super) enum Candidates<'a> {
    One(&'a Arc<Entry<Model>>),
    /// The same model at several providers, who take turns; the name of these turns.
    Same(Vec<&'a Arc<Entry<Model>>>, &'a str),
    /// A provider, whatever the model.
    Provider(ProviderId),
    /// From best to worst.
    Ranked(Box<dyn Iterator<Item = &'a Arc<Entry<Model>>> + 'a>),
}

impl Selector {
    /// # Errors
    /// [`Error::NotFound`] where no live model is meant.
    pub(super) fn candidates<'a>(&'a self, snapshot: &'a Snapshot) -> Result<Candidates<'a>> {
        match self {
            Self::Id(id) => snapshot.live_model_entry(*id).map(Candidates::One),
            Self::Name(name) => named(snapshot, name),
            Self::Requirement(requirement) => {
                let mut models = snapshot.models_meeting(requirement).peekable();
                if models.peek().is_none() {
                    return Err(none("one that meets the requirement"));
                }
                Ok(Candidates::Ranked(Box::new(models)))
            }
            Self::Binding { consumer, purpose } => bound(snapshot, consumer, purpose),
            Self::Default(model_type) => {
                let default = snapshot.default_model_entry(*model_type);
                default
                    .map(Candidates::One)
                    .ok_or_else(|| none(format!("the default of the type {}", model_type.name())))
            }
        }
    }
}

fn bound<'a>(snapshot: &'a Snapshot, consumer: &str, purpose: &str) -> Result<Candidates<'a>> {
    let binding = snapshot
        .binding_for(consumer, purpose)
        .ok_or_else(|| Error::not_found(ResourceKind::Binding, format!("{consumer} ({purpose})")))?;
    match binding.target {
        Bound::Model(id) => snapshot.live_model_entry(id).map(Candidates::One),
        Bound::Provider(id) => Ok(Candidates::Provider(id)),
    }
}

/// A vendor's identifier may have slashes itself, so the whole text is tried first; then what stands before the first
/// slash is the name of a provider.
fn named<'a>(snapshot: &'a Snapshot, name: &'a str) -> Result<Candidates<'a>> {
    let models: Vec<_> = snapshot.live_models_named(name).collect();
    match models.as_slice() {
        [] => {}
        [only] => return Ok(Candidates::One(only)),
        _ => return Ok(Candidates::Same(models, name)),
    }
    let of_provider = || {
        let (provider, vendor_id) = name.split_once('/')?;
        snapshot.model_entry_named(snapshot.provider_entry_named(provider)?.id, vendor_id)
    };
    of_provider().map(Candidates::One).ok_or_else(|| none(name))
}

fn none(what: impl ToString) -> Error {
    Error::not_found(ResourceKind::Model, what)
}

/// Whether a model ranks behind those that are not.
pub(super) fn is_deprecated(model: &Model) -> bool {
    model.status == ModelStatus::Deprecated
}
