//! The comparison of a server with the model: through Get, through List, in the log, in the tables and in memory.

use modelward::domain::Resource;
use modelward::proto::v1;
use modelward::proto::v1::binding::Target;
use modelward::proto::v1::resource::Resource as Thing;
use modelward::wire;
use tonic::Code;

use super::world::{Edit, World, bare, id_of};
use super::{History, operation};
use crate::support::Refusal;
use crate::support::witness::{Testimony, agree};

/// Rows of a page: few, so that there are pages.
const PAGE: i32 = 2;

/// Reads a list to its last page; checks what its pages say about the whole.
macro_rules! list {
    ($client:expr, $method:ident($request:ident { $($field:ident: $value:expr),* }) => $items:ident as $variant:ident) => {{
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::$request {
                page_size: PAGE,
                page_token,
                $($field: $value,)*
                ..Default::default()
            };
            let page = $client.$method(request).await.unwrap().into_inner();
            assert!(page.$items.len() <= 2, "{} of {PAGE}", page.$items.len());
            let total = page.total_size;
            all.extend(page.$items.into_iter().map(|one| bare(Thing::$variant(one))));
            if page.next_page_token.is_empty() {
                assert_eq!(usize::try_from(total).unwrap(), all.len(), "total_size");
                break all;
            }
            page_token = page.next_page_token;
        }
    }};
}

fn label(number: u8) -> std::collections::BTreeMap<String, String> {
    [("l".to_owned(), number.to_string())].into()
}

/// What a list should hold, in order of the ids.
fn those<T>(all: Vec<T>, holds: impl Fn(&T) -> bool, wrap: fn(T) -> Thing) -> Vec<Thing> {
    all.into_iter().filter(|one| holds(one)).map(wrap).collect()
}

/// In the order of a text; what is equal stays as it was, by id.
fn by<T>(mut all: Vec<T>, text: fn(&T) -> String, is_descending: bool) -> Vec<T> {
    all.sort_by(|a, b| if is_descending { text(b).cmp(&text(a)) } else { text(a).cmp(&text(b)) });
    all
}

fn mentions(texts: [Option<&str>; 3], query: &str) -> bool {
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&query.to_lowercase()))
}

impl History {
    /// Everything, after each step.
    pub(super) async fn check(&mut self) {
        let parts = self.server().parts();
        let head = parts.store.head().await.unwrap();
        assert_eq!(head.revision.0, self.world.revision, "the revision");
        assert_eq!(self.fold.head, head, "a change without a write");
        let image = parts.store.load_image().await.unwrap();
        let tables = Testimony::of_tables(&image);
        agree(&self.fold.told, &tables, "log and tables");
        agree(&Testimony::of_memory(&parts.snapshot.load()), &tables, "memory and tables");
        Box::pin(self.check_watched(image.clone())).await;
        Box::pin(self.check_filtered(image.clone())).await;
        Box::pin(self.check_rows(image)).await;
        Box::pin(self.check_lists()).await;
        Box::pin(self.check_filters()).await;
        Box::pin(self.check_orders()).await;
        Box::pin(self.check_past()).await;
    }

    /// The rows are the model's resources, and each is got by its id unless its provider is deleted.
    async fn check_rows(&self, image: modelward::domain::image::Image) {
        let rows = rows_of(image);
        assert_eq!(rows.len(), self.world.things.len(), "rows");
        let admin = self.server().admin();
        for row in rows {
            let id = id_of(&row).to_owned();
            assert_eq!(self.world.things.get(&id), Some(&row), "the row");
            let (got, live) = match &row {
                Thing::Provider(_) => (
                    admin
                        .providers()
                        .get_provider(v1::GetProviderRequest { id })
                        .await
                        .map(|answer| Thing::Provider(answer.into_inner().provider.unwrap())),
                    true,
                ),
                Thing::Endpoint(one) => (
                    admin
                        .endpoints()
                        .get_endpoint(v1::GetEndpointRequest { id })
                        .await
                        .map(|answer| Thing::Endpoint(answer.into_inner().endpoint.unwrap())),
                    self.world.is_live(one.provider_id()),
                ),
                Thing::Credential(one) => (
                    admin
                        .credentials()
                        .get_credential(v1::GetCredentialRequest { id })
                        .await
                        .map(|answer| Thing::Credential(answer.into_inner().credential.unwrap())),
                    self.world.is_live(one.provider_id()),
                ),
                Thing::Model(one) => (
                    admin
                        .models()
                        .get_model(v1::GetModelRequest { id })
                        .await
                        .map(|answer| Thing::Model(answer.into_inner().model.unwrap())),
                    self.world.is_live(one.provider_id()),
                ),
                Thing::Binding(_) => (
                    admin
                        .bindings()
                        .get_binding(v1::GetBindingRequest { id })
                        .await
                        .map(|answer| Thing::Binding(answer.into_inner().binding.unwrap())),
                    true,
                ),
                other => panic!("{other:?}"),
            };
            match got {
                Ok(got) => assert_eq!((bare(got), live), (row, true), "Get"),
                Err(status) => {
                    Refusal::of(&status).is(Code::NotFound, "NOT_FOUND");
                    assert!(!live, "{row:?} is not found");
                }
            }
        }
    }

