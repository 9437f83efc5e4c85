//! The search grammar (<https://hl7.org/fhir/R4/search.html>): from the pairs of a query to a typed [`Query`].
//!
//! A parameter that is not known can at most be ignored, with a warning; one that is known but cannot be understood in
//! full is always refused. So no search ever answers with more than its caller asked for without saying so.

mod criteria;
mod date;
mod filter;
mod form;
mod parameter;
mod quantity;
mod result;
mod value;

use std::marker::PhantomData;

pub use criteria::Criteria;
pub use date::{DateTest, Prefix};
pub use filter::{
    Column, DateColumn, Element, Filter, Matching, NamePart, OTHER_SUBJECT_TYPES, Place, Referrer, Subject, TokenValue,
};
pub use form::{form_pairs, form_text};
use parameter::Target;
pub use quantity::{Bounds, QuantityTest, Unit};
pub use result::{Direction, Shown, Sort, SortKey, Total};

use crate::{
    catalog,
    outcome::{Issue, IssueCode, Severity},
    resource::Resource,
};

/// Most parameters in one search.
pub const MOST_PARAMETERS: usize = 200;
/// Most values in one search, all alternatives of all parameters taken together.
pub const MOST_VALUES: usize = 1_000;
/// Entries on a page when `_count` does not say.
pub const DEFAULT_COUNT: u32 = 50;
/// Most entries on a page.
pub const MOST_COUNT: u32 = 1_000;
/// A search of type `R` that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query<R> {
    /// What a resource must meet, all of them.
    pub filters: Vec<Filter>,
    /// Entries on a page, at most [`MOST_COUNT`].
    pub count: u32,
    /// The order asked for.
    pub sort: Option<Sort>,
    /// Whether to count.
    pub total: Total,
    /// What to show of what is found.
    pub shown: Shown,
    /// The parameters that were understood, in their order, for the `self` link.
    pub applied: Vec<(String, String)>,
    /// A warning for each parameter and sort key that was ignored.
    pub ignored: Vec<Issue>,
    of: PhantomData<fn() -> R>,
}

impl<R: Resource> Query<R> {
    /// Reads the parameters of a search. Under `strict` (`Prefer: handling=strict`) what would be ignored is refused;
    /// `bases` are the tenant's own base URLs, without a slash at the end.
    pub fn parse(pairs: &[(String, String)], strict: bool, bases: &[&str]) -> Result<Self, Issue> {
        if pairs.len() > MOST_PARAMETERS {
            return Err(form::too_many_parameters());
        }
        let mut query = Self {
            filters: Vec::with_capacity(pairs.len()),
            count: DEFAULT_COUNT,
            sort: None,
            total: Total::Unsaid,
            shown: Shown::Whole,
            applied: Vec::with_capacity(pairs.len()),
            ignored: Vec::new(),
            of: PhantomData,
        };
        let mut reader = Reader { bases, values: 0, governed: Vec::new() };
        for (name, value) in pairs {
            query.take(name, value, &mut reader)?;
        }
        match query.ignored.first() {
            Some(warning) if strict => Err(Issue { severity: Severity::Error, ..warning.clone() }),
            _ => Ok(query),
        }
    }

    fn take(&mut self, text: &str, value: &str, reader: &mut Reader<'_>) -> Result<(), Issue> {
        let name = Name::read(text)?;
        if matches!(name.base, "_format" | "_pretty") && name.modifier.is_none() {
            return Ok(());
        }
        let Some(target) = Target::of(R::TYPE, name.base) else {
            name.refuse_modifier()?;
            let named = catalog::parameters(R::TYPE).iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
            let diagnostics = format!("{} has no search parameter of this name here; it has {named}", R::TYPE);
            self.ignored.push(Issue::warning(IssueCode::NotSupported, diagnostics).at(name.shown()));
            return Ok(());
        };
        if value.is_empty() {
            return Err(name.invalid("the value is empty"));
        }
        let Some(filter) = target.filter(name, value, reader)? else {
            name.refuse_modifier()?;
            let applied = self.govern(name.base, value, reader).map_err(|reason| name.issue(reason))?;
            self.applied.extend(applied.map(|value| (name.base.to_owned(), value)));
            return Ok(());
        };
        self.filters.push(filter);
        self.applied.push((text.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// What reading one query goes along with.
struct Reader<'q> {
    bases: &'q [&'q str],
    /// Values seen so far.
    values: usize,
    /// Parameters of the result seen so far.
    governed: Vec<String>,
}

/// Why a value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It is not of the parameter's form.
    Invalid(&'static str),
    /// It is of a form that is not offered.
    NotSupported(&'static str),
}

/// The name of a parameter, taken apart.
#[derive(Clone, Copy)]
struct Name<'q> {
    base: &'q str,
    modifier: Option<&'q str>,
}

impl<'q> Name<'q> {
    /// Parameters that would change which resources are found or come along, and therefore are never ignored.
    const NEVER_IGNORED: [&'static str; 4] = ["_has", "_filter", "_include", "_revinclude"];

    fn read(text: &'q str) -> Result<Self, Issue> {
        let (base, modifier) = text.split_once(':').map_or((text, None), |(base, modifier)| (base, Some(modifier)));
        let name = Self { base, modifier };
        if base.is_empty() {
            return Err(Issue::error(IssueCode::Invalid, "a parameter has no name"));
        }
        if Self::NEVER_IGNORED.contains(&base) {
            return Err(name.issue(Refused::NotSupported("this parameter is not supported")));
        }
        if text.contains('.') {
            return Err(name.issue(Refused::NotSupported("chained parameters are not supported")));
        }
        Ok(name)
    }

    /// The values of the parameter, each read by `read`.
    fn values<T>(
        self,
        text: &str,
        reader: &mut Reader<'_>,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Issue> {
        self.refuse_modifier()?;
        let mut values = Vec::new();
        for item in value::alternatives(text) {
            reader.values += 1;
            if reader.values > MOST_VALUES {
                let diagnostics = format!("a search may have {MOST_VALUES} values");
                return Err(Issue::error(IssueCode::TooCostly, diagnostics).at(self.shown()));
            }
            if item.is_empty() {
                return Err(self.invalid("one of the values is empty"));
            }
            values.push(read(item).map_err(|reason| self.issue(reason))?);
        }
        Ok(values)
    }

    fn refuse_modifier(self) -> Result<(), Issue> {
        if self.modifier.is_some() { Err(self.modifier_refused()) } else { Ok(()) }
    }

    fn modifier_refused(self) -> Issue {
        self.issue(Refused::NotSupported("this modifier is not supported"))
    }

    fn invalid(self, diagnostics: &'static str) -> Issue {
        self.issue(Refused::Invalid(diagnostics))
    }

    /// The issue for this parameter. Values are never repeated: they may be names or numbers of patients.
    fn issue(self, reason: Refused) -> Issue {
        match reason {
            Refused::Invalid(text) => Issue::error(IssueCode::Invalid, text),
            Refused::NotSupported(text) => Issue::error(IssueCode::NotSupported, text),
        }
        .at(self.shown())
    }

    /// The name for an issue, cut to 64 characters.
    fn shown(self) -> String {
        let colon = if self.modifier.is_some() { ":" } else { "" };
        format!("{}{colon}{}", self.base, self.modifier.unwrap_or_default()).chars().take(64).collect()
    }
}

#[cfg(test)]
mod tests;
