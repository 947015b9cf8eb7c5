//! `ResolveTarget`: from a selector to what to call now, and what to call if that fails.

use std::sync::Arc;

use super::candidates::{Candidates, Selector, is_deprecated};
use super::outlook::{Outlook, Scene, Target};
use crate::domain::error::{Error, Result};
use crate::domain::id::ProviderId;
use crate::domain::model::Model;
use crate::snapshot::{Entry, offered};

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub selector: &'a Selector,
    pub max_fallbacks: usize,
}

/// The target, and behind it the fallbacks in failover order: the endpoints of its model, then these with other
/// credentials, then other models where the selector means several. Never empty, nothing twice.
///
/// # Errors
/// [`Error::NotFound`] where no model is meant; otherwise why none of them can be used now. Of several reasons the one
/// that is nearest to success is told: it is what passes first, or what there is the least to do about.
pub fn resolve<'a>(scene: Scene<'a>, wanted: Wanted<'a>) -> Result<Vec<Target<'a>>> {
    let mut search = Search::new(scene, wanted.max_fallbacks.saturating_add(1));
    match wanted.selector.candidates(scene.snapshot)? {
        Candidates::One(model) => search.add(model),
        Candidates::Provider(id) => search.add_provider(id),
        Candidates::Same(models, name) => search.take_turns(models, name),
        Candidates::Ranked(mut models) => {
            while !search.is_full() && models.next().map(|model| search.add(model)).is_some() {}
        }
    }
    search.finish()
}

struct Search<'a> {
    scene: Scene<'a>,
    most: usize,
    found: Vec<Target<'a>>,
    failed: Option<Error>,
    /// Providers that cannot be used, so that a million models of theirs are passed over quickly.
    barred: Vec<ProviderId>,
}

impl<'a> Search<'a> {
    fn new(scene: Scene<'a>, most: usize) -> Self {
        Self { scene, most, found: Vec::new(), failed: None, barred: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    /// Adds the ways to a model that are still wanted.
    fn add(&mut self, model: &'a Arc<Entry<Model>>) {
        if let Some(outlook) = self.look_at(model) {
            self.add_ways(outlook, Some(model));
        }
    }

    /// Adds the ways to a provider, whatever the model.
    fn add_provider(&mut self, id: ProviderId) {
        match Outlook::of(self.scene, id, None) {
            Ok(outlook) => self.add_ways(outlook, None),
            Err(error) => self.fail(error),
        }
    }

    /// What can be done with a model now; nothing if it cannot be used, and then it is remembered why.
    fn look_at(&mut self, model: &'a Arc<Entry<Model>>) -> Option<Outlook<'a>> {
        let provider = model.provider_id;
        if let Err(cause) = offered(model) {
            self.fail(cause.of(model));
            return None;
        }
        if self.barred.contains(&provider) {
            return None;
        }
        match Outlook::of(self.scene, provider, Some(model)) {
            Ok(outlook) => Some(outlook),
            Err(error) => {
                self.barred.push(provider);
                self.fail(error);
                None
            }
        }
    }

    fn add_ways(&mut self, mut outlook: Outlook<'a>, model: Option<&'a Arc<Entry<Model>>>) {
        // Only who is called takes a turn.
        if self.found.is_empty()
            && let Err(error) = outlook.take_turn()
        {
            self.fail(error);
            return;
        }
        let room = self.most.saturating_sub(self.found.len());
        self.found.extend(outlook.ways(model).take(room));
    }

    /// The same model of several providers: those that can be used share the calls, deprecated ones only where there is
    /// no other.
    fn take_turns(&mut self, models: Vec<&'a Arc<Entry<Model>>>, name: &str) {
        let (late, early): (Vec<_>, Vec<_>) = models.into_iter().partition(|model| is_deprecated(model));
        for models in [early, late] {
            let mut usable: Vec<_> =
                models.into_iter().filter_map(|model| self.look_at(model).map(|outlook| (outlook, model))).collect();
            if self.found.is_empty() && usable.len() > 1 {
                let snapshot = self.scene.snapshot;
                let turn = self.scene.router.turns.next(name, |name| snapshot.live_models_named(name).next().is_some());
                let length = u64::try_from(usable.len()).unwrap_or(u64::MAX);
                usable.rotate_left(usize::try_from(turn % length).unwrap_or_default());
            }
            for (outlook, model) in usable {
                if self.is_full() {
                    return;
                }
                self.add_ways(outlook, Some(model));
            }
        }
    }

    fn fail(&mut self, error: Error) {
        if self.failed.as_ref().is_none_or(|known| nearness(&error) > nearness(known)) {
            self.failed = Some(error);
        }
    }

    fn finish(self) -> Result<Vec<Target<'a>>> {
        let Some(first) = self.found.first() else {
            return Err(self.failed.unwrap_or_else(Error::internal));
        };
        if let Some(credential) = first.credential {
            self.scene.router.recent.note(credential.id, self.scene.now, self.scene.snapshot);
        }
        Ok(self.found)
    }
}

/// How little is missing where this is the reason.
const fn nearness(error: &Error) -> u8 {
    match error {
        Error::NoHealthyEndpoint { .. } => 6,
        Error::QuotaExhausted { .. } => 5,
        Error::SecretUnreadable { .. } => 4,
        Error::HostNotAllowed { .. } => 3,
        Error::ModelUnavailable { .. } => 2,
        Error::NoEndpoint { .. } => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
