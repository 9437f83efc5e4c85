//! Media types in and out (<https://hl7.org/fhir/R4/http.html#mime-type>), and `Prefer`.

use poem::http::{HeaderMap, header};
use vitals_fhir::outcome::{Issue, IssueCode};

use crate::failure::{Failure, Kind};

/// A FHIR representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/fhir+json`
    Json,
    /// `application/fhir+xml`
    Xml,
}

impl Format {
    /// The Content-Type of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json; charset=utf-8",
            Self::Xml => "application/fhir+xml; charset=utf-8",
        }
    }

    fn of_media_type(media: &str) -> Option<Self> {
        match media {
            "application/fhir+json" | "application/json" | "text/json" | "json" | "*/*" | "application/*" => {
                Some(Self::Json)
            }
            "application/fhir+xml" | "application/xml" | "text/xml" | "xml" => Some(Self::Xml),
            _ => None,
        }
    }
}

/// The representation of the answer: `_format` before `Accept`; JSON without a wish.
pub fn answer_format(headers: &HeaderMap, format: Option<&str>) -> Result<Format, Failure> {
    if let Some(format) = format {
        // A '+' that was not escaped arrives as a space.
        let wanted = essence(format).replace(' ', "+");
        return Format::of_media_type(&wanted).ok_or_else(not_acceptable);
    }
    let mut best: Option<(Format, f32)> = None;
    let mut asked = false;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { return Err(not_acceptable()) };
        for range in value.split(',').filter(|range| !range.trim().is_empty()) {
            asked = true;
            let weight = quality(range);
            let Some(format) = Format::of_media_type(&essence(range)) else { continue };
            if weight > 0.0 && best.is_none_or(|(_, so_far)| weight > so_far) {
                best = Some((format, weight));
            }
        }
    }
    match best {
        Some((format, _)) => Ok(format),
        None if asked => Err(not_acceptable()),
        None => Ok(Format::Json),
    }
}

fn not_acceptable() -> Failure {
    Failure::new(
        Kind::NotAcceptable,
        IssueCode::NotSupported,
        "not acceptable",
        "Answers are application/fhir+json or application/fhir+xml: ask for one of them in Accept or _format.",
    )
}

fn essence(range: &str) -> String {
    range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn quality(range: &str) -> f32 {
    range
        .split(';')
        .skip(1)
        .find_map(|parameter| parameter.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()))
        .unwrap_or(1.0)
}

/// The representation of a body that was sent.
pub fn body_format(headers: &HeaderMap) -> Result<Format, Failure> {
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding.as_bytes() != b"identity") {
        return Err(unsupported("Bodies are read without a Content-Encoding only.", "http.content-encoding"));
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return Err(unsupported(
            "Say once in Content-Type what the body is: application/fhir+json or \
                                application/fhir+xml.",
            "http.content-type",
        ));
    };
    let value = value.to_str().unwrap_or_default();
    let utf8 = value.split(';').skip(1).all(|parameter| match parameter.trim().split_once('=') {
        Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
            charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    match essence(value).as_str() {
        "application/fhir+json" | "application/json" if utf8 => Ok(Format::Json),
        "application/fhir+xml" | "application/xml" | "text/xml" if utf8 => Ok(Format::Xml),
        _ => Err(unsupported(
            "The body is read as application/fhir+json or application/fhir+xml, in UTF-8.",
            "http.content-type",
        )),
    }
}

/// Whether the body is a form, as POST `_search` sends it.
pub fn is_form(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if essence(value) == "application/x-www-form-urlencoded" && !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(());
    }
    Err(unsupported("POST _search reads its parameters as application/x-www-form-urlencoded.", "http.content-type"))
}

fn unsupported(diagnostics: &str, header: &str) -> Failure {
    Failure {
        kind: Kind::UnsupportedMedia,
        issues: vec![Issue::error(IssueCode::NotSupported, diagnostics).at(header)],
        reason: "unsupported media type",
    }
}

/// What the answer to a write holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// The resource.
    Representation,
    /// Nothing.
    Minimal,
    /// An OperationOutcome.
    Outcome,
}

/// `Prefer` (RFC 7240): what to return, and whether unknown search parameters are errors.
#[derive(Clone, Copy, Debug)]
pub struct Prefer {
    /// What the answer to a write holds, where the caller said so.
    pub answer: Option<Return>,
    /// `handling=strict`
    pub strict: bool,
}

/// Reads `Prefer`; preferences we do not know are passed over, as RFC 7240 wants.
pub fn prefer(headers: &HeaderMap) -> Prefer {
    let mut prefer = Prefer { answer: None, strict: false };
    for value in headers.get_all("prefer") {
        for preference in value.to_str().unwrap_or_default().split([',', ';']) {
            match preference.trim().replace('"', "").as_str() {
                "return=minimal" => prefer.answer = Some(Return::Minimal),
                "return=representation" => prefer.answer = Some(Return::Representation),
                "return=OperationOutcome" => prefer.answer = Some(Return::Outcome),
                "handling=strict" => prefer.strict = true,
                _ => {}
            }
        }
    }
    prefer
}
