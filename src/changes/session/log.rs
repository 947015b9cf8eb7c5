//! Changes from the log of the database: for a client whose last revision is older than what is kept in memory.

use bytes::Bytes;
use tokio::time::timeout;

use crate::changes::past::Past;
use crate::changes::published::Published;
use crate::changes::tail::READ_LIMIT;
use crate::changes::watches::Shared;
use crate::domain::{Change, Error, Head, Result, Revision};
use crate::snapshot::Snapshot;
use crate::store::{LogPlace, LogRow};
use crate::wire;

/// How many lines are read at a time.
const PAGE: usize = 256;

/// Reads on from where it was.
#[derive(Debug, Default)]
pub(in crate::changes) struct LogReader {
    /// The last line that was read of a revision that has not come to its end.
    within: Option<(Revision, u32)>,
    /// The last message of that revision so far.
    pub held: Option<Vec<Bytes>>,
}

/// Changes of one revision.
pub(in crate::changes) struct Group {
    pub published: Published,
    /// Whether the revision ends with them.
    pub complete: bool,
}

impl LogReader {
    /// Whether a revision was read in part.
    pub const fn is_within(&self) -> bool {
        self.within.is_some()
    }

    /// What follows `revision`, or the line that was read last; nothing at the end of the log.
    ///
    /// # Errors
    /// [`Error::Compacted`] when that is gone; what the database says.
    pub async fn read(&mut self, shared: &Shared, revision: Revision) -> Result<Vec<Group>> {
        let place = match self.within {
            Some((revision, ordinal)) => LogPlace { revision, ordinal: Some(ordinal) },
            None => LogPlace { revision, ordinal: None },
        };
        let Past::Database { store, .. } = &shared.parts.past else {
            return Err(Error::Compacted { oldest: shared.history.begin() });
        };
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let read = timeout(READ_LIMIT, store.log_lines(place, limit)).await;
        let mut rows = read.map_err(|_| Error::StoreUnavailable)??;
        if rows.first().is_some_and(|row| !follows(place, row)) {
            return Err(Error::Compacted { oldest: store.log_begin().await? });
        }
        // Of a full page the last line only shows whether the one before it ends its revision.
        let next = if rows.len() == PAGE { rows.pop() } else { None };
        let mut groups = Vec::new();
        for lines in rows.chunk_by(|a, b| a.revision == b.revision) {
            groups.extend(group(lines, &shared.parts.snapshot.load())?);
        }
        self.within = None;
        if let (Some(next), Some(last), Some(group)) = (next, rows.last(), groups.last_mut())
            && next.revision == last.revision
        {
            group.complete = false;
            self.within = Some((last.revision, last.ordinal));
        }
        Ok(groups)
    }
}

fn follows(place: LogPlace, row: &LogRow) -> bool {
    match place.ordinal {
        Some(ordinal) if row.revision == place.revision => row.ordinal == ordinal.saturating_add(1),
        _ => row.revision == place.revision.next() && row.ordinal == 0,
    }
}

fn group(lines: &[LogRow], now: &Snapshot) -> Result<Option<Group>> {
    let Some(last) = lines.last() else { return Ok(None) };
    let changes: Result<Vec<Change>, _> = lines.iter().map(|line| wire::log::decode(&line.payload)).collect();
    let changes = changes.map_err(|error| {
        tracing::error!(error = %error, revision = last.revision.0, "a line of the log does not decode");
        Error::internal()
    })?;
    let head = Head { revision: last.revision, hash: last.hash };
    Ok(Some(Group { published: Published::encode(head, &changes, now), complete: true }))
}
