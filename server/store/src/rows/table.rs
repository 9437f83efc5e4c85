//! What differs between the tables of the resource types: static text, and how columns are judged and bound.

mod observation;
mod patient;

pub(super) use observation::{COLUMNS as OBSERVATION_COLUMNS, Parts, canonical_high, high};
use sqlx::{Row as _, postgres::PgRow};
use vitals_access::predicate::Columns;
use vitals_fhir::resource::{Id, Resource, Version};

use super::{Outbox, Versioned, packed, predicate::Alias};
use crate::{StoreError, millis::Millis, sql::Sql};

/// The columns of a stored row that a predicate judges.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    patient: Option<String>,
    vital: Option<String>,
    codes: Vec<String>,
    category: Vec<String>,
    status: Option<String>,
    security: Vec<String>,
}

impl Judged {
    pub(crate) fn columns(&self) -> Columns<'_> {
        Columns {
            patient: self.patient.as_deref(),
            vital: self.vital.as_deref(),
            codes: &self.codes,
            category: &self.category,
            status: self.status.as_deref(),
            security: &self.security,
        }
    }
}

/// A row about to be written.
pub struct NewRow<'a, R: Resource> {
    pub(crate) id: &'a Id<R>,
    pub(crate) version: Version,
    pub(crate) last_updated: i64,
    pub(crate) index: &'a R::Index,
    pub(crate) body: &'a str,
}

/// A resource type with tables. Sealed through [`Resource`]; its methods are this crate's own.
pub trait Table: Resource + Sized {
    #[doc(hidden)]
    const TEXTS: &'static Texts;
    #[doc(hidden)]
    fn compartment<'a>(id: &'a Id<Self>, index: &'a Self::Index) -> Option<&'a str>;
    #[doc(hidden)]
    fn columns<'a>(id: &'a Id<Self>, index: &'a Self::Index) -> Columns<'a>;
    #[doc(hidden)]
    fn judged(row: &PgRow) -> Result<Judged, StoreError>;
    /// Appends the INSERT of a row.
    #[doc(hidden)]
    fn insert(sql: &mut Sql, row: &NewRow<'_, Self>);
    /// Appends the UPDATE of a row, without its WHERE.
    #[doc(hidden)]
    fn update(sql: &mut Sql, row: &NewRow<'_, Self>);
    /// Appends CTEs that write what hangs below the row, each with a leading comma.
    #[doc(hidden)]
    fn below(sql: &mut Sql, row: &NewRow<'_, Self>, standing: Standing);
}

/// Static pieces of the statements of one type.
#[derive(Debug)]
pub struct Texts {
    /// The table's name.
    pub(crate) table: &'static str,
    /// ` FROM table x`.
    pub(crate) from: &'static str,
    /// ` FROM table c`, for the current row of a historical one.
    pub(crate) from_current: &'static str,
    /// ` FROM table_history h`.
    pub(crate) from_history: &'static str,
    /// Current and historical rows as one, with every column of the predicate.
    pub(crate) versions: &'static str,
    /// The expression of the patient a row belongs to, of alias `x`.
    pub(crate) patient: &'static str,
    /// Columns that `judged` reads, of alias `x`.
    pub(crate) judged: &'static str,
    /// Copies the current row `id = $1` to the history.
    pub(crate) archive: &'static str,
    /// Makes a tombstone of the current row `id = $1`; version and time follow.
    pub(crate) tombstone: &'static str,
    /// ` DELETE FROM table WHERE id = `.
    pub(crate) delete: &'static str,
}

pub(crate) const fn alias<R: Resource>(name: &'static str) -> Alias {
    Alias { name, of: R::TYPE }
}

/// Whether a row with the id stood before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Fresh,
    Replaced,
}

pub(super) fn some(forms: &[String]) -> Option<Vec<String>> {
    if forms.is_empty() { None } else { Some(forms.to_vec()) }
}

/// Appends `WITH outbox AS (…)`, the audit record of the write.
pub(crate) fn push_outbox(sql: &mut Sql, outbox: &Outbox) {
    sql.push("WITH outbox AS (INSERT INTO audit_outbox (id, writer, record) VALUES (").bind(outbox.id);
    sql.push(", ").bind(outbox.writer).push(", ").bind(outbox.record.clone()).push("))");
}

/// Where the audit record of a write is.
#[derive(Clone, Copy)]
pub(crate) enum Trail<'o> {
    /// In the same statement.
    Outbox(&'o Outbox),
    /// In a statement of its own in the same transaction, for all its writes.
    Transaction,
}

/// Appends the `WITH` that a write begins with, the audit record in it where it belongs there.
pub(crate) fn push_trail(sql: &mut Sql, trail: Trail<'_>) {
    match trail {
        Trail::Outbox(outbox) => push_outbox(sql, outbox),
        Trail::Transaction => {
            sql.push("WITH outbox AS (SELECT 1)");
        }
    }
}

/// Reads a column, or says which one does not hold what it should.
pub(crate) fn column<'r, T>(row: &'r PgRow, table: &'static str, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(|_| StoreError::Inconsistent { table, column })
}

/// Reads `id, version, last_updated, patient, body`.
pub(crate) fn versioned<R: Table>(row: &PgRow) -> Result<Versioned<R>, StoreError> {
    let table = R::TEXTS.table;
    let wrong = |column| StoreError::Inconsistent { table, column };
    Ok(Versioned {
        id: column::<&str>(row, table, "id")?.parse().map_err(|_| wrong("id"))?,
        version: Version::new(column(row, table, "version")?).ok_or(wrong("version"))?,
        last_updated: column::<Millis>(row, table, "last_updated")?.0,
        patient: column(row, table, "patient")?,
        body: body(row, table)?.unwrap_or_default(),
    })
}

/// Most bytes of texts on one page: as much as a Bundle may bring.
pub(crate) const MOST_OF_A_PAGE: usize = 50 * 1024 * 1024;

/// The bytes of a row's text.
pub(crate) fn weight(row: &PgRow) -> usize {
    row.try_get::<Option<&[u8]>, _>("body").ok().flatten().map_or(0, packed::length)
}

/// Reads `body`; a deleted version has none.
pub(crate) fn body(row: &PgRow, table: &'static str) -> Result<Option<String>, StoreError> {
    let stored: Option<&[u8]> = column(row, table, "body")?;
    let wrong = StoreError::Inconsistent { table, column: "body" };
    stored.map(|stored| packed::unpack(stored).ok_or(wrong)).transpose()
}
