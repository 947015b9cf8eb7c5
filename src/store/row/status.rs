//! Rows of the status tables.
//!
//! Credentials and models have two pieces of status that are written apart, in one row: each piece has a row type of
//! its own for writing, and one type reads both; a piece whose first column is NULL was never written.

use super::{Place, instant, nanos, time};
use crate::domain::credential::Validation;
use crate::domain::health::EndpointHealth;
use crate::domain::image::{StatusRevision, StatusValue};
use crate::domain::model::{Availability, AvailabilityCause, AvailabilityStatus};
use crate::domain::provider::SyncStatus;
use crate::domain::usage::{CredentialUsage, ModelUsage, Window};
use crate::domain::{CredentialId, EndpointId, ModelId, ProviderId, Timestamp, TokenId};
use crate::store::error::Result;
use crate::store::names::Named as _;
use crate::store::statement::row;
use crate::store::value::{DbId, Instant};

row! {
    HealthRow in endpoint_status (endpoint_id) {
        endpoint_id: DbId,
        status: String,
        cause: String,
        latency_ns: Option<i64>,
        last_check_time: Option<Instant>,
        last_transition_time: Option<Instant>,
        consecutive_failures: i64,
        consecutive_successes: i64,
        message: String,
        http_status: Option<i32>,
        status_revision: i64,
    }
}

impl HealthRow {
    pub(in crate::store) fn new(id: EndpointId, health: &EndpointHealth, revision: StatusRevision) -> Self {
        Self {
            endpoint_id: id.into(),
            status: health.status.word().into(),
            cause: health.cause.word().into(),
            latency_ns: health.latency.map(nanos),
            last_check_time: instant(health.last_check_time),
            last_transition_time: instant(health.last_transition_time),
            consecutive_failures: health.consecutive_failures.into(),
            consecutive_successes: health.consecutive_successes.into(),
            message: health.message.clone(),
            http_status: health.http_status.map(Into::into),
            status_revision: revision.0,
        }
    }

    pub(in crate::store) fn read(self) -> Result<(EndpointId, EndpointHealth)> {
        let place = Place::of("endpoint_status", self.endpoint_id);
        let health = EndpointHealth {
            status: place.word("status", &self.status)?,
            cause: place.word("cause", &self.cause)?,
            latency: self.latency_ns.map(|nanos| place.duration("latency_ns", nanos)).transpose()?,
            last_check_time: time(self.last_check_time),
            last_transition_time: time(self.last_transition_time),
            consecutive_failures: place.number("consecutive_failures", self.consecutive_failures)?,
            consecutive_successes: place.number("consecutive_successes", self.consecutive_successes)?,
            message: self.message,
            http_status: self.http_status.map(|code| place.number("http_status", code.into())).transpose()?,
        };
        Ok((self.endpoint_id.into(), health))
    }
}

row! {
    ValidationRow in credential_status (credential_id) {
        credential_id: DbId,
        validation_status: Option<String>,
        validation_cause: Option<String>,
        validation_message: Option<String>,
        validation_time: Option<Instant>,
        validation_secret_version: Option<i64>,
        status_revision: i64,
    }
}

impl ValidationRow {
    pub(in crate::store) fn new(id: CredentialId, validation: &Validation, revision: StatusRevision) -> Self {
        Self {
            credential_id: id.into(),
            validation_status: Some(validation.status.word().into()),
            validation_cause: Some(validation.cause.word().into()),
            validation_message: Some(validation.message.clone()),
            validation_time: instant(validation.last_validate_time),
            validation_secret_version: Some(validation.secret_version),
            status_revision: revision.0,
        }
    }

    fn read(self, place: &Place<DbId>) -> Result<Option<Validation>> {
        let Some(status) = self.validation_status else { return Ok(None) };
        Ok(Some(Validation {
            status: place.word("validation_status", &status)?,
            cause: place.word("validation_cause", &self.validation_cause.unwrap_or_default())?,
            message: self.validation_message.unwrap_or_default(),
            last_validate_time: time(self.validation_time),
            secret_version: place.some("validation_secret_version", self.validation_secret_version)?,
        }))
    }
}

row! {
    CredentialUsageRow in credential_status (credential_id) {
        credential_id: DbId,
        usage_day_start: Option<Instant>,
        usage_day_requests: Option<i64>,
        usage_day_tokens: Option<i64>,
        usage_month_start: Option<Instant>,
        usage_month_requests: Option<i64>,
        usage_month_tokens: Option<i64>,
        usage_total_requests: Option<i64>,
        usage_total_failures: Option<i64>,
        usage_total_tokens: Option<i64>,
        usage_last_use_time: Option<Instant>,
        status_revision: i64,
    }
}

