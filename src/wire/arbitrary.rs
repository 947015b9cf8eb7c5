//! Any resource, status or change, for the tests of what is stored and sent.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::domain::binding::{Binding, Target};
use crate::domain::change::{Change, Operation, Resource};
use crate::domain::credential::{
    AllowedHosts, Credential, CredentialState, Quota, QuotaPeriod, QuotaUnit, Validation, ValidationCause,
    ValidationStatus,
};
use crate::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, Host, RetryPolicy};
use crate::domain::health::{EndpointHealth, HealthCause, HealthStatus};
use crate::domain::keyring::Keyring;
use crate::domain::model::{
    Availability, AvailabilityCause, AvailabilityStatus, Capability, FieldSource, Model, ModelParameters, ModelSource,
    ModelStatus, ModelType, Price, Pricing, SyncSummary,
};
use crate::domain::provider::{Provider, ProviderKind, SyncPolicy, SyncResult, SyncStatus};
use crate::domain::token::Token;
use crate::domain::usage::{CredentialUsage, ModelUsage, Window};
use crate::domain::{Answer, Id, Meta, Revision, Role, Timestamp};

fn uuid() -> impl Strategy<Value = Uuid> {
    (1..=u128::MAX).prop_map(Uuid::from_u128)
}

fn id<T: 'static>() -> impl Strategy<Value = Id<T>> {
    uuid().prop_map(Id::new)
}

fn text() -> impl Strategy<Value = String> {
    "[a-zäß漢 _/.-]{0,12}"
}

fn count() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..1000_i64, Just(i64::MAX)]
}

fn tokens() -> impl Strategy<Value = i64> {
    prop_oneof![1..1_000_000_i64, Just(i64::from(i32::MAX))]
}

fn small() -> impl Strategy<Value = u32> {
    0..=i32::MAX.unsigned_abs()
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_000..253_402_300_800_000_000_i64).prop_map(Timestamp::from_micros)
}

