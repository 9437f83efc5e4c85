//! NumericDate (RFC 7519, section 2): seconds since 1970, perhaps with a fraction.

/// The end of the year 9999; a date beyond it is a mistake or an attack.
const LATEST: i64 = 253_402_300_799;

/// Milliseconds since 1970 of a JSON number, without going through floating point. Negative numbers and exponents are
/// refused: no issuer writes them, and a reader that rounds differently would see another time.
pub(crate) fn numeric_date(number: &str) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok().filter(|seconds| *seconds <= LATEST)?;
    let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(seconds * 1_000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_dates_are_dates() {
        let cases = [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000.0", Some(1_700_000_000_000)),
            ("1700000000.5", Some(1_700_000_000_500)),
            ("1700000000.12345", Some(1_700_000_000_123)),
            ("253402300799", Some(253_402_300_799_000)),
            ("253402300800", None),
            ("-1", None),
            ("-0", None),
            ("1e3", None),
            ("1.5e3", None),
            ("1e300", None),
            ("18446744073709551615", None),
            ("9223372036854775807", None),
            ("99999999999999999999999999", None),
        ];
        for (text, millis) in cases {
            assert_eq!(numeric_date(text), millis, "{text}");
        }
    }
}
