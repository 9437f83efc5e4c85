//! One parameter of a search as a condition on alias `x`. A condition on a column that is NULL is neither true nor
//! false; that is as good as false under AND and OR, and whatever goes below a NOT is made false first.

use vitals_fhir::{
    search::{
        Column, DateColumn, DateTest, Element, Filter, Matching, NamePart, OTHER_SUBJECT_TYPES, Place, Prefix,
        Referrer, Subject,
    },
    temporal::Range,
};

use super::{Beside, quantity, token};
use crate::{millis::Millis, sql::Sql};

pub(super) fn push(sql: &mut Sql, filter: &Filter, beside: Beside) {
    match filter {
        Filter::Id(ids) => {
            sql.push("x.id").bind_any(ids);
        }
        Filter::Subject(subjects) => push_subjects(sql, subjects, beside),
        Filter::Compartment(id) => {
            sql.push("(x.patient = ").bind(id.clone());
            sql.push(" OR ");
            // An index for each, or none serves.
            token::push_overlap(sql, "x.tokens", vec![format!("p:Patient/{id}")], Beside::Nothing);
            sql.push(")");
        }
        Filter::Reference(referrer, values) => {
            let forms: Vec<String> = values.iter().map(|value| format!("{}:{value}", referrer.letter())).collect();
            token::push_overlap(sql, "x.tokens", forms, beside);
        }
        Filter::ReferenceIdentifier(referrer, values) => {
            let letter = format!("{}:", referrer.identifier_letter());
            token::push_forms(sql, "x.tokens", &letter, values, beside);
        }
        Filter::Token { column, values } => token::push(sql, *column, values, beside),
        Filter::NotToken { column, values } => {
            sql.push("NOT COALESCE(");
            token::push(sql, *column, values, beside);
            sql.push(", FALSE)");
        }
        Filter::Text(column, beginnings) => push_texts(sql, *column, beginnings),
        Filter::Date(column, tests) => {
            push_either(sql, tests, |sql, test| push_date(sql, *column, test));
        }
        Filter::Name { part, matching, values } => {
            push_either(sql, values, |sql, value| push_name(sql, *part, *matching, value));
        }
        Filter::Quantity(place, tests) => {
            push_either(sql, tests, |sql, test| quantity::push(sql, *place, None, test, beside));
        }
        Filter::CodeQuantity(place, pairs) => {
            push_either(sql, pairs, |sql, (code, test)| quantity::push(sql, *place, Some(code), test, beside));
        }
        Filter::Missing(element) => {
            sql.push("NOT COALESCE(");
            push_present(sql, *element);
            sql.push(", FALSE)");
        }
        Filter::Present(element) => push_present(sql, *element),
    }
}

fn push_either<T>(sql: &mut Sql, values: &[T], each: impl Fn(&mut Sql, &T)) {
    sql.push("(FALSE");
    for value in values {
        sql.push(" OR (");
        each(sql, value);
        sql.push(")");
    }
    sql.push(")");
}

fn push_subjects(sql: &mut Sql, subjects: &[Subject], beside: Beside) {
    let mut patients = Vec::new();
    let mut others = Vec::new();
    for subject in subjects {
        match subject {
            Subject::Patient(id) => patients.push(id.clone()),
            Subject::Other(reference) => others.push(format!("s:{reference}")),
            Subject::AnyType(id) => {
                patients.push(id.clone());
                others.extend(OTHER_SUBJECT_TYPES.map(|kind| format!("s:{kind}/{id}")));
            }
        }
    }
    match (patients.is_empty(), others.is_empty()) {
        (false, true) => {
            sql.push("x.patient").bind_any(&patients);
        }
        (true, _) => {
            token::push_overlap(sql, "x.tokens", others, beside);
        }
        (false, false) => {
            sql.push("(x.patient").bind_any(&patients);
            sql.push(" OR ");
            token::push_overlap(sql, "x.tokens", others, beside);
            sql.push(")");
        }
    }
}

/// Each text stands behind a line end and its letter, and none holds a line end.
fn push_texts(sql: &mut Sql, column: Column, beginnings: &[String]) {
    let letters: &[char] = match column {
        Column::Code => &['c'],
        Column::Category => &['g'],
        Column::ValueConcept => &['v'],
        Column::ComponentCode => &['k'],
        Column::ComboCode => &['c', 'k'],
        Column::Identifier => &['i'],
        // The grammar lets no text be asked for where there is none.
        Column::Status | Column::Gender | Column::Active => &[],
    };
    let wanted: Vec<String> =
        beginnings.iter().flat_map(|text| letters.iter().map(move |letter| format!("\n{letter}{text}"))).collect();
    push_either(sql, &wanted, |sql, text| {
        sql.push("strpos(x.texts, ").bind(text.clone()).push(") > 0");
    });
}

