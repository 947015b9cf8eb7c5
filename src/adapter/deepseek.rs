//! DeepSeek. Its balance tells whether a key is good and whether its account can still pay.

use serde_json::Value;

use super::openai::{KeyCheck, OpenAi};
use crate::domain::provider::ProviderKind;

pub(super) static DEEPSEEK: OpenAi =
    OpenAi { key_check: KeyCheck::Balance { path: "user/balance", is_spent }, ..OpenAi::like(ProviderKind::DeepSeek) };

fn is_spent(balance: &Value) -> bool {
    balance.get("is_available").and_then(Value::as_bool) == Some(false)
}
