//! What a watcher with a filter is shown, after each step another one: the state that there is, and the changes since one
//! of the places that a stream has told, whatever happened since.

use std::collections::BTreeMap;

use modelward::domain::image::Image;
use modelward::domain::{Change, Resource};
use modelward::proto::v1::{self, ResourceKind, WatchEvent};
use modelward::wire;

use super::History;
use super::watched::live;
use crate::support::Engine;
use crate::support::watching::{Watching, changes};

/// A place of which nothing is shown takes a moment until its bookmark comes: so not after each step.
const OFTEN: usize = 8;

/// Resources by their ids.
type State = BTreeMap<String, Option<v1::Resource>>;

/// What to be shown. Of a binding to a model that is gone it is not known whose it is: who asks for a provider asks for
/// other kinds.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    kinds: Vec<ResourceKind>,
    provider: Option<String>,
}

impl Wanted {
    fn nth(number: usize, providers: &[v1::Provider]) -> Self {
        let all = [
            ResourceKind::Provider,
            ResourceKind::Endpoint,
            ResourceKind::Credential,
            ResourceKind::Model,
            ResourceKind::Binding,
        ];
        let provider = providers.get(number % (providers.len() + 1)).map(|one| one.id.clone());
        let wanted = |(bit, kind): (usize, ResourceKind)| ((number + 1) & (1 << bit) != 0).then_some(kind);
        let mut kinds: Vec<_> = all.into_iter().enumerate().filter_map(wanted).collect();
        if provider.is_some() {
            kinds.retain(|kind| *kind != ResourceKind::Binding);
            if kinds.is_empty() {
                kinds = all[..4].to_vec();
            }
        }
        Self { kinds, provider }
    }

    fn request(&self) -> v1::WatchRequest {
        v1::WatchRequest {
            resource_kinds: self.kinds.iter().map(|kind| (*kind).into()).collect(),
            provider_id: self.provider.clone().unwrap_or_default(),
            ..Default::default()
        }
    }

    fn shows(&self, resource: &Resource) -> bool {
        let (kind, provider) = match resource {
            Resource::Provider(one) => (ResourceKind::Provider, one.id.to_string()),
            Resource::Endpoint(one) => (ResourceKind::Endpoint, one.provider_id.to_string()),
            Resource::Credential(one) => (ResourceKind::Credential, one.provider_id.to_string()),
            Resource::Model(one) => (ResourceKind::Model, one.provider_id.to_string()),
            Resource::Binding(_) => (ResourceKind::Binding, String::new()),
            Resource::Token(_) | Resource::Keyring(_) => return false,
        };
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.provider.as_ref().is_none_or(|wanted| *wanted == provider)
    }

    /// What there is and passes, as a stream has to show it.
    fn state(&self, image: Image) -> State {
        let shown = live(image).into_iter().filter(|one| self.shows(one));
        shown.map(|one| (one.id().to_string(), Some(wire::resource::config(&one)))).collect()
    }

    /// The changes behind a revision that pass, as a stream has to show them.
    fn changes(&self, log: &[Change], after: i64) -> Vec<v1::Change> {
        let behind = log.iter().filter(|change| change.revision.0 > after && wire::change::is_watched(change));
        let passes = |change: &&Change| {
            change.after.as_ref().or(change.before.as_ref()).is_some_and(|resource| self.shows(resource))
        };
        behind.filter(passes).map(wire::change::watched).collect()
    }
}

impl History {
    pub(super) async fn check_filtered(&self, image: Image) {
        if !self.steps.is_multiple_of(OFTEN) {
            return;
        }
        let number = self.steps / OFTEN;
        let wanted = Wanted::nth(number, &self.world.live_providers());
        assert_eq!(self.state(wanted.request()).await, wanted.state(image), "the state for {wanted:?}");
        let places = &self.watched.places;
        if let Some((from, token)) = places.get((number * 7) % places.len().max(1)) {
            let expected = wanted.changes(&self.fold.changes, *from);
            assert_eq!(self.behind(token, wanted.request()).await, expected, "behind {from} for {wanted:?}");
        }
    }

    /// The state that a stream begins with.
    async fn state(&self, asked: v1::WatchRequest) -> State {
        let asked = v1::WatchRequest { include_state: true, ..asked };
        let mut stream = Watching::open(self.server().admin(), asked).await;
        let mut state = Vec::new();
        loop {
            let message = stream.next().await;
            if message.event() == WatchEvent::StateComplete {
                assert_eq!(message.revision, self.world.revision);
                return changes(&state).into_iter().map(|change| (change.resource_id, change.after)).collect();
            }
            state.push(message);
        }
    }

    /// What a stream shows from a place up to now.
    async fn behind(&self, token: &str, asked: v1::WatchRequest) -> Vec<v1::Change> {
        let asked = v1::WatchRequest { resume_token: token.to_owned(), ..asked };
        let mut stream = Watching::open(self.server().admin(), asked).await;
        let is_there = |(from, told): &(i64, String)| told == token && *from == self.world.revision;
        // There is nothing to be told at once.
        if self.watched.places.iter().any(is_there) {
            return Vec::new();
        }
        changes(&stream.up_to(self.world.revision).await)
    }
}

/// A server that does not heed a filter, and one that goes on at another place, are found.
async fn faults_are_found() {
    let mut history = History::start(Engine::Sqlite).await;
    history.run(super::tour()).await;
    let image = history.server().parts().store.load_image().await.unwrap();
    let wanted = Wanted { kinds: vec![ResourceKind::Endpoint, ResourceKind::Model], provider: None };
    let (state, everything) = (wanted.state(image), v1::WatchRequest::default);
    assert_eq!(history.state(wanted.request()).await, state);
    assert_ne!(history.state(everything()).await, state);
    let places = history.watched.places.clone();
    let expected = wanted.changes(&history.fold.changes, places[3].0);
    assert_eq!(history.behind(&places[3].1, wanted.request()).await, expected);
    assert_ne!(history.behind(&places[3].1, everything()).await, expected);
    assert_ne!(history.behind(&places[10].1, wanted.request()).await, expected);
    assert_ne!(history.behind(&places[0].1, wanted.request()).await, expected);
}

#[test]
fn a_filter_that_is_not_heeded_and_a_wrong_place_are_found() {
    super::on_a_large_stack(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(Box::pin(faults_are_found()));
    });
}
