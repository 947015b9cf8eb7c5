//! The answer of a list, written from bytes: `ListProvidersResponse` and its like have the same numbers for the same
//! fields, so one message serves them all. It is only ever written.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

/// The answer of a list whose items are encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct RawPage {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<RawItem>,
    #[prost(string, tag = "2")]
    pub next_page_token: String,
    #[prost(int32, tag = "3")]
    pub total_size: i32,
    #[prost(int64, tag = "4")]
    pub revision: i64,
}

/// The answer of a read whose resource is encoded already: `GetModelResponse` and its like have but one field.
#[derive(Clone, PartialEq, Message)]
pub struct RawAnswer {
    #[prost(message, optional, tag = "1")]
    pub item: Option<RawItem>,
}

impl From<RawItem> for RawAnswer {
    fn from(item: RawItem) -> Self {
        Self { item: Some(item) }
    }
}

/// One resource: the encodings of its configuration and of its status, which one after the other are the encoding of
/// the whole.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawItem {
    pub config: Bytes,
    pub status: Bytes,
}

impl fmt::Debug for RawItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawItem({} + {} bytes)", self.config.len(), self.status.len())
    }
}

impl Message for RawItem {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.config);
        buf.put_slice(&self.status);
    }

    fn encoded_len(&self) -> usize {
        self.config.len() + self.status.len()
    }

    /// Nobody reads an answer of this server with this type.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, ctx)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::v1;
    use crate::wire::{arbitrary, model, provider};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_page_of_models_decodes_as_the_declared_answer(
            models in prop::collection::vec(arbitrary::model(), 0..4), availability in arbitrary::availability(),
            total_size in 0..1000_i32, revision in 0..1000_i64,
        ) {
            let items = models.iter().map(|found| RawItem {
                config: model::config_bytes(found),
                status: model::status_bytes(Some(&availability), None),
            });
            let page = RawPage { items: items.collect(), next_page_token: "next".into(), total_size, revision };
            let expected = v1::ListModelsResponse {
                models: models.iter().map(|found| model::full(found, Some(&availability), None)).collect(),
                next_page_token: "next".into(),
                total_size,
                revision,
            };
            let bytes = page.encode_to_vec();
            prop_assert_eq!(bytes.len(), page.encoded_len());
            prop_assert_eq!(v1::ListModelsResponse::decode(&*bytes).unwrap(), expected);
        }

        #[test]
        fn a_single_model_decodes_as_the_declared_answer(found in arbitrary::model()) {
            let item = RawItem { config: model::config_bytes(&found), status: model::status_bytes(None, None) };
            let answer = v1::GetModelResponse::decode(&*RawAnswer::from(item).encode_to_vec()).unwrap();
            prop_assert_eq!(answer.model, Some(model::full(&found, None, None)));
        }

        #[test]
        fn an_item_without_status_is_its_configuration(found in arbitrary::provider()) {
            let item = RawItem { config: provider::config_bytes(&found), status: provider::status_bytes(None) };
            let bytes = RawPage { items: vec![item], ..RawPage::default() }.encode_to_vec();
            let answer = v1::ListProvidersResponse::decode(&*bytes).unwrap();
            prop_assert_eq!(answer.providers, vec![provider::full(&found, None)]);
        }
    }
}
