//! Master keys as an operator gives them: `<id>:<base64 of 32 bytes>`, in the order given.
//!
//! Holds only keys that may be used: ids are unique, no key is guessable. Where a line is malformed the error names
//! its place and nothing of its text, because a key may stand where the id belongs.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::cipher::{KEY_LEN, Key, sha256};
use super::error::KeyError;

/// Longest id of a master key.
pub(super) const MAX_ID: usize = 64;

/// With and without `=` at the end: both are what tools print.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A set of master keys, at least one.
pub struct MasterKeys(Vec<(String, Key)>);

impl MasterKeys {
    /// Reads the lines of a key file. Blank lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// What is wrong with which line or key.
    pub fn parse_lines(text: &str) -> Result<Self, KeyError> {
        Self::collect("line", text.lines())
    }

    /// Reads the same, separated by commas: the form of an environment variable.
    ///
    /// # Errors
    /// What is wrong with which entry or key.
    pub fn parse_list(text: &str) -> Result<Self, KeyError> {
        Self::collect("entry", text.split(','))
    }

    fn collect<'a>(unit: &str, entries: impl Iterator<Item = &'a str>) -> Result<Self, KeyError> {
        let mut keys: Vec<(String, Key)> = Vec::new();
        let mut bare = false;
        for (number, entry) in (1..).zip(entries) {
            let entry = entry.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let malformed = |problem| KeyError::Malformed { place: format!("{unit} {number}"), problem };
            let without_id = !entry.contains(':');
            if without_id && bare {
                return Err(malformed("only one key may stand without an id; write <id>:<key>"));
            }
            bare |= without_id;
            let (id, key) = parse_entry(entry).map_err(malformed)?;
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(KeyError::Duplicate { id });
            }
            if let Some(why) = weakness(key.bytes()) {
                return Err(KeyError::Weak { id, why });
            }
            keys.push((id, key));
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// The ids, in the order given.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|(id, _)| id.clone()).collect()
    }

    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.0.iter().map(|(id, key)| (id.as_str(), key))
    }
}

fn parse_entry(entry: &str) -> Result<(String, Key), &'static str> {
    let Some((id, text)) = entry.split_once(':') else {
        let key = decode_key(entry)?;
        return Ok((derived_id(&key), key));
    };
    if !is_id(id) {
        return Err("the id before the colon has 1 to 64 of the characters A–Z a–z 0–9 . _ -");
    }
    if decode_key(id).is_ok() {
        return Err("what stands before the colon looks like a key; write <id>:<key>");
    }
    Ok((id.to_owned(), decode_key(text)?))
}

pub(super) fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn decode_key(text: &str) -> Result<Key, &'static str> {
    let mut buffer = Zeroizing::new([0; 2 * KEY_LEN]);
    let length =
        BASE64.decode_slice(text, buffer.as_mut_slice()).map_err(|_| "the key is not the base64 of 32 bytes")?;
    buffer.get(..length).and_then(Key::from_slice).ok_or("the key must have 32 bytes before base64")
}

/// The base64 form of a key.
pub(super) fn encode_key(key: &Key) -> Zeroizing<String> {
    let mut buffer = Zeroizing::new([0; 2 * KEY_LEN]);
    let length = BASE64.encode_slice(key.bytes(), buffer.as_mut_slice()).unwrap_or_default();
    let text = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    Zeroizing::new(text.to_owned())
}

/// The id of a key that was given without one: the same on every replica, and no help in guessing the key.
pub(super) fn derived_id(key: &Key) -> String {
    let hash = sha256(&[b"modelward master key id\0", key.bytes()]);
    format!("k-{}", hex::encode(hash.split_at(4).0))
}

/// Texts whose SHA-256 people use as a key.
const GUESSABLE: [&str; 10] =
    ["", "0", "admin", "changeme", "default", "key", "master", "modelward", "password", "secret"];
/// The key of the AES-256 examples in NIST SP 800-38A.
const NIST_EXAMPLE: [u8; KEY_LEN] = [
    0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c,
    0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
];
/// 32 random bytes have about 30 different values; fewer than 16 do not happen by chance (once in 10¹³ keys).
const MIN_DISTINCT: usize = 16;

