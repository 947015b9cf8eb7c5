//! Reports of outcomes that were counted lately: one that is repeated counts once.
//!
//! Only this process knows, and only so many reports: whoever repeats one at another replica, or much later, has it
//! counted again. Counting is a matter of proportion, and not worth a write each.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Reports that are remembered: the last minutes of some hundred sidecars.
const MOST: usize = 10_000;

/// Who reported under which id.
type Report = (String, String);

#[derive(Debug, Default)]
pub struct RecentReports(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    known: HashSet<Report>,
    oldest_first: VecDeque<Report>,
}

impl RecentReports {
    /// Whether this caller's report is not known; from now on it is.
    pub fn is_new(&self, identity: &str, report_id: &str) -> bool {
        let report = (identity.to_owned(), report_id.to_owned());
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !recent.known.insert(report.clone()) {
            return false;
        }
        recent.oldest_first.push_back(report);
        if recent.oldest_first.len() > MOST
            && let Some(oldest) = recent.oldest_first.pop_front()
        {
            recent.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_new_once_for_each_caller() {
        let reports = RecentReports::default();
        assert!(reports.is_new("one", "a") && reports.is_new("other", "a") && reports.is_new("one", "b"));
        assert!(!reports.is_new("one", "a") && !reports.is_new("other", "a"));
    }

    #[test]
    fn endless_reports_take_no_endless_room() {
        let reports = RecentReports::default();
        (0..3 * MOST).for_each(|number| assert!(reports.is_new("one", &number.to_string())));
        let recent = reports.0.lock().unwrap();
        assert_eq!((recent.known.len(), recent.oldest_first.len()), (MOST, MOST));
        drop(recent);
        assert!(!reports.is_new("one", &(3 * MOST - 1).to_string()) && reports.is_new("one", "0"));
    }
}
