//! The scanner: one pass over the bytes with a stack of its own, so that depth cannot exhaust the thread's.

use super::{Document, JsonError, Kind, MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, Node, string};
use crate::outcome::IssueCode;

/// Objects with more members than this are searched for duplicate keys by sorting once, when they close.
const PAIRWISE: u32 = 24;

/// An object or array that is still open.
struct Frame {
    node: u32,
    /// Members or items begun so far.
    count: u32,
    /// Bloom filter of the keys so far: one bit of 64 each.
    seen: u64,
    /// Whether any key is written with escapes, so that the filter cannot be trusted.
    escaped: bool,
    /// The key of the member being read; `(0, 0)` between members and in arrays.
    key: (u32, u32),
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<Frame>,
    /// Most values that are taken.
    most: usize,
}

/// What is wrong, and at which byte; the path is added when it leaves the scanner.
type Fault = string::Fault;

const fn syntax(message: &'static str, offset: usize) -> Fault {
    Fault { code: IssueCode::Structure, message, offset }
}

/// Scans a whole text into an arena.
pub(super) fn scan(bytes: &[u8], most: usize) -> Result<Document<'_>, JsonError> {
    let bare = |code, message: &str, offset| JsonError { code, message: message.to_owned(), expression: None, offset };
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(bare(IssueCode::Structure, "the body begins with a byte order mark; send UTF-8 without one", 0));
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(bare(IssueCode::TooLong, "the body is too long", 0));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| bare(IssueCode::Structure, "the body is not UTF-8", error.valid_up_to()))?;
    let nodes = Vec::with_capacity((16 + bytes.len() / 14).min(most));
    let mut scanner = Scanner { text, bytes, at: 0, nodes, open: Vec::with_capacity(16), most };
    match scanner.document() {
        Ok(()) => Ok(Document { text, nodes: scanner.nodes }),
        Err(fault) => Err(JsonError {
            code: fault.code,
            message: fault.message.to_owned(),
            expression: scanner.expression(),
            offset: fault.offset,
        }),
    }
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.bytes.len() {
            return Err(syntax("the body is empty", self.at));
        }
        self.value((0, 0), false)?;
        while let Some(top) = self.open.last() {
            let (node, first) = (top.node as usize, top.count == 0);
            self.space();
            match (self.bytes.get(self.at), self.nodes[node].kind) {
                (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => self.close()?,
                (Some(b','), kind) if !first => {
                    self.at += 1;
                    self.space();
                    self.entry(kind)?;
                }
                (Some(_), kind) if first => self.entry(kind)?,
                (None, _) => return Err(syntax("the body ends inside an object or array", self.at)),
                (_, Kind::Object) => return Err(syntax("expected ',' or '}'", self.at)),
                _ => return Err(syntax("expected ',' or ']'", self.at)),
            }
        }
        self.space();
        if self.at < self.bytes.len() {
            return Err(syntax("something follows the JSON value", self.at));
        }
        Ok(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn entry(&mut self, kind: Kind) -> Result<(), Fault> {
        if let Some(top) = self.open.last_mut() {
            top.count += 1;
            top.key = (0, 0);
        }
        if kind == Kind::Array {
            return self.value((0, 0), false);
        }
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(syntax("expected a key in double quotes", start));
        }
        let found = string::find(self.bytes, start + 1)?;
        let key = (place(start + 1), place(found.end - 1));
        self.key(key, found.escaped)?;
        self.at = found.end;
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(syntax("expected ':' after a key", self.at));
        }
        self.at += 1;
        self.space();
        self.value(key, found.escaped)
    }

    /// Notes the key of the member being read and refuses it if it stands before in the same object.
    fn key(&mut self, key: (u32, u32), escaped: bool) -> Result<(), Fault> {
        let raw = &self.bytes[key.0 as usize..key.1 as usize];
        let ends = usize::from(raw.first().copied().unwrap_or(0)) * 7 + usize::from(raw.last().copied().unwrap_or(0));
        let bit = 1_u64 << ((raw.len() * 5 + ends) & 63);
        let Some(top) = self.open.last_mut() else { return Ok(()) };
        top.key = key;
        top.escaped |= escaped;
        let perhaps = top.seen & bit != 0 || top.escaped;
        top.seen |= bit;
        if !perhaps || top.count > PAIRWISE {
            return Ok(());
        }
        let name = string::unescaped(&self.text[key.0 as usize..key.1 as usize], escaped);
        let mut at = top.node + 1;
        while let Some(sibling) = self.nodes.get(at as usize) {
            if self.name(sibling) == name {
                return Err(twice(key.0));
            }
            at = sibling.after;
        }
        Ok(())
    }

    fn name(&self, node: &Node) -> std::borrow::Cow<'_, str> {
        string::unescaped(&self.text[node.key_start as usize..node.key_end as usize], node.key_escaped)
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let after = place(self.nodes.len());
        if frame.count > PAIRWISE && self.nodes[frame.node as usize].kind == Kind::Object {
            self.sorted_duplicates(frame.node, after)?;
        }
        let node = &mut self.nodes[frame.node as usize];
        node.end = place(self.at);
        node.after = after;
        Ok(())
    }

    /// Looks for a duplicate among many keys; sorting has no bad case, whatever the keys.
    fn sorted_duplicates(&self, parent: u32, after: u32) -> Result<(), Fault> {
        let mut keys = Vec::new();
        let mut at = parent + 1;
        while at < after {
            let node = &self.nodes[at as usize];
            keys.push((self.name(node), node.key_start));
            at = node.after;
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(twice(pair[1].1)),
            None => Ok(()),
        }
    }

    /// Reads one value; of an object or array only its opening.
    fn value(&mut self, key: (u32, u32), key_escaped: bool) -> Result<(), Fault> {
        let start = self.at;
        let mut escaped = false;
        let kind = match self.bytes.get(start) {
            Some(b'"') => {
                let found = string::find(self.bytes, start + 1)?;
                self.at = found.end;
                escaped = found.escaped;
                Kind::String
            }
            Some(b'{') => self.opening(Kind::Object)?,
            Some(b'[') => self.opening(Kind::Array)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true", Kind::Bool)?,
            Some(b'f') => self.word(b"false", Kind::Bool)?,
            Some(b'n') => self.word(b"null", Kind::Null)?,
            Some(b'.' | b'+' | b'N' | b'I') => return Err(syntax("not a number that JSON knows", start)),
            Some(0) => {
                return Err(Fault {
                    code: IssueCode::Invalid,
                    message: "NUL characters are not accepted",
                    offset: start,
                });
            }
            Some(_) => return Err(syntax("expected a value", start)),
            None => return Err(syntax("the body ends where a value is expected", start)),
        };
        if self.nodes.len() >= self.most {
            return Err(Fault { code: IssueCode::TooCostly, message: "the body holds too many values", offset: start });
        }
        let after = place(self.nodes.len() + 1);
        self.nodes.push(Node {
            start: place(start),
            end: place(self.at),
            key_start: key.0,
            key_end: key.1,
            after,
            kind,
            escaped,
            key_escaped,
        });
        Ok(())
    }

    fn opening(&mut self, kind: Kind) -> Result<Kind, Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(syntax("nested more than 64 levels deep", self.at));
        }
        self.open.push(Frame { node: place(self.nodes.len()), count: 0, seen: 0, escaped: false, key: (0, 0) });
        self.at += 1;
        Ok(kind)
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Result<Kind, Fault> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(kind)
        } else {
            Err(syntax("expected a value", self.at))
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        let malformed = syntax("not a number that JSON knows", start);
        if self.bytes[start] == b'-' {
            self.at += 1;
        }
        let zero = self.bytes.get(self.at) == Some(&b'0');
        let mut digits = self.digits();
        if digits == 0 || (zero && digits > 1) {
            return Err(malformed);
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let fraction = self.digits();
            if fraction == 0 {
                return Err(malformed);
            }
            digits += fraction;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            let exponent = self.at;
            let length = self.digits();
            if length == 0 {
                return Err(malformed);
            }
            digits += length;
            let size = self.text[exponent..self.at].parse::<u32>().unwrap_or(u32::MAX);
            if size > MAX_EXPONENT {
                return Err(Fault { code: IssueCode::Invalid, message: "an exponent beyond 400", offset: start });
            }
        }
        if digits > MAX_DIGITS {
            return Err(Fault {
                code: IssueCode::Invalid,
                message: "a number of more than 1,000 digits",
                offset: start,
            });
        }
        Ok(Kind::Number)
    }

    /// The place of what was being read, as far as the keys on the way can stand in a FHIRPath.
    fn expression(&self) -> Option<String> {
        let mut path = String::new();
        for frame in &self.open {
            if self.nodes.get(frame.node as usize).is_some_and(|node| node.kind == Kind::Array) {
                if frame.count > 0 && !path.is_empty() {
                    path.push('[');
                    path.push_str(&(frame.count - 1).to_string());
                    path.push(']');
                }
                continue;
            }
            let key = &self.text[frame.key.0 as usize..frame.key.1 as usize];
            if !is_name(key) {
                break;
            }
            if path.is_empty() {
                path.push_str(self.root_type().unwrap_or(""));
            }
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key.trim_start_matches('_'));
        }
        if path.is_empty() { self.root_type().map(str::to_owned) } else { Some(path) }
    }

    /// The `resourceType` of the root, where it was read already.
    fn root_type(&self) -> Option<&str> {
        let mut at = 1;
        while let Some(node) = self.nodes.get(at) {
            if node.kind == Kind::String && self.name(node) == "resourceType" {
                let name = &self.text[node.start as usize + 1..node.end as usize - 1];
                return is_name(name).then_some(name);
            }
            let open = matches!(node.kind, Kind::Object | Kind::Array) && node.end == node.start + 1;
            if open {
                break;
            }
            at = node.after as usize;
        }
        None
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const fn twice(key_start: u32) -> Fault {
    syntax("the same key stands twice in one object", key_start as usize - 1)
}

/// A place as the arena keeps it; `scan` has checked that the whole text fits.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
