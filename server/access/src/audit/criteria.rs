//! What a record keeps of a search's criteria. A criterion may hold a name, a number of an insurance, a measured value,
//! or whatever somebody pasted in the wrong place; so the names of known parameters are kept, and values only of those
//! that hold codes, dates and ids, only where the operator wants it, and only where they look like that.

use std::str::FromStr;

/// What the trail keeps of the criteria of searches (`--audit-queries`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queries {
    /// The names of the parameters.
    #[default]
    Names,
    /// Values of codes, dates and ids as well.
    Full,
}

impl FromStr for Queries {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "names" => Ok(Self::Names),
            "full" => Ok(Self::Full),
            _ => Err("must be full or names"),
        }
    }
}

/// What a parameter is called that this server does not know: its name may be anything.
const UNKNOWN: &str = "unknown";
/// Parameters that say how to answer, not what is looked for.
const FORM: [&str; 3] = ["_format", "_pretty", "_page"];
/// Modifiers, and the types a reference may be confined to.
const MODIFIERS: [&str; 14] = [
    "missing",
    "exact",
    "contains",
    "not",
    "text",
    "identifier",
    "Patient",
    "Group",
    "Device",
    "Location",
    "Encounter",
    "Practitioner",
    "Organization",
    "RelatedPerson",
];
/// Parameters whose values are codes, dates, ids, addresses of the network or sizes.
const PLAIN: [&str; 31] = [
    "_count",
    "_elements",
    "_id",
    "_lastUpdated",
    "_security",
    "_sort",
    "_summary",
    "_total",
    "action",
    "address",
    "agent",
    "altid",
    "category",
    "client",
    "code",
    "combo-code",
    "component-code",
    "date",
    "decision",
    "encounter",
    "entity",
    "from",
    "grant",
    "id",
    "outcome",
    "patient",
    "status",
    "subject",
    "subtype",
    "to",
    "type",
];
/// The longest value that is kept, and the longest piece of one: no token is that short.
const LONGEST: usize = 256;
const LONGEST_PIECE: usize = 64;
/// Parameters that are kept of one search.
const MOST: usize = 40;

/// The criteria as the trail keeps them: `code&date`, or `code=http://loinc.org|8867-4&date=ge2026`. Nothing where there
/// are none. `known` are the parameters that the search has.
pub fn criteria<'a>(
    queries: Queries,
    known: impl Fn(&str) -> bool,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    let mut all = String::new();
    for (name, value) in pairs.into_iter().filter(|(name, _)| !FORM.contains(name)).take(MOST) {
        if !all.is_empty() {
            all.push('&');
        }
        let (base, modifier) = name.split_once(':').map_or((name, None), |(base, modifier)| (base, Some(modifier)));
        if !known(base) {
            all.push_str(UNKNOWN);
            continue;
        }
        all.push_str(base);
        if let Some(modifier) = modifier {
            all.push(':');
            all.push_str(if MODIFIERS.contains(&modifier) { modifier } else { UNKNOWN });
        }
        if queries == Queries::Full && PLAIN.contains(&base) && modifier != Some("text") && is_plain(value) {
            all.push('=');
            all.push_str(value);
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Whether a value looks like codes, dates or ids, and like nothing that was sealed or signed.
fn is_plain(value: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/|,+@#".contains(&byte);
    value.len() <= LONGEST
        && value.bytes().all(sign)
        && value.split(['/', '|', ',', ':']).all(|piece| piece.len() <= LONGEST_PIECE)
        && !value.contains("eyJ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for, and what the trail keeps of it: names alone, and in full.
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str);

    #[test]
    fn the_two_ways_have_a_word_each() {
        assert_eq!("names".parse(), Ok(Queries::Names));
        assert_eq!("full".parse(), Ok(Queries::Full));
        assert_eq!("Full".parse::<Queries>(), Err("must be full or names"));
    }

    fn kept(queries: Queries, pairs: &[(&str, &str)]) -> String {
        let known = |name: &str| matches!(name, "code" | "date" | "name" | "value-quantity" | "patient" | "_count");
        criteria(queries, known, pairs.iter().copied()).unwrap_or_default()
    }

    #[test]
    fn names_are_kept_and_values_only_where_they_are_wanted_and_harmless() {
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{}", "x".repeat(90));
        let long = "1".repeat(65);
        let cases: [Case<'_>; 9] = [
            (
                &[("code", "http://loinc.org|8867-4"), ("date", "ge2026-01-01"), ("_count", "5")],
                "code&date&_count",
                "code=http://loinc.org|8867-4&date=ge2026-01-01&_count=5",
            ),
            (&[("name", "Lovelace")], "name", "name"),
            (&[("value-quantity", "gt120")], "value-quantity", "value-quantity"),
            (&[("patient:Patient", "p1")], "patient:Patient", "patient:Patient=p1"),
            (&[("patient:Lovelace", "p1")], "patient:unknown", "patient:unknown=p1"),
            (&[("Lovelace", "1815"), ("_format", "xml")], "unknown", "unknown"),
            (&[("code", &token), ("code", "two words"), ("code", "eyJ")], "code&code&code", "code&code&code"),
            (&[("code", &long), ("code:text", "pain")], "code&code:text", "code&code:text"),
            (&[("_format", "json"), ("_page", "x")], "", ""),
        ];
        for (pairs, names, full) in cases {
            assert_eq!(kept(Queries::Names, pairs), names, "{pairs:?}");
            assert_eq!(kept(Queries::Full, pairs), full, "{pairs:?}");
        }
    }
}
