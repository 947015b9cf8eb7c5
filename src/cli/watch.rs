//! Following the configuration from a terminal, or from a script.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::client::{Client, refusal};
use super::json::Json;
use super::output::{self, Format};
use super::token::Call;
use crate::proto::v1::resource::Resource;
use crate::proto::v1::resource_status::Status as Shown;
use crate::proto::v1::watch_service_client::WatchServiceClient;
use crate::proto::v1::{self, WatchEvent, WatchRequest, WatchResponse};

/// How long to wait before a stream that broke is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// Prints changes as they happen, until it is stopped; goes on by itself where a stream broke off
#[derive(Args)]
#[command(
    after_help = "Examples:\n  modelward watch --state --kind model\n  modelward watch --format json | jq .changes"
)]
pub struct Watch {
    /// First prints all that there is
    #[arg(long)]
    state: bool,
    /// Goes on behind this token, of an earlier run with --format json
    #[arg(long, value_name = "TOKEN")]
    resume_token: Option<String>,
    /// Prints this kind only; give it again for a further one
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<Kind>,
    /// Prints this provider only, with what belongs to it
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// How it prints: a line for each change, or a message of the API on each line
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// What `ListWatchers` calls it
    #[arg(long, value_name = "NAME", default_value = "modelward watch")]
    client_name: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Provider,
    Endpoint,
    Credential,
    Model,
    Binding,
}

impl From<Kind> for v1::ResourceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Provider => Self::Provider,
            Kind::Endpoint => Self::Endpoint,
            Kind::Credential => Self::Credential,
            Kind::Model => Self::Model,
            Kind::Binding => Self::Binding,
        }
    }
}

impl Watch {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut request = WatchRequest {
            resume_token: self.resume_token.unwrap_or_default(),
            include_state: self.state,
            resource_kinds: self.kinds.into_iter().map(|kind| v1::ResourceKind::from(kind).into()).collect(),
            provider_id: self.provider.unwrap_or_default(),
            client_name: self.client_name,
            ..WatchRequest::default()
        };
        let client = self.call.connect().await?;
        let printer = Printer::new(self.format)?;
        let mut begun = false;
        loop {
            let ended = follow(&client, &mut request, &printer, &mut begun).await?;
            if !begun || !can_go_on(&ended) {
                return Err(refusal(&ended));
            }
            output::note(&format!("modelward: the stream has ended ({}); it goes on soon", ended.message()));
            sleep(AGAIN).await;
        }
    }
}

/// One stream from start to end; `request` goes on where it ended.
async fn follow(
    client: &Client,
    request: &mut WatchRequest,
    printer: &Printer,
    begun: &mut bool,
) -> anyhow::Result<Status> {
    let mut watches = WatchServiceClient::<Channel>::new(client.channel.clone());
    let mut stream = match watches.watch(client.request(request.clone())).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(status),
    };
    *begun = true;
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                printer.print(&message)?;
                if !message.resume_token.is_empty() {
                    request.resume_token = message.resume_token;
                    request.include_state = false;
                }
            }
            Ok(None) => return Ok(Status::unavailable("it was closed")),
            Err(status) => return Ok(status),
        }
    }
}

/// Whether the same request, or one with the last token, may be answered soon.
fn can_go_on(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::Unknown | Code::Cancelled | Code::Internal
    )
}

enum Printer {
    Table,
    Json(Box<Json>),
}

impl Printer {
    fn new(format: Format) -> anyhow::Result<Self> {
        if format == Format::Json {
            return Ok(Self::Json(Box::new(Json::new()?)));
        }
        output::data(&line(&["REVISION", "OPERATION", "KIND", "ID", "NAME", "FIELDS"]))?;
        Ok(Self::Table)
    }

    fn print(&self, message: &WatchResponse) -> anyhow::Result<()> {
        let text = match self {
            Self::Json(json) => format!("{}\n", json.line("WatchResponse", message)?),
            Self::Table => table(message),
        };
        Ok(output::data(&text)?)
    }
}

/// A line for each change and each status; bookmarks are not for people.
fn table(message: &WatchResponse) -> String {
    let is_state = message.event() == WatchEvent::State;
    let changes = message.changes.iter().map(|change| {
        let operation =
            if is_state { "state".to_owned() } else { word(change.operation().as_str_name(), "OPERATION_") };
        let kind = word(change.resource_kind().as_str_name(), "RESOURCE_KIND_");
        let name = change.after.as_ref().map(name).unwrap_or_default();
        let fields = change.changed_fields.join(",");
        line(&[&change.revision.to_string(), &operation, &kind, &change.resource_id, &name, &fields])
    });
    let statuses = message.statuses.iter().map(|status| {
        let kind = word(status.resource_kind().as_str_name(), "RESOURCE_KIND_");
        line(&["-", "status", &kind, &status.resource_id, &shown(status), ""])
    });
    changes.chain(statuses).collect()
}

/// What comes cannot be waited for, so the columns have fixed widths.
fn line(cells: &[&str; 6]) -> String {
    let [revision, operation, kind, id, name, fields] = cells;
    let text = format!("{revision:<10}  {operation:<9}  {kind:<10}  {id:<36}  {name:<30}  {fields}");
    format!("{}\n", text.trim_end())
}

fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

fn name(resource: &v1::Resource) -> String {
    let name = match &resource.resource {
        Some(Resource::Provider(found)) => found.name.clone(),
        Some(Resource::Endpoint(found)) => found.name.clone(),
        Some(Resource::Credential(found)) => found.alias.clone(),
        Some(Resource::Model(found)) => found.model_id.clone(),
        Some(Resource::Binding(found)) => found.consumer.clone(),
        Some(Resource::Token(_) | Resource::Keyring(_)) | None => None,
    };
    name.unwrap_or_default()
}

/// The one word that says most.
fn shown(status: &v1::ResourceStatus) -> String {
    match &status.status {
        Some(Shown::Provider(found)) => found.sync.as_ref().map_or("-", |sync| sync.result().as_str_name()).to_owned(),
        Some(Shown::Endpoint(found)) => {
            found.health.as_ref().map_or("-", |health| health.status().as_str_name()).to_owned()
        }
        Some(Shown::Credential(found)) => found.state().as_str_name().to_owned(),
        Some(Shown::Model(found)) => {
            found.availability.as_ref().map_or("-", |found| found.status().as_str_name()).to_owned()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line_and_a_bookmark_is_none() {
        let provider = v1::Provider { name: Some("openai".into()), ..Default::default() };
        let change = v1::Change {
            revision: 12,
            operation: v1::Operation::Update.into(),
            resource_kind: v1::ResourceKind::Provider.into(),
            resource_id: "0199d3c4-0000-7000-8000-000000000000".into(),
            after: Some(v1::Resource { resource: Some(Resource::Provider(provider)) }),
            changed_fields: vec!["name".into(), "labels".into()],
            ..Default::default()
        };
        let message = WatchResponse { event: WatchEvent::Changes.into(), changes: vec![change], ..Default::default() };
        let line = "12          update     provider    0199d3c4-0000-7000-8000-000000000000  \
                    openai                          name,labels\n";
        assert_eq!(table(&message), line);
        assert_eq!(table(&WatchResponse { event: WatchEvent::Bookmark.into(), ..Default::default() }), "");
    }
}
