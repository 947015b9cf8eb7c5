//! Credentials that expire soon: told in the log, once for each, and counted for a metric.
//!
//! One loop, every minute ([`ROUND`]), on every replica.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Control;
use crate::domain::credential::Credential;
use crate::domain::{CredentialId, Timestamp, View as _};
use crate::snapshot::Snapshot;
use crate::task::Tasks;

const ROUND: Duration = Duration::from_mins(1);

/// How near the end of a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Soon,
    Over,
}

/// What was told already: of which end, and when that was to be.
#[derive(Debug, Default)]
struct Told(HashMap<CredentialId, (End, Timestamp)>);

impl Told {
    /// Forgets what no longer holds; answers what is to be told now.
    fn news(&mut self, ending: &[(Arc<Credential>, End, Timestamp)]) -> Vec<(Arc<Credential>, End, Timestamp)> {
        let before = std::mem::take(&mut self.0);
        let fresh = |(credential, end, time): &&(Arc<Credential>, End, Timestamp)| {
            before.get(&credential.id) != Some(&(*end, *time))
        };
        self.0 = ending.iter().map(|(credential, end, time)| (credential.id, (*end, *time))).collect();
        ending.iter().filter(fresh).cloned().collect()
    }
}

/// The credentials, active and not revoked, whose time is over at `now` or will be `ahead` of it.
fn ending(snapshot: &Snapshot, now: Timestamp, ahead: Duration) -> Vec<(Arc<Credential>, End, Timestamp)> {
    let active = snapshot.live_credentials().map(|entry| entry.value());
    let active = active.filter(|credential| credential.is_active && credential.revoke_time.is_none());
    let ends = active.filter_map(|credential| {
        let time = credential.expire_time.filter(|time| *time <= now.after(ahead))?;
        Some((Arc::clone(credential), if time <= now { End::Over } else { End::Soon }, time))
    });
    ends.collect()
}

impl Control {
    /// Starts the loop. `ahead`: setting `usage.expiry_warning`.
    pub fn warn_of_expiry(&self, tasks: &Tasks, ahead: Duration) {
        let (control, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("expiry warnings", async move {
            let mut tick = interval(ROUND);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = Told::default();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = tick.tick() => {}
                }
                let (snapshot, now) = (control.snapshot().load(), control.now());
                let ending = ending(&snapshot, now, ahead);
                for (credential, end, time) in told.news(&ending) {
                    tell(&snapshot, &credential, end, time.since(now));
                }
            }
        });
    }
}

/// How many active credentials expire within `ahead`.
#[must_use]
pub fn expiring(snapshot: &Snapshot, now: Timestamp, ahead: Duration) -> usize {
    ending(snapshot, now, ahead).iter().filter(|(_, end, _)| *end == End::Soon).count()
}

fn tell(snapshot: &Snapshot, credential: &Credential, end: End, left: Duration) {
    let provider = snapshot.provider(credential.provider_id).map(|provider| provider.name.clone()).unwrap_or_default();
    let hours = left.as_secs() / 3600;
    let (id, alias) = (credential.id, credential.alias.as_str());
    match end {
        End::Soon => tracing::warn!(
            credential.id = %id, credential.alias = alias, provider.name = provider, hours,
            "a credential expires soon; rotate it and give it another expire_time"
        ),
        End::Over => tracing::warn!(
            credential.id = %id, credential.alias = alias, provider.name = provider,
            "a credential has expired; routing passes it over"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::fixtures::{self, at};

    fn snapshot(ends: &[Option<i64>]) -> Snapshot {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        let credentials = (1..)
            .zip(ends)
            .map(|(number, end)| Credential { expire_time: end.map(at), ..fixtures::credential(number, 1) });
        image.credentials = credentials.map(Arc::new).collect();
        Snapshot::from_image(image)
    }

    fn news(told: &mut Told, ends: &[Option<i64>], now: i64) -> Vec<(u128, End)> {
        let ending = ending(&snapshot(ends), at(now), Duration::from_micros(10));
        told.news(&ending).iter().map(|(credential, end, _)| (credential.id.uuid().as_u128(), *end)).collect()
    }

    #[test]
    fn each_end_is_told_once_ahead_and_once_when_it_comes() {
        let mut told = Told::default();
        let ends = [None, Some(100), Some(111), Some(90)];
        assert_eq!(news(&mut told, &ends, 89), [(4, End::Soon)]);
        assert_eq!(news(&mut told, &ends, 90), [(2, End::Soon), (4, End::Over)]);
        assert_eq!(news(&mut told, &ends, 99), []);
        assert_eq!(news(&mut told, &ends, 101), [(2, End::Over), (3, End::Soon)]);
        // It was put off, and comes again.
        let put_off = [None, Some(105), Some(111), Some(90)];
        assert_eq!(news(&mut told, &put_off, 101), [(2, End::Soon)]);
    }

    #[test]
    fn who_is_switched_off_expires_in_silence() {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        let base = || Credential { expire_time: Some(at(1)), ..fixtures::credential(1, 1) };
        image.credentials = vec![
            Arc::new(Credential { is_active: false, ..base() }),
            Arc::new(Credential { revoke_time: Some(at(1)), id: fixtures::id(2), ..base() }),
        ];
        assert!(ending(&Snapshot::from_image(image), at(5), Duration::ZERO).is_empty());
    }
}
