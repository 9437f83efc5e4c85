//! The tables of Observations.

use sqlx::postgres::PgRow;
use vitals_access::predicate::Columns;
use vitals_fhir::{
    index::{ObservationIndex, Part},
    quantity::Quantity,
    resource::{Id, Observation},
    vital::VitalClass,
};

use super::{Judged, NewRow, Standing, Table, Texts, column, some};
use crate::{StoreError, millis::Millis, rows::packed, sql::Sql};

const OBSERVATION: Texts = Texts {
    table: "observation",
    from: " FROM observation x",
    from_current: " FROM observation c",
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

/// What a row is made of, in the order of [`values`], the id first.
pub(crate) const COLUMNS: &str = "id, version, last_updated, eff_low, eff_high, q_low, q_high, q_canon_low, \
    q_canon_high, patient, vital, code1, status, q_unit, q_name, q_canon_unit, texts, codes, category, security, \
    tokens, c_code, c_low, c_high, c_unit, c_name, c_canon_low, c_canon_high, c_canon_unit, body";

/// Binds a row behind its id.
fn values(sql: &mut Sql, row: &NewRow<'_, Observation>) {
    let index = row.index;
    let value = index.value.as_ref();
    let canonical = value.and_then(|value| value.canonical.as_ref());
    let parts = Parts::of(&index.parts);
    sql.bind(row.version.number()).push(", ").bind(Millis(row.last_updated));
    sql.push(", ").bind(Millis(index.effective.low)).push(", ").bind(Millis(index.effective.high));
    sql.push(", ").bind(value.map(|value| value.low)).push(", ").bind(value.and_then(high));
    sql.push(", ").bind(canonical.map(|canonical| canonical.low)).push(", ").bind(value.and_then(canonical_high));
    sql.push(", ").bind(index.patient.as_deref()).push(", ").bind(index.vital.map(VitalClass::name));
    sql.push(", ").bind(index.code1.as_deref()).push(", ").bind(index.status.as_str());
    sql.push(", ").bind(value.and_then(|value| value.unit.as_deref()));
    sql.push(", ").bind(value.and_then(|value| value.name.as_deref()));
    sql.push(", ").bind(canonical.map(|canonical| canonical.unit.as_str()));
    sql.push(", ").bind(Some(index.texts.as_str()).filter(|texts| !texts.is_empty()));
    sql.push(", ").bind(index.codes.clone()).push(", ").bind(index.category.clone());
    sql.push(", ").bind(some(&index.security)).push(", ").bind(some(&index.tokens));
    sql.push(", ").bind(parts.code).push(", ").bind(parts.low).push(", ").bind(parts.high);
    sql.push(", ").bind(parts.unit).push(", ").bind(parts.name);
    sql.push(", ").bind(parts.canon_low).push(", ").bind(parts.canon_high).push(", ").bind(parts.canon_unit);
    sql.push(", ").bind(packed::pack(row.body));
}

/// The upper bound, where it is not the lower one.
#[expect(clippy::float_cmp, reason = "whether they are one and the same")]
pub(crate) fn high(quantity: &Quantity) -> Option<f64> {
    (quantity.high != quantity.low).then_some(quantity.high)
}

/// The upper bound in base units, where it is not the lower one.
#[expect(clippy::float_cmp, reason = "whether they are one and the same")]
pub(crate) fn canonical_high(quantity: &Quantity) -> Option<f64> {
    quantity.canonical.as_ref().filter(|canonical| canonical.high != canonical.low).map(|canonical| canonical.high)
}

/// The numbers in components, a column each; none where no component has it.
#[derive(Default)]
pub(crate) struct Parts<'i> {
    pub(crate) code: Option<Vec<Option<&'i str>>>,
    pub(crate) low: Option<Vec<Option<f64>>>,
    pub(crate) high: Option<Vec<Option<f64>>>,
    pub(crate) unit: Option<Vec<Option<&'i str>>>,
    pub(crate) name: Option<Vec<Option<&'i str>>>,
    pub(crate) canon_low: Option<Vec<Option<f64>>>,
    pub(crate) canon_high: Option<Vec<Option<f64>>>,
    pub(crate) canon_unit: Option<Vec<Option<&'i str>>>,
}

impl<'i> Parts<'i> {
    pub(crate) fn of(parts: &'i [Part]) -> Self {
        fn column<'i, T>(parts: &'i [Part], each: impl Fn(&'i Part) -> Option<T>) -> Option<Vec<Option<T>>> {
            let column: Vec<_> = parts.iter().map(each).collect();
            column.iter().any(Option::is_some).then_some(column)
        }
        Self {
            code: column(parts, |part| Some(part.code.as_str())),
            low: column(parts, |part| Some(part.quantity.low)),
            high: column(parts, |part| high(&part.quantity)),
            unit: column(parts, |part| part.quantity.unit.as_deref()),
            name: column(parts, |part| part.quantity.name.as_deref()),
            canon_low: column(parts, |part| part.quantity.canonical.as_ref().map(|canonical| canonical.low)),
            canon_high: column(parts, |part| canonical_high(&part.quantity)),
            canon_unit: column(parts, |part| part.quantity.canonical.as_ref().map(|canonical| canonical.unit.as_str())),
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
        sql.push("INSERT INTO observation AS x (").push(COLUMNS).push(") VALUES (").bind(row.id.as_str()).push(", ");
        values(sql, row);
        sql.push(")");
    }

    fn update(sql: &mut Sql, row: &NewRow<'_, Self>) {
        sql.push("UPDATE observation x SET (").push(COLUMNS).push(") = ROW(").bind(row.id.as_str()).push(", ");
        values(sql, row);
        sql.push(")");
    }

    fn below(_: &mut Sql, _: &NewRow<'_, Self>, _: Standing) {}
}
