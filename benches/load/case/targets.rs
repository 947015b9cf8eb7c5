//! `ResolveTarget` inside the process: how long the choice takes, whatever the number of models.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use modelward::domain::credential::{AllowedHosts, Credential};
use modelward::domain::endpoint::{BaseUrl, Endpoint, HealthCheckPolicy, RetryPolicy};
use modelward::domain::image::Image;
use modelward::domain::keyring::Keyring;
use modelward::domain::model::requirement::Requirement;
use modelward::domain::model::{Capability, Model, ModelSource, ModelStatus, ModelType, Price, Pricing, Score};
use modelward::domain::provider::{Provider, ProviderKind, SyncPolicy};
use modelward::domain::secret::SealedSecret;
use modelward::domain::{Head, Id, Meta, Revision, Timestamp};
use modelward::routing::{Router, Scene, Selector, Wanted, resolve};
use modelward::snapshot::{Board, Snapshot};
use uuid::Uuid;

use crate::report::{Table, count, time};

const PER_PROVIDER: u128 = 1000;
const CALLS: usize = 200_000;

pub fn run() -> anyhow::Result<()> {
    let mut table = Table::new(&["selector", "models", "fallbacks", "p50", "p99", "p99.9"]);
    for models in [1_000, 1_000_000] {
        let snapshot = snapshot(models)?;
        for (name, selectors) in selectors(models) {
            for max_fallbacks in [0, 5] {
                let times = measure(&snapshot, &selectors, max_fallbacks)?;
                let at = |quantile| time(Duration::from_nanos(times.value_at_quantile(quantile)));
                #[expect(clippy::cast_precision_loss, reason = "a number for people")]
                let size = count(models as f64);
                table.row(vec![name.to_owned(), size, max_fallbacks.to_string(), at(0.5), at(0.99), at(0.999)]);
            }
        }
    }
    table.print("ResolveTarget inside the process");
    Ok(())
}

fn measure(snapshot: &Snapshot, selectors: &[Selector], max_fallbacks: usize) -> anyhow::Result<Histogram<u64>> {
    let (board, router) = (Board::default(), Router::default());
    let mut times = Histogram::new(3)?;
    for selector in selectors.iter().cycle().take(CALLS) {
        let begun = Instant::now();
        let scene = Scene {
            snapshot,
            board: &board,
            router: &router,
            now: Timestamp::from_micros(1),
            exclude: &[],
            readable: &|_| true,
        };
        let found = resolve(scene, Wanted { selector, max_fallbacks })?;
        times.record(u64::try_from(begun.elapsed().as_nanos())?)?;
        drop(found);
    }
    Ok(times)
}

fn selectors(models: u128) -> Vec<(&'static str, Vec<Selector>)> {
    let some = || (0..1000_u128).map(move |place| place * (models / 1000));
    let requirement = |capabilities: &[Capability], min_score| {
        let capabilities = capabilities.to_vec();
        vec![Selector::Requirement(Requirement { capabilities, min_score, ..Requirement::default() })]
    };
    vec![
        ("model_id", some().map(|number| Selector::Id(id(number))).collect()),
        ("model, of one provider", some().map(|number| Selector::Name(format!("vendor/model-{number}"))).collect()),
        ("model, of ten providers", vec![Selector::Name("vendor/shared".to_owned())]),
        ("requirement of one capability", requirement(&[Capability::Reasoning], 3)),
        ("requirement of three", requirement(&[Capability::Chat, Capability::Reasoning, Capability::Vision], 0)),
        ("default", vec![Selector::Default(ModelType::Chat)]),
    ]
}

fn id<T>(number: u128) -> Id<T> {
    Id::new(Uuid::from_u128(number + 1))
}

