//! What a write would do, before anything is done: the result of a pure function over a [`View`].

use std::sync::Arc;

use uuid::Uuid;

use super::caller::{CallContext, Role};
use super::change::{Operation, Resource, ResourceKind};
use super::error::{Error, Result};
use super::id::{CredentialId, IdSource};
use super::limits::Limits;
use super::model::SyncSummary;
use super::revision::Revision;
use super::secret::CredentialSecret;
use super::time::Timestamp;
use super::view::View;

/// A write as the writer holds it. It may be called more than once (a batch is planned again when its transaction
/// has to be repeated), so it owns what it needs and consumes nothing.
pub type PlanFn = Box<dyn Fn(&dyn View, &PlanContext<'_>) -> Result<Plan> + Send + Sync>;

/// What a plan may know besides the configuration.
pub struct PlanContext<'a> {
    /// The revision this write gets if it changes anything.
    pub revision: Revision,
    pub now: Timestamp,
    pub call: &'a CallContext,
    pub limits: &'a Limits,
    pub ids: &'a dyn IdSource,
}

impl PlanContext<'_> {
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.call.caller.name
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.call.caller.roles.allow(Role::Admin)
    }
}

/// One resource before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub operation: Operation,
    pub before: Option<Resource>,
    pub after: Option<Resource>,
    pub changed_fields: Vec<String>,
}

impl Edit {
    #[must_use]
    pub fn create(after: Resource) -> Self {
        Self { operation: Operation::Create, before: None, after: Some(after), changed_fields: Vec::new() }
    }

    #[must_use]
    pub fn update(before: Resource, after: Resource, changed_fields: Vec<String>) -> Self {
        Self { operation: Operation::Update, before: Some(before), after: Some(after), changed_fields }
    }

    /// The resource and its row are gone.
    #[must_use]
    pub fn destroy(before: Resource) -> Self {
        Self { operation: Operation::Delete, before: Some(before), after: None, changed_fields: Vec::new() }
    }

    /// The resource is hidden; its row stays.
    #[must_use]
    pub fn hide(before: Resource, after: Resource) -> Self {
        Self { operation: Operation::Delete, before: Some(before), after: Some(after), changed_fields: Vec::new() }
    }

    /// The resource this edit is about.
    #[must_use]
    pub fn resource(&self) -> Option<&Resource> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// A secret to seal once the plan stands: it becomes version `version` of the credential.
pub struct SealOrder {
    pub credential_id: CredentialId,
    pub version: i64,
    pub secret: Arc<CredentialSecret>,
}

/// What a successful write answers with. Configuration fields only: it is kept for 24 h to answer repetitions.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Empty,
    Resource(Resource),
    Sync(SyncSummary),
}

/// All effects of one write; no edits: nothing changes and no revision is taken.
pub struct Plan {
    /// In order; their places are the ordinals in the log.
    pub edits: Vec<Edit>,
    pub seals: Vec<SealOrder>,
    /// Ciphertexts to destroy: one version of a credential, or all (`None`). Destroying a credential's row destroys
    /// its ciphertexts without being named here.
    pub destroy: Vec<(CredentialId, Option<i64>)>,
    /// Ends of life of older versions: readable until then (rotation with grace).
    pub expire: Vec<(CredentialId, i64, Timestamp)>,
    pub answer: Answer,
}

impl Plan {
    /// Nothing to do; `answer` says how things are.
    #[must_use]
    pub fn unchanged(answer: Answer) -> Self {
        Self::of(Vec::new(), answer)
    }

    #[must_use]
    pub fn of(edits: Vec<Edit>, answer: Answer) -> Self {
        Self { edits, seals: Vec::new(), destroy: Vec::new(), expire: Vec::new(), answer }
    }
}

/// Refuses a write that expects another revision than the current one.
///
/// # Errors
/// [`Error::RevisionMismatch`].
pub fn check_revision(kind: ResourceKind, id: Uuid, expected: Option<Revision>, current: Revision) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Error::RevisionMismatch { kind, id, expected, current }),
        _ => Ok(()),
    }
}

/// Names the fields in which two resources differ, comparing them one by one.
macro_rules! changed_fields {
    ($before:expr, $after:expr; $($name:literal => $($field:ident).+),+ $(,)?) => {{
        let mut changed: Vec<String> = Vec::new();
        $(if $before.$($field).+ != $after.$($field).+ { changed.push($name.into()); })+
        changed
    }};
}
pub(crate) use changed_fields;

/// The same within a message that may be absent: a field of one that is absent differs from every value.
macro_rules! changed_within {
    ($path:literal, $before:expr, $after:expr; $($field:ident),+ $(,)?) => {{
        let mut changed: Vec<String> = Vec::new();
        $(if $before.map(|it| &it.$field) != $after.map(|it| &it.$field) {
            changed.push(concat!($path, ".", stringify!($field)).into());
        })+
        changed
    }};
}
pub(crate) use changed_within;

#[cfg(test)]
mod properties;
