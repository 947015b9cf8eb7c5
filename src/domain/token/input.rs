//! What a caller may say about a new token, checked field by field.

use super::NAME;
use crate::domain::caller::Roles;
use crate::domain::error::Violations;
use crate::domain::time::Timestamp;

/// What a token is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenInput {
    pub name: Option<String>,
    pub roles: Roles,
    pub expire_time: Option<Timestamp>,
}

impl TokenInput {
    /// Adds what is wrong with the input; its fields are those of the request itself.
    pub fn check(&self, now: Timestamp, violations: &mut Violations) {
        NAME.check_option("name", self.name.as_deref(), true, violations);
        if self.roles.is_empty() {
            violations.add("roles", "required, at least one role");
        }
        if self.expire_time.is_some_and(|end| end <= now) {
            violations.add("expire_time", "must be in the future");
        }
    }
}
