//! Where a server finds its files of identities and certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use modelward::config::Settings;
use tempfile::TempDir;

use super::issuer::{AUDIENCE, ISSUER, Signer, key_set};
use crate::support::{Engine, Server};

pub struct Place(TempDir);

/// Rules as they are written for a cluster.
pub const RULES: &str = r#"
[[issuer.rule]]
claim = "sub"
value = "system:serviceaccount:prod:gateway"
roles = ["consumer"]

[[issuer.rule]]
claim = "sub"
value = "system:serviceaccount:prod:deployer"
roles = ["editor"]

[[issuer.rule]]
claim = "groups"
value = "admins"
roles = ["admin"]
"#;

impl Place {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as Kubernetes does: at once.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let draft = self.path(&format!("{name}.new"));
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.path(name)).unwrap();
    }

    /// An issuer whose keys stand in a file.
    pub fn with_issuer(signers: &[&Signer]) -> Self {
        let place = Self::new();
        place.write("jwks.json", key_set(signers));
        place.write("identity.toml", place.issuer("leeway = \"0s\""));
        place
    }

    /// The file of identities with one issuer, and more lines of it.
    pub fn issuer(&self, more: &str) -> String {
        let keys = self.path("jwks.json");
        format!(
            "[[issuer]]\nname = \"k8s\"\nissuer = \"{ISSUER}\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"{}\"\n{more}\n{RULES}",
            keys.display()
        )
    }

    pub fn settings(&self) -> impl Fn(&mut Settings) {
        let file = self.path("identity.toml");
        move |settings| {
            settings.identity.file = Some(file.clone());
            settings.identity.poll = Duration::from_millis(100);
        }
    }

    pub async fn serve(&self, engine: Engine) -> Server {
        Server::start_with(engine, self.settings()).await
    }

    pub fn directory(&self) -> &Path {
        self.0.path()
    }
}
