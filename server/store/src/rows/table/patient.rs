//! The tables of Patients.

use sqlx::postgres::PgRow;
use vitals_access::predicate::Columns;
use vitals_fhir::{
    index::PatientIndex,
    resource::{Id, Patient},
};

use super::{Judged, NewRow, Standing, Table, Texts, column, some};
use crate::{StoreError, millis::Millis, rows::packed, sql::Sql};

const PATIENT: Texts = Texts {
    table: "patient",
    from: " FROM patient x",
    from_current: " FROM patient c",
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

/// What a row is made of, in the order of [`values`], the id first.
const COLUMNS: &str = "id, version, last_updated, birth_low, birth_high, active, family, gender, security, tokens, \
                       texts, body";

/// Binds a row behind its id.
fn values(sql: &mut Sql, row: &NewRow<'_, Patient>) {
    let index = row.index;
    sql.bind(row.version.number()).push(", ").bind(Millis(row.last_updated));
    sql.push(", ").bind(Millis(index.birth.low)).push(", ").bind(Millis(index.birth.high));
    sql.push(", ").bind(index.active).push(", ").bind(index.family.as_str());
    sql.push(", ").bind(index.gender.as_deref()).push(", ").bind(some(&index.security));
    sql.push(", ").bind(index.tokens.clone());
    sql.push(", ").bind(Some(index.texts.as_str()).filter(|texts| !texts.is_empty()));
    sql.push(", ").bind(packed::pack(row.body));
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
        sql.push("INSERT INTO patient AS x (").push(COLUMNS).push(") VALUES (").bind(row.id.as_str()).push(", ");
        values(sql, row);
        sql.push(")");
    }

    fn update(sql: &mut Sql, row: &NewRow<'_, Self>) {
        sql.push("UPDATE patient x SET (").push(COLUMNS).push(") = ROW(").bind(row.id.as_str()).push(", ");
        values(sql, row);
        sql.push(")");
    }

    fn below(sql: &mut Sql, row: &NewRow<'_, Self>, standing: Standing) {
        if standing == Standing::Replaced {
            sql.push(", old_names AS (DELETE FROM patient_name WHERE id = ").bind(row.id.as_str()).push(")");
        }
        if !row.index.names.is_empty() {
            let parts: Vec<&str> = row.index.names.iter().map(|name| name.part).collect();
            let values: Vec<&str> = row.index.names.iter().map(|name| name.value.as_str()).collect();
            let written: Vec<Option<&str>> = row.index.names.iter().map(|name| name.written.as_deref()).collect();
            sql.push(", names AS (INSERT INTO patient_name (id, part, value, written) SELECT ").bind(row.id.as_str());
            sql.push(", part, value, written FROM unnest(").bind(parts).push("::text[], ").bind(values);
            sql.push("::text[], ").bind(written).push("::text[]) AS n (part, value, written))");
        }
    }
}
