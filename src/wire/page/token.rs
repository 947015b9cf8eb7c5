//! Page tokens: opaque text that says where the next page begins and for which list. Not signed: a forged one only
//! begins elsewhere in what its bearer may see anyway.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use prost::Message;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{Error, Result, Revision};
use crate::proto::storage::PageToken;
use crate::snapshot::query::{Cursor, Position, SortKey};

/// The first byte of every token. Another form gets another one, and old tokens are refused.
const VERSION: u8 = 1;
/// No token of ours is longer: its longest part are a few names.
const MAX_LENGTH: usize = 16 * 1024;

/// What a key begins with, so that keys are ordered as their values are: whole numbers, text, nothing.
const INT: u8 = 1;
const TEXT: u8 = 2;
const NONE: u8 = 3;

/// The mark of one list: its method, filters and order. Equal on all machines and in all versions with the same API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterHash([u8; 16]);

/// The mark of the list that `request` asks `method` for. `page_size` and `page_token`, in which the pages of a list
/// differ, have to be cleared.
pub fn filter_hash(method: &str, request: &impl Message) -> FilterHash {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    hash.update([0]);
    hash.update(request.encode_to_vec());
    let mut mark = [0; 16];
    mark.iter_mut().zip(hash.finalize()).for_each(|(mark, byte)| *mark = byte);
    FilterHash(mark)
}

/// Makes the token of the page that begins at `cursor`.
#[must_use]
pub fn write(cursor: &Cursor, filters: &FilterHash) -> String {
    let Cursor { position, total_size, revision } = cursor;
    let message = PageToken {
        filter_hash: Bytes::copy_from_slice(&filters.0),
        revision: revision.0,
        total_size: i32::try_from(*total_size).unwrap_or(i32::MAX),
        last_keys: position.keys.iter().map(write_key).collect(),
        last_id: position.id.to_string(),
    };
    let mut bytes = vec![VERSION];
    bytes.extend(message.encode_to_vec());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token of the list with these filters.
///
/// # Errors
/// [`Error::InvalidPageToken`] for one of another list, and for what is none.
pub fn read(token: &str, filters: &FilterHash) -> Result<Cursor> {
    parse(token, filters).ok_or(Error::InvalidPageToken)
}

fn parse(token: &str, filters: &FilterHash) -> Option<Cursor> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let message = PageToken::decode(bytes.strip_prefix(&[VERSION])?).ok()?;
    if *message.filter_hash != filters.0 || message.revision < 0 {
        return None;
    }
    Some(Cursor {
        position: Position {
            keys: message.last_keys.iter().map(|key| read_key(key)).collect::<Option<_>>()?,
            id: Uuid::try_parse(&message.last_id).ok()?,
        },
        total_size: usize::try_from(message.total_size).ok()?,
        revision: Revision(message.revision),
    })
}

fn write_key(key: &SortKey) -> Bytes {
    match key {
        SortKey::Int(number) => {
            // With the sign turned over, the bytes of negative numbers come first.
            let ordered = number.cast_unsigned() ^ (1 << 63);
            [&[INT][..], &ordered.to_be_bytes()].concat().into()
        }
        SortKey::Text(text) => [&[TEXT], text.as_bytes()].concat().into(),
        SortKey::None => Bytes::from_static(&[NONE]),
    }
}

fn read_key(key: &[u8]) -> Option<SortKey> {
    match key.split_first()? {
        (&INT, number) => {
            let ordered = u64::from_be_bytes(number.try_into().ok()?);
            Some(SortKey::Int((ordered ^ (1 << 63)).cast_signed()))
        }
        (&TEXT, text) => Some(SortKey::Text(String::from_utf8(text.to_vec()).ok()?)),
        (&NONE, []) => Some(SortKey::None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::v1::{ListEndpointsRequest, ListProvidersRequest};

    fn key() -> impl Strategy<Value = SortKey> {
        prop_oneof![any::<i64>().prop_map(SortKey::Int), any::<String>().prop_map(SortKey::Text), Just(SortKey::None)]
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        (prop::collection::vec(key(), 0..4), any::<u128>(), 0..=i32::MAX, 0..=i64::MAX).prop_map(
            |(keys, id, total_size, revision)| Cursor {
                position: Position { keys, id: Uuid::from_u128(id) },
                total_size: usize::try_from(total_size).unwrap(),
                revision: Revision(revision),
            },
        )
    }

    fn plain() -> FilterHash {
        filter_hash("ListProviders", &ListProvidersRequest::default())
    }

    proptest! {
        #[test]
        fn a_token_says_what_was_put_into_it(cursor in cursor()) {
            let token = write(&cursor, &plain());
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(read(&token, &plain()).unwrap(), cursor);
        }

        #[test]
        fn numbers_are_ordered_as_their_bytes_are(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(a.cmp(&b), write_key(&SortKey::Int(a)).cmp(&write_key(&SortKey::Int(b))));
        }

        #[test]
        fn any_other_text_is_refused(text in "[A-Za-z0-9_=.-]{0,80}") {
            prop_assert_eq!(read(&text, &plain()), Err(Error::InvalidPageToken));
        }

        #[test]
        fn a_damaged_token_never_panics(cursor in cursor(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(write(&cursor, &plain())).unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            _ = read(&BASE64_URL_SAFE_NO_PAD.encode(bytes), &plain());
        }
    }

    #[test]
    fn a_token_of_other_filters_or_of_another_method_is_refused() {
        let cursor =
            Cursor { position: Position { keys: vec![], id: Uuid::max() }, total_size: 1, revision: Revision(1) };
        let token = write(&cursor, &plain());
        let named = ListProvidersRequest { name: "a".into(), ..ListProvidersRequest::default() };
        let other = filter_hash("ListEndpoints", &ListEndpointsRequest::default());
        for filters in [filter_hash("ListProviders", &named), other] {
            assert_eq!(read(&token, &filters), Err(Error::InvalidPageToken));
        }
    }

    #[test]
    fn the_mark_of_a_list_never_changes() {
        assert_eq!(hex::encode(plain().0), "54b1384e54dffc9bbfc0f58c8835394b");
    }
}
