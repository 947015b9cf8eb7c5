//! The log: one line per event on stderr, for people or for collectors.

use std::fmt;
use std::panic;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;

use self::fields::PlainFields;
pub use self::filter::LogFilterControl;
use self::lines::Lines;

mod fields;
mod filter;
mod lines;

/// Libraries that would otherwise fill the log; a filter that names one of them wins.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,rustls=warn,tokio_postgres=warn,tonic=warn,tower=warn";

/// Libraries that log what they work on, ids of keys among it. No filter brings them back.
const UNTOLD: &[&str] = &["aws_sigv4", "aws_credential_types", "aws_smithy"];

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Begins to log, once per process, and counts and logs panics from then on. `filter` is what `tracing` calls
/// directives. When the answer is dropped everything is written, and from then on each line at once.
///
/// # Errors
/// When the filter is malformed or a log was begun before.
pub fn start_log(format: LogFormat, filter: &str, color: bool, panics: Counter) -> Result<Log, LogError> {
    let lines = Lines::start(std::io::stderr()).map_err(|error| LogError(format!("no thread for the log: {error}")))?;
    let (subscriber, filter) = subscriber(format, filter, color, lines.clone())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError("the log was begun before".to_owned()))?;
    log_panics(panics);
    Ok(Log { lines, filter })
}

/// The log of this process; dropped at its end.
#[must_use = "lines may wait a moment until it is dropped"]
pub struct Log {
    lines: Lines,
    filter: LogFilterControl,
}

impl Log {
    /// Which lines are written.
    pub fn filter(&self) -> LogFilterControl {
        self.filter.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.finish();
    }
}

/// Why there is no log.
#[derive(Debug)]
pub struct LogError(String);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    color: bool,
    writer: W,
) -> Result<(Subscriber, LogFilterControl), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter::parse(filter)?).with_writer(writer);
    Ok(match format {
        LogFormat::Text if color => {
            let builder = builder.with_ansi(true).with_filter_reloading();
            let control = control(filter, builder.reload_handle());
            (Box::new(builder.finish().with(told())), control)
        }
        LogFormat::Text => {
            let builder = builder.with_ansi(false).fmt_fields(PlainFields).with_filter_reloading();
            let control = control(filter, builder.reload_handle());
            (Box::new(builder.finish().with(told())), control)
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let control = control(filter, builder.reload_handle());
            (Box::new(builder.finish().with(told())), control)
        }
    })
}

fn control<S: 'static>(configured: &str, handle: Handle<EnvFilter, S>) -> LogFilterControl {
    let gone = |_| LogError("the log has ended".to_owned());
    LogFilterControl::new(configured, Box::new(move |filter| handle.reload(filter).map_err(gone)))
}

fn told() -> FilterFn {
    FilterFn::new(|event| !UNTOLD.iter().any(|library| event.target().starts_with(library)))
}

/// Logs where a panic happened, not its message: that of a failed slice repeats the text, which may be a secret.
fn log_panics(panics: Counter) {
    panic::set_hook(Box::new(move |info| {
        panics.inc();
        let thread = std::thread::current();
        let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        tracing::error!(panic.place = %place, thread.name = thread.name(), "panic; this is a bug, please report it");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(format: LogFormat, filter: &str, color: bool, events: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (subscriber, _) = subscriber(format, filter, color, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        buffer.text()
    }

    #[test]
    fn a_json_line_carries_its_dotted_fields_at_the_top() {
        let line = logged(LogFormat::Json, "info", false, || tracing::info!(provider.name = "a", "created"));
        let value: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
        assert_eq!(value["provider.name"], "a");
        assert_eq!(value["message"], "created");
        assert_eq!(value["level"], "INFO");
    }

    #[test]
    fn text_has_colours_only_where_they_are_wanted() {
        let event = || tracing::info!("created");
        assert!(!logged(LogFormat::Text, "info", false, event).contains('\u{1b}'));
        assert!(logged(LogFormat::Text, "info", true, event).contains('\u{1b}'));
    }

    #[test]
    fn libraries_are_quiet_unless_the_filter_names_them() {
        let event = || tracing::info!(target: "h2", "frame");
        assert_eq!(logged(LogFormat::Text, "debug", false, event), "");
        assert!(logged(LogFormat::Text, "debug,h2=debug", false, event).contains("frame"));
    }

    #[test]
    fn a_library_that_logs_keys_is_not_heard() {
        for filter in ["trace", "aws_sigv4=trace", "trace,aws_sigv4::http_request::sign=trace"] {
            let text = logged(LogFormat::Text, filter, false, || {
                tracing::trace!(target: "aws_sigv4::http_request::sign", access_key_id = "AKIA0123", "signing");
                tracing::error!(target: "modelward::adapter", "heard");
            });
            assert!(!text.contains("AKIA"), "{filter}: {text}");
        }
    }
}
