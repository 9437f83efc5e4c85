//! Numbers as text: which texts are FHIR decimals and integers, and JSON with its numbers made strings.
//!
//! serde_json respells exponents even with `arbitrary_precision` (`1E5` becomes `1e+5`), so numbers never reach it
//! as numbers.

/// Whether `text` is an `integer` as FHIR and JSON spell it (no `+`, no leading zeros).
pub fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}

/// Whether `text` is a `decimal` as FHIR and JSON spell it.
pub fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer(whole)
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// The same JSON with every number in quotes. Malformed numbers stay as they are, for the JSON parser to refuse.
pub fn quoted(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    let mut rest = json;
    while let Some(place) = rest.find(|character: char| matches!(character, '"' | '-' | '0'..='9')) {
        out.push_str(&rest[..place]);
        rest = &rest[place..];
        let length = if rest.starts_with('"') { string_length(rest) } else { number_length(rest) };
        let (token, after) = rest.split_at(length);
        if is_decimal(token) {
            out.push('"');
            out.push_str(token);
            out.push('"');
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_length(text: &str) -> usize {
    text.find(|character: char| !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_json() {
        for good in ["0", "-0", "0.10", "120.00", "1E5", "1e+5", "-1.5e-10", "18446744073709551616"] {
            assert!(is_decimal(good), "{good}");
        }
        for bad in
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "1,2", "1 ", "0x1", "--1", "1\",\"a"]
        {
            assert!(!is_decimal(bad), "{bad}");
        }
    }

    #[test]
    fn only_numbers_outside_strings_are_quoted() {
        assert_eq!(
            quoted(r#"{"a":[1,-2.50,1E5],"b":"3 \"4\" 5","6":true}"#),
            r#"{"a":["1","-2.50","1E5"],"b":"3 \"4\" 5","6":true}"#
        );
        assert_eq!(quoted(r#"{"a":01}"#), r#"{"a":01}"#);
        assert_eq!(quoted("\"\\"), "\"\\");
    }
}
