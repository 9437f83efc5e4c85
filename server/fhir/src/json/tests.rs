//! What the door takes and what it refuses, by the numbers of the attack list (X06 to X16).

use super::*;

fn code(text: impl AsRef<[u8]>) -> Result<(), IssueCode> {
    parse(text.as_ref()).map(|_| ()).map_err(|error| error.code)
}

#[test]
fn malformed_texts_are_structure_errors() {
    let cases: &[&[u8]] = &[
        b"",
        b" ",
        b"\n\t",
        b"{",
        b"}",
        b"[",
        b"]",
        b"{]",
        b"[}",
        b"{,}",
        b"[,]",
        b"[1,]",
        b"[1 2]",
        b"{\"a\":1,}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\" 1}",
        b"{a:1}",
        b"{'a':1}",
        b"{1:1}",
        b"{\"a\":1 \"b\":2}",
        b"\"",
        b"\"a",
        b"\"\\\"",
        b"\"\\x\"",
        b"\"\\u12\"",
        b"\"\\u12G4\"",
        b"\"\\u+123\"",
        b"\"\n\"",
        b"\"\t\"",
        b"\"\x1f\"",
        b"tru",
        b"nul",
        b"True",
        b"nan",
        b"undefined",
        b"{} {}",
        b"{}{}",
        b"{} x",
        b"1 2",
        b"[1]]",
        b"{}\0",
        b"// c\n{}",
        b"/* */{}",
        b"{\"a\":1}//",
        b"\x0b{}",
        b"\xc2\xa0{}",
        // X12: BOM, UTF-16 and -32, overlong, truncated and invalid UTF-8, surrogates as bytes
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"\xfe\xff\0{\0}",
        b"{\0}\0",
        b"\0{\0}",
        b"\xff\xfe\0\0{\0\0\0",
        b"\"\xc0\x80\"",
        b"\"\xc1\xbf\"",
        b"\"\xe0\x80\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xff\"",
        b"\"\xe2\x82\"",
        b"\"\x80\"",
    ];
    for case in cases {
        let found = code(case);
        // A raw NUL may be named as such, wherever it stands.
        assert!(
            matches!(found, Err(IssueCode::Structure)) || (case.contains(&0) && found == Err(IssueCode::Invalid)),
            "{}: {found:?}",
            String::from_utf8_lossy(case)
        );
    }
}

