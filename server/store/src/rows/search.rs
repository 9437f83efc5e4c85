//! Search of a type: the typed query, the caller's predicate and the position on one keyset page, as SQL.

mod order;
mod render;

use vitals_fhir::{
    interaction::SearchType,
    resource::Resource,
    search::{Query, Shown},
};

use order::Order;
pub use order::{Mark, Position};

use super::{
    Rows, Versioned,
    table::{MOST_OF_A_PAGE, Table, column, versioned, weight},
};
use crate::{
    StoreError,
    error::Commits,
    sql::{Plain, Sql},
    tenant::WORK,
};

/// A resource that a search found.
#[derive(Clone, Debug)]
pub struct Found<R: Resource> {
    /// The resource.
    pub resource: Versioned<R>,
    /// Where it stands in the order.
    position: Position,
}

impl<R: Resource> Found<R> {
    /// Where it stands in the order.
    pub const fn position(&self) -> &Position {
        &self.position
    }
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct Page<R: Resource> {
    /// What was found.
    pub found: Vec<Found<R>>,
    /// The last entry's place, where more follow.
    pub next: Option<Position>,
}

/// A part of a page.
struct Piece<R: Resource> {
    page: Page<R>,
    /// Whether it ends where it does because of the bytes it has.
    cut: bool,
    /// These bytes.
    weight: usize,
}

/// Larger pages are read in pieces while another tenant is there: a process that gives up its processor every few hundred
/// microseconds leaves the others' turn to them, one that keeps it for milliseconds does not.
const PIECE: u32 = 100;

impl<R: Table> Rows<'_, R, SearchType> {
    /// At most `query.count` resources after `after`, fewer where they are large; none where only their number is asked for, or where `after` is
    /// no place in this order.
    pub async fn search(&mut self, query: &Query<R>, after: Option<&Position>) -> Result<Page<R>, StoreError> {
        self.search_within(query, after, MOST_OF_A_PAGE).await
    }

    /// The same, where what is found may have so many bytes: for one of several searches that one answer is made of.
    pub async fn search_within(
        &mut self,
        query: &Query<R>,
        after: Option<&Position>,
        most: usize,
    ) -> Result<Page<R>, StoreError> {
        let order = Order::of(query, &self.visible);
        if query.shown == Shown::Count || after.is_some_and(|after| !order.holds(after)) {
            return Ok(Page { found: Vec::new(), next: None });
        }
        if query.count > PIECE && self.lease.is_beside_others() {
            return self.in_pieces(query, order, after, most).await;
        }
        Ok(self.piece(query, query.count, order, after, most).await?.page)
    }

    /// A large page, read in pieces that all see one moment.
    async fn in_pieces(
        &mut self,
        query: &Query<R>,
        order: Order,
        after: Option<&Position>,
        most: usize,
    ) -> Result<Page<R>, StoreError> {
        self.lease.begin(|role| Plain::BeginSnapshot(role)).await?;
        let mut page = Page { found: Vec::new(), next: after.cloned() };
        let mut weight = 0;
        loop {
            let left = query.count - u32::try_from(page.found.len()).unwrap_or(query.count);
            let piece =
                self.piece(query, left.min(PIECE), order, page.next.as_ref(), most.saturating_sub(weight)).await?;
            weight += piece.weight;
            page.found.extend(piece.page.found);
            page.next = piece.page.next;
            if piece.cut || page.next.is_none() || page.found.len() >= query.count as usize {
                break;
            }
            // Whoever waits for this thread goes first.
            tokio::task::yield_now().await;
        }
        self.lease.commit().await?;
        Ok(page)
    }

    async fn piece(
        &mut self,
        query: &Query<R>,
        count: u32,
        order: Order,
        after: Option<&Position>,
        most: usize,
    ) -> Result<Piece<R>, StoreError> {
        let mut sql = Sql::new("resource.search");
        render::push(&mut sql, query, count, &self.visible, order, after, self.access.tenant().number);
        let (rows, cut) = self.lease.rows_within(sql, WORK, most, weight).await?;
        let count = count as usize;
        let found = rows
            .iter()
            .take(count)
            .map(|row| {
                let resource: Versioned<R> = versioned(row)?;
                let position = Position { mark: order.mark::<R>(row)?, id: resource.id.as_str().to_owned() };
                Ok(Found { resource, position })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let next = if cut || rows.len() > count { found.last().map(|last| last.position.clone()) } else { None };
        let weight = rows.iter().take(count).map(weight).sum();
        Ok(Piece { page: Page { found, next }, cut: cut && rows.len() <= count, weight })
    }

    /// How many resources are found on all pages together.
    pub async fn count(&mut self, query: &Query<R>) -> Result<u64, StoreError> {
        let mut sql = Sql::new("resource.count");
        render::push_count(&mut sql, query, &self.visible);
        let rows = self.lease.rows(sql, Commits::No, WORK).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let total: i64 = column(row, R::TEXTS.table, "total")?;
        u64::try_from(total).map_err(|_| StoreError::Inconsistent { table: R::TEXTS.table, column: "total" })
    }

    /// How PostgreSQL would run the search, a line an item, for tests of plans.
    pub async fn plan(&mut self, query: &Query<R>, after: Option<&Position>) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::explaining("resource.plan");
        let order = Order::of(query, &self.visible);
        render::push(&mut sql, query, query.count, &self.visible, order, after, self.access.tenant().number);
        self.lease.plan(sql, WORK).await
    }
}
