//! The calls that are not finished, as far as a server that stops waits for them: those that run here, and whether the
//! others move.
//!
//! A call runs from the end of its request to its answer. Before that and after it its client is waited for, who may be
//! gone or mean no good: such a call counts only as long as bytes come or go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// The calls of a server. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    moved: AtomicU64,
}

impl InFlight {
    /// How many calls run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// A number that changes whenever a part of a request or of an answer passes.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// A call whose request begins to arrive.
    #[must_use]
    pub fn enter(&self) -> Guard {
        Guard(Passage(Arc::new(Call { counts: Arc::clone(&self.0), phase: AtomicU8::new(Call::ARRIVES) })))
    }
}

#[derive(Debug)]
struct Call {
    counts: Arc<Counts>,
    phase: AtomicU8,
}

impl Call {
    const ARRIVES: u8 = 0;
    const RUNS: u8 = 1;
    const ANSWERED: u8 = 2;
}

/// One call as its bodies see it, which tell how far it is.
#[derive(Debug, Clone)]
pub struct Passage(Arc<Call>);

impl Passage {
    /// A part of the request or of the answer has passed.
    pub fn moved(&self) {
        self.0.counts.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// The request is complete.
    pub fn arrived(&self) {
        let Call { counts, phase } = &*self.0;
        let began = phase.compare_exchange(Call::ARRIVES, Call::RUNS, Ordering::AcqRel, Ordering::Acquire);
        if began.is_ok() {
            counts.running.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn answered(&self) {
        let Call { counts, phase } = &*self.0;
        if phase.swap(Call::ANSWERED, Ordering::AcqRel) == Call::RUNS {
            counts.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// One call; it is answered when this is dropped.
#[derive(Debug)]
pub struct Guard(Passage);

impl Guard {
    #[must_use]
    pub fn passage(&self) -> Passage {
        self.0.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.moved();
        self.0.answered();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_runs_from_the_end_of_its_request_to_its_answer() {
        let calls = InFlight::default();
        let guard = calls.enter();
        let passage = guard.passage();
        passage.moved();
        assert_eq!((calls.running(), calls.moved()), (0, 1));
        passage.arrived();
        passage.arrived();
        assert_eq!(calls.running(), 1);
        drop(guard);
        assert_eq!((calls.running(), calls.moved()), (0, 2));
        passage.moved();
        passage.arrived();
        assert_eq!((calls.running(), calls.moved()), (0, 3), "its answer is on its way");
    }

    #[test]
    fn a_call_that_is_dropped_before_its_request_has_arrived_never_runs() {
        let calls = InFlight::default();
        drop(calls.enter());
        assert_eq!(calls.running(), 0);
    }
}
