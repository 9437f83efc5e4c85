//! Tables of searches: what they mean, and what is refused.

use super::*;
use crate::{
    catalog::ParameterKind,
    resource::{Observation, Patient},
    temporal::search_date,
};

const BASES: [&str; 2] = ["https://a.test/t/x/fhir", "https://a.test/fhir"];

fn parse<R: Resource>(raw: &str) -> Result<Query<R>, Issue> {
    Query::parse(&form_pairs(raw)?, false, &BASES)
}

fn parse_strictly<R: Resource>(raw: &str) -> Result<Query<R>, Issue> {
    Query::parse(&form_pairs(raw)?, true, &BASES)
}

fn observations(raw: &str) -> Query<Observation> {
    parse(raw).unwrap_or_else(|issue| panic!("{raw}: {issue:?}"))
}

fn refused<T>(result: Result<T, Issue>) -> Option<(IssueCode, Option<String>)> {
    result.err().map(|issue| {
        assert_eq!(issue.severity, Severity::Error);
        (issue.code, issue.expression)
    })
}

fn patients(ids: &[&str]) -> Filter {
    Filter::Subject(ids.iter().map(|id| Subject::Patient((*id).to_owned())).collect())
}

fn elsewhere(text: &str) -> Filter {
    Filter::Subject(vec![Subject::Other(text.to_owned())])
}

fn coding(system: &str, code: &str) -> TokenValue {
    TokenValue::Coding { system: system.to_owned(), code: code.to_owned() }
}

fn codes(values: Vec<TokenValue>) -> Filter {
    Filter::Token { column: Column::Code, values }
}

/// A value that a parameter takes.
fn sample(parameter: &catalog::Parameter) -> &'static str {
    match (parameter.name, parameter.kind) {
        ("_count", _) => "7",
        ("_sort", _) => "-_lastUpdated",
        ("_total", _) => "accurate",
        ("_summary", _) => "count",
        ("_elements", _) => "id,Patient.name",
        ("active", _) => "true",
        (_, ParameterKind::Date) => "2026",
        (_, ParameterKind::Quantity) => "5.4",
        (_, ParameterKind::Composite) => "a$5.4",
        _ => "a",
    }
}

#[test]
fn every_parameter_of_the_catalog_is_understood() {
    fn understood<R: Resource>() {
        for parameter in catalog::parameters(R::TYPE) {
            let value = if parameter.name == "_elements" { "id,status" } else { sample(parameter) };
            let query = parse_strictly::<R>(&format!("{}={value}", parameter.name)).expect(parameter.name);
            assert_eq!(query.applied, [(parameter.name.to_owned(), value.to_owned())]);
            let governs = parameter.kind == ParameterKind::Result;
            assert_eq!(query.filters.len(), usize::from(!governs), "{}", parameter.name);
        }
    }
    understood::<Patient>();
    understood::<Observation>();
}

#[test]
fn an_empty_query_has_the_default_count_and_no_filter() {
    let query = observations("");
    assert_eq!((query.filters, query.count, query.sort), (vec![], 50, None));
    assert_eq!((query.applied, query.ignored), (vec![], vec![]));
}

