//! A public key of an issuer, as its set (JWKS) shows it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::provider;
use crate::domain::identity::SignatureAlgorithm::{
    self, EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use crate::secrets::cipher::sha256;

/// Shortest and longest modulus, in bytes: 2048 and 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
const RSA: [SignatureAlgorithm; 6] = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];

/// A key that signatures are verified with, and what it is for.
#[derive(Clone)]
pub struct JwtKey {
    id: Option<String>,
    algorithms: Vec<SignatureAlgorithm>,
    key: DecodingKey,
    thumbprint: [u8; 32],
}

/// The fields of a key that matter; private ones and certificates are passed over.
#[derive(Deserialize)]
pub(super) struct RawKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl JwtKey {
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What tells this key from every other, its name and purpose included.
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    #[must_use]
    pub fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    pub(super) const fn decoding(&self) -> &DecodingKey {
        &self.key
    }

    /// # Errors
    /// Why it verifies no tokens.
    pub(super) fn read(raw: &RawKey) -> Result<Self, &'static str> {
        if raw.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures (use)");
        }
        if raw.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|one| one == "verify")) {
            return Err("it is not for verifying (key_ops)");
        }
        let (possible, key, material) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => rsa(raw)?,
            ("EC", Some("P-256")) => curve(raw, Es256, 32)?,
            ("EC", Some("P-384")) => curve(raw, Es384, 48)?,
            ("OKP", Some("Ed25519")) => edwards(raw)?,
            _ => return Err("its type is not one of RSA, EC (P-256, P-384), OKP (Ed25519)"),
        };
        let algorithms = match raw.alg.as_deref() {
            None => possible,
            Some(named) => possible.into_iter().filter(|one| one.name() == named).collect(),
        };
        if algorithms.is_empty() {
            return Err("its algorithm (alg) does not go with its type");
        }
        provider::install();
        let id = raw.kid.clone().unwrap_or_default();
        let names: Vec<_> = algorithms.iter().map(|one| one.name()).collect();
        let thumbprint = sha256(&[id.as_bytes(), b"\0", names.join(" ").as_bytes(), b"\0", &material]);
        Ok(Self { id: raw.kid.clone(), algorithms, key, thumbprint })
    }
}

type Material = (Vec<SignatureAlgorithm>, DecodingKey, Vec<u8>);

fn bytes(field: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = field.ok_or("a part of it is missing")?;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| "a part of it is not base64url")
}

fn rsa(raw: &RawKey) -> Result<Material, &'static str> {
    let number = |field| bytes(field).map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>());
    let (modulus, exponent) = (number(raw.n.as_ref())?, number(raw.e.as_ref())?);
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !MODULUS.contains(&modulus.len()) || bits < *MODULUS.start() * 8 {
        return Err("its modulus has less than 2048 bits, or more than 8192");
    }
    if exponent.len() > 4 || exponent.last().is_none_or(|byte| byte % 2 == 0) || exponent == [1] {
        return Err("its exponent is of no use");
    }
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok((RSA.to_vec(), key, [modulus, exponent].concat()))
}

fn curve(raw: &RawKey, algorithm: SignatureAlgorithm, size: usize) -> Result<Material, &'static str> {
    let (x, y) = (bytes(raw.x.as_ref())?, bytes(raw.y.as_ref())?);
    if x.len() != size || y.len() != size {
        return Err("its point is not of its curve's size");
    }
    let point = [vec![4], x, y].concat();
    Ok((vec![algorithm], DecodingKey::from_ec_der(&point), point))
}

fn edwards(raw: &RawKey) -> Result<Material, &'static str> {
    let point = bytes(raw.x.as_ref())?;
    if point.len() != 32 {
        return Err("its point is not of its curve's size");
    }
    Ok((vec![EdDsa], DecodingKey::from_ed_der(&point), point))
}
