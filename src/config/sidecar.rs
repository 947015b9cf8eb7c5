//! The sidecar: whom it follows, as whom it calls, and what it serves to whoever stands beside it.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::declare::settings;
use super::value::{Value, between};

settings! {
    /// The sidecar (`modelward sidecar`): whom it follows, and what it serves to whoever stands beside it.
    pub struct Sidecar at "sidecar." {
        /// The control plane's addresses, comma-separated, as in `https://modelward:50051`. The next one is tried when
        /// one does not answer.
        upstream: Upstreams = "";
        /// A file with the sidecar's own token, Modelward's or a JWT: as whom it calls the control plane. It is read again
        /// when it changes. Empty: it calls without one, as where it is known by its certificate.
        identity_file: Option<PathBuf> = "";
        /// A file with the certificates that the control plane's must descend from, PEM. Empty: the system's.
        ca_file: Option<PathBuf> = "";
        /// The certificate that the sidecar shows to the control plane, with the chain above it, PEM. Empty: none.
        cert_file: Option<PathBuf> = "";
        /// That certificate's private key, PEM.
        key_file: Option<PathBuf> = "";
        /// How long a call to the control plane may take, if its caller gives no shorter deadline.
        deadline: Duration = "30s", between(Duration::from_millis(100), Duration::from_mins(5));
        /// Whether secrets are fetched, kept in memory and answered: then who may call has the role consumer, else
        /// viewer. The sidecar's own identity must hold that role too.
        serve_secrets: bool = "false";
        /// What becomes of calls that the sidecar does not answer by itself, changes above all: refuse, or forward. What is
        /// forwarded needs a token that its caller brings in `authorization`, never the sidecar's own.
        writes: Writes = "refuse";
        /// A file with the text that callers over TCP must present as `authorization: Bearer …`, or in the metadata
        /// `modelward-local-token` beside a token of their own. It is read again when it changes. Empty: the address is
        /// not served, but for open_loopback.
        local_token_file: Option<PathBuf> = "";
        /// Whether every process of this machine may call over TCP, without a local token. Only on the loopback.
        open_loopback: bool = "false";
        /// Whether the address may be one that other machines reach; the local token is all that protects it then.
        any_address: bool = "false";
        /// A file with the key under which a copy of the configuration is kept on disk, so that the sidecar starts and
        /// serves while the control plane is away. Made with rights 0600 where it is not there. Empty: no copy.
        cache_key_file: Option<PathBuf> = "";
        /// The file of that copy. Empty: `sidecar.cache` in the data directory.
        cache_file: Option<PathBuf> = "";
    }
}

/// The addresses of the control plane, without a slash at the end; none where none was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstreams(pub Vec<String>);

impl Value for Upstreams {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let one = |text: &str| {
            let url = Url::parse(text.trim()).ok()?;
            let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            let known = matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/";
            (plain && known).then(|| url.as_str().trim_end_matches('/').to_owned())
        };
        let all = text.split(',').map(one).collect::<Option<Vec<_>>>();
        all.map(Self).ok_or_else(|| "give addresses such as https://modelward:50051, comma-separated".to_owned())
    }
}

/// What becomes of calls that a sidecar does not answer by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Refuse,
    Forward,
}

impl Value for Writes {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "forward" => Ok(Self::Forward),
            _ => Err("give refuse or forward".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_urls_without_anything_around_the_host() {
        let parse = |text| Upstreams::parse(text).ok().map(|all| all.0);
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("http://a:1/, https://b"), Some(vec!["http://a:1".into(), "https://b".into()]));
        for bad in ["a:1", "ftp://a", "http://u:p@a", "http://a/x", "http://a,", "http://a?x=1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
