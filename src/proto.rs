//! Generated code, and nothing else but the `Debug` of messages with plain secrets, which never shows them.
//!
//! The modules nest like the packages: `modelward.v1` is [`v1`], `modelward.storage.v1` is [`storage::v1`]. The servers
//! of `modelward.v1` stand apart in [`server`], because their lists answer with encoded items.

use std::fmt;

/// The public API, messages and clients: package `modelward.v1`.
#[allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("modelward.v1");
}

/// The servers of the public API.
#[allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, reason = "generated code")]
pub mod server {
    include!(concat!(env!("OUT_DIR"), "/server/modelward.v1.rs"));
}

/// The server of Watch, whose messages are written from shared bytes.
#[allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, reason = "generated code")]
pub mod watch {
    include!(concat!(env!("OUT_DIR"), "/watch/modelward.v1.rs"));
}

/// What is stored or handed out as opaque bytes; never served.
pub mod storage {
    /// Package `modelward.storage.v1`.
    #[allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("modelward.storage.v1");
    }
    pub use v1::{Answer, EmptyAnswer, LogRecord, PageToken, answer};
}

/// The encoded descriptors of all packages with their comments.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The encoded descriptors that reflection serves: [`DESCRIPTOR`] without the storage packages.
pub const REFLECTION_DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reflection.bin"));

/// Shows which fields are set, never what they hold.
impl fmt::Debug for v1::CredentialSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialSecret")
            .field("api_key", &redacted(self.api_key.as_deref()))
            .field("secret_key", &redacted(self.secret_key.as_deref()))
            .field("access_token", &redacted(self.access_token.as_deref()))
            .field("session_token", &redacted(self.session_token.as_deref()))
            .finish()
    }
}

/// Shows the token's record, never the text that authenticates.
impl fmt::Debug for v1::CreateTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenResponse")
            .field("token", &self.token)
            .field("secret", &redacted(Some(&self.secret)))
            .finish()
    }
}

fn redacted(value: Option<&str>) -> fmt::Arguments<'static> {
    if value.is_some_and(|text| !text.is_empty()) { format_args!("<redacted>") } else { format_args!("<none>") }
}

#[cfg(test)]
pub(crate) mod tests;
