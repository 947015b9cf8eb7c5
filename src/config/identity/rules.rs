//! The file with issuers, names in certificates, and the roles that follow: TOML with strict keys. It is a file of its
//! own because settings are plain values, each with a variable and a flag; lists of tables are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::super::value::Value as _;
use super::super::{ConfigError, environment};
use crate::domain::identity::certificate::is_plain;
use crate::domain::identity::{
    CertificateRule, ClaimRule, Identities, Issuer, KeySource, NameKind, SignatureAlgorithm,
};
use crate::domain::{Role, Roles};

/// Longest URL of an issuer, and name of one, in characters.
const MAX_ISSUER: usize = 500;
const MAX_NAME: usize = 32;
const LONGEST: Duration = Duration::from_hours(24 * 366);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    issuer: Vec<RawIssuer>,
    #[serde(default)]
    certificate: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    name: String,
    issuer: String,
    audiences: Vec<String>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    refresh: Option<String>,
    algorithms: Option<Vec<String>>,
    leeway: Option<String>,
    max_age: Option<String>,
    #[serde(default)]
    required_claims: Vec<String>,
    name_claim: Option<String>,
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    claim: String,
    value: String,
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    uri: Option<String>,
    dns: Option<String>,
    email: Option<String>,
    subject_cn: Option<String>,
    roles: Vec<String>,
}

/// Reads the file.
///
/// # Errors
/// All that is wrong with it, each with its place and remedy.
pub fn read(path: &Path) -> Result<Identities, ConfigError> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let setting = environment::variable("identity.file");
        ConfigError::one(format!(
            "the file of identities {name} cannot be read ({error}); correct {setting} or its rights"
        ))
    })?;
    let file: RawFile = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        let problem = error.message().replace('\n', " ");
        ConfigError::one(format!("{name} line {line}: {problem}; docs/IDENTITY.md shows the form"))
    })?;
    let mut problems = Vec::new();
    let identities = check(file, &mut problems);
    if problems.is_empty() {
        return Ok(identities);
    }
    Err(ConfigError::new(problems.into_iter().map(|problem| format!("{name}: {problem}")).collect()))
}

fn check(file: RawFile, problems: &mut Vec<String>) -> Identities {
    let mut issuers: Vec<Issuer> = Vec::new();
    for raw in file.issuer {
        let place = format!("issuer {}", raw.name);
        if issuers.iter().any(|known| known.name == raw.name || known.issuer == raw.issuer) {
            problems.push(format!("{place}: its name or its URL is another issuer's too; make one of them of both"));
            continue;
        }
        match issuer(raw, &place) {
            Ok(issuer) => issuers.push(issuer),
            Err(more) => problems.extend(more),
        }
    }
    let certificates = file.certificate.into_iter().enumerate();
    let certificates = certificates.filter_map(|(at, raw)| {
        let checked = certificate(raw);
        checked.map_err(|problem| problems.push(format!("certificate {}: {problem}", at + 1))).ok()
    });
    Identities { certificates: certificates.collect(), issuers }
}

/// What is wrong, gathered.
struct Checking<'a> {
    place: &'a str,
    problems: Vec<String>,
}

impl Checking<'_> {
    fn need(&mut self, fine: bool, problem: &str) {
        if !fine {
            self.problems.push(format!("{}: {problem}", self.place));
        }
    }

    fn duration(&mut self, name: &str, text: Option<&str>, default: Duration, least: Duration) -> Duration {
        let Some(text) = text else { return default };
        match Duration::parse(text) {
            Ok(duration) if (least..=LONGEST).contains(&duration) => duration,
            Ok(_) => {
                self.need(false, &format!("{name} is out of range; give {} ms to 366d", least.as_millis()));
                default
            }
            Err(expected) => {
                self.need(false, &format!("{name} is not valid; {expected}"));
                default
            }
        }
    }

    fn url(&mut self, name: &str, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok();
        let fine = |url: &Url| {
            let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            url.scheme() == "https" && url.host_str().is_some() && plain
        };
        let url = url.filter(fine);
        self.need(url.is_some(), &format!("{name} is no https URL; give one, or name a jwks_file"));
        url
    }

    fn roles(&mut self, names: &[String]) -> Roles {
        let roles: Option<Roles> =
            names.iter().map(|name| Role::parse(name)).collect::<Option<Vec<_>>>().map(Roles::from_iter);
        let roles = roles.unwrap_or_default();
        self.need(!roles.is_empty(), "roles must name at least one of viewer, consumer, editor and admin");
        roles
    }
}

