//! Read and vread of one resource.

use vitals_access::predicate::Visible;
use vitals_fhir::{
    interaction::{Read, Vread},
    resource::{Id, Version},
};

use super::{
    Rows, Versioned, predicate,
    table::{Table, alias, column, versioned},
};
use crate::{StoreError, error::Commits, sql::Sql, tenant::READ};

/// Why there is nothing to read. Hidden and never there are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Never there, or out of reach.
    Never,
    /// Deleted, and its last content was in reach.
    Deleted,
}

/// Appends a condition that holds when the current version of `id`, or the last content of a deleted one, is
/// visible: a version or history entry is in reach only together with it.
pub(super) fn push_current_visible<R: Table>(sql: &mut Sql, id: &Id<R>, visible: &Visible) {
    sql.push("(EXISTS (SELECT 1").push(R::TEXTS.from).push(" WHERE x.id = ").bind(id.as_str()).push(" AND ");
    predicate::push(sql, alias::<R>("x"), visible);
    sql.push(") OR ");
    push_deleted_visible(sql, id, visible);
    sql.push(")");
}

/// Appends a condition that holds when `id` is deleted and its tombstone is visible.
pub(super) fn push_deleted_visible<R: Table>(sql: &mut Sql, id: &Id<R>, visible: &Visible) {
    sql.push("(NOT EXISTS (SELECT 1").push(R::TEXTS.from).push(" WHERE x.id = ").bind(id.as_str());
    sql.push(") AND EXISTS (SELECT 1").push(R::TEXTS.from_history).push(" WHERE h.id = ").bind(id.as_str());
    sql.push(" AND h.deleted AND h.version = (SELECT max(h.version)").push(R::TEXTS.from_history);
    sql.push(" WHERE h.id = ").bind(id.as_str()).push(") AND ");
    predicate::push(sql, alias::<R>("h"), visible);
    sql.push("))");
}

/// The same as [`push_current_visible`] for whichever resource alias `x` is a version of.
pub(super) fn push_each_current_visible<R: Table>(sql: &mut Sql, visible: &Visible) {
    if *visible == Visible::Everything {
        sql.push("TRUE");
        return;
    }
    sql.push("(EXISTS (SELECT 1").push(R::TEXTS.from_current).push(" WHERE c.id = x.id AND ");
    predicate::push(sql, alias::<R>("c"), visible);
    sql.push(") OR (NOT EXISTS (SELECT 1").push(R::TEXTS.from_current).push(" WHERE c.id = x.id) AND EXISTS (SELECT 1");
    sql.push(R::TEXTS.from_history).push(" WHERE h.id = x.id AND h.deleted AND h.version = (SELECT max(h.version)");
    sql.push(R::TEXTS.from_history).push(" WHERE h.id = x.id) AND ");
    predicate::push(sql, alias::<R>("h"), visible);
    sql.push(")))");
}

impl<R: Table> Rows<'_, R, Read> {
    /// The current version.
    pub async fn get(&mut self, id: &Id<R>) -> Result<Result<Versioned<R>, Missing>, StoreError> {
        let mut sql = Sql::new("resource.read");
        sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, ").push(R::TEXTS.patient);
        sql.push(" AS patient, x.body").push(R::TEXTS.from).push(" WHERE x.id = ").bind(id.as_str()).push(" AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        match self.lease.rows(sql, Commits::No, READ).await?.first() {
            Some(row) => versioned(row).map(Ok),
            None => Ok(Err(self.missing(id).await?)),
        }
    }
}

impl<R: Table> Rows<'_, R, Vread> {
    /// One version, where both it and the current one are in reach.
    pub async fn get(&mut self, id: &Id<R>, version: Version) -> Result<Result<Versioned<R>, Missing>, StoreError> {
        let mut sql = Sql::new("resource.vread");
        sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, x.deleted, ").push(R::TEXTS.patient);
        sql.push(" AS patient, x.body FROM ").push(R::TEXTS.versions);
        sql.push(" WHERE x.id = ").bind(id.as_str()).push(" AND x.version = ").bind(version.number()).push(" AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        sql.push(" AND ");
        push_current_visible(&mut sql, id, &self.visible);
        match self.lease.rows(sql, Commits::No, READ).await?.first() {
            None => Ok(Err(Missing::Never)),
            Some(row) if column(row, R::TEXTS.table, "deleted")? => Ok(Err(Missing::Deleted)),
            Some(row) => versioned(row).map(Ok),
        }
    }
}

impl<R: Table, I> Rows<'_, R, I> {
    /// Why there is no current version that the caller may reach.
    pub(super) async fn missing(&mut self, id: &Id<R>) -> Result<Missing, StoreError> {
        let mut sql = Sql::new("resource.missing");
        sql.push("SELECT h.tenant").push(R::TEXTS.from_history).push(" WHERE h.id = ").bind(id.as_str());
        sql.push(" AND h.deleted AND ");
        push_deleted_visible(&mut sql, id, &self.visible);
        sql.push(" LIMIT 1");
        let rows = self.lease.rows(sql, Commits::No, READ).await?;
        Ok(if rows.is_empty() { Missing::Never } else { Missing::Deleted })
    }
}
