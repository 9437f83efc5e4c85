//! The versions of one resource or of all of a type, newest first.

use sqlx::postgres::PgRow;
use vitals_access::predicate::Visible;
use vitals_fhir::{
    interaction::{HistoryInstance, HistoryType},
    resource::{Id, Resource, Version},
};

use super::{
    Mark, Position, Rows, predicate,
    read::{push_current_visible, push_each_current_visible},
    table::{MOST_OF_A_PAGE, Table, alias, body, column, weight},
};
use crate::{StoreError, millis::Millis, sql::Sql, tenant::WORK};

/// One version in a history.
#[derive(Clone, Debug)]
pub struct HistoryEntry<R: Resource> {
    /// The resource's id.
    pub id: Id<R>,
    /// The version.
    pub version: Version,
    /// When it was written, in milliseconds since 1970.
    pub last_updated: i64,
    /// The patient whose compartment it was in.
    pub patient: Option<String>,
    /// The resource, or none where this version is its deletion.
    pub body: Option<String>,
    /// Whether nothing stood before it, as far as is in reach: it is the first, or follows a deletion.
    pub created: bool,
}

/// A page of a history.
#[derive(Clone, Debug)]
pub struct History<R: Resource> {
    /// The entries, newest first.
    pub entries: Vec<HistoryEntry<R>>,
    /// Whether older ones follow.
    pub more: bool,
}

impl<R: Table> Rows<'_, R, HistoryInstance> {
    /// At most `count` versions older than `before`, where both each of them and the current one are in reach.
    /// An empty first page means that there is nothing to know about the id.
    pub async fn versions(
        &mut self,
        id: &Id<R>,
        before: Option<Version>,
        count: u32,
    ) -> Result<History<R>, StoreError> {
        let mut sql = Sql::new("resource.history");
        push_entries::<R>(&mut sql, &self.visible);
        sql.push(" WHERE x.id = ").bind(id.as_str());
        if let Some(before) = before {
            sql.push(" AND x.version < ").bind(before.number());
        }
        sql.push(" AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        sql.push(" AND ");
        push_current_visible(&mut sql, id, &self.visible);
        sql.push(" ORDER BY x.version DESC LIMIT ").bind(i64::from(count) + 1);
        let (rows, cut) = self.lease.rows_within(sql, WORK, MOST_OF_A_PAGE, weight).await?;
        page(&rows, count, cut)
    }
}

impl<R: Table> Rows<'_, R, HistoryType> {
    /// At most `count` versions of all resources after `after`, the last written first, where both each of them and
    /// its resource's current one are in reach.
    pub async fn versions(&mut self, after: Option<&Position>, count: u32) -> Result<History<R>, StoreError> {
        let mut sql = Sql::new("resource.history_type");
        push_entries::<R>(&mut sql, &self.visible);
        sql.push(" WHERE ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        sql.push(" AND ");
        push_each_current_visible::<R>(&mut sql, &self.visible);
        if let Some(Position { mark, id }) = after {
            // A mark of another kind is no place in this order, and nothing follows it.
            let Mark::Number(at) = *mark else { return Ok(History { entries: Vec::new(), more: false }) };
            sql.push(" AND x.last_updated <= ").bind(Millis(at)).push(" AND (x.last_updated < ").bind(Millis(at));
            sql.push(" OR x.id > ").bind(id.clone()).push(")");
        }
        // Versions of one resource are at least a millisecond apart, so time and id tell all of them apart.
        sql.push(" ORDER BY x.last_updated DESC, x.id ASC LIMIT ").bind(i64::from(count) + 1);
        let (rows, cut) = self.lease.rows_within(sql, WORK, MOST_OF_A_PAGE, weight).await?;
        page(&rows, count, cut)
    }
}

/// Appends what an entry is made of, up to the WHERE. A deletion out of reach is not told of by what follows it.
fn push_entries<R: Table>(sql: &mut Sql, visible: &Visible) {
    sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, x.deleted, ").push(R::TEXTS.patient);
    sql.push(" AS patient, x.body, x.version = 1 OR EXISTS (SELECT 1").push(R::TEXTS.from_history);
    sql.push(" WHERE h.id = x.id AND h.version = x.version - 1 AND h.deleted AND ");
    predicate::push(sql, alias::<R>("h"), visible);
    sql.push(") AS created FROM ").push(R::TEXTS.versions);
}

fn page<R: Table>(rows: &[PgRow], count: u32, cut: bool) -> Result<History<R>, StoreError> {
    let table = R::TEXTS.table;
    let wrong = |column| StoreError::Inconsistent { table, column };
    let more = cut || rows.len() > count as usize;
    let entries = rows
        .iter()
        .take(count as usize)
        .map(|row| {
            let deleted: bool = column(row, table, "deleted")?;
            let body = body(row, table)?;
            if deleted != body.is_none() {
                return Err(wrong("body"));
            }
            Ok(HistoryEntry {
                id: column::<&str>(row, table, "id")?.parse().map_err(|_| wrong("id"))?,
                version: Version::new(column(row, table, "version")?).ok_or(wrong("version"))?,
                last_updated: column::<Millis>(row, table, "last_updated")?.0,
                patient: column(row, table, "patient")?,
                body,
                created: column(row, table, "created")?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(History { entries, more })
}
