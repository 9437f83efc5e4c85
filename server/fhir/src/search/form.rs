//! The pairs of a query string or form (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>), read
//! strictly: what a browser would repair is refused, since two readers might repair it differently.

use super::MOST_PARAMETERS;
use crate::outcome::{Issue, IssueCode};

/// The pairs of a raw query string or form body. Bad escapes, bytes that are not UTF-8 and NUL are refused.
pub fn form_pairs(raw: &str) -> Result<Vec<(String, String)>, Issue> {
    let mut pairs = Vec::new();
    for segment in raw.split('&').filter(|segment| !segment.is_empty()) {
        if pairs.len() == MOST_PARAMETERS {
            return Err(too_many_parameters());
        }
        let (name, value) = segment.split_once('=').unwrap_or((segment, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

/// The pairs as a query string: what [`form_pairs`] reads back, in ASCII without spaces, quotes or line ends.
pub fn form_text(pairs: &[(String, String)]) -> String {
    let mut text = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 8).sum());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

pub(super) fn too_many_parameters() -> Issue {
    Issue::error(IssueCode::TooCostly, format!("a search may have {MOST_PARAMETERS} parameters"))
}

fn decode(text: &str) -> Result<String, Issue> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(digit), rest.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(invalid("a percent sign is not followed by two hexadecimal digits")),
            },
            byte => byte,
        });
    }
    if bytes.contains(&0) {
        return Err(invalid("a parameter contains a NUL"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("a parameter is not UTF-8"))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Leaves alone what RFC 3986 allows in a query and what FHIR values are full of (`:`, `,`, `/`, `$`), escapes the rest.
fn encode(text: &str, out: &mut String) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:,/$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn invalid(diagnostics: &str) -> Issue {
    Issue::error(IssueCode::Invalid, diagnostics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_query_string_is_read_as_pairs_in_their_order() {
        let cases = [
            ("", vec![]),
            ("&&", vec![]),
            ("a=1", vec![pair("a", "1")]),
            ("a=1&b=2&a=3", vec![pair("a", "1"), pair("b", "2"), pair("a", "3")]),
            ("&a=1&&b", vec![pair("a", "1"), pair("b", "")]),
            ("a==1=", vec![pair("a", "=1=")]),
            ("=1", vec![pair("", "1")]),
            ("code=http%3A%2F%2Floinc.org%7C8867-4", vec![pair("code", "http://loinc.org|8867-4")]),
            ("name=a+b%2Bc%20d", vec![pair("name", "a b+c d")]),
            ("name=M%C3%BCller&n%61me=%26%3D%25", vec![pair("name", "Müller"), pair("name", "&=%")]),
            ("name=Müller;x", vec![pair("name", "Müller;x")]),
            ("a=%2531", vec![pair("a", "%31")]),
            ("a=%0D%0AX", vec![pair("a", "\r\nX")]),
        ];
        for (raw, pairs) in cases {
            assert_eq!(form_pairs(raw), Ok(pairs.clone()), "{raw}");
            assert_eq!(form_pairs(&form_text(&pairs)), Ok(pairs), "{raw}");
        }
    }

    #[test]
    fn what_a_browser_would_repair_is_refused() {
        let cases = [
            "a=%",
            "a=%4",
            "a=%4g",
            "a=%g4",
            "%=1",
            "a=%+1",
            "a=%u0041",
            "a=%-1",
            "a=%00",
            "%00=1",
            "a=\0",
            "a=%FF",
            "a=%C3",
            "a=%C3%28",
            "a=%C0%80",
            "a=%ED%A0%80",
            "a=%E9",
            "a=%é1",
        ];
        for raw in cases {
            assert_eq!(form_pairs(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
        }
    }

    #[test]
    fn the_text_of_pairs_cannot_break_a_header_or_a_link() {
        let text = form_text(&[pair("name", "a\r\nX: y\"<>'é ;&=#+%")]);
        assert_eq!(text, "name=a%0D%0AX:%20y%22%3C%3E%27%C3%A9%20%3B%26%3D%23%2B%25");
    }

    #[test]
    fn pairs_beyond_the_limit_are_not_even_gathered() {
        assert_eq!(form_pairs(&"a=1&".repeat(200)).map(|pairs| pairs.len()), Ok(200));
        assert_eq!(form_pairs(&"a=1&".repeat(201)).map_err(|issue| issue.code), Err(IssueCode::TooCostly));
    }
}
