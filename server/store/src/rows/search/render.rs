//! The SQL of a search. Every alias gets the caller's predicate, before LIMIT.

mod filter;
mod quantity;
mod token;

use vitals_access::predicate::Visible;
use vitals_fhir::{
    resource::ResourceType,
    search::{Column, Filter, Place, Query, TokenValue},
    token::coding,
    vital::{LOINC, Vital},
};

use super::order::{Order, Position, one_patient};
use crate::{
    rows::{
        predicate,
        table::{Table, alias},
    },
    sql::Sql,
};

/// Appends the statement of a page of `count`.
pub(super) fn push<R: Table>(
    sql: &mut Sql,
    query: &Query<R>,
    count: u32,
    visible: &Visible,
    order: Order,
    after: Option<&Position>,
    tenant: i32,
) {
    let limit = Limit::of(query, count, visible);
    let order = Ordered { order, after, tenant };
    match one_vital_code(query) {
        // A code that names a vital is found by `code1`. The rare Observation that names several vitals stands
        // under `*`; asking for both in one condition would cost the index its order.
        Some(code1) if R::TYPE == ResourceType::Observation => {
            sql.push("SELECT u.tenant, u.id, u.version, u.last_updated, u.patient, u.body, u.place FROM ((");
            branch(sql, query, visible, order, Some(&code1));
            limit.push(sql).push(") UNION ALL (");
            branch(sql, query, visible, order, Some(SEVERAL));
            limit.push(sql).push(")) u");
            order.order.push_of_union(sql);
        }
        _ => branch(sql, query, visible, order, None),
    }
    limit.push(sql);
}

/// `code1` of Observations that name several vitals.
const SEVERAL: &str = "*";