    /// Without filters, and by provider.
    async fn check_lists(&self) {
        let (admin, world) = (self.server().admin(), &self.world);
        let live = |world: &World, id: &str| world.is_live(id);
        let all = list!(admin.providers(), list_providers(ListProvidersRequest { show_deleted: true }) => providers as Provider);
        assert_eq!(all, those(world.providers(), |_| true, Thing::Provider), "with deleted ones");
        let shown = list!(admin.providers(), list_providers(ListProvidersRequest {}) => providers as Provider);
        assert_eq!(shown, those(world.live_providers(), |_| true, Thing::Provider));
        let found = list!(admin.endpoints(), list_endpoints(ListEndpointsRequest {}) => endpoints as Endpoint);
        assert_eq!(found, those(world.endpoints(), |one| live(world, one.provider_id()), Thing::Endpoint));
        let found =
            list!(admin.credentials(), list_credentials(ListCredentialsRequest {}) => credentials as Credential);
        assert_eq!(found, those(world.credentials(), |one| live(world, one.provider_id()), Thing::Credential));
        let found = list!(admin.models(), list_models(ListModelsRequest {}) => models as Model);
        assert_eq!(found, those(world.models(), |one| live(world, one.provider_id()), Thing::Model));
        let found = list!(admin.bindings(), list_bindings(ListBindingsRequest {}) => bindings as Binding);
        assert_eq!(found, those(world.bindings(), |_| true, Thing::Binding));
        for provider in world.live_providers() {
            let id = provider.id.as_str();
            let found = list!(admin.endpoints(), list_endpoints(ListEndpointsRequest { provider_id: id.into() }) => endpoints as Endpoint);
            assert_eq!(found, those(world.endpoints_of(id), |_| true, Thing::Endpoint), "of {id}");
            let found = list!(admin.credentials(), list_credentials(ListCredentialsRequest { provider_id: id.into() }) => credentials as Credential);
            assert_eq!(found, those(world.credentials_of(id), |_| true, Thing::Credential), "of {id}");
            let found =
                list!(admin.models(), list_models(ListModelsRequest { provider_id: id.into() }) => models as Model);
            assert_eq!(found, those(world.models_of(id), |_| true, Thing::Model), "of {id}");
            let found = list!(admin.bindings(), list_bindings(ListBindingsRequest { provider_id: id.into() }) => bindings as Binding);
            let holds = |one: &v1::Binding| match one.target.as_ref().unwrap() {
                Target::ProviderId(bound) => bound == id,
                Target::ModelId(bound) => world.models_of(id).iter().any(|model| model.id == *bound),
            };
            assert_eq!(found, those(world.bindings(), holds, Thing::Binding), "of {id}");
        }
    }

