//! Criteria of conditional requests (<https://hl7.org/fhir/R4/http.html#cond-update>): a search of which nothing may be
//! ignored, and which means exactly one resource or none.

use super::{Query, form_pairs};
use crate::{
    outcome::{Issue, IssueCode},
    resource::Resource,
};

/// Criteria that were understood in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Criteria<R> {
    query: Query<R>,
    key: u64,
}

impl<R: Resource> Criteria<R> {
    /// Reads the parameters of an address. What a search would ignore is refused here, and so are parameters about the
    /// result and criteria that are none.
    pub fn parse(pairs: &[(String, String)], bases: &[&str]) -> Result<Self, Issue> {
        let governs = |name: &str| {
            matches!(name, "_count" | "_sort" | "_total" | "_summary" | "_elements") || name.starts_with("_page")
        };
        if let Some((name, _)) = pairs.iter().find(|(name, _)| governs(name)) {
            let diagnostics = "criteria say which resource is meant; this parameter does not";
            return Err(Issue::error(IssueCode::NotSupported, diagnostics).at(name.as_str()));
        }
        let mut query = Query::<R>::parse(pairs, true, bases)?;
        if query.filters.is_empty() {
            return Err(Issue::error(IssueCode::Invalid, "the criteria are empty: they would mean every resource"));
        }
        // With one on the page, a following page says that there are several.
        query.count = 1;
        let key = key::<R>(&query.applied);
        Ok(Self { query, key })
    }

    /// Reads the text of `If-None-Exist`.
    pub fn read(text: &str, bases: &[&str]) -> Result<Self, Issue> {
        Self::parse(&form_pairs(text)?, bases)
    }

    /// The search for what is meant: its first page is all there may be.
    pub const fn query(&self) -> &Query<R> {
        &self.query
    }

    /// A number that is the same for the same criteria, in whatever order, and nearly never for others.
    pub const fn key(&self) -> u64 {
        self.key
    }
}

/// FNV-1a over the type and the sorted parameters: nothing hangs on collisions but who waits for whom.
fn key<R: Resource>(pairs: &[(String, String)]) -> u64 {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    let parts = sorted.iter().flat_map(|(name, value)| [name.as_str(), "=", value.as_str(), "&"]);
    let bytes = [R::TYPE.name(), "?"].into_iter().chain(parts).flat_map(str::bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Observation, Patient};

    #[test]
    fn criteria_are_understood_in_full_or_refused() {
        let cases = [
            ("identifier=urn:a|1", Ok(())),
            ("identifier=urn:a|1&name=x", Ok(())),
            ("_id=p1", Ok(())),
            ("", Err(IssueCode::Invalid)),
            ("_format=json", Err(IssueCode::Invalid)),
            ("identifier=", Err(IssueCode::Invalid)),
            ("unheard-of=1", Err(IssueCode::NotSupported)),
            ("identifier=1&unheard-of=1", Err(IssueCode::NotSupported)),
            ("identifier=1&_count=1", Err(IssueCode::NotSupported)),
            ("identifier=1&_sort=date", Err(IssueCode::NotSupported)),
            ("identifier=1&_total=accurate", Err(IssueCode::NotSupported)),
            ("identifier=1&_summary=count", Err(IssueCode::NotSupported)),
            ("identifier=1&_elements=id", Err(IssueCode::NotSupported)),
            ("identifier=1&_page=x", Err(IssueCode::NotSupported)),
            ("_has:Observation:patient:code=1", Err(IssueCode::NotSupported)),
            ("name=%FF", Err(IssueCode::Invalid)),
            ("Patient?identifier=1", Err(IssueCode::NotSupported)),
        ];
        for (text, expected) in cases {
            let found = Criteria::<Patient>::read(text, &[]).map(drop).map_err(|issue| issue.code);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_key_is_the_same_for_the_same_criteria_alone() {
        let key = |text: &str| Criteria::<Patient>::read(text, &[]).unwrap().key();
        assert_eq!(key("identifier=a|1&name=x"), key("name=x&identifier=a%7C1"));
        assert_ne!(key("identifier=a|1"), key("identifier=a|2"));
        assert_ne!(key("_id=a"), Criteria::<Observation>::read("_id=a", &[]).unwrap().key());
    }
}