fn span() -> impl Strategy<Value = Duration> {
    (0..1_000_000_u64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn meta() -> impl Strategy<Value = Meta> {
    (count(), time(), time(), text(), text(), btree_map(text(), text(), 0..4)).prop_map(
        |(revision, create_time, update_time, created_by, updated_by, labels)| Meta {
            revision: Revision(revision),
            create_time,
            update_time,
            created_by,
            updated_by,
            labels,
        },
    )
}

pub(crate) fn provider() -> impl Strategy<Value = Provider> {
    let policy = (any::<bool>(), span()).prop_map(|(enabled, interval)| SyncPolicy { enabled, interval });
    let texts = (text(), select(ProviderKind::ALL.to_vec()), text());
    (id(), meta(), texts, any::<bool>(), policy, of(time()), of(time())).prop_map(
        |(id, meta, (name, kind, description), is_active, sync_policy, delete_time, purge_time)| Provider {
            id,
            meta,
            name,
            kind,
            description,
            is_active,
            sync_policy,
            delete_time,
            purge_time,
        },
    )
}

pub(crate) fn sync_status() -> impl Strategy<Value = SyncStatus> {
    (
        time(),
        select(vec![SyncResult::Succeeded, SyncResult::Failed]),
        text(),
        [small(), small(), small(), small(), small()],
    )
        .prop_map(|(last_time, result, message, [added, updated, deprecated, restored, unchanged])| SyncStatus {
            last_time,
            result,
            message,
            added,
            updated,
            deprecated,
            restored,
            unchanged,
        })
}

fn retry() -> impl Strategy<Value = RetryPolicy> {
    (any::<i32>(), span(), span()).prop_map(|(max_attempts, initial_backoff, max_backoff)| RetryPolicy {
        max_attempts,
        initial_backoff,
        max_backoff,
    })
}

fn check() -> impl Strategy<Value = HealthCheckPolicy> {
    (any::<bool>(), [span(), span(), span()], [any::<i32>(), any::<i32>()], text()).prop_map(
        |(enabled, [interval, timeout, degraded_latency], [unhealthy_threshold, healthy_threshold], path)| {
            HealthCheckPolicy {
                enabled,
                interval,
                timeout,
                unhealthy_threshold,
                healthy_threshold,
                degraded_latency,
                path,
            }
        },
    )
}

fn base_url() -> impl Strategy<Value = BaseUrl> {
    "https?://[A-Za-z]{1,8}\\.example(:[1-9][0-9]{0,3})?(/[a-z0-9/]{0,9})?"
        .prop_map(|text| BaseUrl::parse(&text).unwrap())
}

pub(crate) fn endpoint() -> impl Strategy<Value = Endpoint> {
    let texts = (text(), base_url(), text(), text());
    let flags = [any::<bool>(), any::<bool>()];
    let numbers = [any::<i32>(), any::<i32>()];
    (id(), id(), meta(), texts, [span(), span()], retry(), flags, numbers, check()).prop_map(
        |(id, provider_id, meta, texts, [connect_timeout, read_timeout], retry, flags, numbers, health_check)| {
            let (name, base_url, api_version, region) = texts;
            let ([is_default, is_active], [priority, weight]) = (flags, numbers);
            Endpoint {
                id,
                provider_id,
                meta,
                name,
                base_url,
                api_version,
                region,
                connect_timeout,
                read_timeout,
                retry,
                is_default,
                is_active,
                priority,
                weight,
                health_check,
            }
        },
    )
}

pub(crate) fn health() -> impl Strategy<Value = EndpointHealth> {
    use HealthCause as Cause;
    let status =
        select(vec![HealthStatus::Unknown, HealthStatus::Healthy, HealthStatus::Degraded, HealthStatus::Unhealthy]);
    let cause = select(vec![Cause::None, Cause::NameResolution, Cause::Tls, Cause::Slow, Cause::Reported]);
    (status, cause, of(span()), [of(time()), of(time())], [small(), small()], text(), of(any::<u16>())).prop_map(
        |(status, cause, latency, times, counts, message, http_status)| EndpointHealth {
            status,
            cause,
            latency,
            last_check_time: times[0],
            last_transition_time: times[1],
            consecutive_failures: counts[0],
            consecutive_successes: counts[1],
            message,
            http_status,
        },
    )
}

fn host() -> impl Strategy<Value = Host> {
    let name = prop_oneof!["[a-z]{1,8}\\.example", Just("[::1]".to_owned()), Just("10.0.0.1".to_owned())];
    (any::<bool>(), name, 1..=u16::MAX).prop_map(|(secure, name, port)| Host { secure, name, port })
}

fn quota() -> impl Strategy<Value = Quota> {
    let unit = select(vec![QuotaUnit::Requests, QuotaUnit::Tokens]);
    let period = select(vec![QuotaPeriod::Total, QuotaPeriod::Day, QuotaPeriod::Month]);
    (count(), unit, period).prop_map(|(limit, unit, period)| Quota { limit, unit, period })
}

pub(crate) fn credential() -> impl Strategy<Value = Credential> {
    let texts = [text().boxed(), text().boxed(), text().boxed(), text().boxed()];
    let hosts = (vec(host(), 0..4), any::<bool>()).prop_map(|(hosts, explicit)| AllowedHosts::new(hosts, explicit));
    let times = [of(time()), of(time()), of(time()), of(time())];
    (id(), id(), meta(), texts, count(), hosts, of(quota()), any::<bool>(), times).prop_map(
        |(id, provider_id, meta, texts, secret_version, allowed_hosts, quota, is_active, times)| {
            let [alias, description, hint, fingerprint] = texts;
            let [expire_time, revoke_time, rotate_time, previous_secret_expire_time] = times;
            Credential {
                id,
                provider_id,
                meta,
                alias,
                description,
                hint,
                fingerprint,
                secret_version,
                allowed_hosts,
                expire_time,
                quota,
                is_active,
                revoke_time,
                rotate_time,
                previous_secret_expire_time,
            }
        },
    )
}

pub(crate) fn credential_state() -> impl Strategy<Value = CredentialState> {
    use CredentialState as State;
    select(vec![State::Revoked, State::Disabled, State::Expired, State::Exhausted, State::Active])
}

pub(crate) fn validation() -> impl Strategy<Value = Validation> {
    let status = select(vec![ValidationStatus::Unknown, ValidationStatus::Valid, ValidationStatus::Unsupported]);
    let cause = select(vec![ValidationCause::None, ValidationCause::BadKey, ValidationCause::SecretUnreadable]);
    (status, cause, text(), of(time()), count()).prop_map(
        |(status, cause, message, last_validate_time, secret_version)| Validation {
            status,
            cause,
            message,
            last_validate_time,
            secret_version,
        },
    )
}

pub(crate) fn credential_usage() -> impl Strategy<Value = CredentialUsage> {
    let window = || {
        (of(time()), count(), count()).prop_map(|(start_time, requests, tokens)| Window {
            start_time,
            requests,
            tokens,
        })
    };
    ([window(), window()], [count(), count(), count()], of(time())).prop_map(|(windows, counts, last_use_time)| {
        CredentialUsage {
            day: windows[0],
            month: windows[1],
            total_requests: counts[0],
            total_failures: counts[1],
            total_tokens: counts[2],
            last_use_time,
        }
    })
}

fn json() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i32>().prop_map(Json::from),
        Just(Json::from(1_i64 << 53)),
        Just(Json::from(1e300)),
        Just(Json::from(0.1)),
    ];
    let leaf = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::from), number, text().prop_map(Json::from)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            btree_map(text(), inner, 0..4).prop_map(|entries| Json::from(Map::from_iter(entries))),
        ]
    })
}

