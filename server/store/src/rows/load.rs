//! Many resources with ids of their own in one statement, for imports. Ids that are taken are told apart.

use vitals_access::predicate::Columns;
use vitals_fhir::{
    body::Body,
    interaction::Update,
    resource::{Id, Observation, Patient, Resource, Version},
};

use super::{
    Rows,
    table::{Table, column},
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

fn texts<R: Resource>(loads: &[&Load<R>], now: i64) -> Vec<String> {
    loads.iter().map(|load| load.body.stamped(&load.id, Version::FIRST, now)).collect()
}

impl Bulk for Patient {
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64) {
        let security: Vec<Option<String>> = loads.iter().map(|load| optional(&load.body.index().security)).collect();
        let tokens: Vec<String> = loads.iter().map(|load| literal(&load.body.index().tokens)).collect();
        let mut owners = Vec::new();
        let mut parts = Vec::new();
        let mut values = Vec::new();
        for load in loads {
            for (part, value) in &load.body.index().names {
                owners.push(load.id.as_str());
                parts.push(*part);
                values.push(value.as_str());
            }
        }
        sql.push("WITH new AS (INSERT INTO patient AS x (id, version, last_updated, security, tokens, body) SELECT r.id, 1, ");
        sql.bind(Millis(now)).push(", r.security::text[], r.tokens::text[], r.body FROM unnest(");
        sql.bind(ids(loads)).push("::text[], ").bind(security).push("::text[], ").bind(tokens);
        sql.push("::text[], ").bind(texts(loads, now)).push("::text[]) AS r (id, security, tokens, body) ");
        sql.push("WHERE NOT EXISTS (SELECT 1 FROM patient_history h WHERE h.id = r.id) ");
        sql.push("ON CONFLICT (id) DO NOTHING RETURNING x.tenant, x.id), ");
        sql.push("names AS (INSERT INTO patient_name (id, part, value) SELECT n.id, n.part, n.value FROM unnest(");
        sql.bind(owners).push("::text[], ").bind(parts).push("::text[], ").bind(values);
        sql.push("::text[]) AS n (id, part, value) JOIN new ON new.id = n.id) SELECT new.tenant, new.id FROM new");
    }
}

impl Bulk for Observation {
    fn push_bulk(sql: &mut Sql, loads: &[&Load<Self>], now: i64) {
        let column = |of: fn(&Load<Self>) -> Option<String>| loads.iter().map(|load| of(load)).collect::<Vec<_>>();
        let time = |of: fn(&Load<Self>) -> i64| loads.iter().map(|load| Millis(of(load))).collect::<Vec<_>>();
        sql.push(
            "INSERT INTO observation AS x (id, version, last_updated, patient, vital, code1, codes, category, \
             status, security, eff_low, eff_high, tokens, body) SELECT r.id, 1, ",
        );
        sql.bind(Millis(now)).push(
            ", r.patient, r.vital, r.code1, r.codes::text[], r.category::text[], r.status, r.security::text[], \
             r.eff_low, r.eff_high, r.tokens::text[], r.body FROM unnest(",
        );
        sql.bind(ids(loads)).push("::text[], ");
        sql.bind(column(|load| load.body.index().patient.clone())).push("::text[], ");
        sql.bind(column(|load| load.body.index().vital.map(|vital| vital.name().to_owned()))).push("::text[], ");
        sql.bind(column(|load| load.body.index().code1.clone())).push("::text[], ");
        sql.bind(column(|load| Some(literal(&load.body.index().codes)))).push("::text[], ");
        sql.bind(column(|load| Some(literal(&load.body.index().category)))).push("::text[], ");
        sql.bind(column(|load| Some(load.body.index().status.clone()))).push("::text[], ");
        sql.bind(column(|load| optional(&load.body.index().security))).push("::text[], ");
        sql.bind(time(|load| load.body.index().effective.low)).push("::timestamptz[], ");
        sql.bind(time(|load| load.body.index().effective.high)).push("::timestamptz[], ");
        sql.bind(column(|load| optional(&load.body.index().tokens))).push("::text[], ");
        sql.bind(texts(loads, now)).push(
            "::text[]) AS r (id, patient, vital, code1, codes, category, status, security, eff_low, eff_high, \
             tokens, body) WHERE NOT EXISTS (SELECT 1 FROM observation_history h WHERE h.id = r.id) \
             ON CONFLICT (id) DO NOTHING RETURNING x.tenant, x.id",
        );
    }
}
