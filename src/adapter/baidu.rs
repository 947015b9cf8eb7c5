//! Baidu: Qianfan's second API, with the console's permanent keys.

use super::openai::OpenAi;
use crate::domain::provider::ProviderKind;

pub(super) static BAIDU: OpenAi = OpenAi::like(ProviderKind::Baidu);
