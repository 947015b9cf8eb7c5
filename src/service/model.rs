//! `ModelService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::list::{self, List};
use super::mutation::expected;
use crate::domain::mask::Presence;
use crate::domain::model::input::{FIXED, SETTABLE, check_unpin};
use crate::domain::model::{MAX_SCORE, Model, ModelType};
use crate::domain::{Error, ModelId, ResourceKind, Result, View as _, Violations};
use crate::proto::server::model_service_server::ModelService;
use crate::proto::v1;
use crate::snapshot::query::ModelFilter;
use crate::snapshot::{Board, Entry};
use crate::wire;
use crate::wire::page::{RawAnswer, RawItem, RawPage};

impl Services {
    /// The model with its availability and usage.
    pub(super) fn show_model(&self, model: &Model) -> v1::Model {
        let board = self.reads.board().load();
        let (tested, used) = (board.availability(model.id), board.model_usage(model.id));
        wire::model::full(model, tested.map(|entry| &***entry), used.map(|entry| &***entry))
    }
}

/// A model: its kept configuration, its status.
pub(super) fn encoded(entry: &Entry<Model>, board: &Board) -> RawItem {
    let (tested, used) = (board.availability(entry.id), board.model_usage(entry.id));
    RawItem {
        config: entry.wire_or(wire::model::config_bytes).clone(),
        status: wire::model::status_bytes(tested.map(|entry| &***entry), used.map(|entry| &***entry)),
    }
}

pub(super) fn score(field: &str, score: Option<i32>, violations: &mut Violations) -> Option<i32> {
    if score.is_some_and(|score| !(0..=MAX_SCORE).contains(&score)) {
        violations.add(field, format!("must be 0 to {MAX_SCORE}"));
    }
    score
}