/// A date test on bounds, both inclusive. Rows without a date stand at [`Range::ABSENT`], before every other, and
/// match nothing (<https://hl7.org/fhir/R4/search.html#prefix>).
fn push_date(sql: &mut Sql, column: DateColumn, test: &DateTest) {
    let (start, end) = match column {
        DateColumn::Effective => ("x.eff_low", "x.eff_high"),
        DateColumn::LastUpdated => ("x.last_updated", "x.last_updated"),
        DateColumn::Birth => ("x.birth_low", "x.birth_high"),
    };
    let (low, high) = (Millis(test.range.low), Millis(test.range.high));
    let mut present = true;
    match test.prefix {
        Prefix::Eq => {
            sql.push(start).push(" >= ").bind(low).push(" AND ").push(start).push(" <= ").bind(high);
            sql.push(" AND ").push(end).push(" <= ").bind(high);
            present = false;
        }
        Prefix::Ne => {
            sql.push("(").push(start).push(" < ").bind(low).push(" OR ").push(end).push(" > ").bind(high).push(")");
        }
        Prefix::Gt => {
            sql.push(end).push(" > ").bind(high);
            present = false;
        }
        Prefix::Ge => {
            sql.push("(").push(end).push(" > ").bind(high).push(" OR (").push(start).push(" >= ").bind(low);
            sql.push(" AND ").push(end).push(" <= ").bind(high).push("))");
            present = false;
        }
        Prefix::Lt => {
            sql.push(start).push(" < ").bind(low);
        }
        Prefix::Le => {
            sql.push(start).push(" <= ").bind(high).push(" AND (").push(start).push(" < ").bind(low);
            sql.push(" OR ").push(end).push(" <= ").bind(high).push(")");
        }
        Prefix::Sa => {
            sql.push(start).push(" > ").bind(high);
            present = false;
        }
        Prefix::Eb => {
            sql.push(end).push(" < ").bind(low);
        }
    }
    if present {
        sql.push(" AND ").push(start).push(" > ").bind(Millis(Range::ABSENT.low));
    }
}

fn push_name_of(sql: &mut Sql, part: NamePart) {
    sql.push("EXISTS (SELECT 1 FROM patient_name n WHERE n.id = x.id").push(match part {
        NamePart::Any => "",
        NamePart::Family => " AND n.part = 'family'",
        NamePart::Given => " AND n.part = 'given'",
    });
}

fn push_name(sql: &mut Sql, part: NamePart, matching: Matching, value: &str) {
    push_name_of(sql, part);
    match matching {
        Matching::Beginning => {
            sql.push(" AND n.value >= ").bind(value.to_owned());
            sql.push(" AND n.value < ").bind(format!("{value}\u{10FFFF}")).push(")");
        }
        Matching::Contains => {
            sql.push(" AND strpos(n.value, ").bind(value.to_owned()).push(") > 0)");
        }
        Matching::Exact => {
            sql.push(" AND COALESCE(n.written, n.value) = ").bind(value.to_owned()).push(")");
        }
    }
}

/// Appends the condition that there is a value to search for.
fn push_present(sql: &mut Sql, element: Element) {
    match element {
        Element::Patient => {
            sql.push("(x.patient IS NOT NULL");
            push_token_of(sql, Referrer::Patient.identifier_letter());
            sql.push(")");
        }
        Element::Subject => {
            sql.push("(x.patient IS NOT NULL");
            push_token_of(sql, Referrer::Subject.letter());
            push_token_of(sql, Referrer::Subject.identifier_letter());
            sql.push(")");
        }
        Element::Reference(referrer) => {
            sql.push("(FALSE");
            push_token_of(sql, referrer.letter());
            push_token_of(sql, referrer.identifier_letter());
            sql.push(")");
        }
        Element::Token(column) => push_token_present(sql, column),
        Element::Date(DateColumn::Effective) => {
            sql.push("x.eff_low > ").bind(Millis(Range::ABSENT.low));
        }
        Element::Date(DateColumn::Birth) => {
            sql.push("x.birth_low > ").bind(Millis(Range::ABSENT.low));
        }
        Element::Date(DateColumn::LastUpdated) => {
            sql.push("TRUE");
        }
        Element::Name(part) => {
            push_name_of(sql, part);
            sql.push(")");
        }
        Element::Quantity(place) => {
            sql.push(match place {
                Place::Value => "x.q_low IS NOT NULL",
                Place::Component => "x.c_low IS NOT NULL",
                Place::Combo => "(x.q_low IS NOT NULL OR x.c_low IS NOT NULL)",
            });
        }
    }
}

fn push_token_present(sql: &mut Sql, column: Column) {
    match column {
        // An element of its own is always there.
        Column::Code | Column::ComboCode | Column::Status => {
            sql.push("TRUE");
        }
        Column::Category => push_text_or(sql, "x.category <> '{}'", 'g'),
        Column::Gender => {
            sql.push("x.gender IS NOT NULL");
        }
        Column::Active => {
            sql.push("x.active IS NOT NULL");
        }
        Column::Identifier => {
            sql.push("(FALSE");
            push_token_of(sql, 'i');
            sql.push(")");
        }
        Column::ValueConcept => push_token_or_text(sql, 'v'),
        Column::ComponentCode => push_token_or_text(sql, 'k'),
    }
}

fn push_token_of(sql: &mut Sql, letter: char) {
    sql.push(" OR EXISTS (SELECT 1 FROM unnest(x.tokens) AS t (form) WHERE starts_with(t.form, ");
    sql.bind(format!("{letter}:")).push("))");
}

fn push_token_or_text(sql: &mut Sql, letter: char) {
    sql.push("(FALSE");
    push_token_of(sql, letter);
    sql.push(" OR strpos(x.texts, ").bind(format!("\n{letter}")).push(") > 0)");
}

fn push_text_or(sql: &mut Sql, other: &'static str, letter: char) {
    sql.push("(").push(other).push(" OR strpos(x.texts, ").bind(format!("\n{letter}")).push(") > 0)");
}
