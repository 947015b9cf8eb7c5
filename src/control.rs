//! What each mutation asks for: one file per resource, between the services and the writer.
//!
//! Nothing here decides a rule of the configuration; that is `domain`. Nothing here knows the wire.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::adapter::{Catalogue, Client, CurrentCatalogue};
use crate::changes::batch::Planner;
use crate::changes::{RequestId, SecretUses, Statuses, UsageCounts, Write, Writer};
use crate::domain::{
    Answer, CallContext, Clock, EndpointId, IdSource, Meta, Plan, PlanContext, Resource, Result, Timestamp, View,
};
use crate::routing::Router;
use crate::secrets::Secrets;
use crate::snapshot::{SnapshotHandle, StatusBoard};
use crate::store::{Claim, Store};
use crate::telemetry::Metrics;

pub mod audit;
pub mod binding;
pub mod credential;
pub mod endpoint;
pub mod expiry;
pub mod held;
pub mod keyring;
pub mod model;
pub mod outcome;
pub mod provider;
pub mod reads;
pub mod reports;
pub mod secret_use;
pub mod target;
pub mod token;
pub mod upkeep;
pub mod vault;
pub mod vendor;

pub use held::Held;
pub use reads::{ReadParts, Reads};
use reports::RecentReports;
pub use vault::Vault;

/// What every mutation carries besides its own fields; its shape was checked.
pub struct Mutation {
    pub call: CallContext,
    pub request: Option<RequestId>,
    pub validate_only: bool,
    pub reason: String,
    /// Under which lease the server makes it by itself, if under one.
    pub claim: Option<Claim>,
}

impl Mutation {
    /// One that the server makes by itself.
    #[must_use]
    pub fn system(rpc: &'static str, reason: &str) -> Self {
        let call = CallContext::system(rpc);
        Self { call, request: None, validate_only: false, reason: reason.to_owned(), claim: None }
    }
}

/// The parts that mutations are made of.
pub struct Parts {
    pub writer: Writer,
    pub planner: Arc<Planner>,
    pub snapshot: SnapshotHandle,
    pub statuses: Statuses,
    pub store: Store,
    pub secrets: Secrets,
    pub client: Arc<Client>,
    pub catalogue: Arc<CurrentCatalogue>,
    pub usage: UsageCounts,
    pub secret_uses: SecretUses,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub replica_id: String,
    /// How long the record of secrets that were handed out is kept; setting `usage.secret_use_retention`.
    pub secret_use_retention: Duration,
    /// How long changes stay in the log; none: for ever. Setting `audit.retention`.
    pub log_retention: Option<Duration>,
    /// For all vendor calls of one request together; setting `egress.call_budget`.
    pub call_budget: Duration,
    /// Endpoints at which calls of our own have failed, for whoever looks after their health.
    pub failures: mpsc::Sender<EndpointId>,
}

/// All mutations. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    parts: Arc<Parts>,
    reads: Reads,
    reports: Arc<RecentReports>,
}

impl Control {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let reads = Reads::new(ReadParts {
            snapshot: parts.snapshot.clone(),
            board: parts.statuses.board().clone(),
            router: Arc::new(Router::default()),
            vault: Vault::Stored { secrets: parts.secrets.clone(), uses: parts.secret_uses.clone() },
            metrics: parts.metrics.clone(),
            clock: Arc::clone(&parts.clock),
            ids: Arc::clone(&parts.ids),
        });
        Self { parts: Arc::new(parts), reads, reports: Arc::default() }
    }

    /// The reads of this process.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    #[must_use]
    pub fn snapshot(&self) -> &SnapshotHandle {
        &self.parts.snapshot
    }

    #[must_use]
    pub fn board(&self) -> &StatusBoard {
        self.parts.statuses.board()
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// The catalogue in force.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.parts.catalogue.load()
    }

    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.parts.secrets
    }

    /// Commits a plan, or rehearses it when the caller only wants to know.
    pub(crate) async fn write(
        &self,
        mutation: Mutation,
        plan: impl Fn(&dyn View, &PlanContext<'_>) -> Result<Plan> + Send + Sync + 'static,
    ) -> Result<Answer> {
        let Mutation { call, request, validate_only, reason, claim } = mutation;
        let write = Write { call, request, reason, claim, plan: Box::new(plan) };
        if validate_only {
            let answer = self.parts.planner.rehearse(&write, &self.parts.snapshot.load())?;
            return Ok(without_identity(answer));
        }
        Ok(self.parts.writer.submit(write).await?.answer)
    }
}

impl Control {
    /// What the same request was answered before, if it was: for mutations that ask a vendor first, who must not be
    /// asked again.
    pub(crate) async fn answered(&self, mutation: &Mutation) -> Result<Option<Answer>> {
        let Some(request) = mutation.request.clone().filter(|_| !mutation.validate_only) else { return Ok(None) };
        let found = self.parts.writer.answered(mutation.call.clone(), request).await?;
        Ok(found.map(|found| found.answer))
    }
}

/// The resource as it would be: without id, revision and times, which only a write makes.
fn without_identity(answer: Answer) -> Answer {
    fn strip(meta: &mut Meta) {
        let labels = std::mem::take(&mut meta.labels);
        *meta = Meta { labels, ..Meta::default() };
    }
    macro_rules! stripped {
        ($variant:path, $resource:expr) => {{
            let mut resource = Arc::unwrap_or_clone($resource);
            resource.id = crate::domain::Id::nil();
            strip(&mut resource.meta);
            $variant(Arc::new(resource))
        }};
    }
    let Answer::Resource(resource) = answer else { return answer };
    Answer::Resource(match resource {
        Resource::Provider(provider) => stripped!(Resource::Provider, provider),
        Resource::Endpoint(endpoint) => stripped!(Resource::Endpoint, endpoint),
        Resource::Credential(credential) => stripped!(Resource::Credential, credential),
        Resource::Model(model) => stripped!(Resource::Model, model),
        Resource::Binding(binding) => stripped!(Resource::Binding, binding),
        Resource::Token(token) => {
            let mut token = Arc::unwrap_or_clone(token);
            token.id = crate::domain::Id::nil();
            token.revision = crate::domain::Revision::default();
            token.create_time = crate::domain::Timestamp::default();
            Resource::Token(Arc::new(token))
        }
        Resource::Keyring(keyring) => Resource::Keyring(keyring),
    })
}

/// Takes the resource of one kind out of an answer; another kind is a bug.
macro_rules! expect_answer {
    ($answer:expr, $kind:ident) => {
        match $answer {
            $crate::domain::Answer::Resource($crate::domain::Resource::$kind(resource)) => Ok(resource),
            _ => {
                tracing::error!(wanted = stringify!($kind), "a plan answered with something else");
                Err($crate::domain::Error::internal())
            }
        }
    };
}
pub(crate) use expect_answer;
