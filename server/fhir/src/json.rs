//! The strict JSON door: an arena of nodes over the text as it came, without copies.
//!
//! It accepts what RFC 8259 accepts, less what no two readers agree on: a key twice in one object (whatever escapes
//! it is written with), lone surrogates, NUL, a byte order mark, more than 64 levels, and numbers that no store can
//! hold. Nothing is converted: strings are unescaped when they are asked for, numbers stay the text they are, and
//! every node knows its bytes, so that a writer can change one value and leave every other byte.

mod scanner;
mod string;

use std::{borrow::Cow, fmt, ops::Range};

use crate::outcome::{Issue, IssueCode};

/// The deepest nesting of objects and arrays.
pub const MAX_DEPTH: usize = 64;
/// The most digits a number may have, those of its exponent included.
pub const MAX_DIGITS: usize = 1_000;
/// The largest exponent, either way.
pub const MAX_EXPONENT: u32 = 400;

/// Why a text is not JSON that this server takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset})")]
pub struct JsonError {
    /// `structure` for what is no JSON, `invalid` for what is but is not taken.
    pub code: IssueCode,
    /// What is wrong; never holds text of the body.
    pub message: String,
    /// The element it happened in, as far as it is known.
    pub expression: Option<String>,
    /// The byte where it shows, from 0.
    pub offset: usize,
}

impl From<JsonError> for Issue {
    fn from(error: JsonError) -> Self {
        let issue = Self::error(error.code, error.to_string());
        match error.expression {
            Some(expression) => issue.at(expression),
            None => issue,
        }
    }
}

/// Parses a whole text.
pub fn parse(text: &[u8]) -> Result<Document<'_>, JsonError> {
    scanner::scan(text, usize::MAX)
}

/// Parses a whole text that may hold at most so many values, for bodies so large that the arena must be bounded too.
pub fn parse_within(text: &[u8], values: usize) -> Result<Document<'_>, JsonError> {
    scanner::scan(text, values)
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

/// One value of the arena. Children follow their parent; `after` is the first node behind the whole subtree.
#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    key_start: u32,
    key_end: u32,
    after: u32,
    kind: Kind,
    escaped: bool,
    key_escaped: bool,
}

/// A parsed text. It borrows the text and holds nothing but places in it.
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

impl<'t> Document<'t> {
    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, node: 0 }
    }

    /// The text, whole.
    pub fn text(&self) -> &'t str {
        self.text
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes, {} values)", self.text.len(), self.nodes.len())
    }
}

/// One value of a document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    node: u32,
}

impl<'d> Value<'d> {
    fn node(self) -> &'d Node {
        &self.document.nodes[self.node as usize]
    }

    fn slice(self, start: u32, end: u32) -> &'d str {
        &self.document.text[start as usize..end as usize]
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// The bytes of the value, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// The bytes of the key it stands under, quotes included; none in an array and at the root.
    pub fn key_span(self) -> Option<Range<usize>> {
        let node = self.node();
        (node.key_end > 0).then(|| node.key_start as usize - 1..node.key_end as usize + 1)
    }

    /// The key it stands under, unescaped; none in an array and at the root.
    pub fn key(self) -> Option<Cow<'d, str>> {
        let node = self.node();
        (node.key_end > 0).then(|| string::unescaped(self.slice(node.key_start, node.key_end), node.key_escaped))
    }

    fn has_key(self, name: &str) -> bool {
        let node = self.node();
        let raw = self.slice(node.key_start, node.key_end);
        if node.key_escaped { string::unescaped(raw, true) == name } else { raw == name }
    }

    /// The value of the member `name` of an object.
    pub fn get(self, name: &str) -> Option<Value<'d>> {
        self.children_of(Kind::Object).find(|child| child.has_key(name))
    }

    /// The members of an object in the order they stand; none of anything else.
    pub fn members(self) -> impl Iterator<Item = (Cow<'d, str>, Value<'d>)> {
        self.children_of(Kind::Object).map(|child| (child.key().unwrap_or_default(), child))
    }

    /// The values of an array; none of anything else.
    pub fn items(self) -> impl Iterator<Item = Value<'d>> {
        self.children_of(Kind::Array)
    }

    /// The text of a string, unescaped.
    pub fn string(self) -> Option<Cow<'d, str>> {
        let node = self.node();
        (node.kind == Kind::String).then(|| string::unescaped(self.slice(node.start + 1, node.end - 1), node.escaped))
    }

    /// The bytes of a string between its quotes, escapes as they are written; of anything else, its text.
    pub fn raw(self) -> &'d str {
        let node = self.node();
        match node.kind {
            Kind::String => self.slice(node.start + 1, node.end - 1),
            _ => self.slice(node.start, node.end),
        }
    }

    /// A number as it is written.
    pub fn number(self) -> Option<&'d str> {
        let node = self.node();
        (node.kind == Kind::Number).then(|| self.slice(node.start, node.end))
    }

    /// `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        let node = self.node();
        (node.kind == Kind::Bool).then(|| node.end - node.start == 4)
    }

    /// Whether an object or array holds nothing.
    pub fn is_empty(self) -> bool {
        self.node().after == self.node + 1
    }

    fn children_of(self, kind: Kind) -> Children<'d> {
        let end = if self.kind() == kind { self.node().after } else { self.node + 1 };
        Children { document: self.document, at: self.node + 1, end }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.span())
    }
}

/// The children of one node, in order.
struct Children<'d> {
    document: &'d Document<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Children<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        if self.at >= self.end {
            return None;
        }
        let child = Value { document: self.document, node: self.at };
        self.at = child.node().after;
        Some(child)
    }
}

#[cfg(test)]
mod tests;
