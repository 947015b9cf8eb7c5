//! Whether a model can be used now, and if not, why.

use std::fmt;

use super::state::Snapshot;
use crate::domain::error::Error;
use crate::domain::id::{Id, ModelId, ProviderId};
use crate::domain::model::{Model, ModelStatus};
use crate::domain::time::Timestamp;

/// The first reason that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    ModelDisabled,
    Maintenance,
    ProviderDeleted,
    ProviderDisabled,
    NoEndpoint,
    NoCredential,
}

impl Unusable {
    /// What `MODEL_UNAVAILABLE` tells about this model.
    #[must_use]
    pub fn of(self, model: &Model) -> Error {
        self.of_model(Some(model.id))
    }

    /// The same where there may be no model: of a binding to a provider.
    #[must_use]
    pub fn of_model(self, model: Option<ModelId>) -> Error {
        Error::ModelUnavailable { model_id: model.map(Id::uuid), cause: self.to_string() }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModelDisabled => "the model is disabled",
            Self::Maintenance => "the model is in maintenance",
            Self::ProviderDeleted => "the provider is deleted",
            Self::ProviderDisabled => "the provider is disabled",
            Self::NoEndpoint => "the provider has no active endpoint",
            Self::NoCredential => "the provider has no usable credential",
        })
    }
}

impl Snapshot {
    /// Whether the model can be used at `now`. A deprecated one can.
    ///
    /// # Errors
    /// The reason why not.
    pub fn usable(&self, model: &Model, now: Timestamp) -> Result<(), Unusable> {
        offered(model)?;
        self.provider_ready(model.provider_id, now)
    }

    /// Whether models of this provider can be used at `now` as far as the provider is concerned.
    ///
    /// # Errors
    /// The reason why not.
    pub fn provider_ready(&self, id: ProviderId, now: Timestamp) -> Result<(), Unusable> {
        let provider = self.providers.live().get(&id).ok_or(Unusable::ProviderDeleted)?.value();
        if !provider.is_active {
            return Err(Unusable::ProviderDisabled);
        }
        if !self.endpoint_entries_of(id).any(|entry| entry.value().is_active) {
            return Err(Unusable::NoEndpoint);
        }
        let needed = provider.kind.requires_credential();
        if needed && !self.credential_entries_of(id).any(|entry| entry.value().is_usable(now)) {
            return Err(Unusable::NoCredential);
        }
        Ok(())
    }
}

/// The model's own part in being usable.
///
/// # Errors
/// The reason why not.
pub const fn offered(model: &Model) -> Result<(), Unusable> {
    if !model.is_active {
        Err(Unusable::ModelDisabled)
    } else if matches!(model.status, ModelStatus::Maintenance) {
        Err(Unusable::Maintenance)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::image::Image;
    use crate::domain::provider::{Provider, ProviderKind};
    use crate::snapshot::fixtures::{self, at};

    fn image() -> Image {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        image.endpoints.push(Arc::new(fixtures::endpoint(1, 1)));
        image.credentials.push(Arc::new(fixtures::credential(1, 1)));
        image
    }

    fn verdict(image: Image, model: &Model) -> Result<(), Unusable> {
        Snapshot::from_image(image).usable(model, at(50))
    }

    #[test]
    fn a_model_is_usable_as_long_as_nothing_is_in_the_way() {
        let model = fixtures::model(1, 1);
        assert_eq!(verdict(image(), &model), Ok(()));
        assert_eq!(verdict(image(), &Model { status: ModelStatus::Deprecated, ..model.clone() }), Ok(()));
        let disabled = Model { is_active: false, ..model.clone() };
        assert_eq!(verdict(image(), &disabled), Err(Unusable::ModelDisabled));
        let maintained = Model { status: ModelStatus::Maintenance, ..model };
        assert_eq!(verdict(image(), &maintained), Err(Unusable::Maintenance));
    }

    #[test]
    fn the_provider_must_be_live_active_and_have_an_active_endpoint() {
        let model = fixtures::model(1, 1);
        let with = |provider: Provider| Image { providers: vec![Arc::new(provider)], ..image() };
        let deleted = Provider { delete_time: Some(at(1)), ..fixtures::provider(1) };
        assert_eq!(verdict(with(deleted), &model), Err(Unusable::ProviderDeleted));
        let disabled = Provider { is_active: false, ..fixtures::provider(1) };
        assert_eq!(verdict(with(disabled), &model), Err(Unusable::ProviderDisabled));
        let mut endpoint = fixtures::endpoint(1, 1);
        endpoint.is_active = false;
        let image = Image { endpoints: vec![Arc::new(endpoint)], ..image() };
        assert_eq!(verdict(image, &model), Err(Unusable::NoEndpoint));
    }

    #[test]
    fn a_usable_credential_is_needed_where_the_kind_needs_one() {
        let model = fixtures::model(1, 1);
        let mut image = image();
        let mut expired = fixtures::credential(1, 1);
        expired.expire_time = Some(at(50));
        image.credentials = vec![Arc::new(expired)];
        assert_eq!(verdict(image.clone(), &model), Err(Unusable::NoCredential));
        image.providers = vec![Arc::new(Provider { kind: ProviderKind::Ollama, ..fixtures::provider(1) })];
        assert_eq!(verdict(image, &model), Ok(()));
    }
}