#[test]
fn numbers_are_strict_and_bounded() {
    let digits = |count: usize| "1".repeat(count);
    for good in [
        "0",
        "-0",
        "0.10",
        "-0.0",
        "1e300",
        "1E+400",
        "1e-400",
        "1e0400",
        "120.00",
        "1234567890123456789012345678901234567890",
        "0.1234567890123456789012345678901234567890",
        &digits(1_000),
        &format!("0.{}", digits(999)),
    ] {
        let document = parse(good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
        assert_eq!(document.root().number(), Some(good), "a number keeps its text");
    }
    for bad in [
        "01",
        "-01",
        "00",
        "1.",
        "-1.",
        ".5",
        "-.5",
        "+1",
        "-",
        "--1",
        "1e",
        "1e+",
        "1.e1",
        "1.5.5",
        "1e1.5",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        "-NaN",
        "1,5",
        "1f",
        "\u{661}",
    ] {
        assert_eq!(code(bad), Err(IssueCode::Structure), "{bad}");
    }
    for bad in [
        "1e401",
        "1E-401",
        "1e99999999999999999999",
        "0e401",
        &digits(1_001),
        &format!("0.{}", digits(1_000)),
        &format!("1e{}1", "0".repeat(1_000)),
    ] {
        assert_eq!(code(bad), Err(IssueCode::Invalid), "{bad}");
    }
}

#[test]
fn depth_of_64_is_taken_and_65_is_not() {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!((code(arrays(64)), code(objects(64))), (Ok(()), Ok(())));
    for depth in [65, 10_000, 1_000_000] {
        assert_eq!(code(arrays(depth)), Err(IssueCode::Structure));
        assert_eq!(code("[".repeat(depth)), Err(IssueCode::Structure));
        assert_eq!(code(objects(depth)), Err(IssueCode::Structure));
    }
}

#[test]
fn a_key_twice_is_refused_at_any_depth_and_by_any_escape() {
    let many = |last: &str| {
        let members: Vec<_> = (0..200).map(|number| format!("\"k{number}\":0")).collect();
        format!("{{{},\"{last}\":1}}", members.join(","))
    };
    for bad in [
        r#"{"a":1,"a":1}"#.to_owned(),
        r#"{"a":1,"b":{},"a":1}"#.to_owned(),
        r#"{"a":{"a":[{"id":1},{"x":1,"y":2,"x":3}]}}"#.to_owned(),
        r#"{"a":1,"\u0061":1}"#.to_owned(),
        r#"{"\u0061":1,"a":1}"#.to_owned(),
        r#"{"\u0061b":1,"a\u0062":1}"#.to_owned(),
        r#"{"":1,"":1}"#.to_owned(),
        r#"{"\/":1,"/":1}"#.to_owned(),
        r#"{"\ud83d\ude00":1,"😀":1}"#.to_owned(),
        many("k7"),
        many("\\u006b7"),
    ] {
        assert_eq!(code(&bad), Err(IssueCode::Structure), "{bad}");
    }
    for good in
        [r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, r#"{"a":1,"A":2,"a ":3,"\u00e9":4,"e\u0301":5}"#]
    {
        assert_eq!(code(good), Ok(()), "{good}");
    }
    assert_eq!(code(many("k200")), Ok(()));
}

#[test]
fn an_object_of_five_megabytes_is_judged_at_once() {
    // Keys of one length with the same ends, so that every cheap filter collides.
    let members: Vec<_> = (0..400_000).map(|number| format!("\"a{number:07}a\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    let start = std::time::Instant::now();
    assert_eq!(code(&text), Ok(()));
    assert!(start.elapsed().as_secs() < 2, "took {:?}", start.elapsed());
}

#[test]
fn nul_and_lone_surrogates_are_refused_and_named() {
    for (text, path) in [
        (r#"{"resourceType":"Observation","code":{"text":"a\u0000b"}}"#, "Observation.code.text"),
        (r#"{"resourceType":"Observation","note":[{"text":"a"},{"text":"\ud800"}]}"#, "Observation.note[1].text"),
        (r#"{"resourceType":"Observation","note":[{"text":"a"},{"text":"\ud800\u0041"}]}"#, "Observation.note[1].text"),
        (r#"{"resourceType":"Observation","note":[{"_text":{"id":"\udc00\ud800"}}]}"#, "Observation.note[0].text.id"),
        ("{\"resourceType\":\"Observation\",\"status\":\"\0\"}", "Observation.status"),
        (r#"{"status":"\u0000","resourceType":"Observation"}"#, "status"),
        (r#"{"resourceType":"Observation","a\u0000":1}"#, "Observation"),
        (r#"{"resourceType":"Observation","valueQuantity":{"value":1e500}}"#, "Observation.valueQuantity.value"),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.code, error.expression.as_deref()), (IssueCode::Invalid, Some(path)), "{text}");
    }
}

#[test]
fn errors_name_the_place_and_never_the_content() {
    let text = r#"{"resourceType":"Patient","name":[{"family":"CANARY","family":"CANARY"}]}"#;
    let error = parse(text.as_bytes()).expect_err("the key stands twice");
    assert_eq!(error.expression.as_deref(), Some("Patient.name[0].family"));
    assert_eq!(Some(error.offset), text.rfind("\"family\""));
    let issue = Issue::from(error);
    assert!(!issue.diagnostics.contains("CANARY") && issue.diagnostics.contains("twice"), "{}", issue.diagnostics);
}

#[test]
fn strings_say_what_they_say() {
    for (raw, said) in [
        (r#""""#, ""),
        (r#""a\"\\\/\b\f\n\r\tb""#, "a\"\\/\u{8}\u{c}\n\r\tb"),
        (r#""\u00e9\u20AC\ud83d\ude00\uD834\udd1e""#, "é€😀𝄞"),
        (
            "\"\u{202e}\u{200b}\u{feff}\u{ffff}\u{10ffff}\u{fdd0}\u{7f}\u{85}\"",
            "\u{202e}\u{200b}\u{feff}\u{ffff}\u{10ffff}\u{fdd0}\u{7f}\u{85}",
        ),
        (r#""\uffff\u0001""#, "\u{ffff}\u{1}"),
        ("\"12345678901234567890 é 1234567\"", "12345678901234567890 é 1234567"),
    ] {
        let document = parse(raw.as_bytes()).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!(document.root().string().as_deref(), Some(said), "{raw}");
    }
}

#[test]
fn values_know_their_bytes() {
    let text = " { \"a\" : [ 1.50 , { \"\\u0062\" : \"x\\n\" } , true , null , [ ] ] , \"c\" : { } } ";
    let document = parse(text.as_bytes()).expect("sound");
    let root = document.root();
    let span = |value: Value<'_>| text[value.span()].to_owned();
    assert_eq!(span(root), text.trim());
    let array = root.get("a").expect("there");
    assert_eq!(&text[array.key_span().expect("a member")], "\"a\"");
    let items: Vec<_> = array.items().map(span).collect();
    assert_eq!(items, ["1.50", "{ \"\\u0062\" : \"x\\n\" }", "true", "null", "[ ]"]);
    let kinds: Vec<_> = array.items().map(Value::kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Object, Kind::Bool, Kind::Null, Kind::Array]);
    let inner = array.items().nth(1).and_then(|object| object.get("b")).expect("found by its unescaped name");
    assert_eq!(inner.key().as_deref(), Some("b"));
    assert_eq!(inner.string().as_deref(), Some("x\n"));
    assert_eq!(array.items().nth(2).and_then(Value::boolean), Some(true));
    assert!(root.get("c").expect("there").is_empty() && root.get("d").is_none());
    assert_eq!(root.members().map(|(key, _)| key.into_owned()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!((root.items().count(), array.members().count()), (0, 0));
    assert!(root.key_span().is_none() && root.key().is_none());
}

#[test]
fn any_scalar_may_be_the_root() {
    for (text, kind) in
        [("null", Kind::Null), ("true", Kind::Bool), ("1", Kind::Number), ("\"a\"", Kind::String), ("[]", Kind::Array)]
    {
        assert_eq!(parse(text.as_bytes()).expect(text).root().kind(), kind);
    }
}
