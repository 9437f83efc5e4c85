//! What differs between the tables of the resource types: static text, and how columns are judged and bound.

use sqlx::{Row as _, postgres::PgRow};
use vitals_access::predicate::Columns;
use vitals_fhir::{
    index::{ObservationIndex, PatientIndex},
    resource::{Id, Observation, Patient, Resource, Version},
};

use super::{Outbox, Versioned, predicate::Alias};
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

const PATIENT: Texts = Texts {
    table: "patient",
    from: " FROM patient x",
    from_history: " FROM patient_history h",
    versions: "(SELECT tenant, id, version, last_updated, false AS deleted, security, body FROM patient \
               UNION ALL SELECT tenant, id, version, last_updated, deleted, security, body FROM patient_history) x",
    patient: "x.id",
    judged: "x.id AS patient, x.security",
    archive: "INSERT INTO patient_history (id, version, last_updated, security, deleted, body) \
              SELECT id, version, last_updated, security, false, body FROM patient WHERE id = ",
    tombstone: "INSERT INTO patient_history (id, security, deleted, version, last_updated) \
                SELECT id, security, true, ",
    delete: "DELETE FROM patient x WHERE x.id = ",
};

const OBSERVATION: Texts = Texts {
    table: "observation",
    from: " FROM observation x",
    from_history: " FROM observation_history h",
    versions: "(SELECT tenant, id, version, last_updated, false AS deleted, patient, vital, codes, category, status, \
               security, body FROM observation UNION ALL SELECT tenant, id, version, last_updated, deleted, patient, \
               vital, codes, category, status, security, body FROM observation_history) x",
    patient: "x.patient",
    judged: "x.patient, x.vital, x.codes, x.category, x.status, x.security",
    archive: "INSERT INTO observation_history (id, version, last_updated, patient, vital, codes, category, status, \
              security, deleted, body) SELECT id, version, last_updated, patient, vital, codes, category, status, \
              security, false, body FROM observation WHERE id = ",
    tombstone: "INSERT INTO observation_history (id, patient, vital, codes, category, status, security, deleted, \
                version, last_updated) SELECT id, patient, vital, codes, category, status, security, true, ",
    delete: "DELETE FROM observation x WHERE x.id = ",
};

pub(crate) const fn alias<R: Resource>(name: &'static str) -> Alias {
    Alias { name, of: R::TYPE }
}

/// Whether a row with the id stood before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Fresh,
    Replaced,
}

fn some(forms: &[String]) -> Option<Vec<String>> {
    if forms.is_empty() { None } else { Some(forms.to_vec()) }
}

impl Table for Patient {
    const TEXTS: &'static Texts = &PATIENT;

    fn compartment<'a>(id: &'a Id<Self>, _: &'a PatientIndex) -> Option<&'a str> {
        Some(id.as_str())
    }

    fn columns<'a>(id: &'a Id<Self>, index: &'a PatientIndex) -> Columns<'a> {
        Columns::of_patient(id.as_str(), index)
    }

    fn judged(row: &PgRow) -> Result<Judged, StoreError> {
        Ok(Judged {
            patient: Some(column(row, Self::TEXTS.table, "patient")?),
            security: column::<Option<Vec<String>>>(row, Self::TEXTS.table, "security")?.unwrap_or_default(),
            ..Judged::default()
        })
    }

    fn insert(sql: &mut Sql, row: &NewRow<'_, Self>) {
        sql.push("INSERT INTO patient AS x (id, version, last_updated, security, tokens, body) VALUES (");
        sql.bind(row.id.as_str()).push(", ").bind(row.version.number()).push(", ").bind(Millis(row.last_updated));
        sql.push(", ").bind(some(&row.index.security)).push(", ").bind(row.index.tokens.clone());
        sql.push(", ").bind(row.body).push(")");
    }

    fn update(sql: &mut Sql, row: &NewRow<'_, Self>) {
        sql.push("UPDATE patient x SET version = ").bind(row.version.number());
        sql.push(", last_updated = ").bind(Millis(row.last_updated));
        sql.push(", security = ").bind(some(&row.index.security));
        sql.push(", tokens = ").bind(row.index.tokens.clone()).push(", body = ").bind(row.body);
    }

