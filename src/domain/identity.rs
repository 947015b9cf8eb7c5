//! Callers that others vouch for: whom to believe what, and which roles follow from it. Deny by default: what no rule
//! names has no role.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::caller::Roles;

pub mod certificate;
pub mod claims;

pub use certificate::{CertificateNames, CertificateRule, NameKind};
pub use claims::{ClaimRule, Person};

/// What signs tokens: only with private keys whose public halves can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl SignatureAlgorithm {
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As headers and keys name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Everybody who is believed besides this server's own tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities {
    pub issuers: Vec<Issuer>,
    pub certificates: Vec<CertificateRule>,
}

/// Who issues tokens, and what they must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// A short name: what names of its callers begin with in the audit log.
    pub name: String,
    /// The claim `iss`, exactly.
    pub issuer: String,
    /// One of them must be in the claim `aud`.
    pub audiences: Vec<String>,
    pub keys: KeySource,
    /// The authorities that the server of the keys is believed for, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The token to ask for the keys with.
    pub token_file: Option<PathBuf>,
    /// How often keys are fetched again.
    pub refresh: Duration,
    pub algorithms: Vec<SignatureAlgorithm>,
    /// How far its clock and this one's may differ.
    pub leeway: Duration,
    /// How long ago a token may have been issued.
    pub max_age: Duration,
    /// Claims that must be there, besides those that always must.
    pub required_claims: Vec<String>,
    /// The claim that names a caller.
    pub name_claim: String,
    pub rules: Vec<ClaimRule>,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    Url(Url),
    /// In what the issuer tells of itself, below its own URL.
    Discovery(Url),
}

/// The roles of all rules that hold.
fn roles<'a>(held: impl Iterator<Item = &'a Roles>) -> Roles {
    held.flat_map(Roles::iter).collect()
}
