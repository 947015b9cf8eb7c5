//! A control plane, a way to it that can break, and sidecars of the real program behind that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Endpoint;

use crate::support::process::Process;
use crate::support::proxy::{Fault, Proxy};
use crate::support::resources::{credential, endpoint, model};
use crate::support::server::Caller;
use crate::support::{Engine, Server, eventually};

/// The secret of the only credential.
pub const SECRET: &str = "sk-of-the-stage-0123456789";
const LOCAL_TOKEN: &str = "a-local-token";

pub struct Stage {
    pub plane: Server,
    pub way: Proxy,
    directory: TempDir,
    /// As whom sidecars call.
    identity: String,
    pub endpoint: v1::Endpoint,
    pub credential: v1::Credential,
    pub model: v1::Model,
}

impl Stage {
    pub async fn set() -> Self {
        let plane = Server::start(Engine::Sqlite).await;
        let directory = TempDir::new().unwrap();
        let identity = plane.as_role(v1::Role::Consumer).await.token().unwrap().to_owned();
        fs::write(directory.path().join("local.token"), LOCAL_TOKEN).unwrap();
        let admin = plane.admin();
        let provider = admin.add_provider("p", ProviderKind::Openai).await;
        let endpoint = admin.add_endpoint(endpoint(&provider.id, "e", "https://p.example.com/v1")).await;
        let credential = admin.add_credential(credential(&provider.id, "c", SECRET)).await;
        let model = admin.add_model(model(&provider.id, "m")).await;
        let way = Proxy::start(plane.address());
        Self { plane, way, directory, identity, endpoint, credential, model }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// From now on nobody reaches the control plane.
    pub fn begin_outage(&self) {
        self.way.set(Fault::Reset);
    }

    pub fn end_outage(&self) {
        self.way.set(Fault::Pass);
    }

    /// Starts a sidecar with a local token, a socket and a copy on disk, and these flags besides.
    pub fn sidecar(&self, flags: &[&str]) -> Process {
        self.sidecar_of(&self.identity, flags)
    }

    /// The same, with another identity.
    pub fn sidecar_of(&self, identity: &str, flags: &[&str]) -> Process {
        let mut process = self.spawn(identity, flags, &[]);
        tokio::task::block_in_place(|| process.wait_until_ready());
        process
    }

    /// Starts one that may never be ready.
    pub fn spawn(&self, identity: &str, flags: &[&str], variables: &[(&str, &str)]) -> Process {
        let upstream = format!("http://{}", self.way.address());
        let common = ["--local-token-file", "local.token", "--unix-socket", "api.sock", "--cache-key-file", "copy.key"];
        let flags = [&common, flags].concat();
        Process::spawn_sidecar_with(self.directory(), &upstream, identity, &flags, variables)
    }

    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whoever can open the socket, with a token for the control plane if it has one.
    pub fn at_socket(&self, token: Option<&str>) -> Caller {
        let url = format!("unix://{}", self.path("api.sock").display());
        Caller::new(Endpoint::from_shared(url).unwrap().connect_lazy(), token.map(str::to_owned))
    }

    pub fn copy(&self) -> PathBuf {
        self.path("data/sidecar.cache")
    }

    /// Waits until there is a copy on disk that others cannot read.
    pub async fn copied(&self) {
        eventually("there is a copy", || async { self.copy().exists().then_some(()) }).await;
        assert_eq!(fs::metadata(self.copy()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// Asks for the model with its secret; the secret, and how many seconds old the answer says that it is.
pub async fn resolve(caller: &Caller, model: &v1::Model) -> Result<(String, Option<u64>), Status> {
    let request = v1::ResolveTargetRequest {
        selector: Some(v1::resolve_target_request::Selector::ModelId(model.id.clone())),
        include_secret: true,
        ..Default::default()
    };
    let answer = caller.routing().resolve_target(request).await?;
    let stale = answer.metadata().get("modelward-stale-seconds").map(|age| age.to_str().unwrap().parse().unwrap());
    let secret = answer.into_inner().target.unwrap().secret.unwrap_or_default();
    Ok((secret.api_key.unwrap_or_default(), stale))
}

/// Who knows the local token.
pub fn local(sidecar: &Process) -> Caller {
    Caller::at(sidecar.address(), Some(LOCAL_TOKEN.to_owned()))
}
