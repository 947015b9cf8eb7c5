//! Callers that use every RPC which changes the configuration, at random, and keep a book of what they were told.
//!
//! Each attempt carries a reason of its own, which is also its request id: so its records can be found in the log.

use std::time::Instant;

use modelward::proto::v1;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::Refusal;
use super::server::{Caller, revision_of};

mod admin;
mod binding;
mod credential;
mod endpoint;
mod model;
mod provider;
mod rollback;

/// The RPCs with how often each is chosen. A change of the master key wraps every secret anew: seldom.
pub const RPCS: [(&str, u32); 29] = [
    ("CreateProvider", 8),
    ("UpdateProvider", 8),
    ("UpdateProviderStatus", 4),
    ("DeleteProvider", 4),
    ("UndeleteProvider", 4),
    ("CreateEndpoint", 8),
    ("UpdateEndpoint", 8),
    ("DeleteEndpoint", 6),
    ("SetDefaultEndpoint", 4),
    ("CreateCredential", 8),
    ("UpdateCredential", 8),
    ("RotateCredential", 6),
    ("RevokeCredential", 2),
    ("DeleteCredential", 6),
    ("AccessCredential", 4),
    ("CreateModel", 8),
    ("UpdateModel", 8),
    ("UpdateModelStatus", 4),
    ("SetDefaultModel", 4),
    ("DeleteModel", 4),
    ("SyncModels", 4),
    ("CreateBinding", 6),
    ("UpdateBinding", 4),
    ("DeleteBinding", 8),
    ("RollbackResource", 6),
    ("CreateToken", 4),
    ("RevokeToken", 3),
    ("PurgeProvider", 2),
    ("RotateMasterKey", 1),
];

/// What is done may turn out to be so already: then there is no record.
const MAY_CHANGE_NOTHING: [&str; 9] = [
    "RollbackResource",
    "UpdateProviderStatus",
    "UpdateModelStatus",
    "SetDefaultEndpoint",
    "SetDefaultModel",
    "RevokeCredential",
    "RevokeToken",
    "SyncModels",
    "RotateMasterKey",
];

/// How a call ended, as its caller knows it.
#[derive(Debug, Clone)]
pub enum Outcome {
    Done {
        revision: i64,
    },
    /// The server says that nothing was written.
    Refused(Refusal),
    /// No answer, or one that leaves it open.
    Unknown,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub rpc: &'static str,
    pub reason: String,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

impl Attempt {
    /// Whether the log must have a record of it.
    pub fn must_have_changed(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. }) && !MAY_CHANGE_NOTHING.contains(&self.rpc)
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// A caller with resources of its own. It begins with a provider, its home, and goes on from there.
pub struct Writer {
    caller: Caller,
    name: String,
    /// The base URL of the vendor that its models are synced from; without one there is no sync.
    vendor: Option<String>,
    home: Option<String>,
    /// The home is deleted, and comes back with the next step.
    hidden: bool,
    providers: Vec<String>,
    deleted: Vec<String>,
    endpoints: Vec<String>,
    credentials: Vec<String>,
    models: Vec<String>,
    bindings: Vec<String>,
    tokens: Vec<String>,
    /// Models and endpoints as they once were: kind, id, revision.
    former: Vec<(v1::ResourceKind, String, i64)>,
    /// Of the attempt that is on its way.
    reason: String,
    pub book: Vec<Attempt>,
}

/// The answer of a call, as far as it is the same for all.
type Told<T> = Result<(i64, T), Status>;

/// Sends a request with the reason and the request id of this attempt.
macro_rules! send {
    ($writer:ident, $service:ident.$method:ident, $request:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let request = v1::$request {
            reason: $writer.reason.clone(),
            request_id: $writer.reason.clone(),
            $($field: $value,)*
            ..Default::default()
        };
        super::told($writer.caller.$service().$method(request).await)
    }};
}
use send;

fn told<T>(answer: Result<Response<T>, Status>) -> Told<T> {
    answer.map(|answer| (revision_of(answer.metadata()), answer.into_inner()))
}

/// One of a list, at random.
fn any(ids: &[String]) -> Option<String> {
    fastrand::choice(ids).cloned()
}

fn forget(ids: &mut Vec<String>, id: &str) {
    ids.retain(|known| known != id);
}

