//! The primitive types of R4 and the form of each (<https://hl7.org/fhir/R4/datatypes.html#primitive>).
//!
//! A text that is no date, time or number of the kind at all is of the wrong type (`invalid`); a text that breaks the
//! pattern of a string-like type is a bad value of the right type (`value`).

use crate::{
    json::{Kind, Value},
    outcome::IssueCode,
    resource::is_id,
    temporal,
};

/// The most bytes of a string (R4: 1 MB).
const MAX_STRING: usize = 1024 * 1024;

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// What is wrong with a primitive.
pub(super) struct Fault {
    pub code: IssueCode,
    pub message: &'static str,
}

const ALL: [(Primitive, &str); 20] = [
    (Primitive::Base64Binary, "base64Binary"),
    (Primitive::Boolean, "boolean"),
    (Primitive::Canonical, "canonical"),
    (Primitive::Code, "code"),
    (Primitive::Date, "date"),
    (Primitive::DateTime, "dateTime"),
    (Primitive::Decimal, "decimal"),
    (Primitive::Id, "id"),
    (Primitive::Instant, "instant"),
    (Primitive::Integer, "integer"),
    (Primitive::Markdown, "markdown"),
    (Primitive::Oid, "oid"),
    (Primitive::PositiveInt, "positiveInt"),
    (Primitive::String, "string"),
    (Primitive::Time, "time"),
    (Primitive::UnsignedInt, "unsignedInt"),
    (Primitive::Uri, "uri"),
    (Primitive::Url, "url"),
    (Primitive::Uuid, "uuid"),
    (Primitive::Xhtml, "xhtml"),
];

impl Primitive {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, known)| *known == name).map(|(primitive, _)| *primitive)
    }

    /// The type's name.
    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// The JSON type its values have.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Boolean => Kind::Bool,
            Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt => Kind::Number,
            _ => Kind::String,
        }
    }

    /// Checks a value that has the right JSON type.
    pub fn check(self, value: Value<'_>) -> Result<(), Fault> {
        if let Some(number) = value.number() {
            return self.check_number(number);
        }
        let Some(text) = value.string() else { return Ok(()) };
        if text.is_empty() {
            return Err(Fault { code: IssueCode::Value, message: "must not be empty" });
        }
        if text.len() > MAX_STRING {
            return Err(Fault { code: IssueCode::Value, message: "is longer than 1 MB" });
        }
        self.check_text(&text)
    }

    fn check_number(self, number: &str) -> Result<(), Fault> {
        let least = match self {
            Self::Integer => i32::MIN,
            Self::UnsignedInt => 0,
            Self::PositiveInt => 1,
            _ => return Ok(()),
        };
        // "-0", fractions and exponents are no integers of FHIR; the scanner has refused leading zeros and signs.
        match number.parse::<i32>() {
            Ok(value) if value >= least && number != "-0" => Ok(()),
            _ => Err(Fault {
                code: IssueCode::Invalid,
                message: match self {
                    Self::PositiveInt => "must be a whole number from 1 to 2147483647, without fraction or exponent",
                    Self::UnsignedInt => "must be a whole number from 0 to 2147483647, without fraction or exponent",
                    _ => "must be a whole number of 32 bits, without fraction or exponent",
                },
            }),
        }
    }

    fn check_text(self, text: &str) -> Result<(), Fault> {
        let (holds, code, message) = match self {
            Self::Id => (is_id(text), IssueCode::Value, "is no id: 1 to 64 letters, digits, '-' or '.'"),
            Self::Code => (is_code(text), IssueCode::Value, "is no code: no leading, trailing or double spaces"),
            Self::Uri | Self::Url | Self::Canonical => {
                (!text.contains(is_space_or_control), IssueCode::Value, "is no URI: it holds white space")
            }
            Self::Oid => (is_oid(text), IssueCode::Value, "is no OID such as urn:oid:1.2.3"),
            Self::Uuid => {
                (is_uuid(text), IssueCode::Value, "is no UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520")
            }
            Self::Base64Binary => (is_base64(text), IssueCode::Value, "is not base64"),
            Self::Xhtml => (is_div(text), IssueCode::Value, "must begin with <div and end with </div>"),
            Self::Date => (is_date(text), IssueCode::Invalid, "is no date: YYYY, YYYY-MM or YYYY-MM-DD"),
            Self::DateTime => (
                temporal::date_time(text).is_some(),
                IssueCode::Invalid,
                "is no dateTime: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
            ),
            Self::Instant => (is_instant(text), IssueCode::Invalid, "is no instant: YYYY-MM-DDThh:mm:ss+zz:zz"),
            Self::Time => (is_time(text), IssueCode::Invalid, "is no time: hh:mm:ss"),
            _ => (is_string(text), IssueCode::Value, "holds a control character other than tab, CR and LF"),
        };
        if holds { Ok(()) } else { Err(Fault { code, message }) }
    }
}

fn is_string(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
}

fn is_space_or_control(character: char) -> bool {
    character <= ' '
}

/// `[^\s]+(\s[^\s]+)*`, and no other control characters.
fn is_code(text: &str) -> bool {
    let space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let mut before = true;
    for byte in text.bytes() {
        if (byte < 0x20 && !space(byte)) || (before && space(byte)) {
            return false;
        }
        before = space(byte);
    }
    !before
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some((first, arcs)) = text.strip_prefix("urn:oid:").and_then(|numbers| numbers.split_once('.')) else {
        return false;
    };
    let is_arc = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    matches!(first, "0" | "1" | "2") && arcs.split('.').all(is_arc)
}

/// `urn:uuid:` and a UUID in lower case.
fn is_uuid(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

/// Groups of four with padding only at the end; white space is allowed anywhere between them.
fn is_base64(text: &str) -> bool {
    let (mut length, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        length += 1;
    }
    length > 0 && length.is_multiple_of(4) && padding <= 2
}

/// The outside of a narrative; what stands inside it is a matter of txt-1 and txt-2.
fn is_div(text: &str) -> bool {
    text.starts_with("<div") && text.ends_with("</div>") && is_string(text)
}

fn is_date(text: &str) -> bool {
    !text.contains('T') && temporal::date_time(text).is_some()
}

fn is_instant(text: &str) -> bool {
    text.contains('T') && temporal::date_time(text).is_some()
}

/// `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let two = |at: usize, most: u8| {
        let digits = &clock.as_bytes()[at..at + 2];
        digits.iter().all(u8::is_ascii_digit) && (digits[0] - b'0') * 10 + (digits[1] - b'0') <= most
    };
    clock.len() == 8
        && clock.as_bytes()[2] == b':'
        && clock.as_bytes()[5] == b':'
        && two(0, 23)
        && two(3, 59)
        && two(6, 60)
        && fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
