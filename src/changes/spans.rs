//! What traces show of the writer: each call that is traced has its transaction and its COMMIT, which it may share with
//! other calls. Where nothing is traced, nothing is made.

use super::commit::Failure;
use super::write::Item;
use crate::store::Engine;
use crate::telemetry::traces::Span;

/// The transaction, as each of its calls sees it. It ends when this is dropped.
pub(super) struct Spans(Vec<Span>);

impl Spans {
    pub fn begin(items: &[Item], engine: Engine) -> Self {
        let system = match engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgresql",
        };
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let places = items.iter().filter_map(|item| item.place.as_ref());
        let spans = places.map(|place| {
            let mut span = place.question("store transaction");
            span.set("db.system.name", system);
            span.set("db.operation.batch.size", size);
            span
        });
        Self(spans.collect())
    }

    /// The COMMIT of it; it ends when that is dropped.
    pub fn commit(&self) -> Self {
        Self(self.0.iter().map(|span| span.place().question("store commit")).collect())
    }

    pub fn fail(&mut self, failure: Failure) {
        for span in &mut self.0 {
            span.fail(failure.kind().unwrap_or("run again"));
        }
    }
}
