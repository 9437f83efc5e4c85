//! Token values as conditions on alias `x` (<https://hl7.org/fhir/R4/search.html#token>).

use vitals_fhir::{
    search::{Column, TokenValue},
    token,
};

use super::Beside;
use crate::sql::Sql;

/// System of `Observation.status`.
const OBSERVATION_STATUS: &str = "http://hl7.org/fhir/observation-status";
/// System of `Patient.gender`.
const GENDER: &str = "http://hl7.org/fhir/administrative-gender";
/// System of true and false.
const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";

pub(super) fn push(sql: &mut Sql, column: Column, values: &[TokenValue], beside: Beside) {
    match column {
        Column::Code => push_forms(sql, "x.codes", "", values, beside),
        Column::Category => push_forms(sql, "x.category", "", values, beside),
        Column::Identifier => push_forms(sql, "x.tokens", "i:", values, beside),
        Column::ValueConcept => push_forms(sql, "x.tokens", "v:", values, beside),
        Column::ComponentCode => push_forms(sql, "x.tokens", "k:", values, beside),
        Column::ComboCode => {
            sql.push("(");
            push_forms(sql, "x.codes", "", values, beside);
            sql.push(" OR ");
            push_forms(sql, "x.tokens", "k:", values, beside);
            sql.push(")");
        }
        Column::Status => push_codes(sql, "x.status", OBSERVATION_STATUS, values),
        Column::Gender => push_codes(sql, "x.gender", GENDER, values),
        Column::Active => {
            // The column is no text: what it says is.
            push_codes(sql, "CASE WHEN x.active THEN 'true' ELSE 'false' END", SPECIAL_VALUES, values);
            sql.push(" AND x.active IS NOT NULL");
        }
    }
}

/// Values in an array of the forms of [`token`], each behind a letter.
pub(super) fn push_forms(sql: &mut Sql, array: &'static str, letter: &str, values: &[TokenValue], beside: Beside) {
    let mut forms = Vec::new();
    let mut systems = Vec::new();
    for value in values {
        match value {
            TokenValue::Coding { system, code } => forms.push(format!("{letter}{}", token::coding(system, code))),
            TokenValue::Code(code) => forms.push(format!("{letter}{}", token::code_alone(code))),
            TokenValue::NoSystem(code) => forms.push(format!("{letter}{}", token::coding("", code))),
            TokenValue::System(system) => systems.push(format!("{letter}{}", token::system_prefix(system))),
        }
    }
    sql.push("(");
    if forms.is_empty() {
        sql.push("FALSE");
    } else {
        push_overlap(sql, array, forms, beside);
    }
    for system in systems {
        sql.push(" OR EXISTS (SELECT 1 FROM unnest(").push(array).push(") AS t (form) WHERE starts_with(t.form, ");
        sql.bind(system).push("))");
    }
    sql.push(")");
}

/// The condition that an array holds one of these forms.
pub(super) fn push_overlap(sql: &mut Sql, array: &'static str, forms: Vec<String>, beside: Beside) {
    match beside {
        Beside::Patient => sql.push("COALESCE(").push(array).push(" && ").bind(forms).push(", FALSE)"),
        Beside::Nothing => sql.push(array).push(" && ").bind(forms),
    };
}

/// Values of an element that is a code: its system is not written, and always the same.
fn push_codes(sql: &mut Sql, column: &'static str, own: &str, values: &[TokenValue]) {
    let mut codes = Vec::new();
    let mut any = false;
    for value in values {
        match value {
            TokenValue::Code(code) | TokenValue::NoSystem(code) => codes.push(code.clone()),
            TokenValue::Coding { system, code } if system == own => codes.push(code.clone()),
            TokenValue::System(system) if system == own => any = true,
            TokenValue::Coding { .. } | TokenValue::System(_) => {}
        }
    }
    if any {
        sql.push("(").push(column).push(") IS NOT NULL");
    } else {
        sql.push("(").push(column).push(") = ANY(").bind(codes).push(")");
    }
}

/// A value as a condition on a single form of [`token`].
pub(super) fn push_form(sql: &mut Sql, form: &'static str, value: &TokenValue) {
    match value {
        TokenValue::Coding { system, code } => sql.push(form).push(" = ").bind(token::coding(system, code)),
        TokenValue::NoSystem(code) => sql.push(form).push(" = ").bind(token::coding("", code)),
        TokenValue::System(system) => {
            sql.push("starts_with(").push(form).push(", ").bind(token::system_prefix(system)).push(")")
        }
        TokenValue::Code(code) => push_code_of(sql, form, code),
    };
}

/// The condition that a form's code is this one. The first `|` ends its system.
pub(super) fn push_code_of<'s>(sql: &'s mut Sql, form: &'static str, code: &str) -> &'s mut Sql {
    sql.push("(").push(form).push(" <> '' AND substr(").push(form).push(", strpos(").push(form);
    sql.push(", '|') + 1) = ").bind(code.to_owned()).push(")")
}
