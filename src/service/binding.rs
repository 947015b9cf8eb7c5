//! `BindingService`.

use bytes::Bytes;
use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::domain::binding::Binding;
use crate::domain::binding::input::{FIXED, SETTABLE};
use crate::domain::mask::Presence;
use crate::domain::{BindingId, Error, ResourceKind, Violations};
use crate::proto::server::binding_service_server::BindingService;
use crate::proto::v1;
use crate::snapshot::Entry;
use crate::snapshot::query::BindingFilter;
use crate::wire;
use crate::wire::page::{RawAnswer, RawItem, RawPage};

fn encoded(entry: &Entry<Binding>) -> RawItem {
    RawItem { config: entry.wire_or(wire::binding::config_bytes).clone(), status: Bytes::new() }
}

#[async_trait]
impl BindingService for Services {
    async fn create_binding(
        &self,
        request: Request<v1::CreateBindingRequest>,
    ) -> Result<Response<v1::CreateBindingResponse>, Status> {
        serve(request, async |call, message: v1::CreateBindingRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let input = wire::binding::input(message.binding.unwrap_or_default(), "binding", &mut violations);
            input.check("binding", Presence::Create, &mut violations);
            violations.into_result()?;
            let binding = self.control()?.create_binding(mutation, input).await?;
            Ok(v1::CreateBindingResponse { binding: Some(wire::binding::config(&binding)) })
        })
        .await
    }

    async fn get_binding(&self, request: Request<v1::GetBindingRequest>) -> Result<Response<RawAnswer>, Status> {
        serve(request, async |_, message: v1::GetBindingRequest| {
            let id: BindingId = list::id("id", &message.id)?;
            let snapshot = self.reads.snapshot().load();
            let entry = snapshot.binding_entry(id).ok_or_else(|| Error::not_found(ResourceKind::Binding, id))?;
            Ok(encoded(entry).into())
        })
        .await
    }

    async fn list_bindings(&self, request: Request<v1::ListBindingsRequest>) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListBindingsRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Binding>(call.rpc, &message, &mut violations)?;
            let filter = BindingFilter {
                consumer: list::text(message.consumer),
                purpose: list::text(message.purpose),
                provider_id: wire::id::parse_filter("provider_id", &message.provider_id, &mut violations),
                model_id: wire::id::parse_filter("model_id", &message.model_id, &mut violations),
                labels: message.labels,
            };
            violations.into_result()?;
            let snapshot = self.reads.snapshot().load();
            list.answer(|request, fits| snapshot.list_bindings(&filter, request, fits), encoded)
        })
        .await
    }

    async fn update_binding(
        &self,
        request: Request<v1::UpdateBindingRequest>,
    ) -> Result<Response<v1::UpdateBindingResponse>, Status> {
        serve(request, async |call, message: v1::UpdateBindingRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let mask = wire::mask::read(message.update_mask, SETTABLE, FIXED)?;
            let binding = message.binding.unwrap_or_default();
            let id = wire::id::parse("binding.id", &binding.id, &mut violations);
            let input = wire::binding::input(binding, "binding", &mut violations);
            input.check("binding", Presence::Update(&mask), &mut violations);
            violations.into_result()?;
            let binding = self.control()?.update_binding(mutation, id, input, mask, expected).await?;
            Ok(v1::UpdateBindingResponse { binding: Some(wire::binding::config(&binding)) })
        })
        .await
    }

    async fn delete_binding(
        &self,
        request: Request<v1::DeleteBindingRequest>,
    ) -> Result<Response<v1::DeleteBindingResponse>, Status> {
        serve(request, async |call, message: v1::DeleteBindingRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            self.control()?.delete_binding(mutation, id, expected).await?;
            Ok(v1::DeleteBindingResponse {})
        })
        .await
    }
}