impl Writer {
    pub fn new(caller: Caller, name: impl Into<String>, vendor: Option<String>) -> Self {
        Self {
            caller,
            name: name.into(),
            vendor,
            home: None,
            hidden: false,
            providers: Vec::new(),
            deleted: Vec::new(),
            endpoints: Vec::new(),
            credentials: Vec::new(),
            models: Vec::new(),
            bindings: Vec::new(),
            tokens: Vec::new(),
            former: Vec::new(),
            reason: String::new(),
            book: Vec::new(),
        }
    }

    /// Makes some attempts.
    pub async fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().await;
        }
    }

    /// Makes attempts until one has no answer: the server is gone.
    pub async fn until_the_end(&mut self) {
        while !matches!(self.book.last().map(|attempt| &attempt.outcome), Some(Outcome::Unknown)) {
            self.step().await;
        }
    }

    /// Makes one attempt.
    pub async fn step(&mut self) -> &Attempt {
        while !self.attempt(self.choose()).await {}
        self.book.last().unwrap()
    }

    /// Calls this RPC; false when there is nothing that it could be done to.
    pub async fn attempt(&mut self, rpc: &'static str) -> bool {
        self.reason = format!("{}-{}", self.name, self.book.len());
        let began = Instant::now();
        let Some(result) = self.call(rpc).await else { return false };
        let outcome = match result {
            Ok(revision) => Outcome::Done { revision },
            Err(status) => refused(&status),
        };
        let reason = self.reason.clone();
        self.book.push(Attempt { rpc, reason, began, ended: Instant::now(), outcome });
        true
    }

    fn choose(&self) -> &'static str {
        if self.home.is_none() {
            return "CreateProvider";
        }
        if self.hidden {
            return "UndeleteProvider";
        }
        let mut left = fastrand::u32(0..RPCS.iter().map(|(_, weight)| weight).sum());
        for (rpc, weight) in RPCS {
            if left < weight {
                return rpc;
            }
            left -= weight;
        }
        unreachable!("the weights were summed up")
    }

    /// None: there is nothing that it could be done to.
    async fn call(&mut self, rpc: &str) -> Option<Result<i64, Status>> {
        match rpc {
            "CreateProvider" => self.create_provider().await,
            "UpdateProvider" => self.update_provider().await,
            "UpdateProviderStatus" => self.update_provider_status().await,
            "DeleteProvider" => self.delete_provider().await,
            "UndeleteProvider" => self.undelete_provider().await,
            "PurgeProvider" => self.purge_provider().await,
            "CreateEndpoint" => self.create_endpoint().await,
            "UpdateEndpoint" => self.update_endpoint().await,
            "DeleteEndpoint" => self.delete_endpoint().await,
            "SetDefaultEndpoint" => self.set_default_endpoint().await,
            "CreateCredential" => self.create_credential().await,
            "UpdateCredential" => self.update_credential().await,
            "RotateCredential" => self.rotate_credential().await,
            "RevokeCredential" => self.revoke_credential().await,
            "DeleteCredential" => self.delete_credential().await,
            "AccessCredential" => self.access_credential().await,
            "CreateModel" => self.create_model().await,
            "UpdateModel" => self.update_model().await,
            "UpdateModelStatus" => self.update_model_status().await,
            "SetDefaultModel" => self.set_default_model().await,
            "DeleteModel" => self.delete_model().await,
            "SyncModels" => self.sync_models().await,
            "CreateBinding" => self.create_binding().await,
            "UpdateBinding" => self.update_binding().await,
            "DeleteBinding" => self.delete_binding().await,
            "RollbackResource" => self.rollback_resource().await,
            "CreateToken" => self.create_token().await,
            "RevokeToken" => self.revoke_token().await,
            "RotateMasterKey" => self.rotate_master_key().await,
            other => panic!("no such RPC: {other}"),
        }
    }

    fn home(&self) -> Option<String> {
        self.home.clone()
    }
}

/// Errors of the API tell a reason; one that has none comes from a connection that broke.
fn refused(status: &Status) -> Outcome {
    let told = status.check_error_details_vec().is_ok_and(|details| !details.is_empty());
    if told && status.code() != Code::DeadlineExceeded {
        Outcome::Refused(Refusal::of(status))
    } else {
        Outcome::Unknown
    }
}

/// The books of all writers, one after the other.
pub fn books(writers: &[Writer]) -> Vec<Attempt> {
    writers.iter().flat_map(|writer| writer.book.clone()).collect()
}
