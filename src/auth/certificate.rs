//! Callers by their certificates: verified as the listener verifies them, and the names in them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::domain::identity::{CertificateNames, CertificateRule, NameKind};
use crate::domain::{Caller, Pass, Timestamp, Voucher};

/// Who is believed, and what names mean. Another one takes its place when either changes.
pub struct Certificates {
    pub rules: Vec<CertificateRule>,
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Of all callers that these authorities and rules let in.
    pub voucher: Voucher,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Who shows this chain; the problem is for the operator. The listener has verified it when the connection began:
    /// this is for connections that outlive the authorities which it was verified with.
    pub fn caller(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Caller, &'static str> {
        let verifier = self.verifier.as_ref().ok_or("certificates are not asked for")?;
        let (leaf, intermediates) = chain.split_first().ok_or("there is no certificate")?;
        let seconds = u64::try_from(now.micros() / 1_000_000).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier
            .verify_client_cert(leaf, intermediates, time)
            .map_err(|_| "the certificate is not believed any more")?;
        let (rest, certificate) = X509Certificate::from_der(leaf).map_err(|_| "the certificate cannot be read")?;
        if !rest.is_empty() {
            return Err("something follows the certificate");
        }
        let names = names(&certificate).ok_or("the names in the certificate cannot be read")?;
        let first = names.first().ok_or("the certificate names nobody")?;
        let until = not_after(&certificate);
        Ok(Caller {
            identity: format!("certificate|{first}"),
            name: format!("certificate/{first}"),
            roles: names.roles(&self.rules),
            token: None,
            pass: Some(Pass { until, voucher: self.voucher.clone() }),
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> Option<CertificateNames> {
    let mut names = Vec::new();
    for name in certificate.subject().iter_common_name() {
        // What is no text counts, too, so that it does not hide beside one that is.
        names.push((NameKind::SubjectCn, name.as_str().unwrap_or_default().to_owned()));
    }
    let alternatives = certificate.subject_alternative_name().ok()?;
    for name in alternatives.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => names.push((NameKind::Uri, (*uri).to_owned())),
            GeneralName::DNSName(dns) => names.push((NameKind::Dns, (*dns).to_owned())),
            GeneralName::RFC822Name(email) => names.push((NameKind::Email, (*email).to_owned())),
            _ => {}
        }
    }
    Some(CertificateNames::new(names))
}

/// When a certificate ends.
#[must_use]
pub fn not_after(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp::from_micros(certificate.validity().not_after.timestamp().saturating_mul(1_000_000))
}
