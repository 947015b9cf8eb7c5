//! Zhipu: BigModel, and Z.ai outside of China. The list of models is not documented.

use super::openai::{KeyCheck, OpenAi};
use crate::domain::provider::ProviderKind;

pub(super) static ZHIPU: OpenAi =
    OpenAi { key_check: KeyCheck::ListOrNobodysModel, ..OpenAi::like(ProviderKind::Zhipu) };
