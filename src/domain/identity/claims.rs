//! What a token of an issuer claims, judged: is it for this server, now, from somebody with a name, and which roles
//! does that give?

use std::time::Duration;

use serde_json::{Map, Value};

use super::Issuer;
use crate::domain::caller::Roles;
use crate::domain::time::Timestamp;

/// Longest subject and name, in characters. Kubernetes' are up to 340.
pub const MAX_NAME: usize = 512;
/// The last instant that a claim may name, in seconds: the end of the year 9999.
const LAST: f64 = 253_402_300_799.0;

/// A claim, and what roles one of its values gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim's name; a dot leads into an object.
    pub claim: String,
    /// The whole value, or one of a list.
    pub value: String,
    pub roles: Roles,
}

impl ClaimRule {
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        match find(claims, &self.claim) {
            // The one claim that lists its values in a text (RFC 8693).
            Some(Value::String(text)) if self.claim == "scope" => text.split(' ').any(|scope| scope == self.value),
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(&self.value)),
            _ => false,
        }
    }
}

/// The claim of this name. Names may have dots themselves, as `kubernetes.io` has: the longest that is there counts.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let dots = path.rmatch_indices('.').map(|(at, _)| at);
    let mut splits = dots.filter_map(|at| Some((path.get(..at)?, path.get(at + 1..)?)));
    let (name, rest) = splits.find(|(name, _)| claims.contains_key(*name))?;
    find(claims.get(name)?.as_object()?, rest)
}

/// Somebody whom an issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The issuer and the subject: the same for all of its tokens.
    pub identity: String,
    /// As the audit log shows it.
    pub name: String,
    pub roles: Roles,
    pub until: Timestamp,
}

impl Issuer {
    /// Who somebody is whose token claims this; its signature was verified.
    ///
    /// # Errors
    /// What is wrong, for the operator's log.
    pub fn judge(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Person, &'static str> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err("iss is another one");
        }
        if !self.is_for_this_server(claims.get("aud")) {
            return Err("aud names none of the audiences");
        }
        let until = self.until(claims, now)?;
        if self.required_claims.iter().any(|name| find(claims, name).is_none_or(Value::is_null)) {
            return Err("a required claim is missing");
        }
        let subject = name(claims.get("sub")).ok_or("sub is missing, too long or not plain")?;
        let shown = name(find(claims, &self.name_claim)).ok_or("the claim with the name is missing, or not plain")?;
        Ok(Person {
            identity: format!("{}|{subject}", self.issuer),
            name: format!("{}/{shown}", self.name),
            roles: super::roles(self.rules.iter().filter(|rule| rule.holds(claims)).map(|rule| &rule.roles)),
            until,
        })
    }

    fn is_for_this_server(&self, claim: Option<&Value>) -> bool {
        let ours = |value: &Value| value.as_str().is_some_and(|text| self.audiences.iter().any(|one| one == text));
        match claim {
            Some(Value::Array(items)) => items.iter().all(Value::is_string) && items.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        }
    }

    /// Until when the token is good, if it is now.
    fn until(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, &'static str> {
        let expires = time(claims, "exp")?.ok_or("exp is missing")?.after(self.leeway);
        let issued = time(claims, "iat")?.ok_or("iat is missing")?;
        if time(claims, "nbf")?.is_some_and(|begins| begins > now.after(self.leeway)) {
            return Err("it is not good yet");
        }
        if issued > now.after(self.leeway) {
            return Err("it was issued in the future");
        }
        let until = expires.min(issued.after(self.max_age).after(self.leeway));
        if until > now { Ok(until) } else { Err("it has expired, or is too old") }
    }
}

/// A NumericDate.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds));
    let seconds = seconds.ok_or("a time in it is no time")?;
    Ok(Some(Timestamp::default().after(Duration::from_secs_f64(seconds))))
}

/// A text that can stand in a log without pretending to be more than one name.
fn name(value: Option<&Value>) -> Option<&str> {
    let text = value?.as_str()?;
    let length = text.chars().count();
    let plain = text.chars().all(|c| !c.is_control() && !is_invisible(c)) && text.trim() == text;
    (plain && (1..=MAX_NAME).contains(&length)).then_some(text)
}

/// Characters that change how a text looks without being seen: directions, joiners, marks of byte order.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
