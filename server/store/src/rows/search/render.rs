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
    let rows = count.saturating_add(1);
    let known = if order.is_of_tenant() && after.is_none() { Known::of(query, rows, visible) } else { None };
    let order = Ordered { order, after, tenant };
    let limit = |sql: &mut Sql| {
        match known {
            Some(known) => sql.push(known.limit),
            None => sql.push(" LIMIT ").bind(i64::from(rows)),
        };
    };
    match one_vital_code(query) {
        // A code that names a vital is found by `code1`. The rare Observation that names several vitals stands
        // under `*`; asking for both in one condition would cost the index its order.
        Some(code1) if R::TYPE == ResourceType::Observation => {
            let code1 = known.map_or(Stands::Under(&code1), |known| Stands::UnderKnown(&code1, known.code1));
            sql.push("SELECT u.tenant, u.id, u.version, u.last_updated, u.patient, u.body, u.place FROM ((");
            branch(sql, query, visible, order, code1);
            limit(sql);
            sql.push(") UNION ALL (");
            branch(sql, query, visible, order, Stands::UnderSeveral);
            limit(sql);
            sql.push(")) u");
            order.order.push_of_union(sql);
        }
        _ => branch(sql, query, visible, order, Stands::Anywhere),
    }
    limit(sql);
}

/// A first page of one vital of all patients, by its date. Code and size stand in the statement's text, so that PostgreSQL
/// finds one plan as good as another and keeps it: to make one takes it longer than to read the page. Everything else is
/// bound and has a plan of its own each time, since what is good for a rare code, patient or time is not for a frequent one.
#[derive(Clone, Copy)]
struct Known {
    code1: &'static str,
    /// As many rows as are needed, or some more.
    limit: &'static str,
}

impl Known {
    const LIMITS: [(u32, &'static str); 9] = [
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

    fn of<R: Table>(query: &Query<R>, rows: u32, visible: &Visible) -> Option<Self> {
        let code1 = one_vital_code(query)?;
        let is_all = query.filters.iter().all(|filter| says(&code1, filter)) && !predicate::looks_into_codes(visible);
        let (_, limit) = Self::LIMITS.iter().find(|(number, _)| *number >= rows)?;
        let vital = Vital::ALL.into_iter().find(|vital| coding(LOINC, vital.loinc()[0]) == code1)?;
        Some(Self { code1: Self::code1(vital)?, limit }).filter(|_| is_all)
    }

    /// The condition that a row is of this vital, of those that have one LOINC code.
    const fn code1(vital: Vital) -> Option<&'static str> {
        Some(match vital {
            Vital::HeartRate => " AND x.code1 = '~l|8867-4'",
            Vital::RespiratoryRate => " AND x.code1 = '~l|9279-1'",
            Vital::BodyTemperature => " AND x.code1 = '~l|8310-5'",
            Vital::BodyWeight => " AND x.code1 = '~l|29463-7'",
            Vital::BodyHeight => " AND x.code1 = '~l|8302-2'",
            Vital::Bmi => " AND x.code1 = '~l|39156-5'",
            Vital::HeadCircumference => " AND x.code1 = '~l|9843-4'",
            Vital::Spo2 | Vital::BloodPressure => return None,
        })
    }
}

/// Where in the order of `code1` the rows of a branch stand.
#[derive(Clone, Copy)]
enum Stands<'c> {
    /// Under this one.
    Under(&'c str),
    /// The same, with the condition as text.
    UnderKnown(&'c str, &'static str),
    /// Among those that name several vitals.
    UnderSeveral,
    /// Under any.
    Anywhere,
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

fn branch<R: Table>(sql: &mut Sql, query: &Query<R>, visible: &Visible, ordered: Ordered<'_>, stands: Stands<'_>) {
    let Ordered { order, after, tenant } = ordered;
    sql.push("SELECT x.tenant, x.id, x.version, x.last_updated, ").push(R::TEXTS.patient).push(" AS patient, x.body, ");
    sql.push(order.place()).push(" AS place").push(R::TEXTS.from);
    // Where an index by code gives the order, the code is said.
    let said = match stands {
        Stands::Under(code1) | Stands::UnderKnown(code1, _) if order.is_of_tenant() || one_patient(query, visible) => {
            Some(code1)
        }
        _ => None,
    };
    push_where(sql, query, visible, said);
    match stands {
        Stands::Under(code1) => {
            sql.push(" AND x.code1 = ").bind(code1.to_owned());
        }
        Stands::UnderKnown(_, text) => {
            sql.push(text);
        }
        // In letters: how few they are, PostgreSQL cannot know of a value that is bound.
        Stands::UnderSeveral => {
            sql.push(" AND x.code1 = '*'");
        }
        Stands::Anywhere if order.is_of_tenant() => {
            sql.push(" AND x.tenant = ").bind(tenant);
        }
        Stands::Anywhere => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_codes_are_those_of_the_vitals_that_have_one() {
        for vital in Vital::ALL {
            let expected = format!(" AND x.code1 = '{}'", coding(LOINC, vital.loinc()[0]));
            let expected = (vital.loinc().len() == 1).then_some(expected);
            assert_eq!(Known::code1(vital).map(str::to_owned), expected, "{}", vital.name());
        }
    }
}
