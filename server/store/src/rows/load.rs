//! Many resources with ids of their own in one statement, for imports. Ids that are taken are told apart.

use vitals_access::predicate::Columns;
use vitals_fhir::{
    body::Body,
    index::{ObservationIndex, PatientIndex},
    interaction::Update,
    quantity::Quantity,
    resource::{Id, Observation, Patient, Resource, Version},
};

use super::{
    Rows, packed,
    table::{OBSERVATION_COLUMNS, Parts, Table, canonical_high, column, high},
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::LONG};

/// A resource to load.
#[derive(Debug)]
pub struct Load<R: Resource> {
    /// Its id.
    pub id: Id<R>,
    /// The parsed resource.
    pub body: Body<R>,
}

/// What happened to the resources of one load, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Inserted at version 1.
    pub inserted: Vec<String>,
}

/// How a type's rows go in by the hundred.
pub trait Bulk: Table {
    #[doc(hidden)]
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64);
}

impl<R: Bulk> Rows<'_, R, Update> {
    /// Inserts the resources whose ids were never used; the others are left to a single update each. All must be
    /// admitted by the caller's scopes, which must reach the whole type, or nothing is loaded.
    pub async fn load(&mut self, loads: &[Load<R>], now: i64) -> Result<Option<Loaded>, StoreError> {
        let all_admitted = loads.iter().all(|load| {
            let columns: Columns<'_> = R::columns(&load.id, load.body.index());
            self.visible.admits(&columns)
        });
        if !all_admitted || !self.access.may_create_at_chosen_id(R::TYPE) {
            return Ok(None);
        }
        let mut sql = Sql::new("resource.load");
        R::push_bulk(&mut sql, &loads.iter().collect::<Vec<_>>(), now);
        let rows = self.lease.rows(sql, Commits::No, LONG).await?;
        let inserted = rows.iter().map(|row| column(row, R::TEXTS.table, "id")).collect::<Result<_, _>>()?;
        Ok(Some(Loaded { inserted }))
    }
}

/// An array as PostgreSQL's text, for columns of arrays: `unnest` would flatten an array of arrays.
fn literal(items: &[String]) -> String {
    let mut out = String::with_capacity(2 + items.iter().map(|item| item.len() + 3).sum::<usize>());
    out.push('{');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push('"');
        for character in item.chars() {
            if matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push('"');
    }
    out.push('}');
    out
}

fn optional(items: &[String]) -> Option<String> {
    if items.is_empty() { None } else { Some(literal(items)) }
}

fn ids<R: Resource>(loads: &[&Load<R>]) -> Vec<String> {
    loads.iter().map(|load| load.id.as_str().to_owned()).collect()
}

fn bodies<R: Resource>(loads: &[&Load<R>], now: i64) -> Vec<Vec<u8>> {
    loads.iter().map(|load| packed::pack(&load.body.stamped(&load.id, Version::FIRST, now))).collect()
}

/// An array of what may not be there.
fn sparse<T>(items: Option<Vec<Option<T>>>, text: impl Fn(T) -> String) -> Option<String> {
    let items = items?.into_iter().map(|item| item.map_or_else(|| "NULL".to_owned(), &text));
    Some(format!("{{{}}}", items.collect::<Vec<_>>().join(",")))
}

fn quoted(text: &str) -> String {
    let one = literal(&[text.to_owned()]);
    one[1..one.len() - 1].to_owned()
}

/// A float as PostgreSQL reads it back to the bit.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    format!("{value:e}")
}

impl Bulk for Patient {
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64) {
        let column = |of: fn(&PatientIndex) -> Option<String>| {
            loads.iter().map(|load| of(load.body.index())).collect::<Vec<_>>()
        };
        let time =
            |of: fn(&PatientIndex) -> i64| loads.iter().map(|load| Millis(of(load.body.index()))).collect::<Vec<_>>();
        let names =
            || loads.iter().flat_map(|load| load.body.index().names.iter().map(|name| (load.id.as_str(), name)));
        sql.push(
            "WITH new AS (INSERT INTO patient AS x (id, version, last_updated, birth_low, birth_high, active, family, \
             gender, security, tokens, texts, body) SELECT r.id, 1, ",
        );
        sql.bind(Millis(now)).push(
            ", r.birth_low, r.birth_high, r.active, r.family, r.gender, r.security::text[], r.tokens::text[], r.texts, \
             r.body FROM unnest(",
        );
        sql.bind(ids(loads)).push("::text[], ").bind(time(|index| index.birth.low)).push("::timestamptz[], ");
        sql.bind(time(|index| index.birth.high)).push("::timestamptz[], ");
        sql.bind(loads.iter().map(|load| load.body.index().active).collect::<Vec<_>>()).push("::boolean[], ");
        sql.bind(column(|index| Some(index.family.clone()))).push("::text[], ");
        sql.bind(column(|index| index.gender.clone())).push("::text[], ");
        sql.bind(column(|index| optional(&index.security))).push("::text[], ");
        sql.bind(column(|index| Some(literal(&index.tokens)))).push("::text[], ");
        sql.bind(column(|index| Some(index.texts.clone()).filter(|texts| !texts.is_empty()))).push("::text[], ");
        sql.bind(bodies(loads, now)).push(
            "::bytea[]) AS r (id, birth_low, birth_high, active, family, gender, security, tokens, texts, body) \
             WHERE NOT EXISTS (SELECT 1 FROM patient_history h WHERE h.id = r.id) \
             ON CONFLICT (id) DO NOTHING RETURNING x.tenant, x.id), \
             names AS (INSERT INTO patient_name (id, part, value, written) \
             SELECT n.id, n.part, n.value, n.written FROM unnest(",
        );
        sql.bind(names().map(|(id, _)| id).collect::<Vec<_>>()).push("::text[], ");
        sql.bind(names().map(|(_, name)| name.part).collect::<Vec<_>>()).push("::text[], ");
        sql.bind(names().map(|(_, name)| name.value.as_str()).collect::<Vec<_>>()).push("::text[], ");
        sql.bind(names().map(|(_, name)| name.written.as_deref()).collect::<Vec<_>>()).push(
            "::text[]) AS n (id, part, value, written) JOIN new ON new.id = n.id) SELECT new.tenant, new.id FROM new",
        );
    }
}

