//! Where an issue is, and the list of them. The structure check has the same for itself.

use vitals_fhir::outcome::{Issue, IssueCode};

/// More issues than this are not collected: whoever sends so many has sent something else.
const MOST_ISSUES: usize = 50;

/// An element on the way from the root, as a list that lives on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Place<'a> {
    /// The root of a resource of this type.
    pub const fn root(name: &'a str) -> Self {
        Self { parent: None, name, index: None }
    }

    /// An element of this one. A choice without its type (`value[x]`) is named as FHIRPath names it (`value`).
    pub fn child<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { parent: Some(self), name: name.strip_suffix("[x]").unwrap_or(name), index: None }
    }

    /// One item of this one.
    pub const fn at(&self, index: usize) -> Self {
        Self { index: Some(index), ..*self }
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
pub(crate) struct Issues(Vec<Issue>);

impl Issues {
    /// Adds an error at a place, unless there are too many already.
    pub fn add(&mut self, code: IssueCode, place: &Place<'_>, message: impl Into<String>) {
        self.push(Issue::error(code, message), place);
    }

    /// Adds a warning at a place, unless there are too many already.
    pub fn warn(&mut self, code: IssueCode, place: &Place<'_>, message: impl Into<String>) {
        self.push(Issue::warning(code, message), place);
    }

    /// Adds a broken invariant of this key.
    pub fn broken(&mut self, key: &str, place: &Place<'_>, message: &str) {
        self.add(IssueCode::Invariant, place, format!("{message} ({key})"));
    }

    fn push(&mut self, issue: Issue, place: &Place<'_>) {
        if !self.is_full() {
            let mut expression = String::new();
            place.write(&mut expression);
            self.0.push(issue.at(expression));
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
