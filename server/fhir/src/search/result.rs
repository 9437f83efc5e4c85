//! Parameters that govern the result (<https://hl7.org/fhir/R4/search.html#return>).

use super::{MOST_COUNT, Query, Reader, Refused};
use crate::{
    outcome::{Issue, IssueCode},
    resource::{Resource, ResourceType},
};

/// An order of the result. Resources without the value come first where it ascends and last where it descends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// In which direction.
    pub direction: Direction,
}

/// What a result is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The start of the date of an Observation.
    Date,
    /// When the version was written.
    LastUpdated,
    /// The first family name, folded.
    Family,
    /// The start of the date of birth.
    Birthdate,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Least first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// Whether everything that matches is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Nothing was said: told where it is known without counting.
    Unsaid,
    /// `_total=none`
    Untold,
    /// `_total=accurate` or `estimate`. The planner's estimate would be made from rows that the caller may not see.
    Counted,
}

/// What an answer shows of the resources found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of them.
    Whole,
    /// `_summary=count` or `_count=0`: how many there are.
    Count,
    /// `_elements`: these, and what must be there.
    Elements(Vec<String>),
}

impl SortKey {
    fn named(resource: ResourceType, name: &str) -> Option<Self> {
        match (resource, name) {
            (_, "_lastUpdated") => Some(Self::LastUpdated),
            (ResourceType::Observation, "date") => Some(Self::Date),
            (ResourceType::Patient, "family") => Some(Self::Family),
            (ResourceType::Patient, "birthdate") => Some(Self::Birthdate),
            _ => None,
        }
    }

    const fn names(resource: ResourceType) -> &'static str {
        match resource {
            ResourceType::Patient => "family, birthdate and _lastUpdated",
            ResourceType::Observation => "date and _lastUpdated",
        }
    }
}

impl<R: Resource> Query<R> {
    /// Reads a parameter of the result; the answer is the value that holds, if one does.
    pub(super) fn govern(
        &mut self,
        name: &str,
        text: &str,
        reader: &mut Reader<'_>,
    ) -> Result<Option<String>, Refused> {
        if reader.governed.iter().any(|known| known == name) {
            return Err(Refused::Invalid("the parameter is given twice"));
        }
        reader.governed.push(name.to_owned());
        match name {
            "_count" => self.count(text),
            "_sort" => self.sort(text),
            "_total" => self.total(text),
            "_summary" => self.summary(text),
            _ => self.elements(text),
        }
    }

    fn count(&mut self, text: &str) -> Result<Option<String>, Refused> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Invalid("the value is not a whole number from 0 on"));
        }
        // More digits than a number holds are more than the cap.
        self.count = text.parse().unwrap_or(MOST_COUNT).min(MOST_COUNT);
        if self.count == 0 {
            self.shown = Shown::Count;
        }
        Ok(Some(self.count.to_string()))
    }

    fn sort(&mut self, text: &str) -> Result<Option<String>, Refused> {
        let mut applied = None;
        for text in text.split(',') {
            let (direction, name) = match text.strip_prefix('-') {
                Some(name) => (Direction::Descending, name),
                None => (Direction::Ascending, text),
            };
            if name.is_empty() {
                return Err(Refused::Invalid("a sort key is empty"));
            }
            match SortKey::named(R::TYPE, name) {
                Some(key) if self.sort.is_none() => {
                    self.sort = Some(Sort { key, direction });
                    applied = Some(text.to_owned());
                }
                _ => {
                    let keys = SortKey::names(R::TYPE);
                    let diagnostics = format!("a sort key is ignored; the keys here are {keys}, one of them");
                    self.ignored.push(Issue::warning(IssueCode::NotSupported, diagnostics).at("_sort"));
                }
            }
        }
        Ok(applied)
    }

    fn total(&mut self, text: &str) -> Result<Option<String>, Refused> {
        self.total = match text {
            "none" => Total::Untold,
            "estimate" | "accurate" => Total::Counted,
            _ => return Err(Refused::Invalid("the value is none of none, estimate and accurate")),
        };
        Ok(Some(text.to_owned()))
    }

    fn summary(&mut self, text: &str) -> Result<Option<String>, Refused> {
        match text {
            "count" => self.shown = Shown::Count,
            "false" => {}
            "true" | "text" | "data" => {
                let diagnostics = "summaries are not made here but for count; resources come whole";
                self.ignored.push(Issue::warning(IssueCode::NotSupported, diagnostics).at("_summary"));
                return Ok(None);
            }
            _ => return Err(Refused::Invalid("the value is none of true, text, data, count and false")),
        }
        Ok(Some(text.to_owned()))
    }

    fn elements(&mut self, text: &str) -> Result<Option<String>, Refused> {
        let mut names = Vec::new();
        for item in text.split(',') {
            let name = item.strip_prefix(R::TYPE.name()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(item);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Refused::Invalid("one of the values is not the name of an element"));
            }
            names.push(name.to_owned());
        }
        if self.shown == Shown::Whole {
            self.shown = Shown::Elements(names);
        }
        Ok(Some(text.to_owned()))
    }
}
