//! `RoutingService`.

use tonic::{Request, Response, Status, async_trait};

use super::Services;
use super::call::serve;
use super::{endpoint, model, outcome};
use crate::control::secret_use::FetchedSecret;
use crate::control::target::{Resolution, Target, TargetRequest};
use crate::domain::binding::{CONSUMER, DEFAULT_PURPOSE, PURPOSE};
use crate::domain::model::parameters::check_parameters;
use crate::domain::model::requirement::Requirement;
use crate::domain::model::{self as models, ModelType};
use crate::domain::text::Text;
use crate::domain::{CredentialId, Result, Role, Violations, provider};
use crate::proto::server::routing_service_server::RoutingService;
use crate::proto::v1;
use crate::proto::v1::resolve_target_request::Selector as Message;
use crate::routing::Selector;
use crate::snapshot::Board;
use crate::wire;
use crate::wire::enums::WireEnum as _;
use crate::wire::target::{RawResolution, RawTarget};

/// "provider-name/vendor-id".
const MODEL: Text = Text::required(provider::NAME.max + 1 + models::VENDOR_ID.max);
const MAX_FALLBACKS: i32 = 5;
const MAX_FETCHED: usize = 1000;

/// Reads the selector; none: the default model of the type CHAT.
fn selector(message: Option<Message>, violations: &mut Violations) -> Selector {
    match message {
        None => Selector::Default(ModelType::Chat),
        Some(Message::ModelId(id)) => Selector::Id(wire::id::parse("model_id", &id, violations)),
        Some(Message::Model(name)) => {
            MODEL.check("model", &name, violations);
            Selector::Name(name)
        }
        Some(Message::Requirement(message)) => Selector::Requirement(requirement(&message, violations)),
        Some(Message::DefaultType(number)) => {
            let wanted = wire::enums::filter("default_type", Some(number), violations);
            Selector::Default(wanted.unwrap_or(ModelType::Chat))
        }
        Some(Message::Binding(binding)) => {
            CONSUMER.check("binding.consumer", &binding.consumer, violations);
            let purpose = binding.purpose.unwrap_or_else(|| DEFAULT_PURPOSE.to_owned());
            PURPOSE.check("binding.purpose", &purpose, violations);
            Selector::Binding { consumer: binding.consumer, purpose }
        }
    }
}

fn requirement(message: &v1::ModelRequirement, violations: &mut Violations) -> Requirement {
    if message.min_context_window.is_some_and(|window| window < 0) {
        violations.add("requirement.min_context_window", "must be 0 or more");
    }
    Requirement {
        model_type: wire::enums::filter("requirement.type", message.r#type, violations),
        capabilities: wire::enums::list("requirement.capabilities", &message.capabilities, violations),
        min_score: model::score("requirement.min_score", message.min_score, violations).unwrap_or_default(),
        min_context_window: message.min_context_window.map(i64::from),
    }
}

fn target_request(message: v1::ResolveTargetRequest) -> Result<TargetRequest> {
    let mut violations = Violations::default();
    let parameters =
        wire::model::parameters::input(message.parameters.unwrap_or_default(), "parameters", &mut violations);
    check_parameters("parameters", &parameters, &mut violations);
    let exclude = endpoint::excluded(&message.exclude_endpoint_ids, &mut violations);
    let max_fallbacks = message.max_fallbacks.unwrap_or_default();
    if !(0..=MAX_FALLBACKS).contains(&max_fallbacks) {
        violations.add("max_fallbacks", format!("must be 0 to {MAX_FALLBACKS}"));
    }
    let selector = selector(message.selector, &mut violations);
    violations.into_result()?;
    Ok(TargetRequest {
        selector,
        parameters,
        exclude,
        include_secret: message.include_secret,
        max_fallbacks: usize::try_from(max_fallbacks).unwrap_or_default(),
    })
}

fn write(target: &Target, board: &Board) -> RawTarget {
    RawTarget {
        provider_id: target.provider.id.to_string(),
        provider_kind: target.provider.kind.number(),
        provider_name: target.provider.name.clone(),
        endpoint: Some(endpoint::encoded(&target.endpoint, board)),
        credential_id: target.credential.as_ref().map(|credential| credential.id.to_string()).unwrap_or_default(),
        secret: target.secret.as_ref().map(wire::credential::secret),
        model: target.model.as_ref().map(|model| model::encoded(model, board)),
        parameters: Some(wire::model::parameters::write(&target.parameters)),
    }
}

fn fetched_ids(ids: &[String]) -> Result<Vec<CredentialId>> {
    let mut violations = Violations::default();
    if !(1..=MAX_FETCHED).contains(&ids.len()) {
        violations.add("credential_ids", format!("must be 1 to {MAX_FETCHED}, found {}", ids.len()));
    }
    let field = |place| format!("credential_ids[{place}]");
    let read = |(place, id): (usize, &String)| wire::id::parse(&field(place), id, &mut violations);
    let ids = ids.iter().take(MAX_FETCHED).enumerate().map(read).collect();
    violations.into_result()?;
    Ok(ids)
}

fn write_secret(fetched: &FetchedSecret) -> v1::FetchedSecret {
    let credential = &fetched.credential;
    v1::FetchedSecret {
        credential_id: credential.id.to_string(),
        secret_version: credential.secret_version,
        secret: Some(wire::credential::secret(&fetched.secret)),
        allowed_hosts: credential.allowed_hosts.hosts.iter().map(ToString::to_string).collect(),
    }
}

#[async_trait]
impl RoutingService for Services {
    async fn resolve_target(
        &self,
        request: Request<v1::ResolveTargetRequest>,
    ) -> Result<Response<RawResolution>, Status> {
        serve(request, async |call, message: v1::ResolveTargetRequest| {
            if message.include_secret {
                call.caller.require(Role::Consumer)?;
            }
            let Resolution { targets, revision, board } =
                self.reads.resolve_target(&call, &target_request(message)?).await?;
            let mut targets = targets.iter().map(|target| write(target, &board));
            Ok(RawResolution { target: targets.next(), fallbacks: targets.collect(), revision: revision.0 })
        })
        .await
    }

    async fn fetch_secrets(
        &self,
        request: Request<v1::FetchSecretsRequest>,
    ) -> Result<Response<v1::FetchSecretsResponse>, Status> {
        serve(request, async |call, message: v1::FetchSecretsRequest| {
            let ids = fetched_ids(&message.credential_ids)?;
            let secrets = self.reads.fetch_secrets(&call, &ids).await?;
            Ok(v1::FetchSecretsResponse { secrets: secrets.iter().map(write_secret).collect() })
        })
        .await
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Result<Response<v1::ReportOutcomeResponse>, Status> {
        serve(request, async |call, message: v1::ReportOutcomeRequest| {
            if let Some(report) = &self.report {
                report(message)?;
                return Ok(v1::ReportOutcomeResponse {});
            }
            let mut violations = Violations::default();
            let outcomes = outcome::read_all(&message, &mut violations);
            violations.into_result()?;
            if !message.report_id.is_empty()
                && !self.control()?.is_new_report(&call.caller.identity, &message.report_id)
            {
                return Ok(v1::ReportOutcomeResponse {});
            }
            for endpoint in self.control()?.report_outcomes(&outcomes) {
                self.health()?.report_failure(endpoint);
            }
            Ok(v1::ReportOutcomeResponse {})
        })
        .await
    }
}
