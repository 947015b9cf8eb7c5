//! The payload of the log: one change with everything that a replica needs to apply it. Equal changes have equal
//! bytes (generated maps are ordered), because the chain of hashes covers these bytes.

use bytes::Bytes;
use prost::Message as _;

use super::{WireError, change, required};
use crate::domain::{Change, Resource};
use crate::proto::storage::LogRecord;
use crate::proto::v1;

#[must_use]
pub fn encode(change: &Change) -> Bytes {
    let token_hash = match (&change.after, &change.before) {
        (Some(Resource::Token(token)), _) | (None, Some(Resource::Token(token))) => {
            Bytes::copy_from_slice(&token.secret_hash)
        }
        _ => Bytes::new(),
    };
    LogRecord { change: Some(change::write(change)), token_hash }.encode_to_vec().into()
}

/// The change in a payload, as the audit log shows it.
///
/// # Errors
/// What this program would not have written so.
pub fn change(payload: &[u8]) -> Result<v1::Change, WireError> {
    let record = LogRecord::decode(payload).map_err(|_| WireError::at("change", "does not decode"))?;
    required("change", record.change)
}

/// Reads a payload back. The secret of a token is the same before and after, so one hash serves both.
///
/// # Errors
/// What this program would not have written so.
pub fn decode(payload: &[u8]) -> Result<Change, WireError> {
    let record = LogRecord::decode(payload).map_err(|_| WireError::at("change", "does not decode"))?;
    let message = required("change", record.change)?;
    let token_hash = read_hash(&message, &record.token_hash)?;
    change::read(message, token_hash)
}

/// A change of a token has a hash of 32 bytes: a token with another one would open to nobody, or to anybody.
fn read_hash(message: &v1::Change, hash: &[u8]) -> Result<[u8; 32], WireError> {
    if message.resource_kind == v1::ResourceKind::Token as i32 {
        hash.try_into().map_err(|_| WireError::at("token_hash", "has not 32 bytes"))
    } else {
        Ok([0; 32])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::arbitrary;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_change_is_the_same_after_it_was_stored(change in arbitrary::change()) {
            let payload = encode(&change);
            prop_assert_eq!(decode(&payload).unwrap(), change.clone());
            prop_assert_eq!(super::change(&payload).unwrap(), crate::wire::change::write(&change));
            prop_assert_eq!(encode(&change), payload);
        }

        #[test]
        fn a_watcher_sees_the_change_without_its_author(change in arbitrary::change()) {
            let shown = change::watched(&change);
            prop_assert_eq!(shown.before, None);
            let hidden = [shown.actor, shown.request_id, shown.reason, shown.peer_address, shown.user_agent];
            prop_assert_eq!(hidden.concat(), "");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = decode(&bytes);
        }
    }

    #[test]
    fn a_token_without_its_hash_is_refused() {
        let message = v1::Change { resource_kind: v1::ResourceKind::Token as i32, ..v1::Change::default() };
        let payload = LogRecord { change: Some(message), token_hash: Bytes::new() }.encode_to_vec();
        assert_eq!(decode(&payload), Err(WireError("token_hash: has not 32 bytes".into())));
    }
}