pub(crate) fn parameters() -> impl Strategy<Value = ModelParameters> {
    let numbers = [of(0.0..2.0), of(0.0..1.0), of(-2.0..2.0), of(-2.0..2.0)];
    let extra = of(btree_map(text(), json(), 0..4).prop_map(Map::from_iter));
    (numbers, of(tokens()), vec(text(), 0..3), extra).prop_map(|(numbers, max_tokens, stop, extra)| ModelParameters {
        temperature: numbers[0],
        top_p: numbers[1],
        max_tokens,
        frequency_penalty: numbers[2],
        presence_penalty: numbers[3],
        stop,
        extra,
    })
}

fn pricing() -> impl Strategy<Value = Pricing> {
    let price = || of((0..=i64::MAX).prop_map(Price::from_nanos));
    (price(), price(), "[A-Z]{3}").prop_map(|(input_per_1k, output_per_1k, currency)| Pricing {
        input_per_1k,
        output_per_1k,
        currency,
    })
}

pub(crate) fn model() -> impl Strategy<Value = Model> {
    let texts = [text().boxed(), text().boxed(), text().boxed(), text().boxed()];
    let kinds = (
        select(ModelType::ALL.to_vec()),
        select(ModelStatus::ALL.to_vec()),
        select(ModelSource::ALL.to_vec()),
        any::<bool>(),
        any::<bool>(),
    );
    let sizes = (of(tokens()), of(tokens()), of(pricing()), of(parameters()));
    let lists = (
        btree_map(select(Capability::ALL.to_vec()), 0..=5_i32, 0..4),
        vec(text(), 0..3),
        btree_set(text(), 0..3),
        btree_map(text(), select(FieldSource::ALL.to_vec()), 0..3),
    );
    (id(), id(), meta(), texts, kinds, sizes, lists).prop_map(|(id, provider_id, meta, texts, kinds, sizes, lists)| {
        let [model_id, name, description, version] = texts;
        let (model_type, status, source, is_active, is_default) = kinds;
        let (context_window, max_output_tokens, pricing, default_parameters) = sizes;
        let (capabilities, recommended_uses, pinned_fields, field_sources) = lists;
        Model {
            id,
            provider_id,
            meta,
            model_id,
            name,
            description,
            version,
            model_type,
            context_window,
            max_output_tokens,
            pricing,
            capabilities,
            recommended_uses,
            default_parameters,
            is_active,
            status,
            source,
            pinned_fields,
            field_sources,
            is_default,
        }
    })
}

