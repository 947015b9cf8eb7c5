use serde_json::json;

use super::*;
use crate::domain::error::{Error, Result};
use crate::domain::model::{ModelSource, plan::fresh};
use crate::domain::view::memory::{CountedIds, World};

fn bad_fields(input: &ModelInput, presence: Presence<'_>) -> Vec<String> {
    let mut violations = Violations::default();
    input.check("model", presence, &mut violations);
    names(violations)
}

fn names(violations: Violations) -> Vec<String> {
    match violations.into_result() {
        Err(Error::InvalidField { violations }) => violations.into_iter().map(|v| v.field).collect(),
        _ => Vec::new(),
    }
}

fn updating(input: &ModelInput) -> Vec<String> {
    bad_fields(input, Presence::Update(&Mask::Carried))
}

fn capable(capability: Option<Capability>, score: Option<Score>) -> CapabilityInput {
    CapabilityInput { capability, score }
}

fn parameters(temperature: Option<f64>, top_p: Option<f64>) -> ModelParameters {
    ModelParameters { temperature, top_p, ..ModelParameters::default() }
}

fn prices(input: &str, output: &str, currency: Option<&str>) -> PricingInput {
    PricingInput {
        input_per_1k: Some(input.into()),
        output_per_1k: Some(output.into()),
        currency: currency.map(Into::into),
    }
}

/// An input that carries every settable field with another value than the default.
fn all_carried() -> ModelInput {
    ModelInput {
        provider_id: None,
        model_id: None,
        name: Some("n".into()),
        description: Some("d".into()),
        version: Some("v".into()),
        model_type: Some(ModelType::Image),
        context_window: Some(1),
        max_output_tokens: Some(2),
        pricing: prices("1", "2", Some("EUR")),
        capabilities: vec![capable(Some(Capability::Chat), Some(3))],
        recommended_uses: vec!["u".into()],
        default_parameters: ModelParameters {
            temperature: Some(0.1),
            top_p: Some(0.2),
            max_tokens: Some(3),
            frequency_penalty: Some(0.4),
            presence_penalty: Some(0.5),
            stop: vec!["\n".into()],
            extra: json!({"k": 1}).as_object().cloned(),
        },
        is_active: Some(false),
        status: Some(ModelStatus::Maintenance),
        labels: Labels::from([("k".into(), "v".into())]),
    }
}

fn blank() -> Model {
    let world = World::default();
    let ids = CountedIds::default();
    let context = crate::domain::plan::PlanContext {
        revision: world.revision,
        now: world.now,
        call: &world.call,
        limits: &world.limits,
        ids: &ids,
    };
    fresh(ProviderId::nil(), "vendor/m", ModelSource::Manual, &context)
}

fn merged(input: &ModelInput, model: &Model, mask: &Mask) -> Model {
    let mut model = model.clone();
    input.merge_into(&mut model, mask);
    model
}

fn mask(paths: &[&str]) -> Result<Mask> {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    Mask::parse(&paths, SETTABLE, FIXED)
}

#[test]
fn only_the_provider_and_the_identifier_must_be_carried_and_only_at_creation() {
    assert_eq!(bad_fields(&ModelInput::default(), Presence::Create), ["model.provider_id", "model.model_id"]);
    assert_eq!(updating(&ModelInput::default()), [""; 0]);
    assert_eq!(bad_fields(&ModelInput::default(), Presence::Update(&Mask::Full)), [""; 0]);
}

