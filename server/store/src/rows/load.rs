//! Many resources at ids of their own, for imports: new ones by one statement, and what stands only where it differs.

use std::collections::{HashMap, HashSet};

use vitals_fhir::{
    body::Body,
    index::{ObservationIndex, PatientIndex},
    interaction::Update,
    quantity::Quantity,
    resource::{Id, Observation, Patient, Resource, Version},
};

use super::{
    Expected, Put, Rows, packed, predicate,
    table::{OBSERVATION_COLUMNS, Parts, Table, alias, body, canonical_high, column, high},
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

/// What happened to the resources of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is new, at version 1.
    Inserted,
    /// It took the place of what stood, or of what was deleted.
    Replaced,
    /// It stood like that already.
    Unchanged,
}

/// How a type's rows go in by the hundred.
pub trait Bulk: Table {
    #[doc(hidden)]
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64);
}

impl<R: Bulk> Rows<'_, R, Update> {
    /// Puts resources at their ids, each of which may come once: all that are new by one statement, then those that
    /// differ from what stands. None, and nothing is written, where the caller's scopes do not reach the whole type.
    pub async fn load(&mut self, loads: &[Load<R>], now: i64) -> Result<Option<Vec<Loaded>>, StoreError> {
        let admitted = |load: &Load<R>| self.visible.admits(&R::columns(&load.id, load.body.index()));
        if !loads.iter().all(admitted) || !self.access.may_create_at_chosen_id(R::TYPE) {
            return Ok(None);
        }
        let mut sql = Sql::new("resource.load");
        R::push_bulk(&mut sql, &loads.iter().collect::<Vec<_>>(), now);
        let rows = self.lease.rows(sql, Commits::No, LONG).await?;
        if rows.len() == loads.len() {
            return Ok(Some(vec![Loaded::Inserted; loads.len()]));
        }
        let inserted: HashSet<String> =
            rows.iter().map(|row| column(row, R::TEXTS.table, "id")).collect::<Result<_, _>>()?;
        let old: Vec<&Load<R>> = loads.iter().filter(|load| !inserted.contains(load.id.as_str())).collect();
        let unchanged = self.unchanged(&old).await?;
        let puts: Vec<Put<'_, R>> = old
            .into_iter()
            .filter(|load| !unchanged.contains(load.id.as_str()))
            .map(|load| Put { load, expected: Expected::Anything })
            .collect();
        if self.put_many(&puts, now).await?.iter().any(Result::is_err) {
            return Ok(None);
        }
        let loaded = |load: &Load<R>| match load.id.as_str() {
            id if inserted.contains(id) => Loaded::Inserted,
            id if unchanged.contains(id) => Loaded::Unchanged,
            _ => Loaded::Replaced,
        };
        Ok(Some(loads.iter().map(loaded).collect()))
    }

    /// The ids of those that stand like that already. Nothing is locked: what is changed at the same time by somebody
    /// else was changed after this.
    async fn unchanged(&mut self, loads: &[&Load<R>]) -> Result<HashSet<String>, StoreError> {
        let table = R::TEXTS.table;
        let by_id: HashMap<&str, &Load<R>> = loads.iter().map(|load| (load.id.as_str(), *load)).collect();
        let ids: Vec<String> = by_id.keys().map(|id| (*id).to_owned()).collect();
        let mut sql = Sql::new("resource.compare");
        sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, x.body").push(R::TEXTS.from);
        sql.push(" WHERE x.id = ANY(").bind(ids).push(") AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        let mut unchanged = HashSet::new();
        for row in &self.lease.rows(sql, Commits::No, LONG).await? {
            let id: &str = column(row, table, "id")?;
            let version = Version::new(column(row, table, "version")?);
            let version = version.ok_or(StoreError::Inconsistent { table, column: "version" })?;
            let last_updated = column::<Millis>(row, table, "last_updated")?.0;
            let body = body(row, table)?;
            if by_id.get(id).is_some_and(|load| Some(load.body.stamped(&load.id, version, last_updated)) == body) {
                unchanged.insert(id.to_owned());
            }
        }
        Ok(unchanged)
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
        let mut written = 0;
        for (at, _) in item.match_indices(['"', '\\']) {
            out.push_str(&item[written..at]);
            out.push('\\');
            written = at;
        }
        out.push_str(&item[written..]);
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