    fn below(sql: &mut Sql, row: &NewRow<'_, Self>, standing: Standing) {
        if standing == Standing::Replaced {
            sql.push(", old_names AS (DELETE FROM patient_name WHERE id = ").bind(row.id.as_str()).push(")");
        }
        if !row.index.names.is_empty() {
            let parts: Vec<&str> = row.index.names.iter().map(|(part, _)| *part).collect();
            let values: Vec<&str> = row.index.names.iter().map(|(_, value)| value.as_str()).collect();
            sql.push(", names AS (INSERT INTO patient_name (id, part, value) SELECT ").bind(row.id.as_str());
            sql.push(", part, value FROM unnest(").bind(parts).push("::text[], ").bind(values);
            sql.push("::text[]) AS n (part, value))");
        }
    }
}

impl Table for Observation {
    const TEXTS: &'static Texts = &OBSERVATION;

    fn compartment<'a>(_: &'a Id<Self>, index: &'a ObservationIndex) -> Option<&'a str> {
        index.patient.as_deref()
    }

    fn columns<'a>(_: &'a Id<Self>, index: &'a ObservationIndex) -> Columns<'a> {
        Columns::of_observation(index)
    }

    fn judged(row: &PgRow) -> Result<Judged, StoreError> {
        let table = Self::TEXTS.table;
        Ok(Judged {
            patient: column(row, table, "patient")?,
            vital: column(row, table, "vital")?,
            codes: column(row, table, "codes")?,
            category: column(row, table, "category")?,
            status: Some(column(row, table, "status")?),
            security: column::<Option<Vec<String>>>(row, table, "security")?.unwrap_or_default(),
        })
    }

    fn insert(sql: &mut Sql, row: &NewRow<'_, Self>) {
        let index = row.index;
        sql.push(
            "INSERT INTO observation AS x (id, version, last_updated, patient, vital, code1, codes, category, status, \
             security, eff_low, eff_high, tokens, body) VALUES (",
        );
        sql.bind(row.id.as_str()).push(", ").bind(row.version.number()).push(", ").bind(Millis(row.last_updated));
        sql.push(", ")
            .bind(index.patient.as_deref())
            .push(", ")
            .bind(index.vital.map(vitals_fhir::vital::VitalClass::name));
        sql.push(", ").bind(index.code1.as_deref()).push(", ").bind(index.codes.clone());
        sql.push(", ").bind(index.category.clone()).push(", ").bind(index.status.as_str());
        sql.push(", ").bind(some(&index.security)).push(", ").bind(Millis(index.effective.low));
        sql.push(", ").bind(Millis(index.effective.high)).push(", ").bind(some(&index.tokens));
        sql.push(", ").bind(row.body).push(")");
    }

    fn update(sql: &mut Sql, row: &NewRow<'_, Self>) {
        let index = row.index;
        sql.push("UPDATE observation x SET version = ").bind(row.version.number());
        sql.push(", last_updated = ").bind(Millis(row.last_updated));
        sql.push(", patient = ").bind(index.patient.as_deref());
        sql.push(", vital = ").bind(index.vital.map(vitals_fhir::vital::VitalClass::name));
        sql.push(", code1 = ").bind(index.code1.as_deref()).push(", codes = ").bind(index.codes.clone());
        sql.push(", category = ").bind(index.category.clone()).push(", status = ").bind(index.status.as_str());
        sql.push(", security = ").bind(some(&index.security)).push(", eff_low = ").bind(Millis(index.effective.low));
        sql.push(", eff_high = ").bind(Millis(index.effective.high)).push(", tokens = ").bind(some(&index.tokens));
        sql.push(", body = ").bind(row.body);
    }

    fn below(_: &mut Sql, _: &NewRow<'_, Self>, _: Standing) {}
}

/// Appends `WITH outbox AS (…)`, the audit record of the write.
pub(crate) fn push_outbox(sql: &mut Sql, outbox: &Outbox) {
    sql.push("WITH outbox AS (INSERT INTO audit_outbox (id, writer, record) VALUES (").bind(outbox.id);
    sql.push(", ").bind(outbox.writer).push(", ").bind(outbox.record.clone()).push("))");
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
        body: column(row, table, "body")?,
    })
}