/// A thousand models to a provider, which has three endpoints and two credentials.
fn snapshot(models: u128) -> anyhow::Result<Snapshot> {
    let keyring = Keyring {
        id: Uuid::from_u128(1),
        revision: Revision(1),
        active_key_id: "k".to_owned(),
        update_time: Timestamp::default(),
        updated_by: String::new(),
    };
    let mut image = Image::new(Head::default(), Arc::new(keyring));
    for number in 0..models.div_ceil(PER_PROVIDER).max(10) {
        image.providers.push(Arc::new(provider(number)));
        for place in 0..3 {
            image.endpoints.push(Arc::new(endpoint(number * 3 + place, number)?));
        }
        for place in 0..2 {
            let (credential, sealed) = credential(number * 2 + place, number)?;
            image.credentials.push(Arc::new(credential));
            image.sealed.push(sealed);
        }
    }
    image.models = (0..models).map(|number| Arc::new(model(number))).collect();
    for place in 0..10 {
        let shared = Model { model_id: "vendor/shared".to_owned(), ..model(models + place) };
        image.models.push(Arc::new(Model { provider_id: id(place), is_default: place == 0, ..shared }));
    }
    Ok(Snapshot::from_image(image))
}

fn provider(number: u128) -> Provider {
    Provider {
        id: id(number),
        meta: Meta::default(),
        name: format!("provider {number}"),
        kind: ProviderKind::OpenAi,
        description: String::new(),
        is_active: true,
        sync_policy: SyncPolicy::default(),
        delete_time: None,
        purge_time: None,
    }
}

fn endpoint(number: u128, provider: u128) -> anyhow::Result<Endpoint> {
    let base_url = BaseUrl::parse(&format!("https://region-{}.example.com/v1", number % 3));
    Ok(Endpoint {
        id: id(number),
        provider_id: id(provider),
        meta: Meta::default(),
        name: format!("endpoint {number}"),
        base_url: base_url.map_err(anyhow::Error::msg)?,
        api_version: String::new(),
        region: String::new(),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_mins(1),
        retry: RetryPolicy::default(),
        is_default: false,
        is_active: true,
        priority: 0,
        weight: 1,
        health_check: HealthCheckPolicy::default(),
    })
}

fn credential(number: u128, provider: u128) -> anyhow::Result<(Credential, SealedSecret)> {
    let hosts = (0..3).map(|place| endpoint(place, provider).map(|endpoint| endpoint.base_url.host().clone()));
    let credential = Credential {
        id: id(number),
        provider_id: id(provider),
        meta: Meta::default(),
        alias: format!("credential {number}"),
        description: String::new(),
        hint: "****".to_owned(),
        fingerprint: String::new(),
        secret_version: 1,
        allowed_hosts: AllowedHosts::new(hosts.collect::<anyhow::Result<Vec<_>>>()?, false),
        expire_time: None,
        quota: None,
        is_active: true,
        revoke_time: None,
        rotate_time: None,
        previous_secret_expire_time: None,
    };
    let sealed = SealedSecret {
        credential_id: id(number),
        version: 1,
        master_key_id: "k".to_owned(),
        wrapped_key: Arc::new([]),
        ciphertext: Arc::new([]),
        create_time: Timestamp::default(),
        expire_time: None,
    };
    Ok((credential, sealed))
}

/// Some hundred ways of what a model can do.
fn model(number: u128) -> Model {
    let score = |prime: u128, most: Score| Score::try_from(number / prime % 7).unwrap_or_default().min(most);
    let scores =
        [(Capability::Chat, score(1, 5)), (Capability::Reasoning, score(7, 5)), (Capability::Vision, score(49, 5))];
    let price = i64::try_from(number * 7919 % 1_000_003).unwrap_or_default();
    Model {
        id: id(number),
        provider_id: id(number / PER_PROVIDER),
        meta: Meta::default(),
        model_id: format!("vendor/model-{number}"),
        name: format!("Model {number}"),
        description: String::new(),
        version: String::new(),
        model_type: ModelType::Chat,
        context_window: Some(128_000),
        max_output_tokens: None,
        pricing: Some(Pricing {
            input_per_1k: Some(Price::from_nanos(price)),
            output_per_1k: None,
            currency: "USD".to_owned(),
        }),
        capabilities: scores.into_iter().collect(),
        recommended_uses: Vec::new(),
        default_parameters: None,
        is_active: true,
        status: ModelStatus::Available,
        source: ModelSource::Manual,
        pinned_fields: std::collections::BTreeSet::default(),
        field_sources: std::collections::BTreeMap::default(),
        is_default: false,
    }
}