#[test]
fn everything_beyond_its_limit_is_named_at_once() {
    let input = ModelInput {
        model_id: Some("x".repeat(201)),
        name: Some("x".repeat(101)),
        description: Some("x".repeat(1001)),
        version: Some("x".repeat(101)),
        context_window: Some(0),
        max_output_tokens: Some(-1),
        pricing: prices("-1", "0.0000000001", Some("usd")),
        capabilities: vec![capable(Some(Capability::Chat), Some(6)), capable(None, Some(-1))],
        recommended_uses: vec!["fine".into(), "x".repeat(101), String::new()],
        default_parameters: parameters(Some(f64::NAN), Some(1.5)),
        labels: Labels::from([("k".repeat(64), String::new())]),
        ..ModelInput::default()
    };
    assert_eq!(
        updating(&input),
        [
            "model.model_id",
            "model.name",
            "model.description",
            "model.version",
            "model.context_window",
            "model.max_output_tokens",
            "model.pricing.input_per_1k",
            "model.pricing.output_per_1k",
            "model.pricing.currency",
            "model.capabilities[0].score",
            "model.capabilities[1].capability",
            "model.capabilities[1].score",
            "model.recommended_uses[1]",
            "model.recommended_uses[2]",
            "model.default_parameters.temperature",
            "model.default_parameters.top_p",
            "model.labels.key",
        ]
    );
}

#[test]
fn the_limits_themselves_are_allowed() {
    let input = ModelInput {
        provider_id: Some(ProviderId::nil()),
        model_id: Some("x".repeat(200)),
        name: Some("ä".repeat(100)),
        description: Some("x".repeat(1000)),
        version: Some("x".repeat(100)),
        context_window: Some(1),
        max_output_tokens: Some(MAX_INT),
        pricing: prices("0", "0.000000001", None),
        capabilities: Capability::ALL.iter().map(|capability| capable(Some(*capability), Some(5))).collect(),
        recommended_uses: vec!["x".repeat(100); 32],
        ..ModelInput::default()
    };
    assert_eq!(bad_fields(&input, Presence::Create), [""; 0]);
    let empty = ModelInput { name: Some(String::new()), ..ModelInput::default() };
    assert_eq!(updating(&empty), [""; 0]);
    assert_eq!(updating(&ModelInput { context_window: Some(MAX_INT + 1), ..ModelInput::default() }).len(), 1);
}

const MAX_INT: i64 = i32::MAX as i64;

#[test]
fn a_capability_stands_once() {
    let chat = capable(Some(Capability::Chat), None);
    let twice = ModelInput { capabilities: vec![chat.clone(), chat.clone()], ..ModelInput::default() };
    assert_eq!(updating(&twice), ["model.capabilities[1].capability"]);
    let flood = ModelInput { capabilities: vec![chat; 100_000], ..ModelInput::default() };
    assert!(updating(&flood).len() < 20);
    let uses = ModelInput { recommended_uses: vec![String::new(); 100_000], ..ModelInput::default() };
    assert!(updating(&uses).len() < 40);
}

#[test]
fn a_currency_has_the_form_of_a_code() {
    for bad in ["", "US", "usd", "USDT", "U D", "ÄÖÜ", "12A"] {
        let pricing = PricingInput { currency: Some(bad.into()), ..PricingInput::default() };
        assert_eq!(updating(&ModelInput { pricing, ..ModelInput::default() }), ["model.pricing.currency"], "{bad}");
    }
}

#[test]
fn only_settable_fields_can_be_unpinned() {
    let check = |names_: &[&str]| {
        let mut violations = Violations::default();
        check_unpin("unpin_fields", &names_.iter().map(ToString::to_string).collect::<Vec<_>>(), &mut violations);
        names(violations)
    };
    assert_eq!(check(&["pricing", "type", "status"]), [""; 0]);
    assert_eq!(
        check(&["pricing", "nothing", "id", "pricing.currency", ""]),
        ["unpin_fields[1]", "unpin_fields[2]", "unpin_fields[3]", "unpin_fields[4]"]
    );
    assert!(check(&["x"; 1000]).len() < 100);
    assert!(DESCRIPTIVE_FIELDS.iter().all(|field| SETTABLE.contains(field)));
}

