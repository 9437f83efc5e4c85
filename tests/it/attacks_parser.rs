//! Attacks on what reads texts, by their numbers: bodies here, and at every door they come in by (POST, PUT, an entry of
//! a Bundle); what is large, deep or ambiguous in `extreme`, what comes back in headers, links and logs in `reflected`.
//! X10 and X13 (what is kept to the digit and the letter) are in `fhir_wire.rs`, X22 to X27 as searches in
//! `search_attacks.rs`, X32 in `silence.rs`, X34 in `bundle_conditional.rs`, X01 to X05 in `attacks_transport.rs`.

mod extreme;
mod reflected;

use reqwest::Method;
use vitals_tests::{Answer, Tenant, ledger};

use crate::bundle_transaction::statuses;

const FHIR: &str = "application/fhir+json";

/// A body, and what becomes of it: its status, and where the refusal says that something is wrong.
struct Row {
    /// Begins with the number.
    label: &'static str,
    body: Vec<u8>,
    status: u16,
    place: &'static str,
}

fn bad(label: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row { label, body: body.into(), status: 400, place: "" }
}

impl Row {
    const fn at(mut self, place: &'static str) -> Self {
        self.place = place;
        self
    }

    const fn told(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn kind(&self) -> &'static str {
        let text = String::from_utf8_lossy(&self.body);
        if text.contains("\"Observation\"") { "Observation" } else { "Patient" }
    }

    /// What is not as it should be when it comes in by each door.
    async fn wrong(&self, tenant: &Tenant, token: &str) -> Vec<String> {
        let (kind, mut wrong) = (self.kind(), Vec::new());
        for (method, path) in [(Method::POST, kind.to_owned()), (Method::PUT, format!("{kind}/a"))] {
            let request = tenant.request(method.clone(), &path, token).header("content-type", FHIR);
            let answer = Answer::of(request.body(self.body.clone())).await;
            let outcome = answer.json();
            let place = outcome["issue"][0]["expression"][0].as_str().unwrap_or_default();
            let is_outcome = outcome["resourceType"] == "OperationOutcome";
            if answer.status != self.status || !is_outcome || !place.contains(self.place) {
                wrong.push(format!("{} by {method}: {} {}", self.label, answer.status, answer.body));
            }
        }
        let begin = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":""#;
        let begin = format!(r#"{begin}{kind}"}},"resource":"#);
        let entry = [begin.as_bytes(), &self.body, b"}]}"].concat();
        let request = tenant.request(Method::POST, "", token).header("content-type", FHIR);
        let answer = Answer::of(request.body(entry)).await;
        let refused = if answer.status == 200 { statuses(&answer)[0] } else { answer.status };
        if !matches!(refused, 400 | 422) {
            wrong.push(format!("{} as an entry: {} {}", self.label, answer.status, answer.body));
        }
        wrong
    }
}

fn patient(member: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"a",{member}}}"#)
}

