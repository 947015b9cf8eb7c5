//! What a sidecar needs to serve without its control plane, as bytes: the configuration and the statuses as Watch shows
//! them, where the stream goes on, and the secrets that it holds.
//!
//! The form: lengths before contents, all big-endian. It is only ever read back after its seal was opened, so whatever
//! does not fit is another version's, and refused as a whole.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::domain::secret::CredentialSecret;
use crate::domain::{CredentialId, Timestamp};
use crate::secrets::{secret_bytes, secret_from_bytes};

/// A complete state, at one revision.
#[derive(Clone, PartialEq, Eq)]
pub struct LastGood {
    /// Where Watch resumes after this state.
    pub resume_token: String,
    pub revision: i64,
    /// When the control plane last confirmed it.
    pub confirmed: Timestamp,
    /// Encoded `WatchResponse`s, as Watch sends the state.
    pub state: Vec<Bytes>,
    /// Empty where secrets are not served.
    pub secrets: Vec<HeldSecret>,
}

/// A secret in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldSecret {
    pub credential_id: CredentialId,
    pub secret_version: i64,
    pub secret: CredentialSecret,
}

impl LastGood {
    /// The bytes, in a buffer that never grows: growing would leave parts of secrets in freed memory.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let secrets: Vec<_> = self.secrets.iter().map(|held| (held, secret_bytes(&held.secret))).collect();
        let size = 8
            + self.resume_token.len()
            + 16
            + 16
            + self.state.iter().map(|message| 8 + message.len()).sum::<usize>()
            + secrets.iter().map(|(_, bytes)| 16 + 8 + 8 + bytes.len()).sum::<usize>();
        let mut to = Zeroizing::new(Vec::with_capacity(size));
        put(&mut to, self.resume_token.as_bytes());
        to.extend_from_slice(&self.revision.to_be_bytes());
        to.extend_from_slice(&self.confirmed.micros().to_be_bytes());
        to.extend_from_slice(&length(self.state.len()));
        for message in &self.state {
            put(&mut to, message);
        }
        to.extend_from_slice(&length(secrets.len()));
        for (held, bytes) in &secrets {
            to.extend_from_slice(held.credential_id.uuid().as_bytes());
            to.extend_from_slice(&held.secret_version.to_be_bytes());
            put(&mut to, bytes);
        }
        debug_assert_eq!(to.len(), size, "the buffer has just its size");
        to
    }

    /// The state, if these are bytes that [`LastGood::encode`] makes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let resume_token = std::str::from_utf8(from.bytes()?).ok()?.to_owned();
        let revision = from.number()?;
        let confirmed = Timestamp::from_micros(from.number()?);
        let (mut state, mut secrets) = (Vec::new(), Vec::new());
        for _ in 0..from.number()? {
            state.push(Bytes::copy_from_slice(from.bytes()?));
        }
        for _ in 0..from.number()? {
            let credential_id = CredentialId::new(uuid::Uuid::from_bytes(from.array()?));
            let secret_version = from.number()?;
            secrets.push(HeldSecret { credential_id, secret_version, secret: secret_from_bytes(from.bytes()?)? });
        }
        from.0.is_empty().then_some(Self { resume_token, revision, confirmed, state, secrets })
    }
}

fn length(length: usize) -> [u8; 8] {
    // usize is at most 64 bits wide on every platform that Rust knows.
    (length as u64).to_be_bytes()
}

fn put(to: &mut Vec<u8>, content: &[u8]) {
    to.extend_from_slice(&length(content.len()));
    to.extend_from_slice(content);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
pub mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::secret::SecretText;

    /// A small state with two messages and a secret.
    pub fn sample() -> LastGood {
        let secret = CredentialSecret {
            api_key: Some(SecretText::new("sk-canary-0123456789".to_owned())),
            ..CredentialSecret::default()
        };
        LastGood {
            resume_token: "token".to_owned(),
            revision: 7,
            confirmed: Timestamp::from_micros(1_700_000_000_000_000),
            state: vec![Bytes::from_static(b"one"), Bytes::new()],
            secrets: vec![HeldSecret {
                credential_id: CredentialId::new(Uuid::from_u128(9)),
                secret_version: 3,
                secret,
            }],
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let empty = LastGood { resume_token: String::new(), state: Vec::new(), secrets: Vec::new(), ..sample() };
        for state in [sample(), empty] {
            let bytes = state.encode();
            assert_eq!(bytes.capacity(), bytes.len());
            assert!(LastGood::decode(&bytes) == Some(state));
        }
    }

    #[test]
    fn what_is_cut_off_or_has_more_is_refused() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(LastGood::decode(&bytes[..end]).is_none(), "cut at {end}");
        }
        assert!(LastGood::decode(&[&bytes[..], &[0]].concat()).is_none());
        assert!(LastGood::decode(&[0xff; 64]).is_none());
    }
}