impl CredentialUsageRow {
    pub(in crate::store) fn new(id: CredentialId, usage: &CredentialUsage, revision: StatusRevision) -> Self {
        Self {
            credential_id: id.into(),
            usage_day_start: instant(usage.day.start_time),
            usage_day_requests: Some(usage.day.requests),
            usage_day_tokens: Some(usage.day.tokens),
            usage_month_start: instant(usage.month.start_time),
            usage_month_requests: Some(usage.month.requests),
            usage_month_tokens: Some(usage.month.tokens),
            usage_total_requests: Some(usage.total_requests),
            usage_total_failures: Some(usage.total_failures),
            usage_total_tokens: Some(usage.total_tokens),
            usage_last_use_time: instant(usage.last_use_time),
            status_revision: revision.0,
        }
    }

    /// The usage, if any was written.
    pub(in crate::store) fn usage(self) -> Result<Option<(CredentialId, CredentialUsage)>> {
        let (id, place) = (self.credential_id, Place::of("credential_status", self.credential_id));
        Ok(self.read(&place)?.map(|usage| (id.into(), usage)))
    }

    fn read(self, place: &Place<DbId>) -> Result<Option<CredentialUsage>> {
        let Some(total_requests) = self.usage_total_requests else { return Ok(None) };
        Ok(Some(CredentialUsage {
            day: Window {
                start_time: time(self.usage_day_start),
                requests: place.some("usage_day_requests", self.usage_day_requests)?,
                tokens: place.some("usage_day_tokens", self.usage_day_tokens)?,
            },
            month: Window {
                start_time: time(self.usage_month_start),
                requests: place.some("usage_month_requests", self.usage_month_requests)?,
                tokens: place.some("usage_month_tokens", self.usage_month_tokens)?,
            },
            total_requests,
            total_failures: place.some("usage_total_failures", self.usage_total_failures)?,
            total_tokens: place.some("usage_total_tokens", self.usage_total_tokens)?,
            last_use_time: time(self.usage_last_use_time),
        }))
    }
}

row! {
    AvailabilityRow in model_status (model_id) {
        model_id: DbId,
        availability_status: Option<String>,
        availability_cause: Option<String>,
        availability_latency_ns: Option<i64>,
        availability_message: Option<String>,
        availability_test_time: Option<Instant>,
        status_revision: i64,
    }
}

impl AvailabilityRow {
    pub(in crate::store) fn new(id: ModelId, availability: &Availability, revision: StatusRevision) -> Self {
        Self {
            model_id: id.into(),
            availability_status: Some(availability.status.name().into()),
            availability_cause: Some(availability.cause.name().into()),
            availability_latency_ns: availability.latency.map(nanos),
            availability_message: Some(availability.message.clone()),
            availability_test_time: instant(availability.last_test_time),
            status_revision: revision.0,
        }
    }

    fn read(self, place: &Place<DbId>) -> Result<Option<Availability>> {
        let Some(status) = self.availability_status else { return Ok(None) };
        let cause = self.availability_cause.unwrap_or_default();
        let latency = self.availability_latency_ns;
        Ok(Some(Availability {
            status: place.some("availability_status", AvailabilityStatus::parse(&status))?,
            cause: place.some("availability_cause", AvailabilityCause::parse(&cause))?,
            latency: latency.map(|nanos| place.duration("availability_latency_ns", nanos)).transpose()?,
            message: self.availability_message.unwrap_or_default(),
            last_test_time: time(self.availability_test_time),
        }))
    }
}

row! {
    ModelUsageRow in model_status (model_id) {
        model_id: DbId,
        usage_total_requests: Option<i64>,
        usage_total_failures: Option<i64>,
        usage_total_input_tokens: Option<i64>,
        usage_total_output_tokens: Option<i64>,
        usage_last_use_time: Option<Instant>,
        status_revision: i64,
    }
}

impl ModelUsageRow {
    pub(in crate::store) fn new(id: ModelId, usage: &ModelUsage, revision: StatusRevision) -> Self {
        Self {
            model_id: id.into(),
            usage_total_requests: Some(usage.total_requests),
            usage_total_failures: Some(usage.total_failures),
            usage_total_input_tokens: Some(usage.total_input_tokens),
            usage_total_output_tokens: Some(usage.total_output_tokens),
            usage_last_use_time: instant(usage.last_use_time),
            status_revision: revision.0,
        }
    }

