//! Which rows a caller may reach, as a value: rendered into SQL for reads, evaluated over extracted columns for writes.
//! A property test in the store holds the two equal.

use vitals_fhir::index::{ObservationIndex, PatientIndex};

/// Alternatives that two predicates may have in common: merging them takes time by the square, and each is a part of
/// every statement.
const MOST_ALTERNATIVES: usize = 128;

/// The rows of one type within reach of one interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// No row.
    Nothing,
    /// Every row of the tenant.
    Everything,
    /// The rows that meet at least one of these.
    AnyOf(Vec<AllOf>),
}

/// Conditions that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllOf(pub Vec<Term>);

/// One condition. A row without the column does not meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// In this patient's compartment: the Patient itself, or what is about it.
    PatientIs(String),
    /// A vital sign that is one of these alone.
    VitalIn(Vec<&'static str>),
    /// A vital sign of whatever kind.
    VitalAny,
    /// One of the codes is among these (forms of [`vitals_fhir::token`]).
    CodeIn(Vec<String>),
    /// One of the categories is among these (forms of [`vitals_fhir::token`]).
    CategoryIn(Vec<String>),
    /// The status is among these (plain codes).
    StatusIn(Vec<String>),
    /// One of the security labels is among these (forms of [`vitals_fhir::token`]).
    SecurityIn(Vec<String>),
}

/// The columns of one row, or of one resource about to become a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns<'a> {
    /// Logical id of the patient: a Patient's own, else of the Patient the resource is about.
    pub patient: Option<&'a str>,
    /// The kind of vital sign.
    pub vital: Option<&'a str>,
    /// Forms of the codes.
    pub codes: &'a [String],
    /// Forms of the categories.
    pub category: &'a [String],
    /// The status.
    pub status: Option<&'a str>,
    /// Forms of the security labels.
    pub security: &'a [String],
}

impl<'a> Columns<'a> {
    /// The columns of the Patient of this id.
    pub fn of_patient(id: &'a str, index: &'a PatientIndex) -> Self {
        Self { patient: Some(id), security: &index.security, ..Self::default() }
    }

    /// The columns of an Observation.
    pub fn of_observation(index: &'a ObservationIndex) -> Self {
        Self {
            patient: index.patient.as_deref(),
            vital: index.vital.map(vitals_fhir::vital::VitalClass::name),
            codes: &index.codes,
            category: &index.category,
            status: Some(&index.status),
            security: &index.security,
        }
    }
}

impl Visible {
    /// Whether a row of these columns is within reach.
    pub fn admits(&self, columns: &Columns<'_>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::AnyOf(alternatives) => alternatives.iter().any(|all| all.admits(columns)),
        }
    }

    /// The rows that both admit. What would take too long to judge admits nothing.
    pub(crate) fn both(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::Everything, rest) | (rest, Self::Everything) => rest.clone(),
            (Self::AnyOf(one), Self::AnyOf(two)) if one.len() * two.len() > MOST_ALTERNATIVES => Self::Nothing,
            (Self::AnyOf(one), Self::AnyOf(two)) => {
                Self::union(one.iter().flat_map(|one| two.iter().filter_map(|two| one.and(two))))
            }
        }
    }

    /// The rows that any of these admits.
    pub(crate) fn either(all: Vec<Self>) -> Self {
        let mut alternatives = Vec::new();
        for one in all {
            match one {
                Self::Nothing => {}
                Self::Everything => return Self::Everything,
                Self::AnyOf(some) => alternatives.extend(some),
            }
        }
        Self::union(alternatives)
    }

    /// The union of alternatives in its smallest form, so that the SQL made of it is small: no condition at all makes
    /// everything, an alternative narrower than another goes, and two that differ in one list become one.
    pub(crate) fn union(alternatives: impl IntoIterator<Item = AllOf>) -> Self {
        let mut kept: Vec<AllOf> = Vec::new();
        for mut new in alternatives {
            if new.0.is_empty() {
                return Self::Everything;
            }
            // Each round removes one alternative, so this ends.
            while let Some((place, merged)) =
                kept.iter().enumerate().find_map(|(place, old)| old.merged(&new).map(|merged| (place, merged)))
            {
                kept.remove(place);
                new = merged;
            }
            kept.push(new);
        }
        if kept.is_empty() { Self::Nothing } else { Self::AnyOf(kept) }
    }
}

impl AllOf {
    fn admits(&self, columns: &Columns<'_>) -> bool {
        self.0.iter().all(|term| term.admits(columns))
    }

