//! What a watcher is shown after each step: exactly the changes, and, when it begins, exactly what there is.

use std::collections::BTreeMap;

use modelward::domain::Resource;
use modelward::domain::image::Image;
use modelward::proto::v1::{self, WatchEvent};
use modelward::wire;

use super::History;
use crate::support::watching::{Checker, Watching, changes, logged};

/// A watcher that follows a history over all its streams.
#[derive(Default)]
pub(super) struct Watched {
    stream: Option<Watching>,
    checker: Checker,
    /// The revision that the history began at.
    begin: i64,
    /// Where one could go on after each step: the revision and the token.
    pub places: Vec<(i64, String)>,
}

impl Watched {
    pub fn after(revision: i64) -> Self {
        Self { checker: Checker::after(revision), begin: revision, ..Self::default() }
    }
}

impl History {
    /// The stream shows the changes up to now and nothing else.
    pub(super) async fn check_watched(&mut self, image: Image) {
        let server = self.server.as_ref().unwrap();
        let Watched { stream, checker, begin, places } = &mut self.watched;
        while checker.revision() < self.world.revision {
            let open = if let Some(open) = stream {
                open
            } else {
                checker.reconnect();
                stream.insert(Watching::open(server.admin(), checker.request()).await)
            };
            match open.step().await {
                Ok(message) => checker.take(&message),
                // The server was restarted.
                Err(_) => *stream = None,
            }
        }
        if !checker.token.is_empty() {
            places.push((checker.revision(), checker.token.clone()));
        }
        let log = logged(&server.parts().store, *begin).await;
        assert_eq!(checker.verdict(&log), Vec::<String>::new(), "the stream");

        let request = v1::WatchRequest { include_state: true, ..Default::default() };
        let mut beginning = Watching::open(server.admin(), request).await;
        let mut state = Vec::new();
        loop {
            let message = beginning.next().await;
            if message.event() == WatchEvent::StateComplete {
                assert_eq!(message.revision, self.world.revision);
                break;
            }
            state.push(message);
        }
        let shown = changes(&state).into_iter().map(|change| (change.resource_id, change.after));
        let shown: BTreeMap<_, _> = shown.collect();
        let there = live(image).into_iter().map(|one| (one.id().to_string(), Some(wire::resource::config(&one))));
        assert_eq!(shown, there.collect(), "the state");
    }
}

/// What there is, but of providers that are deleted.
pub(super) fn live(image: Image) -> Vec<Resource> {
    let deleted: Vec<_> = image.providers.iter().filter(|one| one.delete_time.is_some()).map(|one| one.id).collect();
    let all = image.providers.into_iter().map(|one| (one.id, Resource::Provider(one)));
    let all = all.chain(image.endpoints.into_iter().map(|one| (one.provider_id, Resource::Endpoint(one))));
    let all = all.chain(image.credentials.into_iter().map(|one| (one.provider_id, Resource::Credential(one))));
    let all = all.chain(image.models.into_iter().map(|one| (one.provider_id, Resource::Model(one))));
    let shown = all.filter(|(provider, _)| !deleted.contains(provider)).map(|(_, one)| one);
    shown.chain(image.bindings.into_iter().map(Resource::Binding)).collect()
}
