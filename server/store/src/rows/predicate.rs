//! The one renderer of a caller's predicate to SQL, for one alias of one table.

use vitals_access::predicate::{AllOf, Term, Visible};
use vitals_fhir::resource::ResourceType;

use crate::sql::Sql;

/// An alias in a statement, and the type of the rows it stands for (current or historical alike).
#[derive(Clone, Copy)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    pub(crate) of: ResourceType,
}

/// Appends a condition that holds for exactly the rows that are visible.
pub(crate) fn push(sql: &mut Sql, alias: Alias, visible: &Visible) {
    match visible {
        Visible::Nothing => {
            sql.push("FALSE");
        }
        Visible::Everything => {
            sql.push("TRUE");
        }
        Visible::AnyOf(alternatives) => {
            sql.push("(FALSE");
            for AllOf(terms) in alternatives {
                sql.push(" OR (TRUE");
                for term in terms {
                    sql.push(" AND ");
                    push_term(sql, alias, term);
                }
                sql.push(")");
            }
            sql.push(")");
        }
    }
}

/// Whether everything visible is in one and the same patient's compartment.
pub(crate) fn of_one_patient(visible: &Visible) -> bool {
    let Visible::AnyOf(alternatives) = visible else { return false };
    let patient = |AllOf(terms): &AllOf| {
        terms.iter().find_map(|term| match term {
            Term::PatientIs(id) => Some(id.clone()),
            _ => None,
        })
    };
    let mut patients = alternatives.iter().map(patient);
    match patients.next() {
        Some(Some(first)) => patients.all(|other| other.as_deref() == Some(first.as_str())),
        _ => false,
    }
}

/// Whether some of what is visible is so by its codes.
pub(crate) fn looks_into_codes(visible: &Visible) -> bool {
    let Visible::AnyOf(alternatives) = visible else { return false };
    alternatives.iter().any(|AllOf(terms)| terms.iter().any(|term| matches!(term, Term::CodeIn(_))))
}

fn push_term(sql: &mut Sql, alias: Alias, term: &Term) {
    let column = |sql: &mut Sql, name: &'static str| {
        sql.push(alias.name).push(name);
    };
    match (alias.of, term) {
        (ResourceType::Patient, Term::PatientIs(id)) => {
            column(sql, ".id = ");
            sql.bind(id.clone());
        }
        (ResourceType::Observation, Term::PatientIs(id)) => {
            // A row about nobody has no patient, and is then neither in nor out; under AND and OR that is as good as
            // no, and the comparison stays one that an index answers. Nothing here may stand below a NOT.
            column(sql, ".patient = ");
            sql.bind(id.clone());
        }
        (_, Term::SecurityIn(forms)) => {
            column(sql, ".security && ");
            sql.bind(forms.clone());
        }
        (ResourceType::Observation, Term::VitalIn(names)) => {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            column(sql, ".vital");
            sql.bind_any(&names);
        }
        (ResourceType::Observation, Term::VitalAny) => column(sql, ".vital IS NOT NULL"),
        (ResourceType::Observation, Term::CodeIn(forms)) => {
            column(sql, ".codes && ");
            sql.bind(forms.clone());
        }
        (ResourceType::Observation, Term::CategoryIn(forms)) => {
            column(sql, ".category && ");
            sql.bind(forms.clone());
        }
        (ResourceType::Observation, Term::StatusIn(codes)) => {
            column(sql, ".status");
            sql.bind_any(codes);
        }
        // A limit that the type has no column for admits nothing.
        (ResourceType::Patient, _) => {
            sql.push("FALSE");
        }
    }
}
