//! Where an issue is, and the list of them.

use crate::outcome::{Issue, IssueCode};

/// More issues than this are not collected: whoever sends so many has sent something else.
const MOST_ISSUES: usize = 50;
/// Characters of a name of the sender's own that are repeated to them.
const MOST_ECHOED: usize = 64;

/// An element on the way from the root, as a list that lives on the stack.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Place<'a> {
    /// The root of a resource of this type.
    pub const fn root(name: &'a str) -> Self {
        Self { parent: None, name, index: None }
    }

    /// An element of this one.
    pub const fn child<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { parent: Some(self), name, index: None }
    }

    /// One item of this one.
    pub const fn at(&self, index: usize) -> Self {
        Self { index: Some(index), ..*self }
    }

    /// Whether this is the `meta` of the root, which the server fills and which may therefore come empty.
    pub fn is_root_meta(&self) -> bool {
        self.name == "meta" && self.parent.is_some_and(|parent| parent.parent.is_none())
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
            out.push('.');
        }
        out.push_str(self.name);
        if let Some(index) = self.index {
            out.push('[');
            out.push_str(&index.to_string());
            out.push(']');
        }
    }
}

/// The issues found so far.
#[derive(Default)]
pub(super) struct Issues(Vec<Issue>);

impl Issues {
    /// Adds an error at a place, unless there are too many already.
    pub fn add(&mut self, code: IssueCode, place: &Place<'_>, message: impl FnOnce() -> String) {
        if !self.is_full() {
            let mut expression = String::new();
            place.write(&mut expression);
            self.0.push(Issue::error(code, message()).at(expression));
        }
    }

    /// Whether no more are collected.
    pub const fn is_full(&self) -> bool {
        self.0.len() >= MOST_ISSUES
    }

    /// All of them, in the order they were found.
    pub fn into_list(self) -> Vec<Issue> {
        self.0
    }
}

/// A name the sender chose, as far as it is repeated.
pub(super) fn shortened(name: &str) -> &str {
    name.char_indices().nth(MOST_ECHOED).map_or(name, |(end, _)| &name[..end])
}

/// Whether a key can stand in a FHIRPath as it is.
pub(super) fn is_name(key: &str) -> bool {
    (1..=MOST_ECHOED).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
