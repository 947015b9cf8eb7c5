//! `AuditService`.

use prost::Message as _;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::Services;
use super::call::serve;
use super::list::{self, Listing as _, MAX_PAGE_BYTES};
use super::mutation::expected;
use crate::domain::{Change, Error, Resource, ResourceKind, Result, Revision, Violations, limits};
use crate::proto::server::audit_service_server::AuditService;
use crate::proto::v1;
use crate::proto::v1::rollback_resource_response::Resource as RolledBack;
use crate::snapshot::query::{Cursor, PageSize, Position, SortKey};
use crate::store::{ChangeFilter, LinePlace, LogRow};
use crate::wire;

/// At most this much surrounds a change: its tag and its length.
const FRAME: usize = 8;

impl Services {
    fn show_rolled_back(&self, resource: &Resource) -> Option<RolledBack> {
        Some(match resource {
            Resource::Provider(one) => RolledBack::Provider(self.show_provider(one)),
            Resource::Endpoint(one) => RolledBack::Endpoint(self.show_endpoint(one)),
            Resource::Credential(one) => RolledBack::Credential(self.show_credential(one, None)),
            Resource::Model(one) => RolledBack::Model(self.show_model(one)),
            Resource::Binding(one) => RolledBack::Binding(wire::binding::config(one)),
            Resource::Token(_) | Resource::Keyring(_) => return None,
        })
    }

    fn change_filter(message: &v1::ListChangesRequest, until: Revision, violations: &mut Violations) -> ChangeFilter {
        limits::IDENTITY.check("actor", &message.actor, violations);
        limits::REQUEST_ID.check("request_id", &message.request_id, violations);
        let id = wire::id::parse_filter::<Change>("resource_id", &message.resource_id, violations);
        ChangeFilter {
            resource_kind: wire::enums::filter("resource_kind", message.resource_kind, violations),
            resource_id: id.map(crate::domain::Id::uuid),
            actor: list::text(message.actor.clone()),
            operations: wire::enums::list("operations", &message.operations, violations),
            start_time: wire::time::input("start_time", message.start_time, violations),
            end_time: wire::time::input("end_time", message.end_time, violations),
            request_id: list::text(message.request_id.clone()),
            until,
        }
    }
}

/// Whether the newest come first.
fn descending(order_by: &str, violations: &mut Violations) -> bool {
    match order_by.split_whitespace().collect::<Vec<_>>()[..] {
        [] | ["revision"] => false,
        ["revision", "desc"] => true,
        _ => {
            violations.add("order_by", format!("must be `revision` or `revision desc`: {order_by:.100}"));
            false
        }
    }
}

/// The place that a page token names.
fn place(cursor: &Cursor) -> Result<LinePlace> {
    match cursor.position.keys[..] {
        [SortKey::Int(revision), SortKey::Int(ordinal)] => Ok((revision, ordinal)),
        _ => Err(Error::InvalidPageToken),
    }
}

fn cursor(last: &LogRow, total_size: usize, revision: Revision) -> Cursor {
    let keys = vec![SortKey::Int(last.revision.0), SortKey::Int(last.ordinal.into())];
    Cursor { position: Position { keys, id: Uuid::nil() }, total_size, revision }
}

/// As many changes as fit onto a page, and the row of the last one.
fn fitting(rows: &[LogRow], size: usize) -> Result<(Vec<v1::Change>, Option<&LogRow>)> {
    let (mut changes, mut last, mut bytes) = (Vec::new(), None, 0);
    for row in rows.iter().take(size) {
        let change = wire::log::change(&row.payload).map_err(|error| {
            tracing::error!(revision = row.revision.0, error = %error, "a line of the log does not decode");
            Error::internal()
        })?;
        bytes += change.encoded_len() + FRAME;
        if bytes > MAX_PAGE_BYTES && !changes.is_empty() {
            break;
        }
        changes.push(change);
        last = Some(row);
    }
    Ok((changes, last))
}

