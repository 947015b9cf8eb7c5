//! All that a server shows of its configuration.

use std::collections::BTreeSet;

use modelward::domain::image::Image;
use modelward::proto::v1;
use tonic::Request;

use super::server::Caller;

/// The live resources, each in order of its id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    pub providers: Vec<v1::Provider>,
    pub endpoints: Vec<v1::Endpoint>,
    pub credentials: Vec<v1::Credential>,
    pub models: Vec<v1::Model>,
    pub bindings: Vec<v1::Binding>,
    pub tokens: Vec<v1::Token>,
}

/// Reads a list to its end, at a revision or later.
macro_rules! all {
    ($client:expr, $list:ident($request:ident), $field:ident, $revision:expr) => {{
        let mut found = Vec::new();
        let mut message = v1::$request { page_size: 1000, ..Default::default() };
        loop {
            let mut request = Request::new(message.clone());
            request.metadata_mut().insert("modelward-min-revision", $revision.to_string().parse().unwrap());
            let page = $client.$list(request).await.unwrap().into_inner();
            found.extend(page.$field);
            if page.next_page_token.is_empty() {
                break found;
            }
            message.page_token = page.next_page_token;
        }
    }};
}

impl Listing {
    pub async fn read(caller: &Caller, revision: i64) -> Self {
        let mut tokens = all!(caller.tokens(), list_tokens(ListTokensRequest), tokens, revision);
        // Status, which replicas tell each other now and then.
        for token in &mut tokens {
            token.last_use_time = None;
        }
        Self {
            providers: all!(caller.providers(), list_providers(ListProvidersRequest), providers, revision),
            endpoints: all!(caller.endpoints(), list_endpoints(ListEndpointsRequest), endpoints, revision),
            credentials: all!(caller.credentials(), list_credentials(ListCredentialsRequest), credentials, revision),
            models: all!(caller.models(), list_models(ListModelsRequest), models, revision),
            bindings: all!(caller.bindings(), list_bindings(ListBindingsRequest), bindings, revision),
            tokens,
        }
    }

    /// What is shown is what is stored: by id and revision.
    pub fn differences(&self, image: &Image) -> Vec<String> {
        let shown: BTreeSet<_> = self.versions().collect();
        let stored = live(image);
        let missing = stored.difference(&shown).map(|(id, revision)| format!("{id} of {revision} is not shown"));
        let extra = shown.difference(&stored).map(|(id, revision)| format!("{id} of {revision} is not stored"));
        missing.chain(extra).collect()
    }

    fn versions(&self) -> impl Iterator<Item = (String, i64)> {
        let providers = self.providers.iter().map(|shown| (shown.id.clone(), shown.revision));
        let endpoints = self.endpoints.iter().map(|shown| (shown.id.clone(), shown.revision));
        let credentials = self.credentials.iter().map(|shown| (shown.id.clone(), shown.revision));
        let models = self.models.iter().map(|shown| (shown.id.clone(), shown.revision));
        let bindings = self.bindings.iter().map(|shown| (shown.id.clone(), shown.revision));
        providers.chain(endpoints).chain(credentials).chain(models).chain(bindings)
    }
}

/// The stored resources that are shown: not those of deleted providers.
fn live(image: &Image) -> BTreeSet<(String, i64)> {
    let live = image.providers.iter().filter(|provider| provider.delete_time.is_none());
    let live: BTreeSet<_> = live.map(|provider| provider.id).collect();
    let is_live = |id| live.contains(&id);
    let providers = image.providers.iter().filter(|row| is_live(row.id)).map(|row| (row.id.to_string(), &row.meta));
    let endpoints =
        image.endpoints.iter().filter(|row| is_live(row.provider_id)).map(|row| (row.id.to_string(), &row.meta));
    let credentials =
        image.credentials.iter().filter(|row| is_live(row.provider_id)).map(|row| (row.id.to_string(), &row.meta));
    let models = image.models.iter().filter(|row| is_live(row.provider_id)).map(|row| (row.id.to_string(), &row.meta));
    let bindings = image.bindings.iter().map(|row| (row.id.to_string(), &row.meta));
    let all = providers.chain(endpoints).chain(credentials).chain(models).chain(bindings);
    all.map(|(id, meta)| (id, meta.revision.0)).collect()
}
