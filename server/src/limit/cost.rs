//! What a request counts for, and in which category.

use vitals_access::limits::Category;
use vitals_fhir::catalog::Code;

use super::settings::Costs;

/// What a request is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The category whose windows it counts in.
    pub category: Category,
    /// Its units.
    pub units: u64,
}

impl Charge {
    /// The same at so many places, one at least.
    #[must_use]
    pub fn times(self, places: usize) -> Self {
        let places = u64::try_from(places).unwrap_or(u64::MAX).max(1);
        Self { units: self.units.saturating_mul(places), ..self }
    }
}

/// Parameters that make a search look at more than one type.
const JOINS: [&str; 4] = ["_has:", "_include", "_revinclude", "_contained"];

impl Costs {
    /// What an interaction costs, with the parameters it is asked with.
    pub fn interaction(&self, code: Code, pairs: &[(String, String)]) -> Charge {
        let (category, units) = match code {
            Code::Read | Code::Vread | Code::HistoryInstance | Code::Validate | Code::ValidateInstance => {
                (Category::Read, self.read)
            }
            Code::SearchType | Code::SearchTypePost | Code::SearchCompartment | Code::HistoryType => {
                (Category::Search, self.searched(pairs))
            }
            Code::Create | Code::Update | Code::Delete => (Category::Write, self.write),
            // Criteria are searched for before anything is written.
            Code::ConditionalUpdate | Code::ConditionalDelete => (Category::Write, self.write + self.searched(pairs)),
        };
        Charge { category, units }
    }

    fn searched(&self, pairs: &[(String, String)]) -> u64 {
        let joined = |(name, _): &(String, String)| {
            // Only a chain has a dot in its name.
            name.contains('.') || JOINS.iter().any(|join| name.starts_with(join))
        };
        if pairs.iter().any(joined) { self.joined } else { self.search }
    }

    /// What an operation costs that is no interaction of the catalog, by its name in the address.
    pub fn operation(&self, name: &str) -> Charge {
        match name {
            "$export" => Charge { category: Category::Bulk, units: self.export },
            "$everything" => Charge { category: Category::Search, units: self.everything },
            _ => Charge { category: Category::Read, units: self.read },
        }
    }

    /// What a Bundle costs before it is known what is in it.
    pub const fn bundle(&self) -> Charge {
        Charge { category: Category::Bulk, units: self.bundle }
    }

    /// What a request to the authorization server costs.
    pub const fn auth(&self) -> Charge {
        Charge { category: Category::Auth, units: self.auth }
    }

    /// What a request to the administration costs.
    pub const fn admin(&self) -> Charge {
        Charge { category: Category::Admin, units: self.admin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r09_what_is_expensive_costs_more() {
        let costs = Costs::default();
        let pairs = |text: &str| vec![(text.to_owned(), "x".to_owned())];
        let cases = [
            (costs.interaction(Code::Read, &[]), Category::Read, 1),
            (costs.interaction(Code::HistoryInstance, &[]), Category::Read, 1),
            (costs.interaction(Code::SearchType, &pairs("code")), Category::Search, 2),
            (costs.interaction(Code::HistoryType, &[]), Category::Search, 2),
            (costs.interaction(Code::SearchType, &pairs("subject:Patient.name")), Category::Search, 4),
            (costs.interaction(Code::SearchType, &pairs("patient.name")), Category::Search, 4),
            (costs.interaction(Code::SearchTypePost, &pairs("_has:Observation:patient:code")), Category::Search, 4),
            (costs.interaction(Code::SearchCompartment, &pairs("_include")), Category::Search, 4),
            (costs.interaction(Code::SearchType, &pairs("_revinclude:iterate")), Category::Search, 4),
            (costs.interaction(Code::Create, &[]), Category::Write, 5),
            (costs.interaction(Code::ConditionalUpdate, &pairs("code")), Category::Write, 7),
            (costs.operation("$everything"), Category::Search, 20),
            (costs.operation("$export"), Category::Bulk, 100),
            (costs.bundle(), Category::Bulk, 1),
            (costs.interaction(Code::SearchType, &[]).times(10), Category::Search, 20),
            (costs.interaction(Code::Read, &[]).times(0), Category::Read, 1),
        ];
        for (charge, category, units) in cases {
            assert_eq!(charge, Charge { category, units });
        }
    }
}