#[test]
fn each_settable_path_sets_and_resets_its_field_alone() {
    let (blank, input) = (blank(), all_carried());
    let full = merged(&input, &blank, &Mask::Carried);
    for path in SETTABLE {
        let named = mask(&[path]).unwrap();
        let set = merged(&input, &blank, &named);
        assert_ne!(set, blank, "{path}");
        assert_eq!(merged(&ModelInput::default(), &set, &named), blank, "{path}");
        let reset = merged(&ModelInput::default(), &full, &named);
        assert_ne!(reset, full, "{path}");
        assert_eq!(merged(&input, &reset, &named), full, "{path}");
    }
}

#[test]
fn a_full_mask_resets_everything_and_names_the_model_after_its_identifier() {
    let full = merged(&all_carried(), &blank(), &Mask::Carried);
    let reset = merged(&ModelInput::default(), &full, &Mask::Full);
    assert_eq!(reset, blank());
    assert_eq!(reset.name, "vendor/m");
    assert_eq!(merged(&all_carried(), &blank(), &Mask::Full), full);
}

#[test]
fn a_carried_message_means_its_carried_fields_and_a_named_one_is_replaced_whole() {
    let full = merged(&all_carried(), &blank(), &Mask::Carried);
    let input = ModelInput {
        pricing: PricingInput { input_per_1k: Some("7".into()), ..PricingInput::default() },
        default_parameters: parameters(None, Some(0.9)),
        ..ModelInput::default()
    };
    let partly = merged(&input, &full, &Mask::Carried);
    let pricing = partly.pricing.unwrap();
    assert_eq!(pricing.input_per_1k, Some(Price::parse("7").unwrap()));
    assert_eq!((pricing.output_per_1k, pricing.currency.as_str()), (Some(Price::parse("2").unwrap()), "EUR"));
    let next = partly.default_parameters.unwrap();
    assert_eq!((next.temperature, next.top_p), (Some(0.1), Some(0.9)));
    assert!(next.extra.is_some());

    let whole = merged(&input, &full, &mask(&["pricing", "default_parameters"]).unwrap());
    let pricing = whole.pricing.unwrap();
    assert_eq!((pricing.output_per_1k, pricing.currency.as_str()), (None, "USD"));
    assert_eq!(whole.default_parameters, Some(parameters(None, Some(0.9))));
}

#[test]
fn pricing_and_parameters_that_say_nothing_are_none() {
    let usd = PricingInput { currency: Some("USD".into()), ..PricingInput::default() };
    let empty = ModelParameters { extra: Some(serde_json::Map::new()), ..ModelParameters::default() };
    let input = ModelInput { pricing: usd, default_parameters: empty, ..ModelInput::default() };
    assert_eq!(merged(&input, &blank(), &Mask::Carried), blank());
    let free = ModelInput { pricing: prices("0", "0", None), ..ModelInput::default() };
    assert!(merged(&free, &blank(), &Mask::Carried).pricing.is_some());
}

#[test]
fn an_empty_list_is_not_carried_and_a_named_one_is_cleared() {
    let full = merged(&all_carried(), &blank(), &Mask::Carried);
    assert_eq!(merged(&ModelInput::default(), &full, &Mask::Carried), full);
    let named = mask(&["capabilities", "recommended_uses", "default_parameters.stop", "labels"]).unwrap();
    let cleared = merged(&ModelInput::default(), &full, &named);
    assert!(cleared.capabilities.is_empty() && cleared.recommended_uses.is_empty() && cleared.meta.labels.is_empty());
    assert!(cleared.default_parameters.unwrap().stop.is_empty());
}

#[test]
fn fixed_and_unknown_paths_are_refused() {
    for bad in FIXED.iter().chain(&["pricing.amount", "capabilities.score", "default_parameters.extra.k", "pinned"]) {
        assert!(matches!(mask(&[bad]), Err(Error::InvalidMask { .. })), "{bad}");
    }
}

#[test]
fn what_is_described_is_what_is_carried() {
    assert_eq!(all_carried().described().collect::<Vec<_>>(), DESCRIPTIVE_FIELDS);
    assert_eq!(ModelInput::default().described().count(), 0);
}