/// Why a key is guessable, if it is. A random key is refused by chance about once in 10¹³ times.
fn weakness(key: &[u8; KEY_LEN]) -> Option<&'static str> {
    let (low, high) = key.split_at(KEY_LEN / 2);
    let mut steps = key.iter().zip(key.iter().skip(1)).map(|(a, b)| b.wrapping_sub(*a));
    let step = steps.next();
    let distinct = key.iter().collect::<BTreeSet<_>>().len();
    if steps.all(|next| Some(next) == step) {
        Some("its bytes are all equal or count up or down")
    } else if key.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        Some("it is text, not 32 random bytes")
    } else if low == high || distinct < MIN_DISTINCT {
        Some("its bytes repeat")
    } else if *key == NIST_EXAMPLE || GUESSABLE.iter().any(|text| *key == sha256(&[text.as_bytes()])) {
        Some("it is well known")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(bytes: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    fn strong(seed: u8) -> [u8; 32] {
        sha256(&[b"test", &[seed]])
    }

    fn refusal(text: &str) -> String {
        MasterKeys::parse_lines(text).err().expect("refused").to_string()
    }

    #[test]
    fn a_file_holds_named_keys_one_bare_key_comments_and_blank_lines() {
        let (one, two, bare) = (base64(&strong(1)), base64(&strong(2)), base64(&strong(3)));
        let text = format!("# keys\n\n  prod-2026.1:{one}  \r\nx_2:{}\n{bare}\n#{one}\n", two.trim_end_matches('='));
        let keys = MasterKeys::parse_lines(&text).unwrap_or_else(|error| panic!("{error}"));
        let derived = derived_id(&Key::from_slice(&strong(3)).unwrap());
        assert_eq!(keys.ids(), ["prod-2026.1", "x_2", derived.as_str()]);
        assert!(derived.len() == 10 && derived.starts_with("k-"));
        assert!(keys.get("x_2").unwrap().bytes() == &strong(2));
        assert!(!keys.contains("x_3"));
    }

    #[test]
    fn an_environment_variable_holds_the_same_between_commas() {
        let text = format!("a:{}, b:{} ,", base64(&strong(1)), base64(&strong(2)));
        let keys = MasterKeys::parse_list(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(keys.ids(), ["a", "b"]);
    }

    #[test]
    fn malformed_lines_are_refused_by_place_without_a_word_of_their_text() {
        let key = base64(&strong(1));
        let cases = [
            (format!("a b:{key}"), "id before the colon"),
            (format!(":{key}"), "id before the colon"),
            (format!("{}:{key}", "a".repeat(65)), "id before the colon"),
            (format!("ä:{key}"), "id before the colon"),
            (format!("{key}:a"), "id before the colon"),
            (format!("{}:a", base64(&[0xa5; 32]).trim_end_matches('=')), "looks like a key"),
            ("a:".to_owned(), "must have 32 bytes"),
            (format!("a:{}", base64(&strong(1)[..31])), "must have 32 bytes"),
            (format!("a:{}", base64(&[&strong(1)[..], &[0]].concat())), "must have 32 bytes"),
            (format!("a:{key}{key}"), "not the base64"),
            (format!("a:{}", hex::encode(strong(1))), "must have 32 bytes"),
            (format!("a: {key}"), "not the base64"),
            (format!("a:b:{key}"), "not the base64"),
            (format!("a:{}", "k".repeat(5000)), "not the base64"),
        ];
        for (line, problem) in cases {
            let message = refusal(&format!("# first\n{line}"));
            assert!(message.starts_with("master keys, line 2: "), "{message}");
            assert!(message.contains(problem), "{message} for {problem}");
            let word = &line[line.len().saturating_sub(12)..];
            assert!(word.len() < 12 || !message.contains(word), "{message}");
        }
        let two_bare = refusal(&format!("{key}\n{}", base64(&strong(2))));
        assert!(two_bare.contains("line 2: only one key"), "{two_bare}");
        assert!(matches!(MasterKeys::parse_lines("# nothing\n\n"), Err(KeyError::Empty)));
    }

    #[test]
    fn two_keys_with_one_id_are_refused_by_id() {
        let message = refusal(&format!("a:{}\na:{}", base64(&strong(1)), base64(&strong(2))));
        assert_eq!(message, "two master keys have the id a; give each its own");
    }

    #[test]
    fn guessable_keys_are_refused_by_id() {
        let counting: Vec<u8> = (0..32).collect();
        let from_one: Vec<u8> = (1..=32).collect();
        let down: Vec<u8> = (100..132).rev().collect();
        let mut nearly_zero = [0; 32];
        nearly_zero[31] = 1;
        // 16 distinct bytes, twice.
        let doubled = hex::decode("feffe9928665731c6d6a8f9467308308").unwrap().repeat(2);
        let weak: [&[u8]; 15] = [
            &doubled,
            &[0; 32],
            &[0xff; 32],
            &counting,
            &from_one,
            &down,
            &nearly_zero,
            b"changemechangemechangemechangeme",
            b"0123456789abcdef0123456789abcdef",
            b"this is a very secret passphrase",
            &[&strong(1)[..16], &strong(1)[..16]].concat(),
            &strong(1)[..8].repeat(4),
            &sha256(&[b"password"]),
            &sha256(&[b""]),
            &NIST_EXAMPLE,
        ];
        for key in weak {
            let message = refusal(&format!("mine:{}", base64(key)));
            assert!(message.starts_with("the master key mine is too easy to guess"), "{message}");
            assert!(!message.contains(&base64(key)), "{message}");
        }
    }

    #[test]
    fn random_keys_are_not_called_weak() {
        for _ in 0..2000 {
            assert_eq!(weakness(Key::random().unwrap().bytes()), None);
        }
    }

    #[test]
    fn a_key_reads_back_from_what_is_printed() {
        let key = Key::random().unwrap();
        assert!(decode_key(&encode_key(&key)).is_ok_and(|read| read.bytes() == key.bytes()));
    }
}