    /// One filter of each kind, another one at each step.
    async fn check_filters(&self) {
        let (admin, world) = (self.server().admin(), &self.world);
        let number = u8::try_from(self.steps % 4).unwrap();
        let (name, query) = (super::plan::name(number), format!("T {}", number % 3));
        let active = number % 2 == 0;
        let found = list!(admin.providers(), list_providers(ListProvidersRequest { name: name.clone() }) => providers as Provider);
        assert_eq!(found, those(world.live_providers(), |one| one.name() == name, Thing::Provider), "name {name}");
        let found = list!(admin.providers(), list_providers(ListProvidersRequest { query: query.clone(), is_active: Some(active) }) => providers as Provider);
        let holds = |one: &v1::Provider| {
            one.is_active() == active && mentions([one.name.as_deref(), one.description.as_deref(), None], &query)
        };
        assert_eq!(found, those(world.live_providers(), holds, Thing::Provider), "query {query}, active {active}");
        let found = list!(admin.endpoints(), list_endpoints(ListEndpointsRequest { labels: label(number) }) => endpoints as Endpoint);
        let holds = |one: &v1::Endpoint| one.labels == label(number) && world.is_live(one.provider_id());
        assert_eq!(found, those(world.endpoints(), holds, Thing::Endpoint), "label {number}");
        let found = list!(admin.credentials(), list_credentials(ListCredentialsRequest { alias: name.clone() }) => credentials as Credential);
        let holds = |one: &v1::Credential| one.alias() == name && world.is_live(one.provider_id());
        assert_eq!(found, those(world.credentials(), holds, Thing::Credential), "alias {name}");
        let found = list!(admin.bindings(), list_bindings(ListBindingsRequest { consumer: name.clone() }) => bindings as Binding);
        assert_eq!(found, those(world.bindings(), |one| one.consumer() == name, Thing::Binding), "consumer {name}");
        if let Some(model) = world.models().first() {
            let model_id = model.id.clone();
            let found = list!(admin.bindings(), list_bindings(ListBindingsRequest { model_id: model_id.clone() }) => bindings as Binding);
            let holds = |one: &v1::Binding| one.target == Some(Target::ModelId(model_id.clone()));
            assert_eq!(found, those(world.bindings(), holds, Thing::Binding), "model {model_id}");
        }
        let found = list!(admin.models(), list_models(ListModelsRequest { is_default: Some(true) }) => models as Model);
        let holds = |one: &v1::Model| one.is_default && world.is_live(one.provider_id());
        assert_eq!(found, those(world.models(), holds, Thing::Model), "defaults");
        let found = list!(admin.models(), list_models(ListModelsRequest { query: query.clone() }) => models as Model);
        let holds = |one: &v1::Model| {
            let texts = [one.name.as_deref(), one.description.as_deref(), one.model_id.as_deref()];
            mentions(texts, &query) && world.is_live(one.provider_id())
        };
        assert_eq!(found, those(world.models(), holds, Thing::Model), "query {query}");
    }

    /// By name, the latest in the alphabet first; equal ones by their ids. Upper case comes before lower case.
    async fn check_orders(&self) {
        let (admin, world) = (self.server().admin(), &self.world);
        let (up, down) = (|| "name".to_owned(), || "name desc".to_owned());
        let found = list!(admin.providers(), list_providers(ListProvidersRequest { order_by: down() }) => providers as Provider);
        let all = by(world.live_providers(), |one| one.name().to_owned(), true);
        assert_eq!(found, those(all, |_| true, Thing::Provider), "providers by name");
        let found = list!(admin.models(), list_models(ListModelsRequest { order_by: down() }) => models as Model);
        let all = by(world.models(), |one| one.name().to_owned(), true);
        assert_eq!(found, those(all, |one| world.is_live(one.provider_id()), Thing::Model), "models by name");
        let found = list!(admin.credentials(), list_credentials(ListCredentialsRequest { order_by: up() }) => credentials as Credential);
        let all = by(world.credentials(), |one| one.alias().to_owned(), false);
        assert_eq!(
            found,
            those(all, |one| world.is_live(one.provider_id()), Thing::Credential),
            "credentials by alias"
        );
        let found =
            list!(admin.bindings(), list_bindings(ListBindingsRequest { order_by: up() }) => bindings as Binding);
        let all = by(world.bindings(), |one| one.consumer().to_owned(), false);
        assert_eq!(found, those(all, |_| true, Thing::Binding), "bindings by consumer");
    }

    /// The new lines of the log are what the model did, in one revision.
    pub(super) async fn check_log(&mut self, edits: &[Edit]) {
        let known = self.fold.changes.len();
        let store = self.server().parts().store.clone();
        let head = store.head().await.unwrap();
        self.fold.advance(&store, head.revision).await;
        let told = self.fold.changes[known..].iter().map(|change| {
            assert_eq!(change.revision.0, self.world.revision, "one write, one revision");
            Edit {
                operation: operation(change.operation),
                id: change.resource_id.to_string(),
                before: change.before.as_ref().map(stored),
                after: change.after.as_ref().map(stored),
            }
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by(|left, right| left.id.cmp(&right.id));
        let mut predicted = edits.to_vec();
        predicted.sort_by(|left, right| left.id.cmp(&right.id));
        assert_eq!(told, predicted, "the log");
    }
}

/// The rows of all tables but the tokens, as the model knows them.
fn rows_of(image: modelward::domain::image::Image) -> Vec<Thing> {
    let all = image.providers.into_iter().map(Resource::Provider);
    let all = all.chain(image.endpoints.into_iter().map(Resource::Endpoint));
    let all = all.chain(image.credentials.into_iter().map(Resource::Credential));
    let all = all.chain(image.models.into_iter().map(Resource::Model));
    let all = all.chain(image.bindings.into_iter().map(Resource::Binding));
    all.map(|resource| stored(&resource)).collect()
}

/// A stored resource as the model knows it.
fn stored(resource: &Resource) -> Thing {
    bare(wire::resource::config(resource).resource.unwrap())
}
