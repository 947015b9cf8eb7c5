//! The primitives: random keys, AES-256-GCM, HMAC-SHA256, SHA-256. Nothing outside this file calls `ring`.
//!
//! A sealed box is `format (1 byte) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. Nonces are random: a data key seals once,
//! and a master key wraps far fewer than the 2³² keys that random nonces allow.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::error::SecretError;

pub(super) const KEY_LEN: usize = 32;
const FORMAT: u8 = 1;

/// A 256-bit key. Boxed, so that moving it leaves no copy behind; wiped when dropped.
pub(super) struct Key(Box<Zeroizing<[u8; KEY_LEN]>>);

impl Key {
    pub(super) fn random() -> Result<Self, SecretError> {
        let mut key = Self(Box::new(Zeroizing::new([0; KEY_LEN])));
        fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The key with these bytes, if they are as many as a key has.
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_LEN {
            return None;
        }
        let mut key = Self(Box::new(Zeroizing::new([0; KEY_LEN])));
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals `plain` bound to `context`, encrypting in its own buffer, so that no second plain copy exists.
    pub(super) fn seal(&self, context: &Context, mut plain: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, SecretError> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), context.aad(), &mut plain)
            .map_err(|_| SecretError::System)?;
        Ok([&[FORMAT], &nonce[..], &plain, tag.as_ref()].concat())
    }

    /// Opens a box sealed with this key and `context`; none if it is any other box.
    pub(super) fn open(&self, context: &Context, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&format, rest) = sealed.split_first()?;
        if format != FORMAT {
            return None;
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher()
            .ok()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), context.aad(), &mut buffer)
            .ok()?
            .len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// HMAC-SHA256 over the parts one after the other: the caller sees to it that no two lists of parts read the same.
    pub(super) fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes()));
        for part in parts {
            context.update(part);
        }
        to_array(context.sign().as_ref())
    }

    fn cipher(&self) -> Result<LessSafeKey, SecretError> {
        UnboundKey::new(&AES_256_GCM, self.bytes()).map(LessSafeKey::new).map_err(|_| SecretError::System)
    }
}

/// What a box is bound to: fields, each preceded by its length, so that no two lists of fields read the same.
#[derive(Clone)]
pub(super) struct Context(Vec<u8>);

impl Context {
    /// Begins with what kind of box it is; a new format of the same kind is another kind.
    pub(super) fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(128)).with(kind.as_bytes())
    }

    #[must_use]
    pub(super) fn with(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(&length_of(field));
        self.0.extend_from_slice(field);
        self
    }

    fn aad(&self) -> Aad<&[u8]> {
        Aad::from(&self.0)
    }
}

/// A field's length as it stands before the field.
pub(super) fn length_of(field: &[u8]) -> [u8; 8] {
    // usize is at most 64 bits wide on every platform that Rust knows.
    (field.len() as u64).to_be_bytes()
}

/// Bytes from the operating system's random source.
///
/// # Errors
/// [`SecretError::System`] if it fails.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), SecretError> {
    SystemRandom::new().fill(bytes).map_err(|_| SecretError::System)
}

/// What stands for a text that is too long, or too secret, to be kept.
#[must_use]
pub fn digest(text: &[u8]) -> [u8; 32] {
    sha256(&[text])
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    to_array(context.finish().as_ref())
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    array
}