fn observation(member: &str) -> String {
    format!(r#"{{"resourceType":"Observation","id":"a","status":"final","code":{{"text":"x"}},{member}}}"#)
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn utf32(text: &str) -> Vec<u8> {
    text.chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect()
}

/// Text with bytes in it that are none.
fn family(bytes: &[u8]) -> Vec<u8> {
    [br#"{"resourceType":"Patient","id":"a","name":[{"family":""#.as_slice(), bytes, br#""}]}"#].concat()
}

fn bodies() -> Vec<Row> {
    [keys_and_numbers(), letters(), types(), resources(), dates()].into_iter().flatten().collect()
}

fn keys_and_numbers() -> Vec<Row> {
    vec![
        // Any member twice, at any depth, however it is spelled.
        bad("X09 resourceType twice", r#"{"resourceType":"Patient","resourceType":"Patient","id":"a"}"#),
        bad(
            "X09 two types",
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"resourceType":"Patient"}"#,
        ),
        bad("X09 id twice", r#"{"resourceType":"Patient","id":"a","id":"b"}"#),
        bad("X09 id twice, escaped", r#"{"resourceType":"Patient","id":"a","\u0069d":"b"}"#),
        bad("X09 status twice", observation(r#""status":"entered-in-error""#)),
        bad(
            "X09 subject twice",
            observation(r#""subject":{"reference":"Patient/a"},"subject":{"reference":"Patient/b"}"#),
        ),
        bad("X09 reference twice", observation(r#""subject":{"reference":"Patient/a","reference":"Patient/b"}"#)),
        bad("X09 value twice", observation(r#""valueQuantity":{"value":1,"value":2}"#)),
        bad("X09 coding twice", observation(r#""category":[{"coding":[{"code":"a","code":"b"}]}]"#)),
        bad(
            "X09 deep in extensions",
            patient(r#""extension":[{"url":"a","extension":[{"url":"b","valueCode":"x","url":"b"}]}]"#),
        ),
        bad(
            "X09 inside of what is contained",
            patient(r#""contained":[{"resourceType":"Patient","id":"c","id":"d"}]"#),
        ),
        bad("X09 meta twice", patient(r#""meta":{},"meta":{"security":[{"code":"R"}]}"#)),
        // Numbers are in fhir_wire.rs; here where no number belongs.
        bad("X10 a number with a leading zero", patient(r#""multipleBirthInteger":01"#)),
        bad("X10 NaN", observation(r#""valueQuantity":{"value":NaN}"#)),
        bad("X10 Infinity", observation(r#""valueQuantity":{"value":-Infinity}"#)),
        bad("X10 an exponent beyond 400", observation(r#""valueQuantity":{"value":1e401}"#)),
        bad(
            "X10 a number over 1,000 digits",
            observation(&format!(r#""valueQuantity":{{"value":{}}}"#, "9".repeat(1_001))),
        ),
        bad("X10 an integer with a fraction", patient(r#""multipleBirthInteger":1.5"#)),
        bad("X10 an integer of 40 digits", patient(&format!(r#""multipleBirthInteger":{}"#, "1".repeat(40)))),
    ]
}

fn letters() -> Vec<Row> {
    let whole = patient(r#""active":true"#);
    vec![
        // NUL is in no text, and the refusal says where it was.
        bad("X11 in a string", patient(r#""name":[{"family":"a\u0000b"}]"#)).at("name"),
        bad("X11 in a code", patient(r#""gender":"\u0000""#)).at("gender"),
        bad("X11 in a reference", observation(r#""subject":{"reference":"Patient/\u0000"}"#)).at("subject"),
        bad("X11 in an id", r#"{"resourceType":"Patient","id":"a\u0000"}"#).at("id"),
        bad("X11 in a key", patient(r#""na\u0000me":[]"#)),
        bad("X11 in an extension", patient(r#""extension":[{"url":"a","valueString":"\u0000"}]"#)).at("extension"),
        bad("X11 as a byte", family(b"a\0b")).at("name"),
        bad("X11 behind the text", [whole.as_bytes(), b"\0"].concat()),
        // What is not UTF-8.
        bad("X12 half a pair", patient(r#""name":[{"family":"\ud800"}]"#)).at("name"),
        bad("X12 the other half", patient(r#""name":[{"family":"\udc00"}]"#)).at("name"),
        bad("X12 halves the wrong way round", patient(r#""name":[{"family":"\udc00\ud800"}]"#)).at("name"),
        bad("X12 half a pair in a key", patient(r#""\ud800":1"#)),
        bad("X12 half a pair before a letter", patient(r#""name":[{"family":"\ud800a"}]"#)).at("name"),
        bad("X12 a slash in two bytes", family(b"\xc0\xaf")),
        bad("X12 a slash in three bytes", family(b"\xe0\x80\xaf")),
        bad("X12 a slash in four bytes", family(b"\xf0\x80\x80\xaf")),
        bad("X12 NUL in two bytes", family(b"\xc0\x80")),
        bad("X12 no byte of UTF-8", family(b"\xff")),
        bad("X12 a lone continuation", family(b"\x80")),
        bad("X12 a cut sequence", family(b"\xe4\xbd")),
        bad("X12 half a pair as bytes", family(b"\xed\xa0\x80")),
        bad("X12 beyond the last letter", family(b"\xf4\x90\x80\x80")),
        bad("X12 Latin-1", family(b"M\xfcller")),
        bad("X12 UTF-16, big-endian", utf16(&whole, u16::to_be_bytes)),
        bad("X12 UTF-16, little-endian", utf16(&whole, u16::to_le_bytes)),
        bad("X12 UTF-16 with its mark", utf16(&format!("\u{feff}{whole}"), u16::to_le_bytes)),
        bad("X12 UTF-32", utf32(&whole)),
        bad("X12 byte order mark", format!("\u{feff}{whole}")),
    ]
}

fn types() -> Vec<Row> {
    vec![
        // Control characters and blanks where FHIR's types have none.
        bad("X14 control character in a string", patient(r#""name":[{"family":"a\u0001b"}]"#)).told(422).at("family"),
        bad("X14 escape character in a string", patient(r#""name":[{"family":"a\u001b[31mb"}]"#))
            .told(422)
            .at("family"),
        bad("X14 control character in a code", patient(r#""gender":"ma\u0001le""#)).told(422).at("gender"),
        bad("X14 blank before a code", patient(r#""gender":" male""#)).told(422).at("gender"),
        bad("X14 blank behind a code", patient(r#""gender":"male ""#)).told(422).at("gender"),
        bad("X14 two blanks in a code", patient(r#""language":"en  US""#)).told(422).at("language"),
        bad("X14 a code of nothing", patient(r#""gender":"""#)).told(422).at("gender"),
        bad("X14 blank before an id", r#"{"resourceType":"Patient","id":" a"}"#).told(422).at("id"),
        bad("X14 blank behind an id", r#"{"resourceType":"Patient","id":"a "}"#).told(422).at("id"),
        bad("X14 line end in an id", r#"{"resourceType":"Patient","id":"a\n"}"#).told(422).at("id"),
        bad("X14 blank in a URI", patient(r#""implicitRules":"urn: a""#)).told(422).at("implicitRules"),
        bad("X14 line end in a system", patient(r#""identifier":[{"system":"urn:a\n"}]"#)).told(422).at("system"),
        // Ids of resources and of what they contain.
        bad("X15 an id of 65 characters", format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "a".repeat(65)))
            .told(422)
            .at("id"),
        bad("X15 an id that leads up", r#"{"resourceType":"Patient","id":"../x"}"#).told(422).at("id"),
        bad("X15 an id of nothing", r#"{"resourceType":"Patient","id":""}"#).told(422).at("id"),
        bad("X15 an id with a slash", r#"{"resourceType":"Patient","id":"a/b"}"#).told(422).at("id"),
        bad("X15 an id with an escape", r#"{"resourceType":"Patient","id":"a%00"}"#).told(422).at("id"),
        bad("X15 an id with an accent", r#"{"resourceType":"Patient","id":"é"}"#).told(422).at("id"),
        bad("X15 an id that is a number", r#"{"resourceType":"Patient","id":7}"#).at("id"),
        bad("X15 an id inside that leads up", patient(r#""contained":[{"resourceType":"Patient","id":"../x"}]"#))
            .told(422),
    ]
}

fn resources() -> Vec<Row> {
    let whole = patient(r#""active":true"#);
    vec![
        // What is not one resource of the type.
        bad("X16 nothing", ""),
        bad("X16 blanks", " \r\n\t"),
        bad("X16 null", "null"),
        bad("X16 an array", format!("[{whole}]")),
        bad("X16 a string", "\"Patient\""),
        bad("X16 a number", "1"),
        bad("X16 true", "true"),
        bad("X16 an empty object", "{}"),
        bad("X16 no type", r#"{"id":"a"}"#),
        bad("X16 a type of nobody's", r#"{"resourceType":"Nonsense","id":"a"}"#),
        bad("X16 a type in lower case", r#"{"resourceType":"patient","id":"a"}"#),
        bad("X16 a type that is no text", r#"{"resourceType":["Patient"],"id":"a"}"#),
        bad("X16 garbage behind", format!("{whole}x")),
        bad("X16 two documents", format!("{whole}{whole}")),
        bad("X16 two documents on two lines", format!("{whole}\n{whole}")),
        bad("X16 a comment", format!("{whole}/* x */")),
        bad("X16 a comma too many", r#"{"resourceType":"Patient","id":"a",}"#),
        bad("X16 cut off", &whole[..whole.len() - 1]),
        bad("X16 a parameter", "resourceType=Patient&id=a"),
        bad("X16 XML", "<Patient xmlns=\"http://hl7.org/fhir\"/>"),
    ]
}

fn dates() -> Vec<Row> {
    let mut rows = Vec::new();
    for (label, date) in [
        ("X22 year 0", "0000-01-01"),
        ("X22 month 99", "9999-99-99"),
        ("X22 February 30", "2026-02-30"),
        ("X22 hour 24", "2026-01-01T24:00:00Z"),
        ("X22 second 61", "2016-12-31T23:59:61Z"),
        ("X22 zone +14:01", "2026-01-01T00:00:00+14:01"),
        ("X22 zone +25:00", "2026-01-01T00:00:00+25:00"),
        ("X22 year 10000", "10000-01-01"),
        ("X22 time without a zone", "2026-01-01T00:00:00"),
        ("X22 a blank for the T", "2026-01-01 00:00:00Z"),
        ("X22 negative year", "-2026-01-01"),
    ] {
        rows.push(bad(label, observation(&format!(r#""effectiveDateTime":"{date}""#))).at("effectiveDateTime"));
    }
    rows
}

#[tokio::test]
async fn bodies_that_two_readers_could_read_differently_are_refused_at_every_door() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let mut wrong = Vec::new();
    for row in bodies() {
        wrong.extend(row.wrong(&tenant, &all).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["Patient", "Observation"] {
        assert_eq!(tenant.get(&format!("{kind}?_summary=count"), &all).await.expect(200).json()["total"], 0);
    }
    ledger::each_left_one_record().await;
}
