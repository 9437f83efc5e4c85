//! Create with a server-made id: one statement that commits by itself, its audit record with it.

use vitals_fhir::{
    interaction::Create,
    resource::{Id, Version},
};

use super::{
    Outbox, Rows, Versioned, WriteRefused,
    table::{NewRow, Standing, Table, push_outbox},
};
use crate::{StoreError, error::Commits, sql::Sql, tenant::WORK};

impl<R: Table> Rows<'_, R, Create> {
    /// Whether the caller's scopes admit a resource with these columns.
    pub fn admits(&self, id: &Id<R>, index: &R::Index) -> bool {
        self.visible.admits(&R::columns(id, index))
    }

    /// Inserts the resource at version 1, if the caller's scopes admit it. `body` is the final text.
    pub async fn insert(
        &mut self,
        id: &Id<R>,
        index: &R::Index,
        last_updated: i64,
        body: String,
        outbox: &Outbox,
    ) -> Result<Result<Versioned<R>, WriteRefused>, StoreError> {
        if !self.admits(id, index) {
            return Ok(Err(WriteRefused::NotAdmitted));
        }
        let row = NewRow { id, version: Version::FIRST, last_updated, index, body: &body };
        let mut sql = Sql::new("resource.create");
        push_outbox(&mut sql, outbox);
        R::below(&mut sql, &row, Standing::Fresh);
        sql.push(" ");
        R::insert(&mut sql, &row);
        sql.push(" RETURNING x.tenant");
        self.lease.rows(sql, Commits::Yes, WORK).await?;
        let patient = R::compartment(id, index).map(str::to_owned);
        Ok(Ok(Versioned { id: id.clone(), version: Version::FIRST, last_updated, patient, body }))
    }
}
