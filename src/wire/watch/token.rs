//! Resume tokens: where a watcher goes on, and of which history that is a place. Not signed: a forged one is refused by
//! the hash, or begins elsewhere in what its bearer may see anyway.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::image::StatusRevision;
use crate::domain::{ChainHash, Head, Revision};

/// The first byte of every token. Another form gets another one, and old tokens are refused.
const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 8 + 16 + 8;

/// The first bytes of a hash of the log: enough to tell two histories apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShortHash(pub [u8; 16]);

impl From<ChainHash> for ShortHash {
    fn from(hash: ChainHash) -> Self {
        let mut short = [0; 16];
        short.iter_mut().zip(hash.0).for_each(|(short, byte)| *short = byte);
        Self(short)
    }
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeToken {
    pub cluster_id: Uuid,
    /// The last revision that was seen.
    pub revision: Revision,
    /// The hash of its last change.
    pub hash: ShortHash,
    /// Up to where status was seen.
    pub status: StatusRevision,
}

impl ResumeToken {
    /// The place in the log, with as much of the hash as is known.
    #[must_use]
    pub fn head(&self) -> Head {
        let mut hash = ChainHash::default();
        hash.0.iter_mut().zip(self.hash.0).for_each(|(byte, known)| *byte = known);
        Head { revision: self.revision, hash }
    }

    #[must_use]
    pub fn write(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend(self.cluster_id.as_bytes());
        bytes.extend(self.revision.0.to_be_bytes());
        bytes.extend(self.hash.0);
        bytes.extend(self.status.0.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Nothing for a text that is no token.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (cluster_id, rest) = rest.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let token = Self {
            cluster_id: Uuid::from_bytes(*cluster_id),
            revision: Revision(i64::from_be_bytes(*revision)),
            hash: ShortHash(*hash),
            status: StatusRevision(i64::from_be_bytes(rest.try_into().ok()?)),
        };
        (token.revision.0 >= 0).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_says_what_was_put_into_it(
            cluster in any::<u128>(), revision in 0..=i64::MAX, hash in any::<[u8; 32]>(), status in any::<i64>(),
        ) {
            let token = ResumeToken {
                cluster_id: Uuid::from_u128(cluster),
                revision: Revision(revision),
                hash: ChainHash(hash).into(),
                status: StatusRevision(status),
            };
            prop_assert_eq!(&token.hash.0[..], &hash[..16]);
            prop_assert_eq!(ResumeToken::read(&token.write()), Some(token));
        }

        #[test]
        fn any_other_text_is_refused(text in ".{0,100}") {
            prop_assert_eq!(ResumeToken::read(&text), None);
        }
    }
}
