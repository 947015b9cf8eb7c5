//! Where an issuer's keys come from: a file, a URL, or the URL that its own description names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::adapter::{Client, ClientConfig};
use crate::domain::Clock;
use crate::domain::identity::{Issuer, KeySource};
use crate::domain::secret::SecretText;
use crate::secrets::KeySet;

/// For each document, from the name to the last byte.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest token to ask with, in bytes.
const MAX_TOKEN: u64 = 16 * 1024;

/// What is asked, and how.
pub struct Source {
    keys: KeySource,
    issuer: String,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

/// What an issuer tells of itself (OpenID Connect Discovery).
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// `ca_file` is for issuers that name none.
    pub fn new(config: &Issuer, ca_file: Option<&Path>, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys: config.keys.clone(),
            issuer: config.issuer.clone(),
            ca_file: config.ca_file.clone().or_else(|| ca_file.map(Path::to_owned)),
            token_file: config.token_file.clone(),
            clock,
        }
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// Why they cannot be had, in words for an operator.
    pub async fn keys(&self) -> Result<KeySet, String> {
        let (text, place) = match &self.keys {
            KeySource::File(path) => (read(path).await?, path.display().to_string()),
            KeySource::Url(url) => (self.fetch(&self.client()?, url, true).await?, url.to_string()),
            KeySource::Discovery(issuer) => {
                let client = self.client()?;
                let url = self.described(&client, issuer).await?;
                // Keys are public, and the description may name any host: the token is the issuer's own host's.
                let own = url.host_str() == issuer.host_str() && url.port() == issuer.port();
                (self.fetch(&client, &url, own).await?, url.to_string())
            }
        };
        KeySet::parse(&text).map_err(|error| format!("{place} is no set of keys (JWKS): {error}"))
    }

    /// Made anew every time: its authorities may have been replaced.
    fn client(&self) -> Result<Client, String> {
        let config = ClientConfig { allow_private: true, extra_ca_file: self.ca_file.clone() };
        Client::new(&config, Arc::clone(&self.clock)).map_err(|error| error.to_string())
    }

    async fn described(&self, client: &Client, issuer: &Url) -> Result<Url, String> {
        let text = format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|_| format!("{text} is no URL"))?;
        let document = self.fetch(client, &url, true).await?;
        let description: Description =
            serde_json::from_slice(&document).map_err(|_| format!("{url} does not name issuer and jwks_uri"))?;
        if description.issuer != self.issuer {
            return Err(format!("{url} is of another issuer"));
        }
        let keys = Url::parse(&description.jwks_uri).ok().filter(|keys| keys.scheme() == "https");
        keys.ok_or_else(|| format!("{url} names a jwks_uri that is no https URL"))
    }

    async fn fetch(&self, client: &Client, url: &Url, with_token: bool) -> Result<Vec<u8>, String> {
        let token = match self.token_file.as_ref().filter(|_| with_token) {
            Some(path) => Some(token(path).await?),
            None => None,
        };
        let document = client.document(url, token.as_ref(), LIMIT).await;
        document.map(Vec::from).map_err(|error| format!("{url} cannot be read: {error}"))
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

async fn token(path: &Path) -> Result<SecretText, String> {
    let cannot = |problem: String| format!("the token file {} cannot be read: {problem}", path.display());
    let metadata = tokio::fs::metadata(path).await.map_err(|error| cannot(error.to_string()))?;
    if metadata.len() > MAX_TOKEN {
        return Err(cannot("it is too long".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| cannot(error.to_string()))?;
    Ok(SecretText::new(zeroize::Zeroizing::new(text).trim().to_owned()))
}
