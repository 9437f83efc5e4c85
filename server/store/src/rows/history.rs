//! The versions of one resource, newest first.

use vitals_fhir::{
    interaction::HistoryInstance,
    resource::{Id, Resource, Version},
};

use super::{
    Rows, predicate,
    read::push_current_visible,
    table::{Table, alias, column},
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::WORK};

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
        let table = R::TEXTS.table;
        let mut sql = Sql::new("resource.history");
        sql.push("SELECT x.tenant, x.version, x.last_updated, x.deleted, ").push(R::TEXTS.patient);
        sql.push(" AS patient, x.body FROM ").push(R::TEXTS.versions).push(" WHERE x.id = ").bind(id.as_str());
        if let Some(before) = before {
            sql.push(" AND x.version < ").bind(before.number());
        }
        sql.push(" AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        sql.push(" AND ");
        push_current_visible(&mut sql, id, &self.visible);
        sql.push(" ORDER BY x.version DESC LIMIT ").bind(i64::from(count) + 1);
        let rows = self.lease.rows(sql, Commits::No, WORK).await?;
        let more = rows.len() > count as usize;
        let entries = rows
            .iter()
            .take(count as usize)
            .map(|row| {
                let deleted: bool = column(row, table, "deleted")?;
                let body: Option<String> = column(row, table, "body")?;
                if deleted != body.is_none() {
                    return Err(StoreError::Inconsistent { table, column: "body" });
                }
                Ok(HistoryEntry {
                    id: id.clone(),
                    version: Version::new(column(row, table, "version")?)
                        .ok_or(StoreError::Inconsistent { table, column: "version" })?,
                    last_updated: column::<Millis>(row, table, "last_updated")?.0,
                    patient: column(row, table, "patient")?,
                    body,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(History { entries, more })
    }
}
