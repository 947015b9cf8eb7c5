//! Fields of a line without colours: ` name=value`, texts in quotes. Every call has a line, so what most of its fields are
//! is put together in few writes; the rest, and all that could upset a terminal, is left to the library. What is told is
//! the same.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Writes fields as they are, for writers that take no colours.
#[derive(Debug, Clone, Copy)]
pub struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, begun: false, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    begun: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// A value that needs no care.
    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            let blank = if std::mem::replace(&mut self.begun, true) { " " } else { "" };
            self.result = self.writer.write_fmt(format_args!("{blank}{}={value}", field.name()));
        }
    }

    fn with_care(&mut self, visit: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if self.result.is_ok() {
            let first = !std::mem::replace(&mut self.begun, true);
            let mut visitor = DefaultVisitor::new(self.writer.by_ref(), first);
            visit(&mut visitor);
            self.result = visitor.finish();
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let harmless = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        if harmless && field.name() != "message" {
            self.plain(field, format_args!("\"{value}\""));
        } else {
            self.with_care(|visitor| visitor.record_str(field, value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.with_care(|visitor| visitor.record_debug(field, value));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Buffer;
    use super::*;

    fn written(fields: impl for<'a> FormatFields<'a> + Send + Sync + 'static) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let builder = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::with_default(builder.fmt_fields(fields).finish(), || {
            let (text, nothing): (_, Option<u8>) = ("a \"quoted\" \\ é\n\u{1b}[31m", None);
            let peer = "192.0.2.1";
            tracing::info!(rpc = "Get", rpc.code = %"OK", text, millis = 1.5, count = 3, yes = true, nothing, "call");
            tracing::info!(?peer, left = u64::MAX, down = -1, "more {}", text);
            tracing::info!(text);
        });
        buffer.text()
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let plain = written(PlainFields);
        assert_eq!(plain, written(tracing_subscriber::fmt::format::DefaultFields::new()));
        assert!(plain.contains("call rpc=\"Get\" rpc.code=OK"), "{plain}");
    }
}
