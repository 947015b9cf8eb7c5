//! Answers, as they are kept with a request id to answer its repetition.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::{WireError, model, number, required, resource};
use crate::domain::Answer;
use crate::domain::model::SyncSummary;
use crate::proto::storage::{Answer as Message, EmptyAnswer, answer::Answer as Kind};
use crate::proto::v1;

#[must_use]
pub fn encode(answer: &Answer) -> Bytes {
    let kind = match answer {
        Answer::Empty => Kind::Empty(EmptyAnswer {}),
        Answer::Resource(resource) => Kind::Resource(resource::config(resource)),
        Answer::Sync(summary) => Kind::Sync(sync(summary)),
    };
    Message { answer: Some(kind) }.encode_to_vec().into()
}

/// Reads a kept answer. A token in it has no hash of its secret (all zero): it is for showing only.
///
/// # Errors
/// What this program would not have written so.
pub fn decode(bytes: &[u8]) -> Result<Answer, WireError> {
    let message = Message::decode(bytes).map_err(|_| WireError::at("answer", "does not decode"))?;
    Ok(match required("answer", message.answer)? {
        Kind::Empty(EmptyAnswer {}) => Answer::Empty,
        Kind::Resource(message) => Answer::Resource(resource::read(message, [0; 32])?),
        Kind::Sync(message) => Answer::Sync(read_sync(message)?),
    })
}

/// The answer of `SyncModels`; of its models the configuration fields.
#[must_use]
pub fn sync(summary: &SyncSummary) -> v1::SyncModelsResponse {
    v1::SyncModelsResponse {
        added: number::from_u32(summary.added),
        updated: number::from_u32(summary.updated),
        deprecated: number::from_u32(summary.deprecated),
        restored: number::from_u32(summary.restored),
        unchanged: number::from_u32(summary.unchanged),
        models: summary.models.iter().map(|found| model::config(found)).collect(),
    }
}

fn read_sync(message: v1::SyncModelsResponse) -> Result<SyncSummary, WireError> {
    Ok(SyncSummary {
        added: number::read_u32("sync.added", message.added)?,
        updated: number::read_u32("sync.updated", message.updated)?,
        deprecated: number::read_u32("sync.deprecated", message.deprecated)?,
        restored: number::read_u32("sync.restored", message.restored)?,
        unchanged: number::read_u32("sync.unchanged", message.unchanged)?,
        models: message.models.into_iter().map(|found| model::read(found).map(Arc::new)).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Resource;
    use crate::wire::arbitrary;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_answer_is_the_same_after_it_was_kept(answer in arbitrary::answer()) {
            let mut expected = answer.clone();
            if let Answer::Resource(Resource::Token(token)) = &mut expected {
                Arc::make_mut(token).secret_hash = [0; 32];
            }
            prop_assert_eq!(decode(&encode(&answer)).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = decode(&bytes);
        }
    }

    #[test]
    fn bytes_of_no_answer_are_refused() {
        assert!(decode(&[]).is_err());
    }
}