fn kind(field: &str, number: Option<i32>, violations: &mut Violations) -> ResourceKind {
    if number.is_none() {
        violations.add(field, "required");
    }
    wire::enums::input(field, number, violations).unwrap_or(ResourceKind::Provider)
}

fn at_revision(revision: i64, violations: &mut Violations) -> Revision {
    if revision < 1 {
        violations.add("revision", format!("required, at least 1, found {revision}"));
    }
    Revision(revision)
}

fn id(text: &str, violations: &mut Violations) -> Uuid {
    wire::id::parse::<Change>("resource_id", text, violations).uuid()
}

#[async_trait]
impl AuditService for Services {
    async fn list_changes(
        &self,
        request: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        serve(request, async |call, message: v1::ListChangesRequest| {
            let filter_hash = wire::page::filter_hash(call.rpc, &message.filters());
            let token = Some(message.page_token.as_str()).filter(|token| !token.is_empty());
            let known = token.map(|token| wire::page::read(token, &filter_hash)).transpose()?;
            let revision = known.as_ref().map_or_else(|| self.reads.snapshot().head().revision, |at| at.revision);
            let mut violations = Violations::default();
            let filter = Self::change_filter(&message, revision, &mut violations);
            let size = PageSize::read(message.page_size, &mut violations).get();
            let descending = descending(&message.order_by, &mut violations);
            violations.into_result()?;
            let behind = known.as_ref().map(place).transpose()?;
            let limit = i64::from(list::total(size + 1));
            let (rows, total) =
                self.control()?.list_changes(&filter, behind, descending, limit, known.is_none()).await?;
            let counted = total.and_then(|total| usize::try_from(total).ok()).unwrap_or_default();
            let total_size = known.map_or(counted, |known| known.total_size);
            let (changes, last) = fitting(&rows, size)?;
            let last = last.filter(|_| changes.len() < rows.len());
            let next = last.map(|last| wire::page::write(&cursor(last, total_size, revision), &filter_hash));
            Ok(v1::ListChangesResponse {
                changes,
                next_page_token: next.unwrap_or_default(),
                total_size: list::total(total_size),
                revision: revision.0,
            })
        })
        .await
    }

    async fn get_resource_at(
        &self,
        request: Request<v1::GetResourceAtRequest>,
    ) -> Result<Response<v1::GetResourceAtResponse>, Status> {
        serve(request, async |_, message: v1::GetResourceAtRequest| {
            let mut violations = Violations::default();
            let kind = kind("resource_kind", message.resource_kind, &mut violations);
            let id = id(&message.resource_id, &mut violations);
            let revision = at_revision(message.revision, &mut violations);
            violations.into_result()?;
            let found = self.control()?.resource_at(kind, id, revision).await?;
            Ok(v1::GetResourceAtResponse { resource: Some(wire::resource::former(&found)) })
        })
        .await
    }

    async fn rollback_resource(
        &self,
        request: Request<v1::RollbackResourceRequest>,
    ) -> Result<Response<v1::RollbackResourceResponse>, Status> {
        serve(request, async |call, message: v1::RollbackResourceRequest| {
            let mut violations = Violations::default();
            let mutation = self.mutation(call, &message, &mut violations)?;
            let expected = expected(message.expected_revision, &mut violations);
            let kind = kind("resource_kind", message.resource_kind, &mut violations);
            if matches!(kind, ResourceKind::Token | ResourceKind::Keyring) {
                violations.add("resource_kind", format!("a {} cannot be rolled back", kind.noun()));
            }
            let id = id(&message.resource_id, &mut violations);
            let revision = at_revision(message.revision, &mut violations);
            violations.into_result()?;
            let resource = self.control()?.rollback_resource(mutation, kind, id, revision, expected).await?;
            Ok(v1::RollbackResourceResponse { resource: self.show_rolled_back(&resource) })
        })
        .await
    }

    async fn list_secret_use(
        &self,
        request: Request<v1::ListSecretUseRequest>,
    ) -> Result<Response<v1::ListSecretUseResponse>, Status> {
        serve(request, async |call, message| self.list_uses_of_secrets(&call, message).await).await
    }
}
