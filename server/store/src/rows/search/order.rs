//! The order of a search, and where its pages begin.

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use vitals_access::predicate::Visible;
use vitals_fhir::{
    resource::ResourceType,
    search::{Column, Direction, Filter, Query, Sort, SortKey, Subject},
};

use crate::{
    StoreError,
    millis::Millis,
    rows::{
        predicate,
        table::{Table, column},
    },
    sql::Sql,
};

/// A place in the order of a search: the value sorted by, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The value sorted by.
    pub mark: Mark,
    /// The logical id.
    pub id: String,
}

/// A value that is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// Milliseconds since 1970, or a version.
    Number(i64),
    /// A text.
    Text(String),
}

/// By what, and in which direction. Descending, ids of one value ascend; ascending they descend: so each index, which
/// has its value and its id in opposite directions, serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    key: SortKey,
    direction: Direction,
    by: By,
}

/// How rows come into their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// An index gives it.
    Index,
    /// An index over all of a tenant gives it, which takes naming the tenant, or a code.
    IndexOfTenant,
    /// They are sorted, because the search names the few that are meant. An index that gives the order would be read to
    /// its end for them, and PostgreSQL takes it: it knows that the page is small and not how rare an identifier is.
    Sorting,
}

impl Order {
    /// What is asked for; else a patient's observations by their time, everything else by when it changed last;
    /// newest first.
    pub(super) fn of<R: Table>(query: &Query<R>, visible: &Visible) -> Self {
        let of_one_patient = || R::TYPE == ResourceType::Observation && one_patient(query, visible);
        let (key, direction) = match query.sort {
            Some(Sort { key, direction }) => (key, direction),
            None if of_one_patient() => (SortKey::Date, Direction::Descending),
            None => (SortKey::LastUpdated, Direction::Descending),
        };
        let names_a_few =
            |filter: &Filter| matches!(filter, Filter::Id(_) | Filter::Token { column: Column::Identifier, .. });
        let by = if query.filters.iter().any(names_a_few) {
            By::Sorting
        } else if key == SortKey::Date && !of_one_patient() {
            By::IndexOfTenant
        } else {
            By::Index
        };
        Self { key, direction, by }
    }

    /// The expression sorted by.
    pub(super) const fn place(self) -> &'static str {
        match self.key {
            SortKey::Date => "x.eff_low",
            SortKey::LastUpdated => "x.last_updated",
            SortKey::Family => "x.family",
            SortKey::Birthdate => "x.birth_low",
        }
    }

    pub(super) fn push(self, sql: &mut Sql) {
        // What is added changes no value, and no index has the expression.
        let (open, close) = match (self.by, self.key) {
            (By::Index | By::IndexOfTenant, _) => ("", ""),
            (By::Sorting, SortKey::Family) => ("(", " || '')"),
            (By::Sorting, _) => ("(", " + INTERVAL '0')"),
        };
        sql.push(" ORDER BY ").push(open).push(self.place()).push(close).push(match self.direction {
            Direction::Ascending => " ASC, x.id DESC",
            Direction::Descending => " DESC, x.id ASC",
        });
    }

    /// Whether an index over all of a tenant gives the order.
    pub(super) const fn is_of_tenant(self) -> bool {
        matches!(self.by, By::IndexOfTenant)
    }

    /// The order of a union of ordered branches.
    pub(super) fn push_of_union(self, sql: &mut Sql) {
        sql.push(match self.direction {
            Direction::Ascending => " ORDER BY u.place ASC, u.id DESC",
            Direction::Descending => " ORDER BY u.place DESC, u.id ASC",
        });
    }

    /// Appends the condition that a row follows a position.
    pub(super) fn push_after(self, sql: &mut Sql, after: &Position) {
        // Two conditions: the first bounds the index scan, the second cuts inside a value shared by several rows.
        let (bound, beyond, next) = match self.direction {
            Direction::Ascending => (" >= ", " > ", " OR x.id < "),
            Direction::Descending => (" <= ", " < ", " OR x.id > "),
        };
        for (before, comparison) in [(" AND ", bound), (" AND (", beyond)] {
            sql.push(before).push(self.place()).push(comparison);
            match &after.mark {
                Mark::Number(number) => sql.bind(Millis(*number)),
                Mark::Text(text) => sql.bind(text.clone()),
            };
        }
        sql.push(next).bind(after.id.clone()).push(")");
    }

    /// Whether a position may be one in this order.
    pub(super) const fn holds(self, after: &Position) -> bool {
        matches!(
            (self.key, &after.mark),
            (SortKey::Family, Mark::Text(_))
                | (SortKey::Date | SortKey::LastUpdated | SortKey::Birthdate, Mark::Number(_))
        )
    }

    /// The value that a row is sorted by.
    pub(super) fn mark<R: Table>(self, row: &PgRow) -> Result<Mark, StoreError> {
        Ok(match self.key {
            SortKey::Family => Mark::Text(column(row, R::TEXTS.table, "place")?),
            _ => Mark::Number(column::<Millis>(row, R::TEXTS.table, "place")?.0),
        })
    }
}

/// Whether everything found is about one patient, so that the index by patient and time gives the order.
pub(super) fn one_patient<R: Table>(query: &Query<R>, visible: &Visible) -> bool {
    let asked = query.filters.iter().any(|filter| match filter {
        Filter::Subject(subjects) => matches!(subjects.as_slice(), [Subject::Patient(_)]),
        Filter::Compartment(_) => true,
        _ => false,
    });
    asked || predicate::of_one_patient(visible)
}