/// P09: each way to name a patient becomes the same filter; repeats narrow, commas widen, and nothing is looked up.
#[test]
fn patients_are_named_in_many_ways() {
    let cases = [
        ("patient=P2", vec![patients(&["P2"])]),
        ("patient=Patient/P2", vec![patients(&["P2"])]),
        ("patient=https://a.test/fhir/Patient/P2", vec![patients(&["P2"])]),
        ("patient=https://a.test/t/x/fhir/Patient/P2", vec![patients(&["P2"])]),
        ("patient:Patient=P2", vec![patients(&["P2"])]),
        ("subject:Patient=P2", vec![patients(&["P2"])]),
        ("subject:Patient=Patient/P2", vec![patients(&["P2"])]),
        ("subject=Patient/P2", vec![patients(&["P2"])]),
        ("subject=https%3A%2F%2Fa.test%2Ffhir%2FPatient%2FP2", vec![patients(&["P2"])]),
        ("patient=P1,P2", vec![patients(&["P1", "P2"])]),
        ("patient=P1,Patient/P2,P1", vec![patients(&["P1", "P2", "P1"])]),
        ("patient=P1&patient=P2", vec![patients(&["P1"]), patients(&["P2"])]),
        ("patient=P1&subject=Patient/P2", vec![patients(&["P1"]), patients(&["P2"])]),
        ("subject=P2", vec![Filter::Subject(vec![Subject::AnyType("P2".to_owned())])]),
        ("subject=Group/g", vec![elsewhere("Group/g")]),
        ("subject=https://a.test/fhir/Group/g", vec![elsewhere("Group/g")]),
        ("subject=https://b.test/fhir/Group/g", vec![elsewhere("https://b.test/fhir/Group/g")]),
        ("subject=urn:uuid:1", vec![elsewhere("urn:uuid:1")]),
        ("patient=urn:uuid:1", vec![elsewhere("urn:uuid:1")]),
        ("patient=https://a.test/t/y/fhir/Patient/P2", vec![elsewhere("https://a.test/t/y/fhir/Patient/P2")]),
        ("patient=https://b.test/Patient/P%5C,2", vec![elsewhere("https://b.test/Patient/P,2")]),
    ];
    for (raw, filters) in cases {
        assert_eq!(observations(raw).filters, filters, "{raw}");
    }
}

