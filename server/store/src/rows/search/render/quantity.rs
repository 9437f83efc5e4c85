//! Quantity values as conditions (<https://hl7.org/fhir/R4/search.html#quantity>): the same as
//! [`QuantityTest::admits`], which a test holds on random rows.

use vitals_fhir::search::{Bounds, Column, Place, Prefix, QuantityTest, TokenValue, Unit};

use super::{Beside, token};
use crate::sql::Sql;

/// Where a quantity's columns are.
struct Columns {
    low: &'static str,
    high: &'static str,
    unit: &'static str,
    name: &'static str,
    canon_low: &'static str,
    canon_high: &'static str,
    canon_unit: &'static str,
}

const VALUE: Columns = Columns {
    low: "x.q_low",
    high: "COALESCE(x.q_high, x.q_low)",
    unit: "x.q_unit",
    name: "x.q_name",
    canon_low: "x.q_canon_low",
    canon_high: "COALESCE(x.q_canon_high, x.q_canon_low)",
    canon_unit: "x.q_canon_unit",
};

const PART: Columns = Columns {
    low: "p.low",
    high: "COALESCE(p.high, p.low)",
    unit: "p.unit",
    name: "p.name",
    canon_low: "p.canon_low",
    canon_high: "COALESCE(p.canon_high, p.canon_low)",
    canon_unit: "p.canon_unit",
};

/// A test of the quantities at a place; with a code, of those that are that.
pub(super) fn push(sql: &mut Sql, place: Place, code: Option<&TokenValue>, test: &QuantityTest, beside: Beside) {
    match place {
        Place::Value => push_value(sql, code, test, beside),
        Place::Component => push_part(sql, code, test),
        Place::Combo => {
            sql.push("(");
            push_value(sql, code, test, beside);
            sql.push(") OR ");
            push_part(sql, code, test);
        }
    }
}

fn push_value(sql: &mut Sql, code: Option<&TokenValue>, test: &QuantityTest, beside: Beside) {
    if let Some(code) = code {
        token::push(sql, Column::Code, std::slice::from_ref(code), beside);
        sql.push(" AND ");
    }
    push_test(sql, &VALUE, test);
}

fn push_part(sql: &mut Sql, code: Option<&TokenValue>, test: &QuantityTest) {
    sql.push(
        "EXISTS (SELECT 1 FROM unnest(x.c_code, x.c_low, x.c_high, x.c_unit, x.c_name, x.c_canon_low, x.c_canon_high, \
         x.c_canon_unit) AS p (code, low, high, unit, name, canon_low, canon_high, canon_unit) WHERE ",
    );
    if let Some(code) = code {
        token::push_form(sql, "p.code", code);
        sql.push(" AND ");
    }
    push_test(sql, &PART, test);
    sql.push(")");
}

fn push_test(sql: &mut Sql, columns: &Columns, test: &QuantityTest) {
    let plain = |sql: &mut Sql| push_bounds(sql, columns.low, columns.high, test.prefix, test.number);
    match &test.unit {
        Unit::Any => plain(sql),
        Unit::Named(code) => {
            sql.push("(");
            token::push_code_of(sql, columns.unit, code);
            sql.push(" OR ").push(columns.name).push(" = ").bind(code.clone()).push(") AND ");
            plain(sql);
        }
        Unit::Coded { form, canonical: None } => {
            sql.push(columns.unit).push(" = ").bind(form.clone()).push(" AND ");
            plain(sql);
        }
        Unit::Coded { form, canonical: Some((number, unit)) } => {
            sql.push("CASE WHEN ").push(columns.unit).push(" = ").bind(form.clone()).push(" THEN ");
            plain(sql);
            sql.push(" ELSE ").push(columns.canon_unit).push(" = ").bind(unit.clone()).push(" AND ");
            push_bounds(sql, columns.canon_low, columns.canon_high, test.prefix, *number);
            sql.push(" END");
        }
    }
}

fn push_bounds(sql: &mut Sql, low: &'static str, high: &'static str, prefix: Prefix, number: Bounds) {
    match prefix {
        Prefix::Eq | Prefix::Ne => {
            sql.push(if prefix == Prefix::Ne { "NOT (" } else { "(" });
            sql.push(low).push(" >= ").bind(number.low).push(" AND (").push(high).push(" < ").bind(number.high);
            sql.push(" OR ").push(high).push(" <= ").bind(number.value).push("))");
        }
        Prefix::Gt => {
            sql.push(high).push(" > ").bind(number.value);
        }
        Prefix::Lt => {
            sql.push(low).push(" < ").bind(number.value);
        }
        Prefix::Ge => {
            sql.push(high).push(" >= ").bind(number.value);
        }
        Prefix::Le => {
            sql.push(low).push(" <= ").bind(number.value);
        }
        Prefix::Sa => {
            sql.push(low).push(" > ").bind(number.value);
        }
        Prefix::Eb => {
            sql.push(high).push(" < ").bind(number.value);
        }
    }
}
