//! Lines on their way to the terminal: gathered for a moment, so that a call costs no system call for its line.
//!
//! One thread writes what has gathered, [`GATHER`] after the first line of it. Warnings and errors are written at once,
//! with everything before them. Lines are neither lost nor reordered: whoever finds [`FULL`] bytes waiting writes them
//! itself, as slowly as they are taken.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(5);
/// So much may wait, in bytes.
const FULL: usize = 256 * 1024;

/// Where lines gather; clones share it.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    begun: Condvar,
}

struct Gathered {
    bytes: Vec<u8>,
    /// The end is near: nothing waits any more.
    at_once: bool,
    sink: Box<dyn Write + Send>,
}

impl Gathered {
    fn write(&mut self) {
        // Nobody can be told that the log itself fails.
        let _ = self.sink.write_all(&self.bytes);
        self.bytes.clear();
    }
}

impl Lines {
    /// Starts the thread that writes. It is no task: the log goes on while the runtime does not.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let gathered = Gathered { bytes: Vec::with_capacity(FULL), at_once: false, sink: Box::new(sink) };
        let lines = Self(Arc::new(Shared { gathered: Mutex::new(gathered), begun: Condvar::new() }));
        let mine = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || mine.run())?;
        Ok(lines)
    }

    fn run(&self) {
        loop {
            let waiting = self.0.begun.wait_while(self.lock(), |gathered| gathered.bytes.is_empty());
            drop(waiting);
            thread::sleep(GATHER);
            self.flush();
        }
    }

    /// Writes what has gathered, and from now on each line at once: nothing is lost when the process ends.
    pub fn finish(&self) {
        self.lock().at_once = true;
        self.flush();
    }

    /// Writes what has gathered.
    fn flush(&self) {
        self.lock().write();
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of one line.
pub struct Line {
    lines: Lines,
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.lines.lock();
        if gathered.bytes.is_empty() {
            self.lines.0.begun.notify_one();
        }
        gathered.bytes.extend_from_slice(line);
        if self.urgent || gathered.at_once || gathered.bytes.len() >= FULL {
            gathered.write();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), urgent: false }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        Line { lines: self.clone(), urgent: *event.level() <= Level::WARN }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Tells each write.
    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, Receiver<Vec<u8>>) {
        let (sender, receiver) = channel();
        (Lines::start(Told(sender)).unwrap(), receiver)
    }

    fn line(lines: &Lines, urgent: bool, text: &str) {
        Line { lines: lines.clone(), urgent }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_arrive_by_themselves_and_in_order() {
        let (lines, arrived) = lines();
        let mut expected = String::new();
        for number in 0..100 {
            let text = format!("{number}\n");
            line(&lines, false, &text);
            expected.push_str(&text);
        }
        let mut all = Vec::new();
        while all.len() < expected.len() {
            all.extend(arrived.recv().unwrap());
        }
        assert_eq!(all, expected.into_bytes());
    }

    #[test]
    fn a_warning_takes_what_waits_before_it_along_at_once() {
        let (lines, arrived) = lines();
        line(&lines, false, "call\n");
        line(&lines, true, "warning\n");
        assert_eq!(arrived.try_iter().flatten().collect::<Vec<_>>(), b"call\nwarning\n");
    }

    #[test]
    fn what_is_too_much_to_wait_is_written_by_whoever_brings_it() {
        let (lines, arrived) = lines();
        line(&lines, false, &"x".repeat(FULL));
        assert_eq!(arrived.try_iter().flatten().count(), FULL);
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let (lines, arrived) = lines();
        line(&lines, false, "waiting\n");
        lines.finish();
        line(&lines, false, "after\n");
        assert_eq!(arrived.try_iter().flatten().collect::<Vec<_>>(), b"waiting\nafter\n");
    }

    #[test]
    fn errors_and_warnings_are_urgent() {
        let (lines, arrived) = lines();
        let subscriber = tracing_subscriber::fmt().with_writer(lines).finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!("now"));
        assert!(arrived.try_recv().is_ok());
    }
}