pub(crate) fn availability() -> impl Strategy<Value = Availability> {
    let status = select(AvailabilityStatus::ALL.to_vec());
    let cause = select(AvailabilityCause::ALL.to_vec());
    (status, cause, of(span()), text(), of(time())).prop_map(|(status, cause, latency, message, last_test_time)| {
        Availability { status, cause, latency, message, last_test_time }
    })
}

pub(crate) fn model_usage() -> impl Strategy<Value = ModelUsage> {
    ([count(), count(), count(), count()], of(time())).prop_map(|(counts, last_use_time)| ModelUsage {
        total_requests: counts[0],
        total_failures: counts[1],
        total_input_tokens: counts[2],
        total_output_tokens: counts[3],
        last_use_time,
    })
}

pub(crate) fn binding() -> impl Strategy<Value = Binding> {
    let target = prop_oneof![id().prop_map(Target::Model), id().prop_map(Target::Provider)];
    (id(), meta(), text(), text(), target, of(parameters())).prop_map(
        |(id, meta, consumer, purpose, target, parameters)| Binding { id, meta, consumer, purpose, target, parameters },
    )
}

pub(crate) fn token() -> impl Strategy<Value = Token> {
    let roles = vec(select(Role::ALL.to_vec()), 0..4);
    let hash = any::<[u8; 32]>();
    (id(), count(), text(), roles, time(), text(), [of(time()), of(time())], hash).prop_map(
        |(id, revision, name, roles, create_time, created_by, [expire_time, revoke_time], secret_hash)| Token {
            id,
            revision: Revision(revision),
            name,
            roles: roles.into_iter().collect(),
            create_time,
            created_by,
            expire_time,
            revoke_time,
            secret_hash,
        },
    )
}

pub(crate) fn keyring() -> impl Strategy<Value = Keyring> {
    (uuid(), count(), text(), time(), text()).prop_map(|(id, revision, active_key_id, update_time, updated_by)| {
        Keyring { id, revision: Revision(revision), active_key_id, update_time, updated_by }
    })
}

pub(crate) fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        provider().prop_map(|found| Resource::Provider(Arc::new(found))),
        endpoint().prop_map(|found| Resource::Endpoint(Arc::new(found))),
        credential().prop_map(|found| Resource::Credential(Arc::new(found))),
        model().prop_map(|found| Resource::Model(Arc::new(found))),
        binding().prop_map(|found| Resource::Binding(Arc::new(found))),
        token().prop_map(|found| Resource::Token(Arc::new(found))),
        keyring().prop_map(|found| Resource::Keyring(Arc::new(found))),
    ]
}

/// Any change; before and after are of the same resource, as far as the log cares.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    let texts = [text().boxed(), text().boxed(), text().boxed(), text().boxed(), text().boxed(), text().boxed()];
    let place = (count(), small(), select(Operation::ALL.to_vec()), time());
    (place, texts, resource(), [any::<bool>(), any::<bool>()], vec(text(), 0..3)).prop_map(
        |((revision, ordinal, operation, time), texts, resource, [before, after], changed_fields)| {
            let [actor, rpc, request_id, reason, peer_address, user_agent] = texts;
            // A change has at least one side; here it is always one that a token's hash can be read from.
            let after = after || !before;
            Change {
                revision: Revision(revision),
                ordinal,
                resource_kind: resource.kind(),
                resource_id: resource.id(),
                operation,
                actor,
                rpc,
                request_id,
                reason,
                peer_address,
                user_agent,
                time,
                before: before.then(|| resource.clone()),
                after: after.then_some(resource),
                changed_fields,
            }
        },
    )
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    let sync = ([small(), small(), small(), small(), small()], vec(model().prop_map(Arc::new), 0..3)).prop_map(
        |([added, updated, deprecated, restored, unchanged], models)| SyncSummary {
            added,
            updated,
            deprecated,
            restored,
            unchanged,
            models,
        },
    );
    prop_oneof![Just(Answer::Empty), resource().prop_map(Answer::Resource), sync.prop_map(Answer::Sync)]
}
