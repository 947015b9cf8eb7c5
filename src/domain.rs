//! The pure heart: what the resources are, which rules hold, and what a write would do.
//!
//! Nothing here knows a database, a wire format, a runtime or a socket, so every rule is a function that a test
//! calls directly. Reads go through [`View`]; a write is planned as a [`Plan`] and committed elsewhere.

pub mod binding;
pub mod caller;
pub mod change;
pub mod credential;
pub mod endpoint;
pub mod error;
pub mod health;
pub mod id;
pub mod identity;
pub mod image;
pub mod keyring;
pub mod limits;
pub mod mask;
pub mod meta;
pub mod model;
pub mod plan;
pub mod provider;
pub mod revision;
pub mod rollback;
pub mod secret;
pub mod secret_use;
pub mod text;
pub mod time;
pub mod token;
pub mod usage;
pub mod view;
pub mod watcher;

pub use caller::{CallContext, Caller, Pass, Role, Roles, Voucher};
pub use change::{Change, Operation, Resource, ResourceKind};
pub use error::{Error, Result, Violation, Violations};
pub use id::{BindingId, CredentialId, EndpointId, Id, IdSource, ModelId, ProviderId, RandomIds, TokenId};
pub use limits::Limits;
pub use mask::Mask;
pub use meta::Meta;
pub use plan::{Answer, Edit, Plan, PlanContext, PlanFn, SealOrder};
pub use revision::{ChainHash, Head, Revision};
pub use time::{Clock, SystemClock, Timestamp};
pub use view::View;
