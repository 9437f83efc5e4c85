//! Where an HTTP/1 message ends, read along with hyper and more strictly (RFC 9112, sections 2.2, 6 and 7.1).
//!
//! hyper takes what the RFC lets a server take: a line that ends in LF alone, a Content-Length beside a
//! Transfer-Encoding (and drops the first), the same length twice, chunk extensions. All of these are how a request is
//! hidden in another one from a proxy that reads them otherwise, and no client needs them. So the first of them ends
//! what hyper gets to read: a head that holds one is handed on, to be refused and noted, and nothing behind it.

use super::frames::{Earned, Frames};

/// Most digits of a chunk's size: more than any body may have.
const MAX_SIZE_DIGITS: usize = 8;
/// As much of a line as is kept; hyper refuses a head that is longer than this, and takes no such line elsewhere.
const MAX_LINE: usize = 64 * 1024;
/// The first line of HTTP/2, whose frames are only counted.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A line of a head.
    Head,
    /// This much of a body.
    Body(u64),
    /// A line with the size of a chunk.
    Size,
    /// This much of a chunk, and the line end behind it.
    Chunk(u64),
    /// A line of the trailers.
    Trailers,
    /// Something that is not HTTP/1.
    Frames,
    /// Nothing: the last head was ambiguous.
    Refused,
    /// Nothing: the body that was being read is.
    Broken,
}

/// What there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Whatever comes.
    Yes,
    /// Nothing; the request before is still to be answered.
    No,
    /// Nothing, and a body lacks its end.
    Broken,
}

/// The headers of a head that say where its message ends.
#[derive(Debug, Default)]
struct Lengths {
    content_length: Option<u64>,
    chunked: bool,
}

/// Reads along.
#[derive(Debug)]
pub(super) struct Framing {
    part: Part,
    /// The line so far.
    line: Vec<u8>,
    lengths: Lengths,
    /// Whether a line of the head was read, and whether any was ambiguous.
    begun: bool,
    ambiguous: bool,
    /// Heads read to their end.
    heads: usize,
    /// The head that was ambiguous, counted from 1.
    refused: Option<usize>,
    frames: Frames,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Head,
            line: Vec::new(),
            lengths: Lengths::default(),
            begun: false,
            ambiguous: false,
            heads: 0,
            refused: None,
            frames: Frames::new(),
        }
    }

    /// Which head was ambiguous, counted from 1.
    pub(super) const fn refused(&self) -> Option<usize> {
        self.refused
    }

    /// Whether more frames came in that carry nothing than anybody needs; then nothing more is read.
    pub(super) fn flooded(&mut self, earned: Earned) -> bool {
        let flooded = self.part == Part::Frames && self.frames.are_too_many(earned);
        if flooded {
            self.part = Part::Broken;
        }
        flooded
    }

    /// Whether there is anything more to read.
    pub(super) const fn open(&self) -> Open {
        match self.part {
            Part::Refused => Open::No,
            Part::Broken => Open::Broken,
            _ => Open::Yes,
        }
    }

    /// How many of the bytes that arrived may be read on.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.part {
                Part::Frames => {
                    self.frames.take(rest);
                    rest.len()
                }
                Part::Refused | Part::Broken => return at,
                Part::Body(left) => self.skip(rest, left, Part::Body, Part::Head),
                // Two bytes more than its size.
                Part::Chunk(left) if left > 2 => {
                    self.skip(rest, left - 2, |left| Part::Chunk(left + 2), Part::Chunk(2))
                }
                Part::Chunk(left) => {
                    let expected = if left == 2 { b'\r' } else { b'\n' };
                    if rest[0] != expected {
                        self.part = Part::Broken;
                        return at;
                    }
                    self.part = if left == 2 { Part::Chunk(1) } else { Part::Size };
                    1
                }
                Part::Head | Part::Size | Part::Trailers => match rest.iter().position(|byte| *byte == b'\n') {
                    None => {
                        self.keep(rest);
                        rest.len()
                    }
                    Some(end) => {
                        if !self.end_line(&rest[..end]) {
                            self.part = Part::Broken;
                            return at;
                        }
                        end + 1
                    }
                },
            };
        }
        at
    }

    fn skip(&mut self, rest: &[u8], left: u64, more: impl Fn(u64) -> Part, then: Part) -> usize {
        let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(left);
        self.part = if here == left { then } else { more(left - here) };
        usize::try_from(here).unwrap_or(rest.len())
    }

    fn keep(&mut self, part: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(&part[..room]);
    }

    /// Takes the end of a line; whether it may be read on.
    fn end_line(&mut self, end: &[u8]) -> bool {
        if self.line.is_empty() {
            return self.take_line(end);
        }
        self.keep(end);
        let mut line = std::mem::take(&mut self.line);
        let goes_on = self.take_line(&line);
        // The room is used again.
        line.clear();
        self.line = line;
        goes_on
    }

    /// Takes a line without its LF; whether it may be read on.
    fn take_line(&mut self, line: &[u8]) -> bool {
        let (text, whole) = match line.strip_suffix(b"\r") {
            Some(text) => (text, true),
            None => (line, false),
        };
        match self.part {
            Part::Size => {
                let size = whole.then(|| size(text)).flatten();
                self.part = match size {
                    Some(0) => Part::Trailers,
                    Some(size) => Part::Chunk(size + 2),
                    None => return false,
                };
            }
            Part::Trailers if !whole => return false,
            Part::Trailers => {
                if text.is_empty() {
                    self.part = Part::Head;
                }
            }
            _ => {
                self.ambiguous |= !whole;
                self.head(text);
            }
        }
        true
    }

    fn head(&mut self, text: &[u8]) {
        if self.heads == 0 && text == PREFACE {
            self.part = Part::Frames;
            return;
        }
        if !text.is_empty() {
            self.begun = true;
            self.field(text);
            return;
        }
        if !std::mem::take(&mut self.begun) {
            // Before a request line.
            return;
        }
        let lengths = std::mem::take(&mut self.lengths);
        self.heads += 1;
        if self.ambiguous {
            self.refused = Some(self.heads);
            self.part = Part::Refused;
            return;
        }
        self.part = match lengths {
            Lengths { chunked: true, .. } => Part::Size,
            Lengths { content_length: Some(length @ 1..), .. } => Part::Body(length),
            Lengths { .. } => Part::Head,
        };
    }

    /// A request line has no colon before its first blank, and so is no field that matters.
    fn field(&mut self, text: &[u8]) {
        let Some(colon) = text.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = length.and_then(|text| text.parse().ok());
            let several = self.lengths.content_length.is_some() || self.lengths.chunked;
            self.ambiguous |= several || length.is_none();
            self.lengths.content_length = length.or(Some(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let several = self.lengths.content_length.is_some() || self.lengths.chunked;
            // Other codings than chunked are not undone, and a body under one would be read as what it is not.
            self.ambiguous |= several || !value.eq_ignore_ascii_case(b"chunked");
            self.lengths.chunked = true;
        }
    }
}

