//! Tables of searches: what they mean, and what is refused.

use super::*;
use crate::{
    resource::{Observation, Patient, ResourceType},
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

#[test]
fn every_parameter_of_the_catalog_is_understood() {
    for parameter in catalog::parameters(ResourceType::Patient) {
        let value = if parameter.name == "_count" { "7" } else { "a" };
        let query = parse::<Patient>(&format!("{}={value}", parameter.name)).expect(parameter.name);
        assert_eq!(query.applied, [(parameter.name.to_owned(), value.to_owned())]);
        assert_eq!(query.ignored, []);
    }
    for parameter in catalog::parameters(ResourceType::Observation) {
        let value = match parameter.name {
            "_count" => "7",
            "_sort" => "date",
            "date" => "2026",
            _ => "a",
        };
        let query = observations(&format!("{}={value}", parameter.name));
        assert_eq!(query.applied, [(parameter.name.to_owned(), value.to_owned())]);
        assert_eq!(query.ignored, []);
    }
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
    let name = |values: &[&str]| Ok(vec![Filter::Name(values.iter().map(|value| (*value).to_owned()).collect())]);
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
            assert_eq!(observations(&raw).filters, [Filter::Date(vec![DateTest { prefix, range }])], "{raw}");
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
    let first = Filter::Date(vec![test(Prefix::Ge, "2026-01-01")]);
    let second = Filter::Date(vec![test(Prefix::Lt, "2026-02-01"), test(Prefix::Eq, "2027")]);
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
    let (ascending, descending) = (Some(Sort::DateAscending), Some(Sort::DateDescending));
    let cases = [
        ("date", ascending, Some("date"), 0),
        ("-date", descending, Some("-date"), 0),
        ("-date,_id", descending, Some("-date"), 1),
        ("code,-date", descending, Some("-date"), 1),
        ("date,-date", ascending, Some("date"), 1),
        ("code", None, None, 1),
        ("-_lastUpdated,status", None, None, 2),
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
    assert_eq!(parse::<Observation>("_sort=date&_sort=date").map_err(|issue| issue.code), Err(IssueCode::Invalid));
    let patients = parse::<Patient>("_sort=date").expect("a query");
    assert_eq!((patients.sort, patients.applied.len(), patients.ignored.len()), (None, 0, 1));
}

/// X27, P13: never applied, never silent.
#[test]
fn an_unknown_parameter_is_ignored_aloud_or_refused_under_strict() {
    let cases = [
        "foo",
        "Code",
        "CODE",
        "status",
        "value-quantity",
        "code-value-quantity",
        "_content",
        "_text",
        "_query",
        "_list",
        "_contained",
        "_total",
        "_summary",
        "_elements",
        "_lastUpdated",
        "_security",
        "_tag",
        "_type",
        "patient%20",
        "%20patient",
        "name",
        "performer",
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
        "subject:identifier=x",
        "subject:Group=g",
        "subject:missing=true",
        "subject:Patient:missing=true",
        "subject:=P1",
        "patient:identifier=x",
        "patient:not=P1",
        "patient:missing=true",
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
        "code:not=x",
        "code:text=x",
        "code:in=x",
        "code:above=x",
        "code:below=x",
        "code:of-type=a|b|c",
        "code:missing=false",
        "date:missing=true",
        "_id:not=x",
        "_id:missing=true",
        "category:not=x",
        "_count:x=5",
        "_sort:desc=date",
        "_format:x=json",
        "_text:x=y",
        "foo:exact=x",
        "foo:=x",
        "date:exact=2026",
    ];
    for raw in cases {
        for result in [parse::<Observation>(raw), parse_strictly(raw)] {
            assert_eq!(refused(result).map(|(code, _)| code), Some(IssueCode::NotSupported), "{raw}");
        }
    }
    for raw in ["name:exact=x", "name:contains=x", "name:missing=true", "identifier:of-type=a|b|c", "name:not=x"] {
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