fn issuer(raw: RawIssuer, place: &str) -> Result<Issuer, Vec<String>> {
    let mut checking = Checking { place, problems: Vec::new() };
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    checking.need(plain(&raw.name) && raw.name.len() <= MAX_NAME, "name takes 1 to 32 letters, digits, - _ and .");
    // What callers by certificate are called.
    let reserved = [&raw.name, &raw.issuer].iter().any(|text| *text == "certificate");
    checking.need(!reserved, "certificate is the name of callers by certificate; choose another one");
    let length = raw.issuer.chars().count();
    let sound = !raw.issuer.chars().any(|c| c.is_control() || c == '|');
    checking.need((1..=MAX_ISSUER).contains(&length) && sound, "issuer is empty, too long or not plain");
    let audiences = !raw.audiences.is_empty() && raw.audiences.iter().all(|audience| !audience.is_empty());
    checking.need(audiences, "audiences must name at least one: without it tokens for other services would be taken");
    checking.need(!raw.rule.is_empty(), "it has no [[issuer.rule]]: nobody would have a role; add one");
    let keys = key_source(&raw, &mut checking);
    let rules = raw.rule.iter().map(|rule| ClaimRule {
        claim: rule.claim.clone(),
        value: rule.value.clone(),
        roles: checking.roles(&rule.roles),
    });
    let rules: Vec<_> = rules.collect();
    let named = rules.iter().all(|rule| !rule.claim.is_empty() && !rule.value.is_empty());
    checking.need(named, "claim and value of a rule must not be empty");
    let algorithms = algorithms(raw.algorithms.as_deref(), &mut checking);
    let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
    let refresh = checking.duration("refresh", raw.refresh.as_deref(), 10 * minute, second);
    let leeway = checking.duration("leeway", raw.leeway.as_deref(), 30 * second, Duration::ZERO);
    checking.need(leeway <= 10 * minute, "leeway is more than 10m: set the clocks instead");
    let max_age = checking.duration("max_age", raw.max_age.as_deref(), 24 * 60 * minute, second);
    let Checking { problems, .. } = checking;
    match keys {
        Some(keys) if problems.is_empty() => Ok(Issuer {
            name: raw.name,
            issuer: raw.issuer,
            audiences: raw.audiences,
            keys,
            ca_file: raw.ca_file,
            token_file: raw.token_file,
            refresh,
            algorithms,
            leeway,
            max_age,
            required_claims: raw.required_claims,
            name_claim: raw.name_claim.unwrap_or_else(|| "sub".to_owned()),
            rules,
        }),
        _ => Err(problems),
    }
}

fn key_source(raw: &RawIssuer, checking: &mut Checking<'_>) -> Option<KeySource> {
    match (&raw.jwks_file, &raw.jwks_url) {
        (Some(_), Some(_)) => {
            checking.need(false, "jwks_file and jwks_url are both set; set one of them");
            None
        }
        (Some(path), None) => Some(KeySource::File(path.clone())),
        (None, Some(url)) => checking.url("jwks_url", url).map(KeySource::Url),
        (None, None) => checking.url("issuer", &raw.issuer).map(KeySource::Discovery),
    }
}

fn algorithms(names: Option<&[String]>, checking: &mut Checking<'_>) -> Vec<SignatureAlgorithm> {
    let Some(names) = names else { return SignatureAlgorithm::ALL.to_vec() };
    let known: Option<Vec<_>> = names.iter().map(|name| SignatureAlgorithm::parse(name)).collect();
    let known = known.unwrap_or_default();
    let all = SignatureAlgorithm::ALL.map(SignatureAlgorithm::name).join(", ");
    checking.need(!known.is_empty(), &format!("algorithms takes some of {all}"));
    known
}

fn certificate(raw: RawCertificate) -> Result<CertificateRule, String> {
    let mut checking = Checking { place: "roles", problems: Vec::new() };
    let roles = checking.roles(&raw.roles);
    if let Some(problem) = checking.problems.pop() {
        return Err(problem);
    }
    let given = [
        (NameKind::Uri, raw.uri),
        (NameKind::Dns, raw.dns),
        (NameKind::Email, raw.email),
        (NameKind::SubjectCn, raw.subject_cn),
    ];
    let mut given = given.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
    let (Some((kind, name)), None) = (given.next(), given.next()) else {
        return Err("give exactly one of uri, dns, email and subject_cn".to_owned());
    };
    if !is_plain(&name, kind) || name.contains('*') {
        return Err("the name is empty, too long, not plain ASCII or a wildcard; names are compared whole".to_owned());
    }
    Ok(CertificateRule { kind, name, roles })
}

#[cfg(test)]
mod tests;