/// A chunk's size: hexadecimal digits and nothing beside them.
fn size(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| (1..=MAX_SIZE_DIGITS).contains(&text.len()))?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a text is read on, by pieces of this size, and which head was refused.
    fn read(text: &str, by: usize) -> (String, Option<usize>) {
        let mut framing = Framing::new();
        let mut taken = Vec::new();
        for piece in text.as_bytes().chunks(by) {
            let kept = framing.take(piece);
            taken.extend_from_slice(&piece[..kept]);
            if kept < piece.len() {
                break;
            }
        }
        (String::from_utf8(taken).expect("text"), framing.refused())
    }

    #[test]
    fn plain_messages_are_read_to_their_ends_and_the_next_follows() {
        let texts = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n\
             GET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nwhatever\nfollows",
        ];
        for text in texts {
            for by in [1, 2, 3, 7, 1_000] {
                assert_eq!(read(text, by), (text.to_owned(), None), "by {by}");
            }
        }
    }

    #[test]
    fn an_ambiguous_head_is_read_on_and_nothing_behind_it() {
        let heads = [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 4\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
        ];
        let before = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for head in heads {
            for by in [1, 5, 1_000] {
                let behind = format!("{head}0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n");
                assert_eq!(read(&behind, by), (head.to_owned(), Some(1)), "by {by}");
                let second = format!("{before}{behind}");
                assert_eq!(read(&second, by), (format!("{before}{head}"), Some(2)), "by {by}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_not_plain_ends_what_is_read() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (chunks, kept) in [
            ("2;a=b\r\nxy\r\n0\r\n\r\n", ""),
            ("2 \r\nxy\r\n", ""),
            ("2\nxy\r\n", ""),
            ("\r\n", ""),
            ("0x2\r\nxy\r\n", ""),
            ("-1\r\n", ""),
            ("fffffffff\r\n", ""),
            ("2\r\nxyz\r\n", "2\r\nxy"),
            ("2\r\nxy\n0\r\n", "2\r\nxy"),
            ("0\r\nX: y\n\r\n", "0\r\n"),
        ] {
            assert_eq!(read(&format!("{head}{chunks}"), 1_000), (format!("{head}{kept}"), None), "{chunks:?}");
            let (taken, refused) = read(&format!("{head}{chunks}"), 1);
            assert!(refused.is_none() && !taken.ends_with("\r\n0\r\n\r\n"), "{chunks:?}: {taken:?}");
        }
    }
}
