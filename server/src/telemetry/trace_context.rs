//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): reads `traceparent`, continues the trace or begins one,
//! and writes the header that goes back.
//!
//! A header that is not exactly as the specification says is treated as absent: the text goes into logs and headers,
//! so nothing of a caller's own making may pass.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// Where a request stands in a trace. Its `Display` is the value of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl TraceContext {
    /// Reads the value of a `traceparent` header.
    pub fn parse(header: &str) -> Option<Self> {
        let version = hex(header.get(..2)?, 2)?;
        let known = header.get(..55)?;
        // Version 00 is exactly this long; a later one may go on after a dash; ff is forbidden.
        let ends_right =
            if version == 0 { header.len() == 55 } else { header.len() == 55 || header[55..].starts_with('-') };
        let mut parts = known.split('-').skip(1);
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        if version == 0xff || !ends_right || parts.next().is_some() {
            return None;
        }
        let trace = TraceId::from(hex(trace, 32)?);
        let span = SpanId::from(u64::try_from(hex(span, 16)?).ok()?);
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return None;
        }
        // Only the sampled flag has a meaning; the others are not passed on.
        Some(Self { trace, span, flags: TraceFlags::new(flags) & TraceFlags::SAMPLED })
    }

    /// Puts `span` into the caller's trace, or into a new one, and says where it then stands.
    ///
    /// With a collector the span's own id is the one that is exported, so that the caller can find it; without one, an
    /// id is drawn so that the answer and the log lines still name the same place.
    pub fn enter(span: &Span, header: Option<&str>) -> Self {
        let caller = header.and_then(Self::parse);
        if let Some(caller) = caller {
            let remote = SpanContext::new(caller.trace, caller.span, caller.flags, true, TraceState::default());
            // Fails where no collector is configured: then there is no exported span that could have a parent.
            if span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote)).is_err() {
                return Self::drawn(Some(caller));
            }
        }
        let exported = span.context().span().span_context().clone();
        if exported.is_valid() {
            Self { trace: exported.trace_id(), span: exported.span_id(), flags: exported.trace_flags() }
        } else {
            Self::drawn(caller)
        }
    }

    /// The trace, as 32 hexadecimal digits, for log lines and answers.
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    fn drawn(caller: Option<Self>) -> Self {
        let (_, low) = Uuid::new_v4().as_u64_pair();
        Self {
            trace: caller.map_or_else(|| TraceId::from(Uuid::new_v4().as_u128()), |caller| caller.trace),
            span: SpanId::from(low),
            flags: caller.map_or(TraceFlags::NOT_SAMPLED, |caller| caller.flags),
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags.to_u8())
    }
}

/// Reads exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == digits && text.bytes().all(lower) { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_well_formed_headers_are_read() {
        let cases = [
            (CALLER.to_owned(), true),
            (CALLER.replace("-01", "-00"), true),
            (CALLER.replacen("00", "cc", 1), true),
            (CALLER.replacen("00", "cc", 1) + "-more", true),
            (CALLER.replacen("00", "cc", 1) + "more", false),
            (CALLER.replacen("00", "ff", 1), false),
            (CALLER.to_owned() + "-more", false),
            (CALLER.to_uppercase(), false),
            (CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"), false),
            (CALLER.replace("00f067aa0ba902b7", "0000000000000000"), false),
            (CALLER.replace("00f067aa0ba902b7", "00f067aa0ba902bg"), false),
            (CALLER[..54].to_owned(), false),
            (CALLER.replace("a3ce929d", "a3ce929é"), false),
            (format!(" {CALLER}"), false),
            (String::new(), false),
        ];
        for (header, readable) in cases {
            assert_eq!(TraceContext::parse(&header).is_some(), readable, "{header}");
        }
    }

    #[test]
    fn callers_trace_goes_on_with_a_span_of_our_own() {
        let answer = TraceContext::enter(&tracing::Span::none(), Some(CALLER)).to_string();

        assert_eq!(answer[..36], CALLER[..36]);
        assert_ne!(answer[36..52], CALLER[36..52]);
        assert_eq!(answer[52..], CALLER[52..]);
        assert!(TraceContext::parse(&answer).is_some());
    }

    #[test]
    fn without_a_header_or_with_a_bad_one_a_trace_begins() {
        for header in [None, Some("00-bad")] {
            let first = TraceContext::enter(&tracing::Span::none(), header);
            let second = TraceContext::enter(&tracing::Span::none(), header);
            assert_ne!(first.trace_id(), second.trace_id());
            assert_eq!(TraceContext::parse(&first.to_string()), Some(first));
        }
    }

    #[test]
    fn unknown_flags_are_not_passed_on() {
        let read = TraceContext::parse(&CALLER.replace("-01", "-ff")).unwrap();
        assert!(read.to_string().ends_with("-01"));
    }
}
