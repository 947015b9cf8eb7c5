use serde_json::Value;

use super::*;

fn raw() -> Value {
    serde_json::from_str(BUNDLED).unwrap()
}

fn found(kind: ProviderKind, id: &str) -> Option<String> {
    Catalogue::builtin().unwrap().lookup(kind, id).map(|entry| entry.model_id.clone())
}

#[test]
fn the_bundled_file_is_read_whole() {
    let catalogue = Catalogue::builtin().unwrap();
    assert_eq!(catalogue.len(), raw()["models"].as_array().unwrap().len());
    assert_eq!(catalogue.date(), "2026-11-20");
    assert!(!catalogue.is_empty());
}

#[test]
fn the_bundled_file_is_sorted_without_duplicates_and_its_counts_agree() {
    let raw = raw();
    let pairs: Vec<_> = raw["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| (model["provider"].as_str().unwrap(), model["model_id"].as_str().unwrap()))
        .collect();
    assert!(pairs.is_sorted_by(|a, b| a < b));
    let counts = raw["counts"].as_object().unwrap();
    for (provider, count) in counts.iter().filter(|(_, count)| count.is_u64()) {
        let listed = pairs.iter().filter(|(name, _)| name == provider).count() as u64;
        assert_eq!(Some(listed), count.as_u64(), "{provider}");
    }
}

#[test]
fn every_value_of_the_bundled_file_is_known_and_in_the_files_order() {
    for model in raw()["models"].as_array().unwrap() {
        let provider = model["provider"].as_str().unwrap();
        assert!(ProviderKind::parse(provider).is_some_and(ProviderKind::requires_credential), "{provider}");
        let names: Vec<_> = model["capabilities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| Capability::parse(name.as_str().unwrap()).unwrap())
            .collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{model}");
        for price in ["input_price_per_1k", "output_price_per_1k"] {
            assert!(model[price].as_str().is_none_or(|text| rounded(text).is_some()), "{model}");
        }
    }
}

#[test]
fn prices_and_windows_are_what_the_file_says() {
    let catalogue = Catalogue::builtin().unwrap();
    let entry = catalogue.lookup(ProviderKind::OpenAi, "gpt-4o-mini").unwrap();
    assert_eq!(entry.context_window, Some(128_000));
    let pricing = entry.pricing().unwrap();
    assert_eq!(pricing.input_per_1k, Some(Price::parse("0.00015").unwrap()));
    assert_eq!(pricing.currency, "USD");
    assert!(entry.capabilities.contains(&Capability::FunctionCalling));
}

#[test]
fn prices_with_too_many_decimals_are_rounded() {
    for (text, price) in
        [("0.000049999999999999996", "0.00005"), ("0.0000000004", "0"), ("0.0025", "0.0025"), ("3", "3")]
    {
        assert_eq!(rounded(text).unwrap().to_string(), price);
    }
    assert!(rounded("-1").is_none() && rounded("1e-3").is_none());
}

#[test]
fn ids_are_matched_by_the_rules_of_the_readme() {
    use ProviderKind::{AwsBedrock, AzureOpenAi, Gemini, OpenAi, OpenAiCompatible, Tongyi};
    for (kind, id, expected) in [
        (OpenAi, "gpt-4o", Some("gpt-4o")),
        (OpenAi, "GPT-4O", None),
        (OpenAi, "gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
        (OpenAi, "gpt-4o-mini-20240718", Some("gpt-4o-mini")),
        (OpenAi, "gpt-4o-mini-2024-07-1x", None),
        (OpenAi, "gpt-nothing", None),
        (Gemini, "models/gemini-2.5-flash", Some("gemini-2.5-flash")),
        (AwsBedrock, "amazon.nova-lite-v1:0", Some("amazon.nova-lite-v1:0")),
        (AwsBedrock, "apac.amazon.nova-lite-v1:0", Some("amazon.nova-lite-v1:0")),
        (AwsBedrock, "amazon.nova-lite-v1:0:300k", Some("amazon.nova-lite-v1:0")),
        (
            AwsBedrock,
            "arn:aws:bedrock:us-east-1:1:inference-profile/apac.amazon.nova-lite-v1:0",
            Some("amazon.nova-lite-v1:0"),
        ),
        (AzureOpenAi, "gpt-4o", Some("gpt-4o")),
        (Tongyi, "QWEN-PLUS", Some("qwen-plus")),
        (OpenAiCompatible, "gpt-4o", None),
    ] {
        assert_eq!(found(kind, id).as_deref(), expected, "{id}");
    }
}

#[test]
fn a_file_of_another_form_is_refused_with_the_reason() {
    let entry = |field: &str, value: &str| {
        let mut model = serde_json::json!({
            "provider": "openai", "model_id": "m", "type": "chat", "context_window": null, "max_output_tokens": null,
            "input_price_per_1k": null, "output_price_per_1k": null, "capabilities": [], "status": "available",
        });
        model[field] = serde_json::from_str(value).unwrap();
        serde_json::json!({"schema_version": 1, "date": "2026-11-20", "models": [model]}).to_string()
    };
    for (field, value) in
        [("type", "\"x\""), ("status", "\"x\""), ("capabilities", "[\"x\"]"), ("input_price_per_1k", "\"-1\"")]
    {
        assert!(matches!(Catalogue::parse(&entry(field, value)), Err(CatalogueError::BadEntry { .. })), "{field}");
    }
    assert_eq!(Catalogue::parse(&entry("provider", "\"somebody_new\"")).unwrap().len(), 0);
    let other = r#"{"schema_version":2,"date":"d","models":[]}"#;
    assert!(matches!(Catalogue::parse(other), Err(CatalogueError::OtherSchema { found: 2 })));
    assert!(matches!(Catalogue::parse("{}"), Err(CatalogueError::Malformed(_))));
    assert!(matches!(Catalogue::load(Path::new("/nonexistent")), Err(CatalogueError::Unreadable(_))));
}