#[async_trait]
impl ModelService for Services {
    async fn create_model(
        &self,
        request: Request<v1::CreateModelRequest>,
    ) -> Result<Response<v1::CreateModelResponse>, Status> {
        serve(request, async |call, message: v1::CreateModelRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let input = wire::model::input(message.model.unwrap_or_default(), "model", &mut violations);
            input.check("model", Presence::Create, &mut violations);
            violations.into_result()?;
            let model = self.control()?.create_model(mutation, input, message.set_default).await?;
            Ok(v1::CreateModelResponse { model: Some(self.show_model(&model)) })
        })
        .await
    }

    async fn get_model(&self, request: Request<v1::GetModelRequest>) -> Result<Response<RawAnswer>, Status> {
        serve(request, async |_, message: v1::GetModelRequest| {
            let id: ModelId = list::id("id", &message.id)?;
            let snapshot = self.reads.snapshot().load();
            Ok(encoded(snapshot.live_model_entry(id)?, &self.reads.board().load()).into())
        })
        .await
    }

    async fn list_models(&self, request: Request<v1::ListModelsRequest>) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListModelsRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Model>(call.rpc, &message, &mut violations)?;
            if message.min_context_window.is_some_and(|window| window < 0) {
                violations.add("min_context_window", "must be 0 or more");
            }
            let filter = ModelFilter {
                provider_id: wire::id::parse_filter("provider_id", &message.provider_id, &mut violations),
                name: list::text(message.name),
                model_id: list::text(message.model_id),
                model_type: wire::enums::filter("type", message.r#type, &mut violations),
                status: wire::enums::filter("status", message.status, &mut violations),
                is_active: message.is_active,
                is_default: message.is_default,
                usable: message.usable,
                capabilities: wire::enums::list("capabilities", &message.capabilities, &mut violations),
                min_score: score("min_score", message.min_score, &mut violations),
                min_context_window: message.min_context_window.map(i64::from),
                query: list::query(&message.query, &mut violations),
                labels: message.labels,
            };
            violations.into_result()?;
            let (snapshot, board) = (self.reads.snapshot().load(), self.reads.board().load());
            let present = self.reads.present(&board);
            list.answer(
                |request, fits| snapshot.list_models(&filter, present, request, fits),
                |entry| encoded(entry, &board),
            )
        })
        .await
    }

    async fn list_models_by_capability(
        &self,
        request: Request<v1::ListModelsByCapabilityRequest>,
    ) -> Result<Response<RawPage>, Status> {
        serve(request, async |call, message: v1::ListModelsByCapabilityRequest| {
            let mut violations = Violations::default();
            let list = List::read::<Model>(call.rpc, &message, &mut violations)?;
            let capability = wire::enums::filter("capability", message.capability, &mut violations);
            let min_score = score("min_score", message.min_score, &mut violations).unwrap_or(0);
            if capability.is_none() {
                // Says nothing where the enum is wrong: that was told.
                violations.add("capability", "required");
            }
            violations.into_result()?;
            let capability = capability.ok_or_else(Error::internal)?;
            let (snapshot, board) = (self.reads.snapshot().load(), self.reads.board().load());
            list.answer(
                |request, fits| snapshot.list_models_by_capability(capability, min_score, request, fits),
                |entry| encoded(entry, &board),
            )
        })
        .await
    }

    async fn get_default_model(
        &self,
        request: Request<v1::GetDefaultModelRequest>,
    ) -> Result<Response<v1::GetDefaultModelResponse>, Status> {
        serve(request, async |_, message: v1::GetDefaultModelRequest| {
            let mut violations = Violations::default();
            let wanted = wire::enums::filter("type", message.r#type, &mut violations).unwrap_or(ModelType::Chat);
            violations.into_result()?;
            let model = self.reads.snapshot().load().default_model(wanted).ok_or_else(|| Error::NotFound {
                kind: ResourceKind::Model,
                id: format!("the default of the type {}", wanted.name()),
            })?;
            Ok(v1::GetDefaultModelResponse { model: Some(self.show_model(&model)) })
        })
        .await
    }

    async fn update_model(
        &self,
        request: Request<v1::UpdateModelRequest>,
    ) -> Result<Response<v1::UpdateModelResponse>, Status> {
        serve(request, async |call, message: v1::UpdateModelRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let mask = wire::mask::read(message.update_mask, SETTABLE, FIXED)?;
            let model = message.model.unwrap_or_default();
            let id = wire::id::parse("model.id", &model.id, &mut violations);
            let input = wire::model::input(model, "model", &mut violations);
            input.check("model", Presence::Update(&mask), &mut violations);
            check_unpin("unpin_fields", &message.unpin_fields, &mut violations);
            violations.into_result()?;
            let model = self.control()?.update_model(mutation, id, input, mask, message.unpin_fields, expected).await?;
            Ok(v1::UpdateModelResponse { model: Some(self.show_model(&model)) })
        })
        .await
    }

    async fn update_model_status(
        &self,
        request: Request<v1::UpdateModelStatusRequest>,
    ) -> Result<Response<v1::UpdateModelStatusResponse>, Status> {
        serve(request, async |call, message: v1::UpdateModelStatusRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            let is_active = list::required("is_active", message.is_active, &mut violations);
            violations.into_result()?;
            let model = self.control()?.set_model_active(mutation, id, is_active, expected).await?;
            Ok(v1::UpdateModelStatusResponse { model: Some(self.show_model(&model)) })
        })
        .await
    }

    async fn delete_model(
        &self,
        request: Request<v1::DeleteModelRequest>,
    ) -> Result<Response<v1::DeleteModelResponse>, Status> {
        serve(request, async |call, message: v1::DeleteModelRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            self.control()?.delete_model(mutation, id, expected).await?;
            Ok(v1::DeleteModelResponse {})
        })
        .await
    }

    async fn sync_models(
        &self,
        request: Request<v1::SyncModelsRequest>,
    ) -> Result<Response<v1::SyncModelsResponse>, Status> {
        serve(request, async |call, message: v1::SyncModelsRequest| {
            let mut violations = Violations::default();
            let mut mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let provider = wire::id::parse("provider_id", &message.provider_id, &mut violations);
            violations.into_result()?;
            mutation.validate_only |= message.dry_run;
            let summary = self.control()?.sync_models(mutation, provider, message.force, expected).await?;
            Ok(wire::answer::sync(&summary))
        })
        .await
    }

    async fn test_model(
        &self,
        request: Request<v1::TestModelRequest>,
    ) -> Result<Response<v1::TestModelResponse>, Status> {
        serve(request, async |call, message: v1::TestModelRequest| {
            let id: ModelId = list::id("id", &message.id)?;
            let (model, availability) = self.control()?.test_model(&call, id).await?;
            let board = self.reads.board().load();
            let used = board.model_usage(id).map(|entry| &***entry);
            Ok(v1::TestModelResponse { model: Some(wire::model::full(&model, Some(&availability), used)) })
        })
        .await
    }

    async fn set_default_model(
        &self,
        request: Request<v1::SetDefaultModelRequest>,
    ) -> Result<Response<v1::SetDefaultModelResponse>, Status> {
        serve(request, async |call, message: v1::SetDefaultModelRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let id = wire::id::parse("id", &message.id, &mut violations);
            violations.into_result()?;
            let model = self.control()?.set_default_model(mutation, id, expected).await?;
            Ok(v1::SetDefaultModelResponse { model: Some(self.show_model(&model)) })
        })
        .await
    }
}