impl Bulk for Observation {
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64) {
        let column = |of: fn(&ObservationIndex) -> Option<String>| {
            loads.iter().map(|load| of(load.body.index())).collect::<Vec<_>>()
        };
        let time = |of: fn(&ObservationIndex) -> i64| {
            loads.iter().map(|load| Millis(of(load.body.index()))).collect::<Vec<_>>()
        };
        let number = |of: fn(&Quantity) -> Option<f64>| {
            loads.iter().map(|load| load.body.index().value.as_ref().and_then(of)).collect::<Vec<_>>()
        };
        let part = |of: fn(Parts<'_>) -> Option<String>| {
            loads.iter().map(|load| of(Parts::of(&load.body.index().parts))).collect::<Vec<_>>()
        };
        sql.push("INSERT INTO observation AS x (").push(OBSERVATION_COLUMNS).push(") SELECT r.id, 1, ");
        sql.bind(Millis(now)).push(
            ", r.eff_low, r.eff_high, r.q_low, r.q_high, r.q_canon_low, r.q_canon_high, r.patient, r.vital, r.code1, \
             r.status, r.q_unit, r.q_name, r.q_canon_unit, r.texts, r.codes::text[], r.category::text[], \
             r.security::text[], r.tokens::text[], r.c_code::text[], r.c_low::float8[], r.c_high::float8[], \
             r.c_unit::text[], r.c_name::text[], r.c_canon_low::float8[], r.c_canon_high::float8[], \
             r.c_canon_unit::text[], r.body FROM unnest(",
        );
        sql.bind(ids(loads)).push("::text[], ");
        sql.bind(time(|index| index.effective.low)).push("::timestamptz[], ");
        sql.bind(time(|index| index.effective.high)).push("::timestamptz[], ");
        sql.bind(number(|value| Some(value.low))).push("::float8[], ").bind(number(high)).push("::float8[], ");
        sql.bind(number(|value| value.canonical.as_ref().map(|canonical| canonical.low))).push("::float8[], ");
        sql.bind(number(canonical_high)).push("::float8[], ");
        for text in [
            column(|index| index.patient.clone()),
            column(|index| index.vital.map(|vital| vital.name().to_owned())),
            column(|index| index.code1.clone()),
            column(|index| Some(index.status.clone())),
            column(|index| index.value.as_ref()?.unit.clone()),
            column(|index| index.value.as_ref()?.name.clone()),
            column(|index| Some(index.value.as_ref()?.canonical.as_ref()?.unit.clone())),
            column(|index| Some(index.texts.clone()).filter(|texts| !texts.is_empty())),
            column(|index| Some(literal(&index.codes))),
            column(|index| Some(literal(&index.category))),
            column(|index| optional(&index.security)),
            column(|index| optional(&index.tokens)),
            part(|parts| sparse(parts.code, quoted)),
            part(|parts| sparse(parts.low, float)),
            part(|parts| sparse(parts.high, float)),
            part(|parts| sparse(parts.unit, quoted)),
            part(|parts| sparse(parts.name, quoted)),
            part(|parts| sparse(parts.canon_low, float)),
            part(|parts| sparse(parts.canon_high, float)),
            part(|parts| sparse(parts.canon_unit, quoted)),
        ] {
            sql.bind(text).push("::text[], ");
        }
        sql.bind(bodies(loads, now)).push(
            "::bytea[]) AS r (id, eff_low, eff_high, q_low, q_high, q_canon_low, q_canon_high, patient, vital, code1, \
             status, q_unit, q_name, q_canon_unit, texts, codes, category, security, tokens, c_code, c_low, c_high, \
             c_unit, c_name, c_canon_low, c_canon_high, c_canon_unit, body) \
             WHERE NOT EXISTS (SELECT 1 FROM observation_history h WHERE h.id = r.id) \
             ON CONFLICT (id) DO NOTHING RETURNING x.tenant, x.id",
        );
    }
}
