//! Ways that take more than one call.

use futures_util::future::BoxFuture;
use modelward::proto::v1;

use super::super::s1::canary::Canary;
use super::{Stage, hasty};
use crate::support::resources::{credential, endpoint, mask, secret};

pub type Special = for<'a> fn(&'a Stage) -> BoxFuture<'a, ()>;

pub const SPECIAL: &[(&str, Special)] = &[
    ("another endpoint", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
        })
    }),
    ("another endpoint as default", |stage| {
        Box::pin(async {
            stage.add(0, true).await;
        })
    }),
    ("another endpoint, explicit list", |stage| {
        Box::pin(async {
            stage.add(0, true).await;
        })
    }),
    ("another endpoint that goes first", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
            stage.edit(v1::Endpoint { priority: Some(9), ..Default::default() }).await;
        })
    }),
    ("another endpoint, the first one off", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
            stage.edit(v1::Endpoint { is_active: Some(false), ..Default::default() }).await;
        })
    }),
    ("another endpoint, the first one deleted", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
            let delete = v1::DeleteEndpointRequest { id: stage.endpoint.clone(), ..Default::default() };
            stage.editor.endpoints().delete_endpoint(delete).await.unwrap();
        })
    }),
    ("the default is passed on", |stage| {
        Box::pin(async {
            let id = stage.add(0, false).await;
            let set = v1::SetDefaultEndpointRequest { id, ..Default::default() };
            stage.editor.endpoints().set_default_endpoint(set).await.unwrap();
        })
    }),
    ("the vendor fails and another endpoint answers", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
            stage.vendor.answer(503, &[], "");
        })
    }),
    ("the vendor asks for patience and another endpoint answers", |stage| {
        Box::pin(async {
            stage.add(0, false).await;
            stage.vendor.answer(429, &[("retry-after-ms", "1")], "");
        })
    }),
    ("with a mask of the base URL", |stage| Box::pin(stage.move_with(&["base_url"]))),
    ("with a mask of everything", |stage| Box::pin(stage.move_with(&["*"]))),
    ("with a mask of everything, explicit list", |stage| Box::pin(stage.move_with(&["*"]))),
    ("an editor moves it, an admin touches it", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            let touched = v1::Endpoint { id: stage.endpoint.clone(), weight: Some(7), ..Default::default() };
            let request = v1::UpdateEndpointRequest { endpoint: Some(touched), ..Default::default() };
            stage.admin.endpoints().update_endpoint(request).await.unwrap();
        })
    }),
    ("an editor moves it, an admin makes it the default", |stage| {
        Box::pin(async {
            let id = stage.add(0, false).await;
            let set = v1::SetDefaultEndpointRequest { id, ..Default::default() };
            stage.admin.endpoints().set_default_endpoint(set).await.unwrap();
        })
    }),
    ("an editor moves it, an admin adds one elsewhere", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            stage.admin.add_endpoint(hasty(endpoint(&stage.provider, "third", "https://127.0.0.1:9/v1"))).await;
        })
    }),
    ("an admin moves it, explicit list", |stage| {
        Box::pin(async {
            let moved =
                v1::Endpoint { id: stage.endpoint.clone(), base_url: Some(stage.other_url()), ..Default::default() };
            let request = v1::UpdateEndpointRequest { endpoint: Some(moved), ..Default::default() };
            stage.admin.endpoints().update_endpoint(request).await.unwrap();
        })
    }),
    ("a rehearsal by an admin", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            let moved =
                v1::Endpoint { id: stage.endpoint.clone(), base_url: Some(stage.other_url()), ..Default::default() };
            let request =
                v1::UpdateEndpointRequest { endpoint: Some(moved), validate_only: true, ..Default::default() };
            stage.admin.endpoints().update_endpoint(request).await.unwrap();
        })
    }),
    ("an editor widens the list", |stage| Box::pin(stage.widen(&["allowed_hosts"], None))),
    ("an editor widens the list without a mask", |stage| Box::pin(stage.widen(&[], None))),
    ("an editor widens the list with a mask of everything", |stage| Box::pin(stage.widen(&["*"], None))),
    ("an editor widens the explicit list with a mask of everything", |stage| Box::pin(stage.widen(&["*"], None))),
    ("an editor widens the list, carries a secret and does not name it", |stage| {
        Box::pin(stage.widen(&["allowed_hosts"], Some("sk-of-the-editor-0123456789")))
    }),
    ("an editor widens the list and carries an empty secret", |stage| {
        Box::pin(stage.widen(&["allowed_hosts", "secret"], Some("")))
    }),
    ("an editor widens the list and carries the hint", |stage| {
        Box::pin(async {
            let hint = stage.admin.get_credential(&stage.credential).await.hint;
            stage.widen(&["allowed_hosts", "secret"], Some(&hint)).await;
        })
    }),
    ("an editor brings a secret and hosts of his own", |stage| {
        Box::pin(stage.widen(&["allowed_hosts", "secret"], Some("sk-of-the-editor-0123456789")))
    }),
    ("an editor rotates to a secret and hosts of his own, with grace", |stage| {
        Box::pin(stage.rotate(vec![stage.other_host(), stage.vendor_host()], false))
    }),
    ("an editor rotates and names no hosts", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            stage.rotate(Vec::new(), false).await;
        })
    }),
    ("an editor has his secret tried at hosts of his own", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            stage.rotate(vec![stage.other_host()], true).await;
        })
    }),
    ("an editor empties the list", |stage| {
        Box::pin(async {
            let narrowed = v1::Credential { id: stage.credential.clone(), ..Default::default() };
            let request = v1::UpdateCredentialRequest {
                credential: Some(narrowed),
                update_mask: mask(&["allowed_hosts"]),
                ..Default::default()
            };
            drop(stage.editor.credentials().update_credential(request).await);
            stage.move_with(&["base_url"]).await;
        })
    }),
    ("an editor adds a credential of his own for the other host", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            let own = v1::Credential {
                allowed_hosts: vec![stage.other_host()],
                ..credential(&stage.provider, "own", "sk-of-the-editor-0123456789")
            };
            let request = v1::CreateCredentialRequest { credential: Some(own), ..Default::default() };
            stage.editor.credentials().create_credential(request).await.unwrap();
        })
    }),
    ("deleted and brought back", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            stage.bring_back().await;
        })
    }),
    ("deleted and brought back with another endpoint", |stage| {
        Box::pin(async {
            stage.add(0, true).await;
            stage.bring_back().await;
        })
    }),
    ("the endpoint of another provider", |stage| {
        Box::pin(async {
            let own = stage.editor.add_provider(&format!("q{}", fastrand::u64(..)), v1::ProviderKind::Openai).await;
            let there = stage.editor.add_endpoint(hasty(endpoint(&own.id, "e", &stage.other_url()))).await;
            let moved = v1::Endpoint { id: there.id, provider_id: Some(stage.provider.clone()), ..Default::default() };
            let request = v1::UpdateEndpointRequest {
                endpoint: Some(moved),
                update_mask: mask(&["provider_id"]),
                ..Default::default()
            };
            drop(stage.editor.endpoints().update_endpoint(request).await);
        })
    }),
    ("the credential for another provider", |stage| {
        Box::pin(async {
            let own = stage.editor.add_provider(&format!("q{}", fastrand::u64(..)), v1::ProviderKind::Openai).await;
            stage.editor.add_endpoint(hasty(endpoint(&own.id, "e", &stage.other_url()))).await;
            let moved = v1::Credential {
                id: stage.credential.clone(),
                provider_id: Some(own.id.clone()),
                ..Default::default()
            };
            let request = v1::UpdateCredentialRequest {
                credential: Some(moved),
                update_mask: mask(&["provider_id"]),
                ..Default::default()
            };
            drop(stage.editor.credentials().update_credential(request).await);
            let sync = v1::SyncModelsRequest { provider_id: own.id, ..Default::default() };
            drop(stage.editor.models().sync_models(sync).await);
        })
    }),
    ("another kind", |stage| {
        Box::pin(async {
            stage.move_with(&["base_url"]).await;
            let kind = Some(v1::ProviderKind::Ollama.into());
            let other = v1::Provider { id: stage.provider.clone(), kind, ..Default::default() };
            let request = v1::UpdateProviderRequest { provider: Some(other), ..Default::default() };
            drop(stage.editor.providers().update_provider(request).await);
        })
    }),
];