#[test]
fn what_is_no_reference_is_refused() {
    let long = format!("patient={}", "a".repeat(65));
    let cases = [
        "patient=",
        "patient=Group/g",
        "patient=https://a.test/fhir/Group/g",
        "patient=https://b.test/fhir/Group/g",
        "patient=Patient/",
        "patient=/Patient/P2",
        "patient=../Patient/P2",
        "patient=P1/P2",
        "patient=patient/P2",
        "patient=%23P2",
        "patient=P_2",
        "patient=P%202",
        "patient=P1,,P2",
        "patient=P1,",
        "patient=,",
        "patient=*",
        "patient=%25",
        "patient=Patient?identifier=1",
        "patient=P1|P2",
        "subject:Patient=Group/g",
        "patient=Patient/P2%00",
        "patient=Patient/P2%0A",
        "patient=P2%5C",
        &long,
    ];
    for raw in cases {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
    let versioned = refused(parse::<Observation>("patient=Patient/P2/_history/1"));
    assert_eq!(versioned, Some((IssueCode::NotSupported, Some("patient".to_owned()))));
}

#[test]
fn tokens_have_four_forms_and_escapes() {
    let code = |text: &str| TokenValue::Code(text.to_owned());
    let cases = [
        ("code=8867-4", vec![code("8867-4")]),
        ("code=http://loinc.org|8867-4", vec![coding("http://loinc.org", "8867-4")]),
        ("code=http%3A%2F%2Floinc.org%7C8867-4", vec![coding("http://loinc.org", "8867-4")]),
        ("code=|8867-4", vec![TokenValue::NoSystem("8867-4".to_owned())]),
        ("code=http://loinc.org|", vec![TokenValue::System("http://loinc.org".to_owned())]),
        ("code=a,b|c,|d", vec![code("a"), coding("b", "c"), TokenValue::NoSystem("d".to_owned())]),
        ("code=a\\,b", vec![code("a,b")]),
        ("code=a\\|b", vec![code("a|b")]),
        ("code=a\\$b$c", vec![code("a$b$c")]),
        ("code=a\\\\,b", vec![code("a\\"), code("b")]),
        ("code=a\\\\\\,b", vec![code("a\\,b")]),
        ("code=a\\|b|c\\|d", vec![coding("a|b", "c|d")]),
        ("code=a\\\\|b", vec![coding("a\\", "b")]),
        ("code=%25", vec![code("%")]),
        ("code=_", vec![code("_")]),
        ("code=((((", vec![code("((((")]),
        ("code=*", vec![code("*")]),
        ("code=%27;DROP+TABLE--", vec![code("';DROP TABLE--")]),
        ("code=%24%7Bjndi:x%7D", vec![code("${jndi:x}")]),
        ("code=M%C3%BCller", vec![code("Müller")]),
    ];
    for (raw, values) in cases {
        assert_eq!(observations(raw).filters, [codes(values)], "{raw}");
    }
    let query = parse::<Patient>("identifier=urn:x|1&identifier=2&_id=a,b").expect("a query");
    let identifier = |value| Filter::Token { column: Column::Identifier, values: vec![value] };
    let id = Filter::Id(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(query.filters, [identifier(coding("urn:x", "1")), identifier(code("2")), id]);
    let category = Filter::Token { column: Column::Category, values: vec![code("vital-signs")] };
    assert_eq!(observations("category=vital-signs").filters, [category]);
}

/// X23 in the form that tokens have; empty parts and stray escapes.
#[test]
fn malformed_values_are_refused() {
    let cases = [
        "code=",
        "code",
        "code=,",
        "code=a,",
        "code=,a",
        "code=a,,b",
        "code=|",
        "code=||",
        "code=|||",
        "code=5.4||",
        "code=a|b|c",
        "code=\\",
        "code=a\\",
        "code=a\\b",
        "code=a\\,\\",
        "code=a\\%20",
        "code=%00",
        "code=a%",
        "_id=",
        "_id=a/b",
        "_id=../x",
        "_id=a,",
        "_id=|a",
        "_id=a%20",
        "_id=%C3%A4",
        "category=",
        "category=|",
        "date=",
        "_sort=",
        "_sort=date,",
        "_count=",
        "=a",
        "=",
    ];
    for raw in cases {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
    for raw in ["name=", "name=a,", "name=%20", "name=%CC%81", "name=a%5Cb", "identifier=", "identifier=a|b|c"] {
        assert_eq!(parse::<Patient>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
}

/// X24: patterns are text, and long ones cost no more than reading them.
#[test]
fn names_are_folded_beginnings() {
    let names = |raw: &str| parse::<Patient>(raw).map(|query| query.filters);
    let name = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Ok(vec![Filter::Name { part: NamePart::Any, matching: Matching::Beginning, values }])
    };
    assert_eq!(names("name=M%C3%9CLL"), name(&["mull"]));
    assert_eq!(names("name=eve,%20John++Q"), name(&["eve", "john q"]));
    assert_eq!(names("name=a\\,b"), name(&["a,b"]));
    assert_eq!(names("name=%25"), name(&["%"]));
    assert_eq!(names("name=_((((.*"), name(&["_((((.*"]));
    assert_eq!(names(&format!("name={}", "a".repeat(255))), name(&[&"a".repeat(255)]));
    for long in ["a".repeat(256), "%25".repeat(10_000), "%C3%A9".repeat(10_000)] {
        assert_eq!(names(&format!("name={long}")).map_err(|issue| issue.code), Err(IssueCode::Invalid));
    }
}

/// X22: every prefix with every precision, and what is no date.
#[test]
fn dates_have_prefixes_and_precisions() {
    let prefixes = [
        ("", Prefix::Eq),
        ("eq", Prefix::Eq),
        ("ne", Prefix::Ne),
        ("gt", Prefix::Gt),
        ("lt", Prefix::Lt),
        ("ge", Prefix::Ge),
        ("le", Prefix::Le),
        ("sa", Prefix::Sa),
        ("eb", Prefix::Eb),
    ];
    let dates = [
        "2026",
        "2026-03",
        "2026-03-01",
        "2026-03-01T10:20",
        "2026-03-01T10:20Z",
        "2026-03-01T10:20:30",
        "2026-03-01T10:20:30Z",
        "2026-03-01T10:20:30.125Z",
        "2026-03-01T10:20:30-05:00",
        "2026-03-01T10:20:30+14:00",
        "2016-12-31T23:59:60Z",
        "0001",
        "9999-12-31",
    ];
    for (text, prefix) in prefixes {
        for date in dates {
            let raw = format!("date={text}{}", date.replace('+', "%2B"));
            let range = search_date(date).expect("a test's own date");
            assert_eq!(
                observations(&raw).filters,
                [Filter::Date(DateColumn::Effective, vec![DateTest { prefix, range }])],
                "{raw}"
            );
        }
        for date in [
            "",
            "0000",
            "9999-99-99",
            "10000",
            "2026-02-30",
            "2026-01-01T10:00:00%2B14:01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:00:00+02:00",
            "gtgt2026",
            "20",
            "now",
            "%C3%A9",
            "2026%20",
            "2026T",
            "1e3",
        ] {
            let raw = format!("date={text}{date}");
            assert_eq!(parse::<Observation>(&raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
        }
    }
    let between = observations("date=ge2026-01-01&date=lt2026-02-01,2027");
    let test = |prefix, date| DateTest { prefix, range: search_date(date).expect("a test's own date") };
    let first = Filter::Date(DateColumn::Effective, vec![test(Prefix::Ge, "2026-01-01")]);
    let second = Filter::Date(DateColumn::Effective, vec![test(Prefix::Lt, "2026-02-01"), test(Prefix::Eq, "2027")]);
    assert_eq!(between.filters, [first, second]);
    let about = refused(parse::<Observation>("date=ap2026"));
    assert_eq!(about, Some((IssueCode::NotSupported, Some("date".to_owned()))));
    for raw in ["date=GE2026", "date=xx2026", "date=g2026", "date=%C3%A92026", "date=>2026", "date=%3D2026"] {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
}

/// X25
#[test]
fn limits_hold_over_the_whole_search() {
    let values = |count: usize| vec!["a"; count].join(",");
    let code = |raw: &str| parse::<Observation>(raw).map(|query| query.filters.len()).map_err(|issue| issue.code);
    assert_eq!(code(&format!("code={}", values(1_000))), Ok(1));
    assert_eq!(code(&format!("code={}", values(1_001))), Err(IssueCode::TooCostly));
    assert_eq!(code(&format!("code={}&category={}", values(500), values(501))), Err(IssueCode::TooCostly));
    assert_eq!(code(&["code=a"; 200].join("&")), Ok(200));
    assert_eq!(code(&["code=a"; 201].join("&")), Err(IssueCode::TooCostly));
    let pairs = vec![("code".to_owned(), "a".to_owned()); 201];
    assert_eq!(refused(Query::<Observation>::parse(&pairs, false, &BASES)), Some((IssueCode::TooCostly, None)));
    assert_eq!(code(&format!("code={}", "a".repeat(64_000))), Ok(1));
}

/// X26
#[test]
fn counts_are_whole_numbers_up_to_a_cap() {
    let cases = [
        ("0", Ok(0)),
        ("1", Ok(1)),
        ("050", Ok(50)),
        ("999", Ok(999)),
        ("1000", Ok(1_000)),
        ("1001", Ok(1_000)),
        ("1000000000", Ok(1_000)),
        ("99999999999999999999999999", Ok(1_000)),
        ("-1", Err(IssueCode::Invalid)),
        ("-0", Err(IssueCode::Invalid)),
        ("%2B5", Err(IssueCode::Invalid)),
        ("+5", Err(IssueCode::Invalid)),
        ("1e9", Err(IssueCode::Invalid)),
        ("1.0", Err(IssueCode::Invalid)),
        ("0x10", Err(IssueCode::Invalid)),
        ("abc", Err(IssueCode::Invalid)),
        ("10,20", Err(IssueCode::Invalid)),
        ("%D9%A1", Err(IssueCode::Invalid)),
        ("", Err(IssueCode::Invalid)),
        ("10&_count=20", Err(IssueCode::Invalid)),
    ];
    for (text, expected) in cases {
        let query = parse::<Observation>(&format!("_count={text}"));
        assert_eq!(query.as_ref().map(|query| query.count).map_err(|issue| issue.code), expected, "{text}");
        if let (Ok(query), Ok(count)) = (query, expected) {
            assert_eq!(query.applied, [("_count".to_owned(), count.to_string())], "{text}");
        }
    }
    let offset = observations("_offset=99999999999");
    assert_eq!((offset.filters.len(), offset.applied.len(), offset.ignored.len()), (0, 0, 1));
}

#[test]
fn one_sort_key_holds_and_others_are_ignored_aloud() {
    let sort = |key, direction| Some(Sort { key, direction });
    let ascending = sort(SortKey::Date, Direction::Ascending);
    let descending = sort(SortKey::Date, Direction::Descending);
    let cases = [
        ("date", ascending, Some("date"), 0),
        ("-date", descending, Some("-date"), 0),
        ("_lastUpdated", sort(SortKey::LastUpdated, Direction::Ascending), Some("_lastUpdated"), 0),
        ("-_lastUpdated,status", sort(SortKey::LastUpdated, Direction::Descending), Some("-_lastUpdated"), 1),
        ("-date,_id", descending, Some("-date"), 1),
        ("code,-date", descending, Some("-date"), 1),
        ("date,-date", ascending, Some("date"), 1),
        ("code", None, None, 1),
        ("family,status", None, None, 2),
        ("--date", None, None, 1),
        ("Date", None, None, 1),
        ("date:desc", None, None, 1),
    ];
    for (keys, sort, applied, warnings) in cases {
        let raw = format!("_sort={keys}");
        let query = observations(&raw);
        let applied: Vec<_> = applied.map(|key| ("_sort".to_owned(), key.to_owned())).into_iter().collect();
        assert_eq!((query.sort, query.applied, query.ignored.len()), (sort, applied, warnings), "{raw}");
        let strictly = parse_strictly::<Observation>(&raw);
        assert_eq!(strictly.is_ok(), warnings == 0, "{raw}");
    }
    for raw in ["_sort=date&_sort=date", "_sort=-", "_sort=,date"] {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid));
    }
    let patients = |raw: &str| parse::<Patient>(raw).expect("a query").sort;
    assert_eq!(patients("_sort=date"), None);
    assert_eq!(patients("_sort=-family"), sort(SortKey::Family, Direction::Descending));
    assert_eq!(patients("_sort=birthdate"), sort(SortKey::Birthdate, Direction::Ascending));
}

#[test]
fn what_is_shown_and_counted_is_asked_for() {
    let elements = |names: &[&str]| Shown::Elements(names.iter().map(|name| (*name).to_owned()).collect());
    let cases = [
        ("", Total::Unsaid, Shown::Whole),
        ("_total=none", Total::Untold, Shown::Whole),
        ("_total=estimate", Total::Counted, Shown::Whole),
        ("_total=accurate", Total::Counted, Shown::Whole),
        ("_summary=count", Total::Unsaid, Shown::Count),
        ("_summary=false", Total::Unsaid, Shown::Whole),
        ("_count=0", Total::Unsaid, Shown::Count),
        ("_elements=id,code", Total::Unsaid, elements(&["id", "code"])),
        ("_elements=Observation.status", Total::Unsaid, elements(&["status"])),
        ("_elements=code&_summary=count", Total::Unsaid, Shown::Count),
        ("_summary=count&_elements=code", Total::Unsaid, Shown::Count),
    ];
    for (raw, total, shown) in cases {
        let query = observations(raw);
        assert_eq!((query.total, query.shown), (total, shown), "{raw}");
    }
    for raw in [
        "_total=",
        "_total=yes",
        "_total=Accurate",
        "_summary=",
        "_summary=all",
        "_elements=",
        "_elements=a,",
        "_elements=a.b",
        "_elements=a b",
        "_elements=%3C",
        "_total=none&_total=none",
        "_summary=count&_summary=count",
    ] {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
    let summary = observations("_summary=true");
    assert_eq!((summary.shown, summary.applied.len(), summary.ignored.len()), (Shown::Whole, 0, 1));
    assert!(parse_strictly::<Observation>("_summary=text").is_err());
}

#[test]
fn modifiers_have_meanings_of_their_own() {
    let code = || vec![TokenValue::Code("a".to_owned())];
    let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
    let token = |column, values| Filter::NotToken { column, values };
    let cases = [
        ("code:not=a", token(Column::Code, code())),
        ("status:not=a", token(Column::Status, code())),
        ("category:text=Vital%20S", Filter::Text(Column::Category, owned(&["vital s"]))),
        ("combo-code:text=a,B", Filter::Text(Column::ComboCode, owned(&["a", "b"]))),
        ("subject:identifier=a", Filter::ReferenceIdentifier(Referrer::Subject, code())),
        ("patient:identifier=a", Filter::ReferenceIdentifier(Referrer::Patient, code())),
        ("performer:identifier=a", Filter::ReferenceIdentifier(Referrer::Performer, code())),
        ("subject:Group=g", elsewhere("Group/g")),
        ("subject:Group=Group/g", elsewhere("Group/g")),
        ("encounter=e", Filter::Reference(Referrer::Encounter, owned(&["Encounter/e", "EpisodeOfCare/e"]))),
        ("encounter=Encounter/e", Filter::Reference(Referrer::Encounter, owned(&["Encounter/e"]))),
        ("performer:Practitioner=x,y", {
            Filter::Reference(Referrer::Performer, owned(&["Practitioner/x", "Practitioner/y"]))
        }),
        ("device=urn:x:1", Filter::Reference(Referrer::Device, owned(&["urn:x:1"]))),
        ("patient:missing=true", Filter::Missing(Element::Patient)),
        ("subject:missing=false", Filter::Present(Element::Subject)),
        ("code:missing=false", Filter::Present(Element::Token(Column::Code))),
        ("date:missing=true", Filter::Missing(Element::Date(DateColumn::Effective))),
        ("value-quantity:missing=true", Filter::Missing(Element::Quantity(Place::Value))),
        ("component-code-value-quantity:missing=true", Filter::Missing(Element::Quantity(Place::Component))),
    ];
    for (raw, filter) in cases {
        assert_eq!(observations(raw).filters, [filter], "{raw}");
    }
    let names = |raw: &str| parse::<Patient>(raw).expect("a query").filters;
    let name = |part, matching, values| vec![Filter::Name { part, matching, values }];
    assert_eq!(names("family:exact=O'Né"), name(NamePart::Family, Matching::Exact, owned(&["O'Né"])));
    assert_eq!(names("given:contains=Né"), name(NamePart::Given, Matching::Contains, owned(&["ne"])));
    assert_eq!(names("name:missing=true"), [Filter::Missing(Element::Name(NamePart::Any))]);
    for raw in [
        "code:missing=yes",
        "code:missing=",
        "code:missing=true,false",
        "code:not=",
        "code:not=|",
        "category:text=%20",
        "subject:identifier=",
        "subject:identifier=|",
        "subject:Group=Patient/p",
        "encounter=Patient/p",
        "performer=Group/g",
        "performer:Practitioner=Patient/p",
        "device=http://b.test/Patient/1",
    ] {
        assert_eq!(parse::<Observation>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
    for raw in ["active=maybe", "active=", "active=x|yes", "family:exact="] {
        assert_eq!(parse::<Patient>(raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
}

#[test]
fn composites_hold_a_code_and_a_quantity() {
    let pairs = |raw: &str| match observations(raw).filters.pop() {
        Some(Filter::CodeQuantity(place, pairs)) => (place, pairs),
        other => panic!("{raw}: {other:?}"),
    };
    let (place, values) = pairs("code-value-quantity=http://loinc.org|8867-4$gt90,a\\$b$5||mg");
    assert_eq!(place, Place::Value);
    assert_eq!(values[0].0, coding("http://loinc.org", "8867-4"));
    assert_eq!((values[0].1.prefix, values[0].1.number.value), (Prefix::Gt, 90.0));
    assert_eq!(values[1].0, TokenValue::Code("a$b".to_owned()));
    assert_eq!(values[1].1.unit, Unit::Named("mg".to_owned()));
    assert_eq!(pairs("component-code-value-quantity=a$5").0, Place::Component);
    assert_eq!(pairs("combo-code-value-quantity=a$5").0, Place::Combo);
    for value in ["a", "a$", "$5", "$", "a$5$6", "a$x", "|$5", "a$gt1e400", "a$5.4||", "a,b$5"] {
        let raw = format!("code-value-quantity={value}");
        assert_eq!(parse::<Observation>(&raw).map_err(|issue| issue.code), Err(IssueCode::Invalid), "{raw}");
    }
}

/// X27, P13: never applied, never silent.
#[test]
fn an_unknown_parameter_is_ignored_aloud_or_refused_under_strict() {
    let cases = [
        "foo",
        "Code",
        "CODE",
        "_content",
        "_text",
        "_query",
        "_list",
        "_contained",
        "_security",
        "_tag",
        "_type",
        "patient%20",
        "%20patient",
        "name",
        "family",
        "combo-value-quantity",
        "_ID",
    ];
    for name in cases {
        let query = observations(&format!("patient=P1&{name}=a\\b,&code=c"));
        assert_eq!(query.filters, [patients(&["P1"]), codes(vec![TokenValue::Code("c".to_owned())])], "{name}");
        assert_eq!(query.applied.len(), 2, "{name}");
        let warnings: Vec<_> = query.ignored.iter().map(|issue| (issue.severity, issue.code)).collect();
        assert_eq!(warnings, [(Severity::Warning, IssueCode::NotSupported)], "{name}");
        let strictly = refused(parse_strictly::<Observation>(&format!("patient=P1&{name}=a")));
        assert_eq!(strictly, Some((IssueCode::NotSupported, query.ignored[0].expression.clone())), "{name}");
    }
    let formats = parse_strictly::<Observation>("_format=json&_pretty=true&_pretty=&code=c").expect("a query");
    assert_eq!((formats.applied.len(), formats.filters.len(), formats.ignored.len()), (1, 1, 0));
}

/// P09, P11, P12, P14, P15, X28: what would change the meaning of a search is never ignored.
#[test]
fn modifiers_chains_and_joins_are_always_refused() {
    let cases = [
        "subject:Patient:missing=true",
        "subject:=P1",
        "patient:not=P1",
        "patient:Group=g",
        "subject.name=CANARY",
        "patient.name=CANARY",
        "subject:Patient.identifier=x",
        "patient.organization.name=x",
        "foo.bar=x",
        "_has=x",
        "_has:Observation:patient:code=x",
        "_filter=x",
        "_include=Observation:performer",
        "_include=*",
        "_include:iterate=x",
        "_revinclude=Observation:focus",
        "_revinclude:iterate=x",
        "code:in=x",
        "code:above=x",
        "code:below=x",
        "code:of-type=a|b|c",
        "_id:not=x",
        "_id:missing=true",
        "_count:x=5",
        "_sort:desc=date",
        "_format:x=json",
        "_text:x=y",
        "foo:exact=x",
        "foo:=x",
        "date:exact=2026",
        "date:not=2026",
        "_lastUpdated:missing=true",
        "status:text=x",
        "status:exact=x",
        "value-quantity:not=5",
        "code-value-quantity:not=a$5",
        "performer:Group=x",
        "encounter:not=x",
        "subject:Practitioner=x",
        "value-quantity=ap5",
        "_total:x=none",
    ];
    for raw in cases {
        for result in [parse::<Observation>(raw), parse_strictly(raw)] {
            assert_eq!(refused(result).map(|(code, _)| code), Some(IssueCode::NotSupported), "{raw}");
        }
    }
    for raw in ["identifier:of-type=a|b|c", "name:not=x", "name:text=x", "gender:text=x", "active:exact=true"] {
        assert_eq!(refused(parse::<Patient>(raw)).map(|(code, _)| code), Some(IssueCode::NotSupported), "{raw}");
    }
}

/// P41: an issue names the parameter, cut short, and never a value.
#[test]
fn issues_name_parameters_and_hide_values() {
    let cases =
        ["patient=CANARY!", "code=CANARY|", "date=CANARY", "_id=CANARY!", "_count=CANARY", "_sort=CANARY", "x=CANARY"];
    for raw in cases {
        let issues = match parse::<Observation>(raw) {
            Err(issue) => vec![issue],
            Ok(query) => query.ignored,
        };
        for issue in issues {
            assert!(!format!("{issue:?}").contains("CANARY"), "{raw}");
            assert_eq!(issue.expression.as_deref(), raw.split('=').next(), "{raw}");
        }
    }
    let (long, shown) = ("é".repeat(1_000), "é".repeat(64));
    assert_eq!(observations(&format!("{long}=1")).ignored[0].expression.as_deref(), Some(&*shown));
    assert_eq!(
        refused(parse::<Observation>(&format!("code:{long}=1"))),
        Some((IssueCode::NotSupported, Some(format!("code:{}", "é".repeat(59)))))
    );
}

#[test]
fn what_was_applied_reads_back_as_the_same_query() {
    let raw = "patient=P1&code=http://loinc.org|8867-4,x\\,y&date=ge2026-03-01T10:20:30%2B02:00&_sort=-date,z&_count=5000&foo=1";
    let query = observations(raw);
    let again = observations(&form_text(&query.applied));
    assert_eq!(Query { ignored: vec![], ..query }, again);
}