    /// The conditions of both, unless no row can meet them all.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut terms = self.0.clone();
        for term in &other.0 {
            let mut term = term.clone();
            // Each round removes one term, so this ends.
            while let Some((place, met)) = terms.iter().enumerate().find_map(|(place, old)| match old.meet(&term) {
                Met::Apart => None,
                met => Some((place, met)),
            }) {
                terms.remove(place);
                let Met::In(both) = met else { return None };
                term = both;
            }
            terms.push(term);
        }
        Some(Self(terms))
    }

    /// One alternative that admits exactly what either does, if there is an obvious one.
    fn merged(&self, other: &Self) -> Option<Self> {
        if self.0.iter().all(|term| other.0.contains(term)) {
            return Some(self.clone());
        }
        if other.0.iter().all(|term| self.0.contains(term)) {
            return Some(other.clone());
        }
        if self.0.len() != other.0.len() {
            return None;
        }
        let mut pairs = self.0.iter().zip(&other.0).enumerate().filter(|(_, (one, two))| one != two);
        let (place, (one, two)) = pairs.next()?;
        if pairs.next().is_some() {
            return None;
        }
        let mut terms = self.0.clone();
        terms[place] = one.either(two)?;
        Some(Self(terms))
    }
}

/// What two conditions have in common.
#[derive(Debug)]
enum Met {
    /// Only that both must hold.
    Apart,
    /// One condition that holds exactly where both do.
    In(Term),
    /// No row.
    Never,
}

impl Term {
    fn admits(&self, columns: &Columns<'_>) -> bool {
        let overlap = |forms: &[String], wanted: &[String]| forms.iter().any(|form| wanted.contains(form));
        match self {
            Self::PatientIs(id) => columns.patient == Some(id.as_str()),
            Self::VitalIn(names) => columns.vital.is_some_and(|vital| names.contains(&vital)),
            Self::VitalAny => columns.vital.is_some(),
            Self::CodeIn(wanted) => overlap(columns.codes, wanted),
            Self::CategoryIn(wanted) => overlap(columns.category, wanted),
            Self::StatusIn(wanted) => columns.status.is_some_and(|status| wanted.iter().any(|code| code == status)),
            Self::SecurityIn(wanted) => overlap(columns.security, wanted),
        }
    }

    /// What this condition and another have in common. A row has one patient, one vital sign and one status, but several
    /// codes, categories and labels.
    fn meet(&self, other: &Self) -> Met {
        let of = |both: Option<Self>| both.map_or(Met::Never, Met::In);
        match (self, other) {
            (Self::PatientIs(one), Self::PatientIs(two)) => of((one == two).then(|| self.clone())),
            (Self::VitalAny, Self::VitalAny | Self::VitalIn(_)) => Met::In(other.clone()),
            (Self::VitalIn(_), Self::VitalAny) => Met::In(self.clone()),
            (Self::VitalIn(one), Self::VitalIn(two)) => of(shared(one, two).map(Self::VitalIn)),
            (Self::StatusIn(one), Self::StatusIn(two)) => of(shared(one, two).map(Self::StatusIn)),
            (Self::CodeIn(one), Self::CodeIn(two))
            | (Self::CategoryIn(one), Self::CategoryIn(two))
            | (Self::SecurityIn(one), Self::SecurityIn(two)) => {
                if one.iter().all(|form| two.contains(form)) {
                    Met::In(self.clone())
                } else if two.iter().all(|form| one.contains(form)) {
                    Met::In(other.clone())
                } else {
                    Met::Apart
                }
            }
            _ => Met::Apart,
        }
    }

    /// One condition that holds exactly where either does.
    fn either(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::VitalIn(one), Self::VitalIn(two)) => Some(Self::VitalIn(joined(one, two))),
            (Self::VitalAny, Self::VitalIn(_)) | (Self::VitalIn(_), Self::VitalAny) => Some(Self::VitalAny),
            (Self::CodeIn(one), Self::CodeIn(two)) => Some(Self::CodeIn(joined(one, two))),
            (Self::CategoryIn(one), Self::CategoryIn(two)) => Some(Self::CategoryIn(joined(one, two))),
            (Self::StatusIn(one), Self::StatusIn(two)) => Some(Self::StatusIn(joined(one, two))),
            (Self::SecurityIn(one), Self::SecurityIn(two)) => Some(Self::SecurityIn(joined(one, two))),
            _ => None,
        }
    }
}

/// What is in both lists, unless that is nothing.
fn shared<T: Clone + PartialEq>(one: &[T], two: &[T]) -> Option<Vec<T>> {
    let shared: Vec<T> = one.iter().filter(|item| two.contains(item)).cloned().collect();
    (!shared.is_empty()).then_some(shared)
}

fn joined<T: Clone + PartialEq>(one: &[T], two: &[T]) -> Vec<T> {
    let mut all = one.to_vec();
    all.extend(two.iter().filter(|item| !one.contains(item)).cloned());
    all
}

#[cfg(test)]
mod tests;
