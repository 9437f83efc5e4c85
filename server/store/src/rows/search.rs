//! Search of a type: the typed query, the caller's predicate and the position on one keyset page, as SQL.

mod render;

use vitals_fhir::{
    interaction::SearchType,
    resource::Resource,
    search::{Query, Sort},
};

use super::{
    Rows, Versioned,
    table::{Table, column, versioned},
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::WORK};

/// A resource that a search found.
#[derive(Clone, Debug)]
pub struct Found<R: Resource> {
    /// The resource.
    pub resource: Versioned<R>,
    /// Where it stands in the order.
    position: Position,
}

/// A place in the order of a search: the value sorted by, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Milliseconds since 1970 of the value sorted by.
    pub at: i64,
    /// The logical id.
    pub id: String,
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct Page<R: Resource> {
    /// What was found.
    pub found: Vec<Found<R>>,
    /// The last entry's place, where more follow.
    pub next: Option<Position>,
}

/// What a search without a wish is ordered by: a patient's observations by their time, everything else by when it
/// changed last; newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    DateDescending,
    DateAscending,
    UpdatedDescending,
}

impl<R: Table> Rows<'_, R, SearchType> {
    /// At most `query.count` resources after `after`.
    pub async fn search(&mut self, query: &Query<R>, after: Option<&Position>) -> Result<Page<R>, StoreError> {
        if query.count == 0 {
            return Ok(Page { found: Vec::new(), next: None });
        }
        let mut sql = Sql::new("resource.search");
        render::push(&mut sql, query, &self.visible, after);
        let rows = self.lease.rows(sql, Commits::No, WORK).await?;
        let count = query.count as usize;
        let found = rows
            .iter()
            .take(count)
            .map(|row| {
                let resource: Versioned<R> = versioned(row)?;
                let at = column::<Millis>(row, R::TEXTS.table, "place")?.0;
                let position = Position { at, id: resource.id.as_str().to_owned() };
                Ok(Found { resource, position })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let next = if rows.len() > count { found.last().map(|last| last.position.clone()) } else { None };
        Ok(Page { found, next })
    }

    /// How PostgreSQL would run the search, for tests of plans.
    pub fn statement(&self, query: &Query<R>) -> String {
        let mut sql = Sql::new("resource.search");
        render::push(&mut sql, query, &self.visible, None);
        sql.text().to_owned()
    }
}

pub(super) fn order<R: Resource>(query: &Query<R>, of_one_patient: bool) -> Order {
    match query.sort {
        Some(Sort::DateAscending) => Order::DateAscending,
        Some(Sort::DateDescending) => Order::DateDescending,
        None if of_one_patient => Order::DateDescending,
        None => Order::UpdatedDescending,
    }
}
