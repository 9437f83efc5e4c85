//! JSON strings: where one ends, whether its escapes are sound, and what it says.

use std::borrow::Cow;

use super::IssueCode;

/// What is wrong inside a string, and at which byte.
pub(super) struct Fault {
    pub code: IssueCode,
    pub message: &'static str,
    pub offset: usize,
}

/// A string that was found: the byte behind its closing quote, and whether it holds escapes.
pub(super) struct Found {
    pub end: usize,
    pub escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte from `at` on that ends a plain run: a quote, a backslash or a control character.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes a step; only the lowest flagged byte of a word is sure, and only that one is used.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        let hits = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        let hits = hits & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// Finds the end of the string whose first byte behind the quote is `start`.
pub(super) fn find(bytes: &[u8], start: usize) -> Result<Found, Fault> {
    let mut at = start;
    let mut escaped = false;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(Found { end: at + 1, escaped }),
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at)?;
            }
            Some(0) => return Err(nul(at)),
            Some(_) => return Err(syntax("a control character in a string must be escaped", at)),
            None => return Err(syntax("a string does not end", at)),
        }
    }
}

const fn syntax(message: &'static str, offset: usize) -> Fault {
    Fault { code: IssueCode::Structure, message, offset }
}

const fn nul(offset: usize) -> Fault {
    Fault { code: IssueCode::Invalid, message: "NUL characters are not accepted", offset }
}

const fn surrogate(offset: usize) -> Fault {
    Fault { code: IssueCode::Invalid, message: "half of a surrogate pair stands alone", offset }
}

/// The byte behind the escape that begins at `at`.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at) {
            None => Err(syntax("\\u must be followed by four hexadecimal digits", at)),
            Some(0) => Err(nul(at)),
            Some(0xD800..=0xDBFF) => match unit(bytes, at + 6) {
                Some(0xDC00..=0xDFFF) => Ok(at + 12),
                _ => Err(surrogate(at)),
            },
            Some(0xDC00..=0xDFFF) => Err(surrogate(at)),
            Some(_) => Ok(at + 6),
        },
        _ => Err(syntax("an unknown escape", at)),
    }
}

/// The code unit of the `\uXXXX` at `at`, if one stands there.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + 6)?;
    if escape[0] != b'\\' || escape[1] != b'u' {
        return None;
    }
    escape[2..].iter().try_fold(0, |unit, &digit| Some(unit * 16 + (digit as char).to_digit(16)?))
}

/// The text that `raw` (what stands between the quotes, already found sound) says.
pub(super) fn unescaped(raw: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let bytes = rest.as_bytes();
        let mut behind = at + 2;
        out.push(match bytes.get(at + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let (character, length) = character(bytes, at);
                behind = at + length;
                character
            }
            Some(&itself) => itself as char,
            None => break,
        });
        rest = &rest[behind..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that one or two `\uXXXX` at `at` stand for, and their length in bytes.
fn character(bytes: &[u8], at: usize) -> (char, usize) {
    let first = unit(bytes, at).unwrap_or(0xFFFD);
    let (code, length) = match unit(bytes, at + 6) {
        Some(second) if (0xD800..0xDC00).contains(&first) => {
            (0x1_0000 + ((first - 0xD800) << 10) + (second & 0x3FF), 12)
        }
        _ => (first, 6),
    };
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), length)
}
