//! A [`CredentialSecret`] as bytes: the format (1), then for each set field, in a fixed order, its tag (1 byte), its
//! length (4 bytes, big-endian) and its text. Equal secrets are equal bytes, and only those bytes are read back.

use zeroize::Zeroizing;

use super::cipher::Key;
use crate::domain::secret::{CredentialSecret, SecretText};

const FORMAT: u8 = 1;

fn tagged(secret: &CredentialSecret) -> [(u8, Option<&SecretText>); 4] {
    [
        (1, secret.api_key.as_ref()),
        (2, secret.secret_key.as_ref()),
        (3, secret.access_token.as_ref()),
        (4, secret.session_token.as_ref()),
    ]
}

/// The bytes, in a buffer that never grows: growing would leave parts of the secret in freed memory.
pub(super) fn encode(secret: &CredentialSecret) -> Zeroizing<Vec<u8>> {
    let texts =
        || tagged(secret).into_iter().filter_map(|(tag, text)| text.map(|text| (tag, text.expose().as_bytes())));
    let size = 1 + texts().map(|(_, text)| 5 + text.len()).sum::<usize>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    bytes.push(FORMAT);
    for (tag, text) in texts() {
        bytes.push(tag);
        // Longer than 4 GiB cannot be: the limits of the fields are far below.
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(text);
    }
    bytes
}

/// The secret, if these are bytes that [`encode`] makes.
pub(super) fn decode(bytes: &[u8]) -> Option<CredentialSecret> {
    let (&format, mut rest) = bytes.split_first()?;
    if format != FORMAT {
        return None;
    }
    let mut secret = CredentialSecret::default();
    let mut last = 0;
    while let Some((&tag, after)) = rest.split_first() {
        let (length, after) = after.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let text = Some(SecretText::new(std::str::from_utf8(text).ok()?.to_owned()));
        if tag <= last {
            return None;
        }
        match tag {
            1 => secret.api_key = text,
            2 => secret.secret_key = text,
            3 => secret.access_token = text,
            4 => secret.session_token = text,
            _ => return None,
        }
        (last, rest) = (tag, after);
    }
    Some(secret)
}

/// A keyed hash of the secret: 32 hex digits. It says whether two secrets are equal and nothing else.
pub(super) fn fingerprint(key: &Key, secret: &CredentialSecret) -> String {
    hex::encode(key.hmac(&[&encode(secret)]).split_at(16).0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(fields: [Option<String>; 4]) -> CredentialSecret {
        let [api_key, secret_key, access_token, session_token] = fields.map(|text| text.map(SecretText::new));
        CredentialSecret { api_key, secret_key, access_token, session_token }
    }

    fn field() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(".{0,40}")
    }

    proptest! {
        #[test]
        fn every_secret_comes_back_as_it_was(a in field(), b in field(), c in field(), d in field()) {
            let original = secret([a, b, c, d]);
            prop_assert!(decode(&encode(&original)) == Some(original));
        }

        #[test]
        fn bytes_that_are_read_are_the_only_bytes_of_that_secret(bytes in proptest::collection::vec(0u8..6, 0..40)) {
            if let Some(secret) = decode(&bytes) {
                prop_assert_eq!(&*encode(&secret), &bytes);
            }
        }

        #[test]
        fn two_secrets_have_one_fingerprint_only_if_they_are_equal(a in field(), b in field(), c in field(), d in field()) {
            let key = Key::from_slice(&[7; 32]).unwrap();
            let (one, other) = (secret([a.clone(), b.clone(), c.clone(), d.clone()]), secret([b, a, d, c]));
            prop_assert_eq!(fingerprint(&key, &one) == fingerprint(&key, &other), one == other);
        }
    }

    #[test]
    fn absent_and_empty_are_two_things() {
        let (absent, empty) = (secret([None, None, None, None]), secret([Some(String::new()), None, None, None]));
        assert!(*encode(&absent) != *encode(&empty));
        assert!(decode(&encode(&empty)) == Some(empty));
    }

    #[test]
    fn cut_off_reordered_repeated_and_unknown_fields_are_refused() {
        let whole = encode(&secret([Some("ab".into()), None, Some("c".into()), None]));
        // A cut between two fields is a shorter secret; the cipher's tag is what refuses that one.
        for end in (0..whole.len()).filter(|end| ![1, 8].contains(end)) {
            assert!(decode(&whole[..end]).is_none(), "cut at {end}");
        }
        let field = |tag: u8| [tag, 0, 0, 0, 1, b'x'];
        let with = |fields: &[[u8; 6]]| [&[FORMAT][..], &fields.concat()].concat();
        assert!(decode(&with(&[field(1), field(2)])).is_some());
        assert!(decode(&with(&[field(2), field(1)])).is_none());
        assert!(decode(&with(&[field(1), field(1)])).is_none());
        assert!(decode(&with(&[field(0)])).is_none());
        assert!(decode(&with(&[field(5)])).is_none());
        assert!(decode(&[2]).is_none());
        assert!(decode(&[FORMAT, 1, 0, 0, 0, 1, 0xff]).is_none());
    }

    #[test]
    fn the_buffer_is_allocated_once() {
        let bytes = encode(&secret([Some("a".repeat(500)), Some("b".into()), Some("c".repeat(4096)), None]));
        assert_eq!(bytes.capacity(), bytes.len());
    }
}
