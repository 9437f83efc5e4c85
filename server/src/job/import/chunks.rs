//! Files into chunks of lines: unpacked where they are packed, told by their content and not by their name, and divided in
//! the same places whenever they are read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;
use vitals_fhir::bundle;

use super::files::Source;

/// Longest line that is read: the longest body that the server reads.
const MOST_OF_LINE: usize = 5 * 1024 * 1024;
/// Longest file that is one document over several lines, or one line: the longest Bundle that the server reads. All of it
/// is in memory, and the places of its values once more.
const MOST_OF_DOCUMENT: usize = bundle::MOST_BYTES;
/// Lines in a chunk: enough that a statement and a commit for each do not matter.
const LINES: usize = 1_000;
/// Bytes after which a chunk has enough lines.
const BYTES: usize = 4 * 1024 * 1024;
/// What is read from a file at a time.
const AT_ONCE: usize = 256 * 1024;
/// What is unpacked at a time. Of a stream that is broken inside, not cut off, at most so much is lost before the place.
const UNPACKED_AT_ONCE: usize = 32 * 1024;
/// The first bytes of gzip (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What some programs begin a file of UTF-8 with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines of one file.
#[derive(Debug)]
pub struct Chunk {
    /// Its number in the file.
    pub number: i32,
    /// Its lines, without blank ones.
    pub lines: Vec<Line>,
    /// How much of the file was read with it, as it lies on the disk.
    pub end: u64,
    text: Vec<u8>,
}

/// A line, or a file that is one document.
#[derive(Debug)]
pub struct Line {
    /// The number of its (first) line, from 1.
    pub number: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Text(Range<usize>),
    TooLong(usize),
    BreaksOff,
}

/// What stands in a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'c> {
    /// A text.
    Text(&'c [u8]),
    /// A text of more than so many megabytes.
    TooLong(usize),
    /// Nothing more can be unpacked.
    BreaksOff,
}

impl Chunk {
    /// What stands in one of its lines.
    pub fn content(&self, line: &Line) -> Content<'_> {
        match &line.what {
            What::Text(range) => Content::Text(&self.text[range.clone()]),
            What::TooLong(most) => Content::TooLong(most / 1024 / 1024),
            What::BreaksOff => Content::BreaksOff,
        }
    }

    /// How many bytes of text it has.
    pub fn len(&self) -> usize {
        self.text.len()
    }
}

/// A file that is being read.
pub struct Chunks {
    reader: Box<dyn BufRead>,
    packed: bool,
    taken: Arc<AtomicU64>,
    /// Chunks before the next one.
    before: i32,
    /// Lines before the next one.
    lines: u64,
    ended: bool,
    breaks_off: bool,
}

/// Counts the bytes that were read.
struct Counting<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Chunks {
    /// Opens a file.
    pub fn open(source: &Source) -> io::Result<Self> {
        match &source.path {
            Some(path) => Self::of(File::open(path)?),
            None => Self::of(io::stdin().lock()),
        }
    }

