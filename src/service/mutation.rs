//! What every mutation's request carries: its idempotency key, its reason, whether it is a rehearsal.

use prost::Message;
use zeroize::Zeroizing;

use super::Services;
use crate::changes::RequestId;
use crate::control::Mutation;
use crate::domain::{CallContext, Result, Revision, Violations, limits};
use crate::proto::v1;

/// A request that changes configuration.
pub trait Mutating: Message {
    fn request_id(&self) -> &str;
    fn reason(&self) -> &str;
    fn validate_only(&self) -> bool;
}

macro_rules! mutating {
    ($($request:ident),+ $(,)?) => {
        $(impl Mutating for v1::$request {
            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn reason(&self) -> &str {
                &self.reason
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }
        })+
    };
}

mutating!(
    CreateProviderRequest,
    UpdateProviderRequest,
    UpdateProviderStatusRequest,
    DeleteProviderRequest,
    UndeleteProviderRequest,
    CreateEndpointRequest,
    UpdateEndpointRequest,
    DeleteEndpointRequest,
    SetDefaultEndpointRequest,
    CreateCredentialRequest,
    UpdateCredentialRequest,
    RotateCredentialRequest,
    RevokeCredentialRequest,
    DeleteCredentialRequest,
    CreateModelRequest,
    UpdateModelRequest,
    UpdateModelStatusRequest,
    DeleteModelRequest,
    SyncModelsRequest,
    SetDefaultModelRequest,
    CreateBindingRequest,
    UpdateBindingRequest,
    DeleteBindingRequest,
    RollbackResourceRequest,
    CreateTokenRequest,
    RevokeTokenRequest,
    RotateMasterKeyRequest,
);

impl Services {
    /// Reads the common fields of a mutation.
    ///
    /// # Errors
    /// As [`Services::control`].
    pub(super) fn mutation(
        &self,
        call: CallContext,
        message: &impl Mutating,
        violations: &mut Violations,
    ) -> Result<Mutation> {
        let secrets = self.control()?.secrets();
        limits::REQUEST_ID.check("request_id", message.request_id(), violations);
        limits::REASON.check("reason", message.reason(), violations);
        let request = (!message.request_id().is_empty()).then(|| {
            // The encoding may hold a secret.
            let payload = Zeroizing::new(message.encode_to_vec());
            let payload_hash = secrets.request_hash(call.rpc, &payload);
            RequestId { id: message.request_id().to_owned(), payload_hash }
        });
        let (validate_only, reason) = (message.validate_only(), message.reason().to_owned());
        Ok(Mutation { call, request, validate_only, reason, claim: None })
    }
}

/// Reads `expected_revision`.
pub fn expected(revision: Option<i64>, violations: &mut Violations) -> Option<Revision> {
    if revision.is_some_and(|revision| revision < 0) {
        violations.add("expected_revision", "must be 0 or more");
    }
    revision.map(Revision)
}
