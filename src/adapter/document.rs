//! Documents at addresses that the operator of this server names, such as an issuer's keys: asked for once, over https,
//! bounded in size and time, through the same client as vendors.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use super::address::Reach;
use super::client::{Client, Terms};
use super::fault::CallError;
use super::request::{Authority, Call, host_of};
use crate::domain::CredentialId;
use crate::domain::credential::AllowedHosts;
use crate::domain::endpoint::RetryPolicy;
use crate::domain::secret::{CredentialSecret, SecretText};

impl Client {
    /// Gets the document. Private addresses are reached, because it is the operator who names it; those of metadata and
    /// link-local ones are not. A token goes to the document's own host alone.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn document(&self, url: &Url, token: Option<&SecretText>, limit: Duration) -> Result<Bytes, CallError> {
        if url.scheme() != "https" {
            return Err(CallError::unexpected(None, "its URL is not https"));
        }
        let secret = CredentialSecret { access_token: token.cloned(), ..CredentialSecret::default() };
        let hosts = AllowedHosts::new(host_of(url), true);
        let authority = token.map(|_| Authority::new(&secret, &hosts, CredentialId::nil()));
        let call = Call::get(url.clone()).bearer(authority)?;
        let terms = Terms {
            reach: Reach::PrivateToo,
            connect_timeout: limit,
            read_timeout: limit,
            retry: RetryPolicy { max_attempts: 1, ..RetryPolicy::default() },
            deadline: Instant::now() + limit,
        };
        Ok(self.call(&call, &terms).await?.bytes())
    }
}
