//! Targets: what to call now, and the secrets to call it with. Nothing here is written.

use std::cell::RefCell;
use std::sync::Arc;

use super::Reads;
use super::secret_use::current;
use super::vault::not_held;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::model::{Model, ModelParameters};
use crate::domain::provider::Provider;
use crate::domain::secret::CredentialSecret;
use crate::domain::{CallContext, EndpointId, Error, Result, Revision, View as _};
use crate::routing::{self, Scene, Selector, Wanted};
use crate::snapshot::{Board, Entry, Snapshot};

/// A question; its shape was checked.
pub struct TargetRequest {
    pub selector: Selector,
    pub parameters: ModelParameters,
    pub exclude: Vec<EndpointId>,
    pub include_secret: bool,
    pub max_fallbacks: usize,
}

/// What to call, and all that is needed for it.
pub struct Target {
    pub provider: Arc<Entry<Provider>>,
    pub endpoint: Arc<Entry<Endpoint>>,
    pub credential: Option<Arc<Entry<Credential>>>,
    /// Only where it was asked for.
    pub secret: Option<CredentialSecret>,
    pub model: Option<Arc<Entry<Model>>>,
    /// The model's, over them the binding's, over them the request's.
    pub parameters: ModelParameters,
}

/// An answer.
pub struct Resolution {
    /// The first is the target, the others are the fallbacks.
    pub targets: Vec<Target>,
    pub revision: Revision,
    /// What the answer was made from.
    pub board: Arc<Board>,
}

/// What all targets of an answer share.
struct Answer<'a> {
    request: &'a TargetRequest,
    /// The request's, over the binding's.
    parameters: ModelParameters,
    snapshot: &'a Snapshot,
}

impl Reads {
    /// What to call now, and what if that fails. Credentials that cannot be opened, or are not at hand although their
    /// secrets are asked for, are passed over.
    ///
    /// # Errors
    /// As [`routing::resolve`]; [`Error::SecretNotHeld`] where no other is left; where secrets are asked for and their record is strict, that it could not be written.
    pub async fn resolve_target(&self, call: &CallContext, request: &TargetRequest) -> Result<Resolution> {
        let resolution = self.find_target(request)?;
        if request.include_secret {
            let handed_out = resolution.targets.iter().filter(|target| target.secret.is_some());
            let secrets =
                handed_out.filter_map(|target| target.credential.as_ref()).map(|credential| current(credential));
            self.parts.vault.record(call, self.now(), secrets).await?;
        }
        Ok(resolution)
    }

    fn find_target(&self, request: &TargetRequest) -> Result<Resolution> {
        let (snapshot, board) = (self.snapshot().load(), self.board().load());
        let missing = RefCell::new(None);
        let readable = |credential: &Credential| {
            let opens = self.keys.opens(credential, &snapshot, &board);
            if !opens {
                self.parts.metrics.unreadable_passed_over.inc();
            }
            let at_hand = !request.include_secret || self.parts.vault.has(credential);
            if opens && !at_hand {
                missing.replace(Some(not_held(credential)));
            }
            opens && at_hand
        };
        let scene = Scene {
            snapshot: &snapshot,
            board: &board,
            router: &self.parts.router,
            now: self.now(),
            exclude: &request.exclude,
            readable: &readable,
        };
        let wanted = Wanted { selector: &request.selector, max_fallbacks: request.max_fallbacks };
        let found = routing::resolve(scene, wanted).map_err(|error| match error {
            Error::SecretUnreadable { .. } => missing.take().unwrap_or(error),
            other => other,
        })?;
        let parameters = match &request.selector {
            Selector::Binding { consumer, purpose } => snapshot
                .binding_for(consumer, purpose)
                .and_then(|binding| binding.parameters.clone())
                .map_or_else(|| request.parameters.clone(), |bound| request.parameters.clone().over(&bound)),
            _ => request.parameters.clone(),
        };
        let answer = Answer { request, parameters, snapshot: &snapshot };
        let targets = found.iter().map(|target| self.target(target, &answer)).collect::<Result<_>>()?;
        Ok(Resolution { targets, revision: snapshot.head().revision, board })
    }

    fn target(&self, found: &routing::Target<'_>, answer: &Answer<'_>) -> Result<Target> {
        let wanted = found.credential.filter(|_| answer.request.include_secret);
        let open = |credential: &Arc<Entry<Credential>>| {
            self.parts.vault.open(credential, credential.secret_version, answer.snapshot)
        };
        let secret = wanted.map(open).transpose()?;
        let defaults = found.model.and_then(|model| model.default_parameters.as_ref());
        let parameters = answer.parameters.clone();
        Ok(Target {
            provider: Arc::clone(found.provider),
            endpoint: Arc::clone(found.endpoint),
            credential: found.credential.map(Arc::clone),
            secret,
            model: found.model.map(Arc::clone),
            parameters: match defaults {
                Some(defaults) => parameters.over(defaults),
                None => parameters,
            },
        })
    }
}
