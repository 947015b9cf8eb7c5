//! File descriptors: as many as the process may have, and of these enough left for its own work.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many are kept for the database, for probes and calls of vendors, for operators and for files.
const OWN: usize = 512;

/// Raises the limit as far as this process may, and lowers the number of connections where it does not suffice: a
/// server without descriptors reaches neither its database nor a vendor.
pub fn provide(connections: &mut usize) {
    let Some(limit) = raise() else { return };
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(OWN).max(1);
    if *connections > most {
        tracing::warn!(
            limit,
            max_connections = most,
            "the process may not open enough files for limits.max_connections; fewer connections are served"
        );
        *connections = most;
    }
}

/// The limit after that.
fn raise() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let limit = usize::try_from(raise().unwrap()).unwrap();
        let (mut many, mut few) = (usize::MAX, 1);
        provide(&mut many);
        provide(&mut few);
        assert_eq!((many, few), (limit.saturating_sub(OWN).max(1), 1));
    }
}
