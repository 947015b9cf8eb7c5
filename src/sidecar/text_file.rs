//! A small file with one line of text that others replace now and then: a token.
//!
//! It is read again when it is asked for and the last look is some seconds old, so a new content is in force soon after
//! it was written, whatever way that was done: in place, by a rename, or by the switched link of a mounted volume.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::domain::secret::SecretText;

/// How old a look at the file may be.
const FRESH: Duration = Duration::from_secs(2);
/// Longer than any token: a larger file is another one.
const MAX_SIZE: u64 = 64 * 1024;

/// The file, and what was last read from it.
pub struct TextFile {
    path: PathBuf,
    fresh: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    text: Option<Arc<SecretText>>,
    looked: Option<Instant>,
    /// What is wrong with the file, as the log has it: told once, not at every look.
    problem: Option<String>,
}

impl TextFile {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, fresh: FRESH, seen: Mutex::default() }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text, without what is blank around it; none when the file cannot be read or has none.
    pub fn text(&self) -> Option<Arc<SecretText>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.is_none_or(|looked| looked.elapsed() >= self.fresh) {
            self.look(&mut seen);
        }
        seen.text.clone()
    }

    /// Looks at once; answers whether the text is another one now.
    pub fn read_again(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.text.clone();
        self.look(&mut seen);
        seen.text != before
    }

    fn look(&self, seen: &mut Seen) {
        let (text, problem) = match self.read() {
            Ok(Some(text)) => (Some(text), None),
            Ok(None) => (None, Some("it is empty".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        let changed = text.as_ref() != seen.text.as_deref();
        if changed {
            seen.text = text.map(Arc::new);
        }
        match &problem {
            Some(problem) if seen.problem.as_ref() != Some(problem) => {
                tracing::error!(file = %self.path.display(), problem, "a token file cannot be used");
            }
            None if changed && seen.looked.is_some() => {
                tracing::info!(file = %self.path.display(), "a token file has a new content");
            }
            _ => {}
        }
        seen.problem = problem;
        seen.looked = Some(Instant::now());
    }

    fn read(&self) -> io::Result<Option<SecretText>> {
        let file = File::open(&self.path)?;
        let size = file.metadata()?.len();
        if size > MAX_SIZE {
            return Err(io::Error::other("it is too large for a token"));
        }
        // One byte more than the file has, so that reading to its end never makes the buffer grow.
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
        file.take(MAX_SIZE).read_to_string(&mut text)?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| SecretText::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(file: &TextFile) -> Option<String> {
        file.text().map(|text| text.expose().to_owned())
    }

    #[test]
    fn a_new_content_is_seen_soon_however_it_got_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, " one\n").unwrap();
        let mut file = TextFile { fresh: Duration::from_hours(1), ..TextFile::new(path.clone()) };
        assert_eq!(text(&file).as_deref(), Some("one"));
        fs::write(&path, "two").unwrap();
        assert_eq!(text(&file).as_deref(), Some("one"), "the file is not read for every call");
        file.fresh = Duration::ZERO;
        assert_eq!(text(&file).as_deref(), Some("two"));
        let other = directory.path().join("other");
        fs::write(&other, "three").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(file.read_again());
        assert!(!file.read_again());
        assert_eq!(text(&file).as_deref(), Some("three"));
    }

    #[test]
    fn what_is_missing_empty_too_large_or_no_text_is_no_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let file = TextFile::new(path.clone());
        assert_eq!(text(&file), None);
        for bad in [&b" \n"[..], &[0xff, 0xfe], &vec![b'x'; 65 * 1024]] {
            fs::write(&path, bad).unwrap();
            assert!(!file.read_again());
            assert_eq!(text(&file), None);
        }
        fs::write(&path, "good").unwrap();
        assert!(file.read_again());
        assert_eq!(text(&file).as_deref(), Some("good"));
        fs::remove_file(&path).unwrap();
        assert!(file.read_again());
        assert_eq!(text(&file), None);
    }
}
