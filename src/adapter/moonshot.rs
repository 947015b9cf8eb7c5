//! Moonshot: Kimi. Its balance tells whether a key is good and whether its account can still pay.

use serde_json::Value;

use super::openai::{KeyCheck, OpenAi};
use crate::domain::Timestamp;
use crate::domain::model::Capability;
use crate::domain::model::sync::ListedModel;
use crate::domain::provider::ProviderKind;

pub(super) static MOONSHOT: OpenAi = OpenAi {
    key_check: KeyCheck::Balance { path: "users/me/balance", is_spent },
    tell,
    ..OpenAi::like(ProviderKind::Moonshot)
};

/// Cash may be below zero while vouchers pay; what is available counts.
fn is_spent(balance: &Value) -> bool {
    balance.pointer("/data/available_balance").and_then(Value::as_f64).is_some_and(|available| available <= 0.0)
}

fn tell(row: &Value, model: &mut ListedModel, _now: Timestamp) {
    let flags = [("supports_image_in", Capability::Vision), ("supports_reasoning", Capability::Reasoning)];
    let is_set = |name| row.get(name).and_then(Value::as_bool) == Some(true);
    model.tell_capabilities(flags.into_iter().filter(|(name, _)| is_set(*name)).map(|(_, capability)| capability));
}