/// How many rows are read: one more than the page has, or some more than that.
#[derive(Clone, Copy)]
enum Limit {
    /// In letters, of few numbers, so that PostgreSQL knows it and finds that a plan is as good for other values, too.
    /// It keeps such a plan; making one for each page takes longer than reading it.
    Known(&'static str),
    /// Bound, so that every page has a plan of its own: what is good for a rare code or identifier is not for a
    /// frequent one.
    Bound(i64),
}

impl Limit {
    const KNOWN: [(u32, &'static str); 9] = [
        (2, " LIMIT 2"),
        (6, " LIMIT 6"),
        (11, " LIMIT 11"),
        (21, " LIMIT 21"),
        (51, " LIMIT 51"),
        (101, " LIMIT 101"),
        (201, " LIMIT 201"),
        (501, " LIMIT 501"),
        (1_001, " LIMIT 1001"),
    ];

    fn of<R: Table>(query: &Query<R>, count: u32, visible: &Visible) -> Self {
        let rows = count.saturating_add(1);
        let bound = Self::Bound(i64::from(rows));
        let code1 = one_vital_code(query);
        let is_ordered = |filter: &Filter| {
            matches!(filter, Filter::Date(..) | Filter::Subject(_))
                || code1.as_deref().is_some_and(|it| says(it, filter))
        };
        let by_order = match Beside::of(query, visible) {
            // A compartment has more than the patient's own index has.
            Beside::Patient => !query.filters.iter().any(|filter| matches!(filter, Filter::Compartment(_))),
            Beside::Nothing => query.sort.is_some() && query.filters.iter().all(is_ordered),
        };
        if R::TYPE != ResourceType::Observation || !by_order || predicate::looks_into_codes(visible) {
            return bound;
        }
        let known = Self::KNOWN.iter().find(|(number, _)| *number >= rows);
        known.map_or(bound, |(_, text)| Self::Known(text))
    }

    fn push(self, sql: &mut Sql) -> &mut Sql {
        match self {
            Self::Known(text) => sql.push(text),
            Self::Bound(rows) => sql.push(" LIMIT ").bind(rows),
        }
    }
}

/// Appends the statement that counts what is found on all pages together; no row where there is nothing.
pub(super) fn push_count<R: Table>(sql: &mut Sql, query: &Query<R>, visible: &Visible) {
    sql.push("SELECT x.tenant, count(*) AS total").push(R::TEXTS.from);
    push_where(sql, query, visible, None);
    sql.push(" GROUP BY x.tenant");
}

/// The rows in their order, from a place in it, of the tenant with this number.
#[derive(Clone, Copy)]
struct Ordered<'a> {
    order: Order,
    after: Option<&'a Position>,
    tenant: i32,
}

fn branch<R: Table>(sql: &mut Sql, query: &Query<R>, visible: &Visible, ordered: Ordered<'_>, code1: Option<&str>) {
    let Ordered { order, after, tenant } = ordered;
    sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, ").push(R::TEXTS.patient).push(" AS patient, x.body, ");
    sql.push(order.place()).push(" AS place").push(R::TEXTS.from);
    let is_by_code = order.is_of_tenant() || one_patient(query, visible);
    push_where(sql, query, visible, code1.filter(|_| is_by_code));
    match code1 {
        // In letters: how few they are, PostgreSQL cannot know of a value that is bound.
        Some(SEVERAL) => {
            sql.push(" AND x.code1 = '*'");
        }
        // The indexes by code and date give the order.
        Some(code1) => {
            sql.push(" AND x.code1 = ").bind(code1.to_owned());
        }
        None if order.is_of_tenant() => {
            sql.push(" AND x.tenant = ").bind(tenant);
        }
        None => {}
    }
    if let Some(after) = after {
        order.push_after(sql, after);
    }
    order.push(sql);
}

/// What else narrows a search.
///
/// Beside a patient the rows come in order from that patient's index. There a test of tokens is written so that no plan
/// takes their index: that would read every row of the tenant with the code as well, 9.4 ms against 0.5 ms over 100,000
/// rows.
#[derive(Clone, Copy)]
enum Beside {
    Patient,
    Nothing,
}

impl Beside {
    fn of<R: Table>(query: &Query<R>, visible: &Visible) -> Self {
        if one_patient(query, visible) { Self::Patient } else { Self::Nothing }
    }
}

/// Rows under `code1` are asked for nothing that this says already: beside a second condition that another index answers,
/// PostgreSQL makes a new plan for every page, which takes it longer than to read one.
fn push_where<R: Table>(sql: &mut Sql, query: &Query<R>, visible: &Visible, code1: Option<&str>) {
    sql.push(" WHERE ");
    predicate::push(sql, alias::<R>("x"), visible);
    let beside = Beside::of(query, visible);
    for filter in query.filters.iter().filter(|filter| !code1.is_some_and(|code1| says(code1, filter))) {
        sql.push(" AND ");
        filter::push(sql, filter, beside);
    }
}

/// Whether every row under `code1` passes a filter: one by the only LOINC code that the vital has.
fn says(code1: &str, filter: &Filter) -> bool {
    let Filter::Token { column: Column::Code, values } = filter else { return false };
    let [TokenValue::Coding { system, code }] = values.as_slice() else { return false };
    let only = Vital::of_loinc(code).is_some_and(|vital| vital.loinc().len() == 1);
    system == LOINC && only && coding(LOINC, code) == code1
}

/// The `code1` under which all results stand, where one of the filters asks for exactly one LOINC code of a vital.
fn one_vital_code<R: Table>(query: &Query<R>) -> Option<String> {
    let of = |value: &TokenValue| match value {
        TokenValue::Coding { system, code } if system == LOINC => {
            Vital::of_loinc(code).map(|vital| coding(LOINC, vital.loinc()[0]))
        }
        _ => None,
    };
    query.filters.iter().find_map(|filter| match filter {
        Filter::Token { column: Column::Code, values } => match values.as_slice() {
            [value] => of(value),
            _ => None,
        },
        Filter::CodeQuantity(Place::Value, pairs) => match pairs.as_slice() {
            [(value, _)] => of(value),
            _ => None,
        },
        _ => None,
    })
}
