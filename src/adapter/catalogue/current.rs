//! The catalogue in force: the built-in one, or a newer file that the operator named, which may be read again while the
//! server runs.
//!
//! Invariant: it only ever becomes newer; a file that is older or of no use leaves it as it was.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Catalogue, CatalogueError};

pub struct CurrentCatalogue {
    current: ArcSwap<Catalogue>,
    file: Option<PathBuf>,
}

impl CurrentCatalogue {
    /// The built-in catalogue, to be followed by `file` on [`CurrentCatalogue::reload`].
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn builtin(file: Option<PathBuf>) -> Result<Self, CatalogueError> {
        Ok(Self { current: ArcSwap::from_pointee(Catalogue::builtin()?), file })
    }

    #[must_use]
    pub fn load(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// Whether there is anything to read again.
    #[must_use]
    pub const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file, if one was named, and takes it over.
    ///
    /// # Errors
    /// [`CatalogueError`], also for a file that is older than what is in force; that stays.
    pub fn reload(&self) -> Result<Arc<Catalogue>, CatalogueError> {
        let Some(path) = &self.file else { return Ok(self.load()) };
        let found = Catalogue::load(path)?;
        self.load().check_successor(&found)?;
        self.current.store(Arc::new(found));
        Ok(self.load())
    }
}

impl Catalogue {
    /// Whether `next` may replace this one.
    ///
    /// # Errors
    /// [`CatalogueError::Older`].
    pub fn check_successor(&self, next: &Self) -> Result<(), CatalogueError> {
        if next.date >= self.date {
            return Ok(());
        }
        Err(CatalogueError::Older { found: next.date.clone(), current: self.date.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(date: &str, models: &str) -> String {
        format!(r#"{{"schema_version":1,"date":"{date}","models":[{models}]}}"#)
    }

    #[test]
    fn a_newer_file_is_taken_and_an_older_or_broken_one_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("models.json");
        let current = CurrentCatalogue::builtin(Some(path.clone())).unwrap();
        let builtin = current.load();
        assert!(matches!(current.reload(), Err(CatalogueError::Unreadable(_))));
        std::fs::write(&path, text("2020-01-01", "")).unwrap();
        let older = current.reload().err().unwrap().to_string();
        assert!(older.contains("2020-01-01") && older.contains(builtin.date()), "{older}");
        for broken in ["", "{}", "[", &text("soon", ""), &text("2999-13-01", ""), &text("2999-01-01", "{}")] {
            std::fs::write(&path, broken).unwrap();
            assert!(current.reload().is_err(), "{broken}");
            assert!(Arc::ptr_eq(&current.load(), &builtin), "{broken}");
        }
        std::fs::write(&path, text("2999-01-01", "")).unwrap();
        assert_eq!(current.reload().unwrap().date(), "2999-01-01");
        assert!(current.reload().is_ok(), "the same file again");
        std::fs::write(&path, text("2998-01-01", "")).unwrap();
        assert!(current.reload().is_err());
        assert_eq!(current.load().date(), "2999-01-01");
    }

    #[test]
    fn without_a_file_there_is_nothing_to_read_again() {
        let current = CurrentCatalogue::builtin(None).unwrap();
        assert!(Arc::ptr_eq(&current.load(), &current.reload().unwrap()));
    }
}
