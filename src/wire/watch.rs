//! Messages of a Watch stream. Changes and statuses are encoded once, as the fields that they are of their messages, and
//! shared by all watchers; what differs between watchers is written around them.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, skip_field};
use prost::{DecodeError, Message};
use uuid::Uuid;

use super::enums::WireEnum as _;
use super::{change, credential, endpoint, id, model, provider, resource, time};
use crate::domain::{Change, Operation, ResourceKind, Revision, Timestamp};
use crate::proto::v1;
use crate::proto::v1::resource_status::Status;
use crate::snapshot::{Board, StatusKey};

mod codec;
pub mod read;
pub mod token;

pub use codec::StreamCodec;
pub use token::{ResumeToken, ShortHash};

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;
/// What changes and statuses of one message may take: the rest is for what is around them.
pub const MAX_BODY: usize = MAX_MESSAGE - 1024;

/// Numbers of fields: of `WatchResponse`, of `Change`.
const EVENT: u32 = 1;
const CHANGES: u32 = 2;
const STATUSES: u32 = 3;
const REVISION: u32 = 4;
const LAST_OF_REVISION: u32 = 5;
const RESUME_TOKEN: u32 = 6;
const WATCH_ID: u32 = 7;
const AFTER: u32 = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    State,
    StateComplete,
    Changes,
    Status,
    Bookmark,
}

impl Event {
    const fn number(self) -> i32 {
        (match self {
            Self::State => v1::WatchEvent::State,
            Self::StateComplete => v1::WatchEvent::StateComplete,
            Self::Changes => v1::WatchEvent::Changes,
            Self::Status => v1::WatchEvent::Status,
            Self::Bookmark => v1::WatchEvent::Bookmark,
        }) as i32
    }
}

/// A `WatchResponse` that is written from bytes. It is only ever written.
#[derive(Clone, PartialEq)]
pub struct RawWatch {
    pub event: Event,
    /// Whole fields, one after the other, as [`changed`], [`state`] and [`status`] make them.
    pub body: Vec<Bytes>,
    pub revision: Revision,
    pub last_of_revision: bool,
    pub resume_token: String,
    pub watch_id: Arc<str>,
}

impl fmt::Debug for RawWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size: usize = self.body.iter().map(Bytes::len).sum();
        write!(f, "RawWatch({:?} at {}, {size} bytes)", self.event, self.revision)
    }
}

impl Default for RawWatch {
    fn default() -> Self {
        Self {
            event: Event::Bookmark,
            body: Vec::new(),
            revision: Revision::default(),
            last_of_revision: false,
            resume_token: String::new(),
            watch_id: Arc::from(""),
        }
    }
}

impl Message for RawWatch {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        encoding::int32::encode(EVENT, &self.event.number(), buf);
        for part in &self.body {
            buf.put_slice(part);
        }
        encoding::int64::encode(REVISION, &self.revision.0, buf);
        if self.last_of_revision {
            encoding::bool::encode(LAST_OF_REVISION, &true, buf);
        }
        text(RESUME_TOKEN, &self.resume_token, buf);
        text(WATCH_ID, &self.watch_id, buf);
    }

    fn encoded_len(&self) -> usize {
        let body: usize = self.body.iter().map(Bytes::len).sum();
        let last = if self.last_of_revision { 2 } else { 0 };
        encoding::int32::encoded_len(EVENT, &self.event.number())
            + body
            + encoding::int64::encoded_len(REVISION, &self.revision.0)
            + last
            + text_len(&self.resume_token)
            + text_len(&self.watch_id)
    }

    /// Nobody reads an answer of this server with this type.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl bytes::Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, ctx)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

fn text(tag: u32, text: &str, buf: &mut impl BufMut) {
    if !text.is_empty() {
        field(tag, text.len(), buf);
        buf.put_slice(text.as_bytes());
    }
}

/// All tags here have one byte.
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { field_len(text.len()) }
}

fn field(tag: u32, length: usize, buf: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(length as u64, buf);
}

fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Writes a change as Watch shows it.
pub fn changed(change: &Change, buf: &mut BytesMut) {
    encoding::message::encode(CHANGES, &change::watched(change), buf);
}

/// What the state shows of a resource besides its configuration.
#[derive(Debug, Clone, Copy)]
pub struct StateOf {
    pub kind: ResourceKind,
    pub id: Uuid,
    pub revision: Revision,
    pub update_time: Timestamp,
}

/// Writes a resource as the state shows it; `config` is the encoding of its configuration.
pub fn state(of: StateOf, config: &Bytes, buf: &mut BytesMut) {
    let head = v1::Change {
        revision: of.revision.0,
        resource_kind: of.kind.number(),
        resource_id: id::write(of.id),
        operation: Operation::Create.number(),
        time: Some(time::write(of.update_time)),
        ..v1::Change::default()
    };
    let resource = field_len(config.len());
    field(CHANGES, head.encoded_len() + field_len(resource), buf);
    head.encode_raw(buf);
    field(AFTER, resource, buf);
    field(resource::tag(of.kind), config.len(), buf);
    buf.put_slice(config);
}

/// The status of a resource as the board has it; `credential` tells of a credential what else that takes.
#[must_use]
pub fn status(key: StatusKey, board: &Board, credential: Option<credential::Status<'_>>) -> Option<Bytes> {
    let (id, status) = match key {
        StatusKey::Provider(id) => {
            let sync = board.sync(id).map(|entry| provider::sync(entry.value()));
            (id.uuid(), Status::Provider(v1::ProviderLiveStatus { sync }))
        }
        StatusKey::Endpoint(id) => {
            let message = endpoint::status(board.health(id).map(|entry| &***entry));
            (id.uuid(), Status::Endpoint(v1::EndpointLiveStatus { health: message.health }))
        }
        StatusKey::Credential(id) => {
            let shown = credential?;
            let message = credential::status(shown);
            let status = v1::CredentialLiveStatus {
                day: credential::window(shown.usage.map(|usage| &usage.day)),
                month: credential::window(shown.usage.map(|usage| &usage.month)),
                state: message.state,
                decryptable: message.decryptable,
                validation: message.validation,
                usage: message.usage,
            };
            (id.uuid(), Status::Credential(status))
        }
        StatusKey::Model(id) => {
            let (available, used) = (board.availability(id), board.model_usage(id));
            let message = model::status(available.map(|entry| &***entry), used.map(|entry| &***entry));
            let status = v1::ModelLiveStatus { availability: message.availability, usage: message.usage };
            (id.uuid(), Status::Model(status))
        }
    };
    let message =
        v1::ResourceStatus { resource_kind: key.kind().number(), resource_id: id::write(id), status: Some(status) };
    let mut buf = BytesMut::new();
    encoding::message::encode(STATUSES, &message, &mut buf);
    Some(buf.freeze())
}

#[cfg(test)]
mod tests;
