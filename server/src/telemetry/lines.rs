//! Log lines as JSON, one object each: time, level, the event's fields, target, and the span's fields.
//!
//! tracing-subscriber's own format keeps a span's fields as a JSON text that it parses at each field that is added and
//! at each line, and that took a fifth of a read's processor time here (16 of 79 µs). These are only appended.

use std::fmt::{self, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};
use vitals_fhir::outcome::push_string;

/// Writes a line.
pub(super) struct Line;

/// Writes fields as members of an object, each behind a comma.
pub(super) struct Members;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::with_capacity(640);
        text.push_str("{\"timestamp\":\"");
        SystemTime.format_time(&mut Writer::new(&mut text))?;
        write!(text, "\",\"level\":\"{}\"", event.metadata().level())?;
        event.record(&mut Appending(&mut text));
        text.push_str(",\"target\":");
        push_string(&mut text, event.metadata().target());
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            text.push_str(",\"span\":{\"name\":");
            push_string(&mut text, span.name());
            if let Some(members) = span.extensions().get::<FormattedFields<N>>() {
                text.push_str(&members.fields);
            }
            text.push('}');
        }
        text.push_str("}\n");
        writer.write_str(&text)
    }
}

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::with_capacity(160);
        fields.record(&mut Appending(&mut text));
        writer.write_str(&text)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        fields.record(&mut Appending(&mut current.fields));
        Ok(())
    }
}

/// Appends members to a text.
struct Appending<'t>(&'t mut String);

impl Appending<'_> {
    fn key(&mut self, field: &Field) {
        self.0.push(',');
        push_string(self.0, field.name());
        self.0.push(':');
    }

    /// A value that is the same text in JSON.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // A String takes whatever is written to it.
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Appending<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, value);
        } else {
            self.plain(field, "null");
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        push_string(self.0, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use serde_json::{Value, json};
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::{Line, Members};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `does` logs, line by line, without its time.
    fn lines(does: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Line)
            .fmt_fields(Members)
            .with_writer(move || writer.clone())
            .boxed();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), does);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            line
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn each_line_is_one_object_whatever_is_in_it() {
        let lines = lines(|| {
            let span = tracing::info_span!("request", id = "a\"b\\c\nd", status = tracing::field::Empty, late = 1_u64);
            let _entered = span.enter();
            span.record("status", 201);
            tracing::info!(duration_ms = 0.25, none = f64::NAN, ok = true, odd = ?Some("\u{1}é"), "two\nlines");
        });

        let line = json!({
            "level": "INFO", "message": "two\nlines", "duration_ms": 0.25, "none": null, "ok": true,
            "odd": "Some(\"\\u{1}é\")", "target": "vitals_server::telemetry::lines::tests",
            "span": {"name": "request", "id": "a\"b\\c\nd", "late": 1, "status": 201},
        });
        assert_eq!(lines, [line]);
    }

    #[test]
    fn an_event_outside_of_a_span_has_none() {
        let lines = lines(|| tracing::warn!(error = %"away", "no span"));

        let target = "vitals_server::telemetry::lines::tests";
        assert_eq!(lines, [json!({"level": "WARN", "message": "no span", "error": "away", "target": target})]);
    }
}
