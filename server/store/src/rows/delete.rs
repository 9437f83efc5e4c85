//! Delete: the row goes to the history, followed by a tombstone that keeps what visibility is judged by.

use vitals_fhir::{
    interaction::Delete,
    resource::{Id, Resource, Version},
};

use super::{
    Missing, Outbox, Rows, WriteRefused,
    table::{Table, push_outbox},
    update::Locked,
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::WORK};

/// What a delete did.
#[derive(Clone, Debug)]
pub enum Deleted<R: Resource> {
    /// The resource is gone now.
    Now {
        /// Its id.
        id: Id<R>,
        /// The version of the tombstone.
        version: Version,
        /// The patient whose compartment it was in.
        patient: Option<String>,
    },
    /// It was gone already.
    Before,
}

impl<R: Table> Rows<'_, R, Delete> {
    /// Deletes the resource.
    pub async fn remove(
        &mut self,
        id: &Id<R>,
        if_match: Option<Version>,
        now: i64,
        outbox: impl FnOnce(Version, Option<&str>) -> Outbox + Send,
    ) -> Result<Result<Deleted<R>, WriteRefused>, StoreError> {
        let (version, last_updated, patient) = match self.lock_current(id).await? {
            Some(Locked::Current { version, last_updated, judged }) => {
                if !self.visible.admits(&judged.columns()) {
                    return Ok(Err(WriteRefused::NotFound));
                }
                if if_match.is_some_and(|wanted| wanted != version) {
                    return Ok(Err(WriteRefused::VersionDiffers { current: version }));
                }
                (version.next(), now.max(last_updated + 1), judged.columns().patient.map(str::to_owned))
            }
            _ => {
                return Ok(match self.missing(id).await? {
                    Missing::Deleted => Ok(Deleted::Before),
                    Missing::Never => Err(WriteRefused::NotFound),
                });
            }
        };
        let mut sql = Sql::new("resource.delete");
        push_outbox(&mut sql, &outbox(version, patient.as_deref()));
        sql.push(", archived AS (").push(R::TEXTS.archive).bind(id.as_str());
        sql.push("), tombstone AS (").push(R::TEXTS.tombstone).bind(version.number()).push("::bigint, ");
        sql.bind(Millis(last_updated)).push("::timestamptz").push(R::TEXTS.from).push(" WHERE x.id = ");
        sql.bind(id.as_str()).push(") ").push(R::TEXTS.delete).bind(id.as_str()).push(" RETURNING x.tenant");
        let rows = self.lease.rows(sql, Commits::No, WORK).await?;
        if rows.len() != 1 {
            return Err(StoreError::Inconsistent { table: R::TEXTS.table, column: "id" });
        }
        Ok(Ok(Deleted::Now { id: id.clone(), version, patient }))
    }
}
