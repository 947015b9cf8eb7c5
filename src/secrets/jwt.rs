//! Signed tokens that others issue (JWT): read, and believed once a key of theirs fits.
//!
//! Invariant: [`Claims`] exist only of a token whose signature a [`JwtKey`] has verified, by an algorithm that both the
//! key and the caller of [`SignedToken::verify`] allow. There is no way to say `none` or one of the HMACs, no key is
//! taken from a token, and what is written twice or must be understood and is not (`crit`) is refused.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

mod key;
mod key_set;
mod once;
mod provider;

pub use key::JwtKey;
pub use key_set::{KeySet, KeySetError};

use once::Once;

use crate::domain::identity::SignatureAlgorithm;

/// Longest token, in bytes; the transport's limit for all headers is twice that.
pub const MAX_TOKEN: usize = 8 * 1024;
/// Longest name of a key.
const MAX_KEY_ID: usize = 256;

/// Why a token is not believed: for the log of an operator, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("it is no signed token, or too long")]
    Form,
    #[error("its header asks for what is not done here: another algorithm, crit, or another kind of token")]
    Header,
    #[error("its claims are no JSON object, or one is there twice")]
    Claims,
    #[error("its signature does not fit")]
    Signature,
}

/// A token as it came: nothing of it is believed yet.
pub struct SignedToken<'a> {
    text: &'a str,
    pub algorithm: SignatureAlgorithm,
    pub key_id: Option<String>,
    /// Who is said to have issued it: whose keys are to be tried.
    pub issuer: String,
}

impl<'a> SignedToken<'a> {
    /// # Errors
    /// What makes it one that no key could help.
    pub fn read(text: &'a str) -> Result<Self, JwtError> {
        if text.len() > MAX_TOKEN || text.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(JwtError::Form);
        }
        let header = decode_header(text).map_err(|_| JwtError::Header)?;
        let algorithm = known(header.alg).ok_or(JwtError::Header)?;
        let is_token = header.typ.as_deref().is_none_or(is_token_type);
        let long_id = header.kid.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID);
        if !is_token || long_id || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(JwtError::Header);
        }
        let payload = text.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| JwtError::Form)?;
        let Once(claims) = serde_json::from_slice(&payload).map_err(|_| JwtError::Claims)?;
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(JwtError::Claims)?.to_owned();
        Ok(Self { text, algorithm, key_id: header.kid, issuer })
    }

    /// What it claims, if the key has signed it by the algorithm that it names.
    ///
    /// # Errors
    /// [`JwtError::Signature`], also for a key that is not for this algorithm.
    pub fn verify(&self, key: &JwtKey) -> Result<Claims, JwtError> {
        let algorithm = for_crate(self.algorithm).filter(|_| key.allows(self.algorithm));
        let mut validation = Validation::new(algorithm.ok_or(JwtError::Signature)?);
        // Times and names are judged by whoever knows the issuer, with a clock that tests can set.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let decoded = decode::<Once>(self.text, key.decoding(), &validation).map_err(|_| JwtError::Signature)?;
        Ok(Claims(decoded.claims.0))
    }
}

fn for_crate(algorithm: SignatureAlgorithm) -> Option<Algorithm> {
    Algorithm::from_str(algorithm.name()).ok()
}

fn known(algorithm: Algorithm) -> Option<SignatureAlgorithm> {
    SignatureAlgorithm::ALL.into_iter().find(|known| for_crate(*known) == Some(algorithm))
}

/// Other kinds of signed things (logout tokens, events, proofs) are no proof of identity, whoever signed them.
fn is_token_type(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// What a token claims whose signature fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    #[must_use]
    pub const fn all(&self) -> &Map<String, Value> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
