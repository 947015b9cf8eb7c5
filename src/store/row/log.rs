//! Rows of `changes` and `request_ids`.

use bytes::Bytes;
use uuid::Uuid;

use super::Place;
use crate::domain::{ChainHash, Revision, Timestamp};
use crate::store::error::{Result, StoreError};
use crate::store::statement::row;
use crate::store::value::{DbId, Instant};
use crate::store::write::{LogLine, RequestKey, StoredRequest};

row! {
    ChangeRow in changes (revision, ordinal) {
        revision: i64,
        ordinal: i64,
        hash: Vec<u8>,
        payload: Vec<u8>,
        resource_kind: String,
        resource_id: DbId,
        operation: String,
        actor: String,
        rpc: String,
        request_id: String,
        time: Instant,
    }
}

impl From<&LogLine> for ChangeRow {
    fn from(line: &LogLine) -> Self {
        let change = &line.change;
        Self {
            revision: change.revision.0,
            ordinal: change.ordinal.into(),
            hash: line.hash.0.to_vec(),
            payload: line.payload.to_vec(),
            resource_kind: change.resource_kind.noun().into(),
            resource_id: DbId(change.resource_id),
            operation: change.operation.name().into(),
            actor: change.actor.clone(),
            rpc: change.rpc.clone(),
            request_id: change.request_id.clone(),
            time: change.time.into(),
        }
    }
}

/// One line of the log as it is stored; the payload is what the hash covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    pub revision: Revision,
    pub ordinal: u32,
    pub hash: ChainHash,
    pub payload: Bytes,
}

/// A whole row of the log: with the copies beside the payload, as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCopy {
    pub revision: Revision,
    pub ordinal: u32,
    pub hash: ChainHash,
    pub payload: Bytes,
    pub resource_kind: String,
    pub resource_id: Uuid,
    pub operation: String,
    pub actor: String,
    pub rpc: String,
    pub request_id: String,
    pub time: Timestamp,
}

impl TryFrom<ChangeRow> for LogCopy {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self> {
        let place = Place { table: "changes", row: format!("{}/{}", row.revision, row.ordinal) };
        Ok(Self {
            revision: Revision(row.revision),
            ordinal: place.number("ordinal", row.ordinal)?,
            hash: ChainHash(place.hash("hash", &row.hash)?),
            payload: row.payload.into(),
            resource_kind: row.resource_kind,
            resource_id: row.resource_id.0,
            operation: row.operation,
            actor: row.actor,
            rpc: row.rpc,
            request_id: row.request_id,
            time: row.time.into(),
        })
    }
}

/// The columns that the log is read by.
#[derive(diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = crate::store::schema::changes)]
pub(in crate::store) struct StoredLine {
    revision: i64,
    ordinal: i64,
    hash: Vec<u8>,
    payload: Vec<u8>,
}

impl TryFrom<StoredLine> for LogRow {
    type Error = StoreError;

    fn try_from(row: StoredLine) -> Result<Self> {
        let place = Place { table: "changes", row: format!("{}/{}", row.revision, row.ordinal) };
        Ok(Self {
            revision: Revision(row.revision),
            ordinal: place.number("ordinal", row.ordinal)?,
            hash: ChainHash(place.hash("hash", &row.hash)?),
            payload: row.payload.into(),
        })
    }
}

row! {
    RequestRow in request_ids (identity, request_id) {
        identity: String,
        request_id: String,
        payload_hash: Vec<u8>,
        answer: Vec<u8>,
        revision: i64,
        time: Instant,
    }
}

impl From<&StoredRequest> for RequestRow {
    fn from(request: &StoredRequest) -> Self {
        Self {
            identity: request.key.identity.clone(),
            request_id: request.key.request_id.clone(),
            payload_hash: request.payload_hash.to_vec(),
            answer: request.answer.to_vec(),
            revision: request.revision.0,
            time: request.time.into(),
        }
    }
}

impl TryFrom<RequestRow> for StoredRequest {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self> {
        let place = Place { table: "request_ids", row: row.request_id.clone() };
        Ok(Self {
            payload_hash: place.hash("payload_hash", &row.payload_hash)?,
            key: RequestKey { identity: row.identity, request_id: row.request_id },
            answer: row.answer.into(),
            revision: Revision(row.revision),
            time: row.time.into(),
        })
    }
}
