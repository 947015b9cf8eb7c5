//! `AuditService.ListSecretUse`: read from the database, because nothing else needs it.

use super::Services;
use super::list::{self, List};
use crate::domain::secret_use::{SecretUse, SecretUseFilter, SecretUseKey, UseCount};
use crate::domain::{CallContext, Error, Id, Result, Timestamp, Violations, limits};
use crate::proto::v1;
use crate::snapshot::query::{Cursor, Order, Position, SortField, SortKey};
use crate::store::SecretUseField;
use crate::wire;

impl Services {
    /// # Errors
    /// What is wrong with the request; [`Error::StoreUnavailable`].
    pub(super) async fn list_uses_of_secrets(
        &self,
        call: &CallContext,
        message: v1::ListSecretUseRequest,
    ) -> Result<v1::ListSecretUseResponse> {
        let mut violations = Violations::default();
        let list = List::read::<SecretUse>(call.rpc, &message, &mut violations)?;
        limits::IDENTITY.check("identity", &message.identity, &mut violations);
        let filter = SecretUseFilter {
            credential_id: wire::id::parse_filter("credential_id", &message.credential_id, &mut violations),
            identity: list::text(message.identity),
            start_time: wire::time::input("start_time", message.start_time, &mut violations),
            end_time: wire::time::input("end_time", message.end_time, &mut violations),
        };
        violations.into_result()?;
        let request = list.request();
        let after = request.cursor.as_ref().map(|cursor| place(&cursor.position, &request.order)).transpose()?;
        let order: Vec<_> = request.order.fields().filter_map(|(field, down)| Some((column(field)?, down))).collect();
        let size = request.size.get();
        let limit = i64::try_from(size.saturating_add(1)).unwrap_or(i64::MAX);
        let found = self.control()?.secret_uses(&filter, &order, after.as_ref(), limit).await?;
        let (total_size, revision) = match &request.cursor {
            Some(cursor) => (cursor.total_size, cursor.revision),
            None => (found.total_size, found.revision),
        };
        let last = found.lines.get(size.saturating_sub(1)).filter(|_| found.lines.len() > size);
        let next = last.map(|last| Cursor { position: position(last, &request.order), total_size, revision });
        Ok(v1::ListSecretUseResponse {
            secret_uses: found.lines.iter().take(size).map(write).collect(),
            next_page_token: list.next_token(next.as_ref()),
            total_size: list::total(total_size),
            revision: revision.0,
        })
    }
}

fn write(line: &SecretUse) -> v1::SecretUse {
    v1::SecretUse {
        credential_id: line.key.credential_id.to_string(),
        secret_version: line.key.secret_version,
        identity: line.key.identity.clone(),
        rpc: line.key.rpc.clone(),
        count: line.uses.count,
        first_use_time: Some(wire::time::write(line.uses.first_use_time)),
        last_use_time: Some(wire::time::write(line.uses.last_use_time)),
        hour: Some(wire::time::write(line.key.hour)),
    }
}

const fn column(field: SortField) -> Option<SecretUseField> {
    match field {
        SortField::Name => Some(SecretUseField::Identity),
        SortField::UpdateTime => Some(SecretUseField::LastUseTime),
        _ => None,
    }
}

/// Where a line stands: the values of the order, then the rest of its key.
fn position(line: &SecretUse, order: &Order) -> Position {
    let Position { mut keys, id } = order.position(line);
    keys.extend([
        SortKey::Int(line.key.secret_version),
        SortKey::Text(line.key.identity.clone()),
        SortKey::Text(line.key.rpc.clone()),
        SortKey::Int(line.key.hour.micros()),
        SortKey::Int(line.uses.last_use_time.micros()),
    ]);
    Position { keys, id }
}

/// The line at a position, as far as an order needs it.
fn place(position: &Position, order: &Order) -> Result<SecretUse> {
    let rest = position.keys.get(order.fields().count()..).unwrap_or_default();
    let [SortKey::Int(version), SortKey::Text(identity), SortKey::Text(rpc), SortKey::Int(hour), SortKey::Int(last)] =
        rest
    else {
        return Err(Error::InvalidPageToken);
    };
    Ok(SecretUse {
        key: SecretUseKey {
            credential_id: Id::new(position.id),
            secret_version: *version,
            identity: identity.clone(),
            rpc: rpc.clone(),
            hour: Timestamp::from_micros(*hour),
        },
        uses: UseCount::once(Timestamp::from_micros(*last)),
    })
}
