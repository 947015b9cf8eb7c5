//! `ProviderService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::adapter;
use crate::domain::mask::Presence;
use crate::domain::provider::Provider;
use crate::domain::provider::input::{FIXED, SETTABLE};
use crate::domain::{Error, ProviderId, ResourceKind, Result, Role, Violations};
use crate::proto::server::provider_service_server::ProviderService;
use crate::proto::v1;
use crate::snapshot::query::ProviderFilter;
use crate::snapshot::{Board, Entry};
use crate::wire;
use crate::wire::enums::WireEnum as _;
use crate::wire::page::{RawAnswer, RawItem, RawPage};

impl Services {
    /// The provider with its status.
    pub(super) fn show_provider(&self, provider: &Provider) -> v1::Provider {
        wire::provider::full(provider, self.reads.board().load().sync(provider.id).map(|entry| &***entry))
    }
}

/// A provider: its kept configuration, its status.
fn encoded(entry: &Entry<Provider>, board: &Board) -> RawItem {
    RawItem {
        config: entry.wire_or(wire::provider::config_bytes).clone(),
        status: wire::provider::status_bytes(board.sync(entry.id).map(|entry| &***entry)),
    }
}

#[async_trait]
impl ProviderService for Services {
    async fn create_provider(
        &self,
        request: Request<v1::CreateProviderRequest>,
    ) -> Result<Response<v1::CreateProviderResponse>, Status> {
        serve(request, async |call, message: v1::CreateProviderRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let input = wire::provider::input(message.provider.unwrap_or_default(), "provider", &mut violations);
            input.check("provider", Presence::Create, &mut violations);
            violations.into_result()?;
            let provider = self.control()?.create_provider(mutation, input).await?;
            Ok(v1::CreateProviderResponse { provider: Some(self.show_provider(&provider)) })
        })
        .await
    }

    async fn get_provider(&self, request: Request<v1::GetProviderRequest>) -> Result<Response<RawAnswer>, Status> {
        serve(request, async |_, message: v1::GetProviderRequest| {
            let id: ProviderId = list::id("id", &message.id)?;
            // A deleted one answers too: its times tell until when it can be brought back.
            let snapshot = self.reads.snapshot().load();
            let provider = snapshot.provider_entry(id).ok_or_else(|| Error::not_found(ResourceKind::Provider, id))?;
            Ok(encoded(provider, &self.reads.board().load()).into())
        })
        .await
    }

    async fn list_providers(&self, request: Request<v1::ListProvidersRequest>) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListProvidersRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Provider>(call.rpc, &message, &mut violations)?;
            let filter = ProviderFilter {
                kind: wire::enums::filter("kind", message.kind, &mut violations),
                is_active: message.is_active,
                name: list::text(message.name),
                query: list::query(&message.query, &mut violations),
                labels: message.labels,
                show_deleted: message.show_deleted,
            };
            violations.into_result()?;
            let (snapshot, board) = (self.reads.snapshot().load(), self.reads.board().load());
            list.answer(|request, fits| snapshot.list_providers(&filter, request, fits), |entry| encoded(entry, &board))
        })
        .await
    }

    async fn update_provider(
        &self,
        request: Request<v1::UpdateProviderRequest>,
    ) -> Result<Response<v1::UpdateProviderResponse>, Status> {
        serve(request, async |call, message: v1::UpdateProviderRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let mask = wire::mask::read(message.update_mask, SETTABLE, FIXED)?;
            let provider = message.provider.unwrap_or_default();
            let id = wire::id::parse("provider.id", &provider.id, &mut violations);
            let input = wire::provider::input(provider, "provider", &mut violations);
            input.check("provider", Presence::Update(&mask), &mut violations);
            violations.into_result()?;
            let provider = self.control()?.update_provider(mutation, id, input, mask, expected).await?;
            Ok(v1::UpdateProviderResponse { provider: Some(self.show_provider(&provider)) })
        })
        .await
    }

    async fn update_provider_status(
        &self,
        request: Request<v1::UpdateProviderStatusRequest>,
    ) -> Result<Response<v1::UpdateProviderStatusResponse>, Status> {
        serve(request, async |call, message: v1::UpdateProviderStatusRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            let is_active = list::required("is_active", message.is_active, &mut violations);
            violations.into_result()?;
            let provider = self.control()?.set_provider_active(mutation, id, is_active, expected).await?;
            Ok(v1::UpdateProviderStatusResponse { provider: Some(self.show_provider(&provider)) })
        })
        .await
    }

    async fn delete_provider(
        &self,
        request: Request<v1::DeleteProviderRequest>,
    ) -> Result<Response<v1::DeleteProviderResponse>, Status> {
        serve(request, async |call, message: v1::DeleteProviderRequest| {
            if message.purge {
                call.caller.require(Role::Admin)?;
            }
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            self.control()?.delete_provider(mutation, id, message.purge, expected).await?;
            Ok(v1::DeleteProviderResponse {})
        })
        .await
    }

    async fn undelete_provider(
        &self,
        request: Request<v1::UndeleteProviderRequest>,
    ) -> Result<Response<v1::UndeleteProviderResponse>, Status> {
        serve(request, async |call, message: v1::UndeleteProviderRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            let provider = self.control()?.undelete_provider(mutation, id, expected).await?;
            Ok(v1::UndeleteProviderResponse { provider: Some(self.show_provider(&provider)) })
        })
        .await
    }

    async fn list_provider_kinds(
        &self,
        request: Request<v1::ListProviderKindsRequest>,
    ) -> Result<Response<v1::ListProviderKindsResponse>, Status> {
        serve(request, async |_, _| {
            let kinds = adapter::descriptors().map(|descriptor| kind_info(&descriptor)).collect();
            Ok(v1::ListProviderKindsResponse { kinds })
        })
        .await
    }
}

fn kind_info(descriptor: &adapter::Descriptor) -> v1::ProviderKindInfo {
    v1::ProviderKindInfo {
        kind: descriptor.kind.number(),
        display_name: descriptor.display_name.to_owned(),
        default_base_urls: descriptor.default_base_urls.iter().map(ToString::to_string).collect(),
        secret_fields: descriptor.secret_fields.iter().map(|field| field.name.to_owned()).collect(),
        requires_credential: descriptor.requires_credential(),
        // Every kind has its adapter; what one server of a kind lacks shows when it is asked.
        supports_model_sync: true,
        supports_validation: true,
        supports_model_test: true,
    }
}