impl Stage {
    fn other_url(&self) -> String {
        format!("{}/v1", self.other_host())
    }

    fn other_host(&self) -> String {
        format!("http://127.0.0.1:{}", self.other.port())
    }

    fn vendor_host(&self) -> String {
        format!("http://{}", self.vendor.address)
    }

    /// An editor adds an endpoint at the other host.
    async fn add(&self, priority: i32, set_default: bool) -> String {
        let wanted = hasty(endpoint(&self.provider, "second", &self.other_url()));
        let wanted = v1::Endpoint { priority: Some(priority), ..wanted };
        let request = v1::CreateEndpointRequest { endpoint: Some(wanted), set_default, ..Default::default() };
        self.editor.endpoints().create_endpoint(request).await.unwrap().into_inner().endpoint.unwrap().id
    }

    /// An editor moves the endpoint to the other host.
    async fn move_with(&self, paths: &[&str]) {
        let named = hasty(endpoint(&self.provider, "first", &self.other_url()));
        let request = v1::UpdateEndpointRequest {
            endpoint: Some(v1::Endpoint { id: self.endpoint.clone(), ..named }),
            update_mask: mask(paths),
            ..Default::default()
        };
        self.editor.endpoints().update_endpoint(request).await.unwrap();
    }

    /// An editor moves the endpoint and lets the list follow, with a secret or without.
    async fn widen(&self, paths: &[&str], carried: Option<&str>) {
        self.move_with(&["base_url"]).await;
        let wider = v1::Credential {
            id: self.credential.clone(),
            alias: Some("c".into()),
            allowed_hosts: vec![self.vendor_host(), self.other_host()],
            secret: carried.map(secret),
            ..Default::default()
        };
        let update_mask = if paths.is_empty() { None } else { mask(paths) };
        for validate_only in [true, false] {
            let (credential, update_mask) = (Some(wider.clone()), update_mask.clone());
            let request = v1::UpdateCredentialRequest { credential, update_mask, validate_only, ..Default::default() };
            drop(self.editor.credentials().update_credential(request).await);
        }
    }

    async fn rotate(&self, allowed_hosts: Vec<String>, validate_first: bool) {
        let request = v1::RotateCredentialRequest {
            id: self.credential.clone(),
            secret: Some(secret(&Canary::new().0)),
            grace_period: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
            allowed_hosts,
            validate_first,
            ..Default::default()
        };
        drop(self.editor.credentials().rotate_credential(request).await);
        self.move_with(&["base_url"]).await;
    }

    async fn bring_back(&self) {
        let delete = v1::DeleteProviderRequest { id: self.provider.clone(), ..Default::default() };
        self.editor.providers().delete_provider(delete).await.unwrap();
        let back = v1::UndeleteProviderRequest { id: self.provider.clone(), ..Default::default() };
        self.editor.providers().undelete_provider(back).await.unwrap();
    }
}
