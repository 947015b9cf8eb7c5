//! Rows and resources: what is stored of each, and back.
//!
//! Writing cannot fail. Reading checks everything; a value that no resource could have is
//! [`StoreError::Corrupt`], which names table, column and row, and never the value.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::error::{Result, StoreError};
use super::names::Named;
use super::value::{DbId, Instant, JsonText};
use crate::domain::Timestamp;
use crate::domain::meta::Labels;

pub(super) mod binding;
pub(super) mod cluster;
pub(super) mod credential;
pub(super) mod endpoint;
pub(super) mod log;
pub(super) mod model;
mod parameters;
pub(super) mod provider;
pub(super) mod secret;
pub(super) mod status;
pub(super) mod token;
pub(super) mod watcher;

/// Where a value stands, for errors.
#[derive(Debug, Clone, Copy)]
struct Place<K> {
    table: &'static str,
    row: K,
}

impl Place<DbId> {
    const fn of(table: &'static str, row: DbId) -> Self {
        Self { table, row }
    }
}

impl<K: Corner> Place<K> {
    fn bad(&self, column: &'static str) -> StoreError {
        StoreError::corrupt(self.table, column, self.row.text())
    }

    /// A value, or the complaint that its column does not hold one.
    fn some<T>(&self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(column))
    }

    fn duration(&self, column: &'static str, nanos: i64) -> Result<Duration> {
        self.some(column, u64::try_from(nanos).ok().map(Duration::from_nanos))
    }

    fn word<T: Named>(&self, column: &'static str, word: &str) -> Result<T> {
        self.some(column, T::of_word(word))
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str, json: &JsonText) -> Result<T> {
        serde_json::from_str(&json.0).map_err(|_| self.bad(column))
    }

    fn number<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T> {
        self.some(column, T::try_from(number).ok())
    }

    fn hash(&self, column: &'static str, bytes: &[u8]) -> Result<[u8; 32]> {
        self.some(column, bytes.try_into().ok())
    }
}

/// What names a row in an error.
trait Corner {
    fn text(&self) -> String;
}

impl Corner for DbId {
    fn text(&self) -> String {
        self.0.to_string()
    }
}

impl Corner for String {
    fn text(&self) -> String {
        self.clone()
    }
}

/// Nanoseconds; far beyond all limits (292 years) it saturates.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn instant(time: Option<Timestamp>) -> Option<Instant> {
    time.map(Instant)
}

fn time(instant: Option<Instant>) -> Option<Timestamp> {
    instant.map(Timestamp::from)
}

fn json(value: impl Into<serde_json::Value>) -> JsonText {
    JsonText(value.into().to_string())
}

fn labels_json(labels: &Labels) -> JsonText {
    json(labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect::<serde_json::Map<_, _>>())
}

/// Builds the columns that most resources share.
macro_rules! meta_of {
    ($place:expr, $row:expr) => {
        $crate::domain::Meta {
            revision: $crate::domain::Revision($row.revision),
            create_time: $row.create_time.into(),
            update_time: $row.update_time.into(),
            created_by: $row.created_by,
            updated_by: $row.updated_by,
            labels: $place.json("labels", &$row.labels)?,
        }
    };
}
use meta_of;
