//! `modelward audit`: who changed what, and whether anybody rewrote the record of it.

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::client::refusal;
use super::output::Format;
use super::settings::SettingsArgs;
use super::token::Call;
use super::{output, table};
use crate::app::verify_log;
use crate::changes::verify::{Anchor, Verdict};
use crate::domain::{Operation, ResourceKind};
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::{Change, ListChangesRequest};
use crate::wire::enums::WireEnum as _;

/// Lists who changed what, or verifies that nobody rewrote the record of it
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  modelward audit list --resource-id 0199d3c4-5b2e-7c31-9f3e-0f6c2d1b8a44
  modelward audit list --actor ci --limit 20 --format json
  modelward audit verify --anchor 1204:5f0c…9e
The anchor is a place in the log that was written down elsewhere: GetServerInfo tells the current one. Without it, a log
that was shortened at its end together with its head is not found.")]
pub enum Audit {
    /// Lists changes, the newest first, from a running server
    List(List),
    /// Checks the whole log in the database: its chain of hashes, its copied columns, its end
    Verify {
        /// A place that the log must still contain, REVISION:HASH
        #[arg(long, value_name = "ANCHOR")]
        anchor: Option<Anchor>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

#[derive(Args)]
pub struct List {
    /// Only changes of resources of this kind: provider, endpoint, credential, model, binding, token or keyring
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<ResourceKind>,
    /// Only changes of this resource
    #[arg(long, value_name = "ID", default_value = "")]
    resource_id: String,
    /// Only changes by this token
    #[arg(long, value_name = "NAME", default_value = "")]
    actor: String,
    /// Only changes by calls with this request id
    #[arg(long, value_name = "ID", default_value = "")]
    request_id: String,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// How they are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    call: Call,
}

fn kind(text: &str) -> Result<ResourceKind, String> {
    ResourceKind::parse(text).ok_or_else(|| {
        let nouns = ResourceKind::ALL.map(ResourceKind::noun).join(", ");
        format!("must be one of {nouns}")
    })
}

impl Audit {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Verify { anchor, settings } => {
                let verdict = verify_log(&settings.load()?.settings, anchor).await?;
                output::data(&shown(&verdict))?;
                if !verdict.is_intact() {
                    bail!("the log was changed: {} finding(s); compare it with a backup", verdict.count);
                }
                Ok(())
            }
        }
    }
}

fn shown(verdict: &Verdict) -> String {
    let Verdict { begins_after, head, lines, count, findings } = verdict;
    let mut told = findings.clone();
    if *count > findings.len() {
        told.push(format!("and {} more", count - findings.len()));
    }
    let begin = if begins_after.0 == 0 { String::new() } else { format!(", kept after revision {begins_after}") };
    let word = if *count == 0 { "intact" } else { "changed" };
    told.push(format!("{word}: {lines} changes{begin}; anchor {}:{}\n", head.revision, head.hash));
    told.join("\n")
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.call.connect().await?;
        let mut audit = AuditServiceClient::new(client.channel.clone());
        let mut request = ListChangesRequest {
            order_by: "revision desc".into(),
            resource_kind: self.kind.map(ResourceKind::number),
            resource_id: self.resource_id,
            actor: self.actor,
            request_id: self.request_id,
            ..ListChangesRequest::default()
        };
        let mut changes = Vec::new();
        while changes.len() < self.limit {
            request.page_size = i32::try_from(self.limit - changes.len()).unwrap_or(i32::MAX);
            let answer = audit.list_changes(client.request(request.clone())).await;
            let page = answer.map_err(|status| refusal(&status))?.into_inner();
            changes.extend(page.changes);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        Ok(output::data(&match self.format {
            Format::Table => rows(&changes),
            Format::Json => lines(&changes),
        })?)
    }
}

fn time(change: &Change) -> String {
    let moment = change.time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    moment.map(|moment| moment.to_string()).unwrap_or_default()
}

fn operation(change: &Change) -> &'static str {
    Operation::from_number(change.operation).map_or("unknown", Operation::name)
}

fn noun(change: &Change) -> &'static str {
    ResourceKind::from_number(change.resource_kind).map_or("unknown", ResourceKind::noun)
}

fn rows(changes: &[Change]) -> String {
    let row = |change: &Change| {
        [
            change.revision.to_string(),
            time(change),
            change.actor.clone(),
            operation(change).to_owned(),
            noun(change).to_owned(),
            change.resource_id.clone(),
            change.changed_fields.join(","),
        ]
    };
    let headings = ["REVISION", "TIME", "ACTOR", "OPERATION", "KIND", "RESOURCE", "FIELDS"];
    table::table(headings, &changes.iter().map(row).collect::<Vec<_>>())
}

fn lines(changes: &[Change]) -> String {
    changes.iter().flat_map(|change| [object(change).to_string(), "\n".to_owned()]).collect()
}

fn object(change: &Change) -> serde_json::Value {
    json!({
        "revision": change.revision,
        "ordinal": change.ordinal,
        "time": time(change),
        "actor": change.actor,
        "operation": operation(change),
        "resource_kind": noun(change),
        "resource_id": change.resource_id,
        "changed_fields": change.changed_fields,
        "rpc": change.rpc,
        "request_id": change.request_id,
        "reason": change.reason,
        "peer_address": change.peer_address,
        "user_agent": change.user_agent,
    })
}
