//! `EndpointService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::domain::endpoint::Endpoint;
use crate::domain::endpoint::input::{FIXED, SETTABLE};
use crate::domain::mask::Presence;
use crate::domain::{EndpointId, Result, View as _, Violations};
use crate::proto::server::endpoint_service_server::EndpointService;
use crate::proto::v1;
use crate::snapshot::query::EndpointFilter;
use crate::snapshot::{Board, Entry};
use crate::wire;
use crate::wire::page::{RawAnswer, RawItem, RawPage};

/// How many endpoints a call may leave out.
const MAX_EXCLUDED: usize = 100;

impl Services {
    /// The endpoint with its health.
    pub(super) fn show_endpoint(&self, endpoint: &Endpoint) -> v1::Endpoint {
        wire::endpoint::full(endpoint, self.reads.board().load().health(endpoint.id).map(|entry| &***entry))
    }
}

/// An endpoint: its kept configuration, its kept health.
pub(super) fn encoded(entry: &Entry<Endpoint>, board: &Board) -> RawItem {
    let health = board.health(entry.id);
    RawItem {
        config: entry.wire_or(wire::endpoint::config_bytes).clone(),
        status: health.map_or_else(
            || wire::endpoint::status_bytes(None),
            |health| health.wire_or(|health| wire::endpoint::status_bytes(Some(health))).clone(),
        ),
    }
}

/// Reads `exclude_endpoint_ids`.
pub(super) fn excluded(ids: &[String], violations: &mut Violations) -> Vec<EndpointId> {
    if ids.len() > MAX_EXCLUDED {
        violations.add("exclude_endpoint_ids", format!("at most {MAX_EXCLUDED} ids, found {}", ids.len()));
    }
    let field = |index| format!("exclude_endpoint_ids[{index}]");
    (0_usize..).zip(ids).map(|(index, id)| wire::id::parse(&field(index), id, violations)).collect()
}

#[async_trait]
impl EndpointService for Services {
    async fn create_endpoint(
        &self,
        request: Request<v1::CreateEndpointRequest>,
    ) -> Result<Response<v1::CreateEndpointResponse>, Status> {
        serve(request, async |call, message: v1::CreateEndpointRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let input = wire::endpoint::input(message.endpoint.unwrap_or_default(), "endpoint", &mut violations);
            input.check("endpoint", Presence::Create, &mut violations);
            violations.into_result()?;
            let endpoint = self.control()?.create_endpoint(mutation, input, message.set_default).await?;
            Ok(v1::CreateEndpointResponse { endpoint: Some(self.show_endpoint(&endpoint)) })
        })
        .await
    }

    async fn get_endpoint(&self, request: Request<v1::GetEndpointRequest>) -> Result<Response<RawAnswer>, Status> {
        serve(request, async |_, message: v1::GetEndpointRequest| {
            let id: EndpointId = list::id("id", &message.id)?;
            let snapshot = self.reads.snapshot().load();
            Ok(encoded(snapshot.live_endpoint_entry(id)?, &self.reads.board().load()).into())
        })
        .await
    }

    async fn list_endpoints(&self, request: Request<v1::ListEndpointsRequest>) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListEndpointsRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Endpoint>(call.rpc, &message, &mut violations)?;
            let filter = EndpointFilter {
                provider_id: wire::id::parse_filter("provider_id", &message.provider_id, &mut violations),
                name: list::text(message.name),
                is_active: message.is_active,
                health_status: wire::enums::filter("health_status", message.health_status, &mut violations),
                query: list::query(&message.query, &mut violations),
                labels: message.labels,
            };
            violations.into_result()?;
            let (snapshot, board) = (self.reads.snapshot().load(), self.reads.board().load());
            let present = self.reads.present(&board);
            list.answer(
                |request, fits| snapshot.list_endpoints(&filter, present, request, fits),
                |entry| encoded(entry, &board),
            )
        })
        .await
    }

    async fn update_endpoint(
        &self,
        request: Request<v1::UpdateEndpointRequest>,
    ) -> Result<Response<v1::UpdateEndpointResponse>, Status> {
        serve(request, async |call, message: v1::UpdateEndpointRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let mask = wire::mask::read(message.update_mask, SETTABLE, FIXED)?;
            let endpoint = message.endpoint.unwrap_or_default();
            let id = wire::id::parse("endpoint.id", &endpoint.id, &mut violations);
            let input = wire::endpoint::input(endpoint, "endpoint", &mut violations);
            input.check("endpoint", Presence::Update(&mask), &mut violations);
            violations.into_result()?;
            let endpoint = self.control()?.update_endpoint(mutation, id, input, mask, expected).await?;
            Ok(v1::UpdateEndpointResponse { endpoint: Some(self.show_endpoint(&endpoint)) })
        })
        .await
    }

    async fn delete_endpoint(
        &self,
        request: Request<v1::DeleteEndpointRequest>,
    ) -> Result<Response<v1::DeleteEndpointResponse>, Status> {
        serve(request, async |call, message: v1::DeleteEndpointRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            self.control()?.delete_endpoint(mutation, id, expected).await?;
            Ok(v1::DeleteEndpointResponse {})
        })
        .await
    }

    async fn set_default_endpoint(
        &self,
        request: Request<v1::SetDefaultEndpointRequest>,
    ) -> Result<Response<v1::SetDefaultEndpointResponse>, Status> {
        serve(request, async |call, message: v1::SetDefaultEndpointRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            let endpoint = self.control()?.set_default_endpoint(mutation, id, expected).await?;
            Ok(v1::SetDefaultEndpointResponse { endpoint: Some(self.show_endpoint(&endpoint)) })
        })
        .await
    }

    async fn check_endpoint_health(
        &self,
        request: Request<v1::CheckEndpointHealthRequest>,
    ) -> Result<Response<v1::CheckEndpointHealthResponse>, Status> {
        serve(request, async |_, message: v1::CheckEndpointHealthRequest| {
            let id: EndpointId = list::id("id", &message.id)?;
            let endpoint = self.reads.snapshot().load().live_endpoint(id)?;
            let health = self.health()?.check_now(id).await?;
            let endpoint = Some(wire::endpoint::full(&endpoint, Some(&health)));
            Ok(v1::CheckEndpointHealthResponse { endpoint })
        })
        .await
    }

    async fn pick_endpoint(&self, request: Request<v1::PickEndpointRequest>) -> Result<Response<RawAnswer>, Status> {
        serve(request, async |_, message: v1::PickEndpointRequest| {
            let mut violations = Violations::default();
            let provider = wire::id::parse("provider_id", &message.provider_id, &mut violations);
            let excluded = excluded(&message.exclude_endpoint_ids, &mut violations);
            violations.into_result()?;
            let picked = self.reads.pick_endpoint(provider, &excluded)?;
            Ok(encoded(&picked, &self.reads.board().load()).into())
        })
        .await
    }
}
