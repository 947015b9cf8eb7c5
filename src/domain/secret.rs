//! Secrets on their way in and out, and sealed at rest.
//!
//! A plain secret has no Debug, Display or Serialize, and is wiped from memory when dropped.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::id::CredentialId;
use super::time::Timestamp;

/// A piece of secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself: for sealing, for the vendor, for the caller who may read it; never for a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What a vendor wants to see: which fields are used depends on the provider's kind.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CredentialSecret {
    pub api_key: Option<SecretText>,
    pub secret_key: Option<SecretText>,
    pub access_token: Option<SecretText>,
    pub session_token: Option<SecretText>,
}

/// Longest `api_key` and `secret_key`, in characters.
pub const MAX_KEY: usize = 500;
/// Longest `access_token` and `session_token`, in characters.
pub const MAX_TOKEN: usize = 4096;

impl CredentialSecret {
    /// The fields with their names and longest lengths.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, Option<&SecretText>, usize); 4] {
        [
            ("api_key", self.api_key.as_ref(), MAX_KEY),
            ("secret_key", self.secret_key.as_ref(), MAX_KEY),
            ("access_token", self.access_token.as_ref(), MAX_TOKEN),
            ("session_token", self.session_token.as_ref(), MAX_TOKEN),
        ]
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().iter().all(|(_, value, _)| value.is_none())
    }

    /// What is shown instead of the secret: the last four characters of the first set of `api_key`, `access_token`,
    /// `secret_key`; none of them when it has fewer than eight.
    #[must_use]
    pub fn hint(&self) -> String {
        let first = self.api_key.as_ref().or(self.access_token.as_ref()).or(self.secret_key.as_ref());
        let text = first.map(SecretText::expose).unwrap_or_default();
        let length = text.chars().count();
        let tail: String = if length < 8 { String::new() } else { text.chars().skip(length - 4).collect() };
        format!("****{tail}")
    }
}

/// One version of a credential's secret as it is stored: a ciphertext under its own data key, and that key wrapped
/// by a master key. Safe to keep in memory and in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    pub credential_id: CredentialId,
    /// 1, 2, …: the credential's `secret_version`.
    pub version: i64,
    /// Which master key wraps the data key.
    pub master_key_id: String,
    /// Format, nonce and wrapped data key.
    pub wrapped_key: Arc<[u8]>,
    /// Format, nonce and ciphertext of the whole [`CredentialSecret`].
    pub ciphertext: Arc<[u8]>,
    pub create_time: Timestamp,
    /// When a version that was rotated away stops being readable; absent for the current one.
    pub expire_time: Option<Timestamp>,
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedSecret({} v{} under {})", self.credential_id, self.version, self.master_key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(key: &str) -> String {
        CredentialSecret { api_key: Some(SecretText::new(key.into())), ..CredentialSecret::default() }.hint()
    }

    #[test]
    fn a_hint_shows_four_characters_of_a_long_secret_and_none_of_a_short_one() {
        assert_eq!(hint("sk-1234567890abcd"), "****abcd");
        assert_eq!(hint("12345678"), "****5678");
        assert_eq!(hint("1234567"), "****");
        assert_eq!(CredentialSecret::default().hint(), "****");
    }

    #[test]
    fn the_access_token_comes_before_the_secret_key() {
        let secret = CredentialSecret {
            secret_key: Some(SecretText::new("kkkkkkkkkkkk1111".into())),
            access_token: Some(SecretText::new("tttttttttttt2222".into())),
            ..CredentialSecret::default()
        };
        assert_eq!(secret.hint(), "****2222");
    }
}
