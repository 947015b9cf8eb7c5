//! Bearer tokens: `mw_<id>_<secret><checksum>`, 75 characters.
//!
//! The id is the token's UUID in base 62 (22 digits), so a token is looked up without a search; the secret is 43
//! random digits (256 bits), of which only a hash is stored; the checksum (6 digits) covers all before it, so that
//! scanners recognise a leaked token, and a mistyped one is refused before any look-up. The pattern for scanners is
//! `\bmw_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}\b`.

use std::iter::repeat_with;

use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cipher::{random_bytes, sha256};
use super::error::SecretError;
use crate::domain::TokenId;

const PREFIX: &str = "mw_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_LEN: usize = 22;
const SECRET_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
const LEN: usize = PREFIX.len() + ID_LEN + 1 + SECRET_LEN + CHECKSUM_LEN;

/// Making and comparing tokens.
pub struct TokenSecret;

/// A well-formed token: whose it claims to be, and the hash to compare.
#[derive(Clone, PartialEq, Eq)]
pub struct ParsedToken {
    pub id: TokenId,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
}

impl TokenSecret {
    /// A new token for this id: its text, to be shown once, and the hash to store.
    ///
    /// # Errors
    /// The system's random source fails.
    pub fn generate(id: TokenId) -> Result<(Zeroizing<String>, [u8; 32]), SecretError> {
        let secret = random_digits()?;
        let mut text = Zeroizing::new(String::with_capacity(LEN));
        text.push_str(PREFIX);
        text.push_str(&base62::<ID_LEN>(id.uuid().as_u128()));
        text.push('_');
        text.push_str(&secret);
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok((text, sha256(&[secret.as_bytes()])))
    }

    /// Reads a token; none if it is not one that [`generate`](Self::generate) makes.
    #[must_use]
    pub fn parse(text: &str) -> Option<ParsedToken> {
        if text.len() != LEN {
            return None;
        }
        let (body, sum) = text.split_at_checked(LEN - CHECKSUM_LEN)?;
        if !bool::from(checksum(body).as_bytes().ct_eq(sum.as_bytes())) {
            return None;
        }
        let (id, secret) = body.strip_prefix(PREFIX)?.split_at_checked(ID_LEN)?;
        let secret = secret.strip_prefix('_')?;
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let id = TokenId::new(Uuid::from_u128(from_base62(id)?));
        Some(ParsedToken { id, hash: sha256(&[secret.as_bytes()]) })
    }

    /// Whether two hashes are equal, in a time that does not depend on where they differ.
    #[must_use]
    pub fn verify(one: &[u8; 32], other: &[u8; 32]) -> bool {
        one[..].ct_eq(&other[..]).into()
    }
}

fn digit(value: u128) -> char {
    usize::try_from(value % 62).ok().and_then(|at| DIGITS.get(at)).copied().map_or('0', char::from)
}

fn base62<const N: usize>(mut value: u128) -> String {
    let mut digits: Vec<char> = repeat_with(|| {
        let next = digit(value);
        value /= 62;
        next
    })
    .take(N)
    .collect();
    digits.reverse();
    digits.into_iter().collect()
}

fn from_base62(text: &str) -> Option<u128> {
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        value.checked_mul(62)?.checked_add(u128::try_from(digit).ok()?)
    })
}

/// 43 digits, each as likely as any other: bytes from 248 on are drawn again, because 256 is no multiple of 62.
fn random_digits() -> Result<Zeroizing<String>, SecretError> {
    let mut text = Zeroizing::new(String::with_capacity(SECRET_LEN));
    while text.len() < SECRET_LEN {
        let bytes = Zeroizing::new(random_bytes::<SECRET_LEN>()?);
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| digit(u128::from(*byte)));
        let missing = SECRET_LEN - text.len();
        text.extend(fair.take(missing));
    }
    Ok(text)
}

fn checksum(body: &str) -> String {
    let hash = sha256(&[b"modelward token checksum\0", body.as_bytes()]);
    base62::<CHECKSUM_LEN>(hash.iter().take(8).fold(0, |value, byte| value << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(value: u128) -> TokenId {
        TokenId::new(Uuid::from_u128(value))
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_its_id_and_hash(value in any::<u128>()) {
            let (text, hash) = TokenSecret::generate(id(value)).unwrap();
            prop_assert_eq!(text.len(), LEN);
            let parsed = TokenSecret::parse(&text).unwrap();
            prop_assert_eq!(parsed.id, id(value));
            prop_assert!(TokenSecret::verify(&parsed.hash, &hash));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(mw_)?.{0,80}") {
            prop_assert!(TokenSecret::parse(&text).is_none());
        }
    }

    #[test]
    fn every_mistyped_character_is_caught() {
        let (text, _) = TokenSecret::generate(id(u128::MAX)).unwrap();
        for at in 0..text.len() {
            for typo in "0aZ_-é".chars().filter(|typo| !text[at..].starts_with(*typo)) {
                let mistyped = format!("{}{typo}{}", &text[..at], &text[at + 1..]);
                assert!(TokenSecret::parse(&mistyped).is_none(), "at {at}");
            }
        }
        for at in 0..text.len() - 1 {
            let (one, two) = (&text[at..=at], &text[at + 1..at + 2]);
            let swapped = format!("{}{two}{one}{}", &text[..at], &text[at + 2..]);
            assert!(one == two || TokenSecret::parse(&swapped).is_none(), "at {at}");
        }
        for at in 0..text.len() {
            assert!(TokenSecret::parse(&text[..at]).is_none());
        }
        assert!(TokenSecret::parse(&format!("{}x", *text)).is_none());
    }

    #[test]
    fn a_token_of_another_id_or_secret_has_another_hash_or_id() {
        let (one, hash) = TokenSecret::generate(id(1)).unwrap();
        let (two, other) = TokenSecret::generate(id(1)).unwrap();
        assert!(one != two && !TokenSecret::verify(&hash, &other));
        let mut last_bit = hash;
        last_bit[31] ^= 1;
        assert!(!TokenSecret::verify(&hash, &last_bit));
    }

    #[test]
    fn an_id_beyond_128_bits_is_refused_even_with_its_checksum() {
        let body = format!("{PREFIX}{}_{}", "z".repeat(ID_LEN), "0".repeat(SECRET_LEN));
        assert!(TokenSecret::parse(&format!("{body}{}", checksum(&body))).is_none());
        let body = format!("{PREFIX}{}_{}", "0".repeat(ID_LEN), "-".repeat(SECRET_LEN));
        assert!(TokenSecret::parse(&format!("{body}{}", checksum(&body))).is_none());
        let body = format!("{PREFIX}{}_{}", "0".repeat(ID_LEN), "0".repeat(SECRET_LEN));
        assert!(TokenSecret::parse(&format!("{body}{}", checksum(&body))).is_some());
    }

    #[test]
    fn all_digits_occur_in_secrets() {
        let text: String = (0..100).map(|_| random_digits().unwrap().to_string()).collect();
        assert!(DIGITS.iter().all(|digit| text.as_bytes().contains(digit)));
    }
}