    pub(super) fn of(inner: impl Read + 'static) -> io::Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let mut reader = BufReader::with_capacity(AT_ONCE, Counting { inner, taken: Arc::clone(&taken) });
        let mut head = Vec::with_capacity(GZIP.len());
        reader.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
        let packed = head == GZIP;
        let whole = Cursor::new(head).chain(reader);
        let reader: Box<dyn BufRead> = if packed {
            Box::new(BufReader::with_capacity(UNPACKED_AT_ONCE, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { reader, packed, taken, before: 0, lines: 0, ended: false, breaks_off: false })
    }

    /// The next chunk.
    pub fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut chunk = Chunk { number: self.before, lines: Vec::new(), end: 0, text: Vec::new() };
        if self.lines == 0 {
            self.begin(&mut chunk)?;
        }
        while chunk.lines.len() < LINES && chunk.text.len() < BYTES {
            let Some(line) = self.line(&mut chunk.text, MOST_OF_LINE)? else { break };
            chunk.lines.push(line);
        }
        chunk.end = self.taken.load(Ordering::Relaxed);
        self.before += 1;
        Ok(if chunk.lines.is_empty() { None } else { Some(chunk) })
    }

    /// Reads the first line, and whatever else is needed to tell whether the file is one document.
    fn begin(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let Some(first) = self.line(&mut chunk.text, MOST_OF_DOCUMENT)? else { return Ok(()) };
        let What::Text(range) = &first.what else {
            chunk.lines.push(first);
            return Ok(());
        };
        let (start, end) = (range.start, range.end);
        let (opens, long) = (goes_on(&chunk.text[start..end]), end - start > MOST_OF_LINE);
        if !opens && !long {
            chunk.lines.push(first);
            return Ok(());
        }
        chunk.text.push(b'\n');
        let second = self.line(&mut chunk.text, MOST_OF_DOCUMENT)?;
        let is_line = |line: &Line| match &line.what {
            What::Text(range) => begins_resource(&chunk.text[range.clone()]),
            _ => true,
        };
        let bounded = |line: Line| match &line.what {
            What::Text(range) if range.len() > MOST_OF_LINE => Line { what: What::TooLong(MOST_OF_LINE), ..line },
            _ => line,
        };
        match second {
            // One line, however long.
            None => chunk.lines.push(first),
            Some(second) if !opens || is_line(&second) => {
                chunk.lines.extend([bounded(first), bounded(second)]);
            }
            Some(_) => {
                let document = self.rest(&mut chunk.text, start)?;
                chunk.lines.push(Line { what: document, ..first });
            }
        }
        Ok(())
    }

    /// Reads to the end of a document that began at this place of the text.
    fn rest(&mut self, text: &mut Vec<u8>, start: usize) -> io::Result<What> {
        self.ended = true;
        text.push(b'\n');
        let most = MOST_OF_DOCUMENT + 1 - (text.len() - start).min(MOST_OF_DOCUMENT);
        match self.reader.by_ref().take(most as u64).read_to_end(text) {
            Ok(_) if text.len() - start > MOST_OF_DOCUMENT => {
                text.truncate(start);
                Ok(What::TooLong(MOST_OF_DOCUMENT))
            }
            Ok(_) => Ok(What::Text(start..start + text[start..].trim_ascii_end().len())),
            Err(error) if self.is_of_packing(&error) => {
                text.truncate(start);
                Ok(What::BreaksOff)
            }
            Err(error) => Err(error),
        }
    }

    /// The next line that is not blank, its text behind what is there.
    fn line(&mut self, text: &mut Vec<u8>, most: usize) -> io::Result<Option<Line>> {
        let start = text.len();
        while !self.ended {
            text.truncate(start);
            if self.breaks_off {
                self.ended = true;
                self.lines += 1;
                return Ok(Some(Line { number: self.lines, what: What::BreaksOff }));
            }
            match self.reader.by_ref().take(most as u64 + 1).read_until(b'\n', text) {
                Ok(0) => self.ended = true,
                Ok(length) => {
                    self.lines += 1;
                    if length > most {
                        text.truncate(start);
                        self.skip_line()?;
                        return Ok(Some(Line { number: self.lines, what: What::TooLong(most) }));
                    }
                    if self.lines == 1 && text[start..].starts_with(BYTE_ORDER_MARK) {
                        text.drain(start..start + BYTE_ORDER_MARK.len());
                    }
                    let trimmed = text[start..].trim_ascii_end().len();
                    text.truncate(start + trimmed);
                    let blank = text[start..].trim_ascii_start();
                    if !blank.is_empty() {
                        let range = text.len() - blank.len()..text.len();
                        return Ok(Some(Line { number: self.lines, what: What::Text(range) }));
                    }
                }
                Err(error) if self.is_of_packing(&error) => self.breaks_off = true,
                Err(error) => return Err(error),
            }
        }
        text.truncate(start);
        Ok(None)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let found = self.reader.fill_buf().map(|read| match read.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (read.len(), read.is_empty()),
            });
            match found {
                Ok((length, over)) => {
                    self.reader.consume(length);
                    if over {
                        return Ok(());
                    }
                }
                Err(error) if self.is_of_packing(&error) => {
                    self.breaks_off = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether what was packed cannot be unpacked, as opposed to a file that cannot be read.
    fn is_of_packing(&self, error: &io::Error) -> bool {
        self.packed && error.raw_os_error().is_none()
    }
}

/// Whether a document is not over at the end of this line: people and programs break lines in these places.
fn goes_on(line: &[u8]) -> bool {
    line.starts_with(b"{") && matches!(line.last(), Some(b'{' | b'[' | b',' | b':'))
}

/// Whether this is how a resource begins that stands in one line: then the line before it was one as well, if a broken
/// one. Entries of a Bundle begin otherwise.
fn begins_resource(line: &[u8]) -> bool {
    let Some(inside) = line.strip_prefix(b"{") else { return false };
    inside.trim_ascii_start().starts_with(b"\"resourceType\"")
}

#[cfg(test)]
mod tests;