    /// The usage, if any was written.
    pub(in crate::store) fn usage(self) -> Result<Option<(ModelId, ModelUsage)>> {
        let (id, place) = (self.model_id, Place::of("model_status", self.model_id));
        Ok(self.read(&place)?.map(|usage| (id.into(), usage)))
    }

    fn read(self, place: &Place<DbId>) -> Result<Option<ModelUsage>> {
        let Some(total_requests) = self.usage_total_requests else { return Ok(None) };
        Ok(Some(ModelUsage {
            total_requests,
            total_failures: place.some("usage_total_failures", self.usage_total_failures)?,
            total_input_tokens: place.some("usage_total_input_tokens", self.usage_total_input_tokens)?,
            total_output_tokens: place.some("usage_total_output_tokens", self.usage_total_output_tokens)?,
            last_use_time: time(self.usage_last_use_time),
        }))
    }
}

row! {
    SyncRow in provider_status (provider_id) {
        provider_id: DbId,
        sync_time: Instant,
        sync_result: String,
        sync_message: String,
        sync_added: i64,
        sync_updated: i64,
        sync_deprecated: i64,
        sync_restored: i64,
        sync_unchanged: i64,
        status_revision: i64,
    }
}

impl SyncRow {
    pub(in crate::store) fn new(id: ProviderId, sync: &SyncStatus, revision: StatusRevision) -> Self {
        Self {
            provider_id: id.into(),
            sync_time: sync.last_time.into(),
            sync_result: sync.result.word().into(),
            sync_message: sync.message.clone(),
            sync_added: sync.added.into(),
            sync_updated: sync.updated.into(),
            sync_deprecated: sync.deprecated.into(),
            sync_restored: sync.restored.into(),
            sync_unchanged: sync.unchanged.into(),
            status_revision: revision.0,
        }
    }
}

row! {
    TokenUseRow in token_status (token_id) {
        token_id: DbId,
        last_use_time: Instant,
        status_revision: i64,
    }
}

impl TokenUseRow {
    pub(in crate::store) fn new(id: TokenId, last_use: Timestamp, revision: StatusRevision) -> Self {
        Self { token_id: id.into(), last_use_time: last_use.into(), status_revision: revision.0 }
    }
}

/// What a stored row says: one piece of status, or several.
pub(in crate::store) trait StoredStatus {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()>;
}

impl StoredStatus for HealthRow {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        let (id, health) = self.read()?;
        into.push(StatusValue::Health(id, health));
        Ok(())
    }
}

impl StoredStatus for (ValidationRow, CredentialUsageRow) {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        let place = Place::of("credential_status", self.0.credential_id);
        let id = self.0.credential_id.into();
        into.extend(self.0.read(&place)?.map(|value| StatusValue::Validation(id, value)));
        into.extend(self.1.read(&place)?.map(|value| StatusValue::CredentialUsage(id, value)));
        Ok(())
    }
}

impl StoredStatus for (AvailabilityRow, ModelUsageRow) {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        let place = Place::of("model_status", self.0.model_id);
        let id = self.0.model_id.into();
        into.extend(self.0.read(&place)?.map(|value| StatusValue::Availability(id, value)));
        into.extend(self.1.read(&place)?.map(|value| StatusValue::ModelUsage(id, value)));
        Ok(())
    }
}

impl StoredStatus for SyncRow {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        let place = Place::of("provider_status", self.provider_id);
        let status = SyncStatus {
            last_time: self.sync_time.into(),
            result: place.word("sync_result", &self.sync_result)?,
            message: self.sync_message,
            added: place.number("sync_added", self.sync_added)?,
            updated: place.number("sync_updated", self.sync_updated)?,
            deprecated: place.number("sync_deprecated", self.sync_deprecated)?,
            restored: place.number("sync_restored", self.sync_restored)?,
            unchanged: place.number("sync_unchanged", self.sync_unchanged)?,
        };
        into.push(StatusValue::Sync(self.provider_id.into(), status));
        Ok(())
    }
}

impl StoredStatus for TokenUseRow {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        into.push(StatusValue::TokenUse(self.token_id.into(), self.last_use_time.into()));
        Ok(())
    }
}

impl StoredStatus for super::secret::SecretRow {
    fn values(self, into: &mut Vec<StatusValue>) -> Result<()> {
        into.push(StatusValue::Rewrapped(self.into()));
        Ok(())
    }
}
