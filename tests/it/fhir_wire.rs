//! What crosses the wire: texts that come back to the byte, XML, media types, and refusals as OperationOutcomes
//! (section 5 of the contract).

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use vitals_fhir::search::form_text;
use vitals_tests::{Answer, Tenant, examples, ledger, poll, raw, samples, tenant::client};

const FHIR: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";

/// What a text that came in as `sent` comes back as: the server sets `id`, `meta.versionId` and `meta.lastUpdated`, and
/// leaves every other byte.
fn stamped(sent: &str, came_back: &str) -> String {
    let resource: Value = serde_json::from_str(came_back).expect("JSON");
    let text = |value: &Value| value.as_str().expect("the server sets it").to_owned();
    let time = text(&resource["meta"]["lastUpdated"]);
    let version = text(&resource["meta"]["versionId"]);
    sent.replace("\"VERSION\"", &format!("\"{version}\""))
        .replace("\"2000-01-01T00:00:00Z\"", &format!("\"{time}\""))
        .replace("<META>", &format!(r#","meta":{{"versionId":"{version}","lastUpdated":"{time}"}}"#))
        .replace("<MEMBERS>", &format!(r#""versionId":"{version}","lastUpdated":"{time}","#))
        .replace("<ID>", &text(&resource["id"]))
}

/// What is sent: the same without what the server adds.
fn unstamped(text: &str, id: &str) -> String {
    text.replace("\"VERSION\"", "\"99\"").replace("<META>", "").replace("<MEMBERS>", "").replace("<ID>", id)
}

/// PUTs a text and asserts that it is kept, wherever it can be seen.
async fn is_kept(tenant: &Tenant, text: &str) {
    let (id, all) = (Uuid::new_v4().to_string(), tenant.all());
    let kind = if text.contains("\"Patient\"") { "Patient" } else { "Observation" };
    let path = format!("{kind}/{id}");
    let put = tenant.put(&path, &all, &unstamped(text, &id)).await.expect(201);
    let expected = stamped(text, &put.body);
    assert_eq!(put.body, expected);
    assert_eq!(tenant.get(&path, &all).await.expect(200).body, expected);
    assert_eq!(tenant.get(&format!("{path}/_history/1"), &all).await.expect(200).body, expected);
    for list in [format!("{kind}?_id={id}"), format!("{path}/_history")] {
        let bundle = tenant.get(&list, &all).await.expect(200);
        assert!(bundle.body.contains(&format!(r#""resource":{expected}"#)), "{list}: {}", bundle.body);
    }
}

#[tokio::test]
async fn what_was_sent_comes_back_to_the_byte() {
    let tenant = Tenant::fresh().await;
    let texts = [
        // Where the server has something to set, and where it has to put it.
        r#"{"resourceType":"Patient","id":"<ID>"<META>}"#,
        r#"{"id":"<ID>"<META>,"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","active":true,"id":"<ID>"<META>}"#,
        r#"{"resourceType":"Patient","id":"<ID>","meta":{<MEMBERS>"source":"urn:a"}}"#,
        r#"{"meta":{"versionId":"VERSION","tag":[{"code":"a"}],"lastUpdated":"2000-01-01T00:00:00Z"},"id":"<ID>","resourceType":"Patient"}"#,
        r##"{"resourceType":"Patient","id":"<ID>","meta":{"lastUpdated":"2000-01-01T00:00:00Z","versionId":"VERSION"},"contained":[{"resourceType":"Patient","id":"a","meta":{"source":"urn:a"}}],"link":[{"other":{"reference":"#a"},"type":"seealso"}]}"##,
        // White space of every kind.
        " \t\r\n{ \"resourceType\" : \"Patient\" ,\r\n\t\"id\" :\"<ID>\"<META> ,\n \"name\" : [ { \"given\" : [ \"a\" , \"b\" ] } ]\n}\n\n",
        // Order, escapes of names and of values.
        r#"{"gender":"female","birthDate":"1980-02-29","active":false,"name":[{"family":"z"},{"family":"a"}],"resourceType":"Patient","id":"<ID>"<META>}"#,
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"\u0061ctive":true,"n\u0061me":[{"f\u0061mily":"\u004c\u006fv\u0065"}]}"#,
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"name":[{"text":"\" \\ \/ \t \r \n \u00e9 \u2028 \ud83d\ude00"}]}"#,
        // Extensions, their siblings, nulls that align them, and empty parts of a date.
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"_birthDate":{"extension":[{"url":"urn:b","valueDateTime":"1980-02-29T10:00:00.000+01:00"}]},"birthDate":"1980-02"}"#,
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"name":[{"given":["Ada",null],"_given":[null,{"extension":[{"url":"urn:x","valueCode":"y"}]}]}]}"#,
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"extension":[{"url":"urn:o","extension":[{"url":"a","valueDecimal":1.00},{"url":"b","valueString":" x "}]}],"modifierExtension":[{"url":"urn:m","valueBoolean":false}]}"#,
        r#"{"resourceType":"Patient","id":"<ID>"<META>,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a &lt; b &amp; c<br/></div>"}}"#,
    ];
    for text in texts {
        is_kept(&tenant, text).await;
    }

    // Without an id in the text, as a create sends it.
    let sent = r#"{ "resourceType" : "Patient" , "active" : true }"#;
    let created = tenant.post("Patient", &tenant.all(), sent).await.expect(201);
    let expected = r#"{ "resourceType" : "Patient","id":"<ID>"<META> , "active" : true }"#;
    assert_eq!(created.body, stamped(expected, &created.body));
}

fn with_value(number: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"<ID>"<META>,"status":"final","code":{{"text":"x"}},"valueQuantity":{{"value":{number},"unit":"1"}}}}"#
    )
}

#[tokio::test]
async fn x10_numbers_come_back_to_the_digit() {
    let tenant = Tenant::fresh().await;
    let long = format!("0.{}", "1234567890".repeat(4));
    let longest = "9".repeat(1_000);
    let kept = [
        "0",
        "-0",
        "0.10",
        "120.00",
        "-0.0",
        "1e300",
        "1E+2",
        "1.50e-7",
        "1.0E-400",
        "37.20000000000000000000",
        "1234567890123456789012345678901234567890",
        "0.1234567890123456789012345678901234567890",
        &long,
        &longest,
        "9007199254740993",
        "1e-0",
    ];
    for number in kept {
        is_kept(&tenant, &with_value(number)).await;
    }
    let too_long = "9".repeat(1_001);
    let refused = [
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "1_000",
        "1e401",
        "1e-401",
        "1e99999999999",
        &too_long,
        "1,5",
        "\"1\"",
        "[1]",
        "{}",
        "true",
        "null",
    ];
    for number in refused {
        let body = unstamped(&with_value(number), "a");
        let answer = tenant.put("Observation/a", &tenant.all(), &body).await.expect(400);
        let code = answer.json()["issue"][0]["code"].clone();
        assert!(["structure", "invalid", "value"].map(Value::from).contains(&code), "{number}: {}", answer.body);
    }
    tenant.get("Observation/a", &tenant.all()).await.expect(404);
}

#[tokio::test]
async fn x13_letters_of_every_script_come_back_and_are_told_apart() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let words = [
        "\u{e9}t\u{e9}",
        "e\u{301}te\u{301}",
        "\u{202e}evil",
        "zero\u{200b}width\u{200d}\u{feff}join",
        "\u{1f468}\u{200d}\u{1f469}",
        "\u{fdd0}\u{fffe}\u{ffff}\u{1fffe}",
        "\u{10ffff}",
        "\u{f0000}",
        "ﬁ",
        "İstanbul",
        "ß",
        "Ω\u{2126}",
        "漢字",
        "\u{2028}\u{2029}",
        "a\u{a0}b",
        "\u{ad}soft",
    ];
    for word in words {
        let text = format!(
            r#"{{"resourceType":"Patient","id":"<ID>"<META>,"identifier":[{{"system":"urn:w","value":"{word}"}}],"name":[{{"family":"{word}"}}]}}"#
        );
        is_kept(&tenant, &text).await;
        let query = form_text(&[("identifier".to_owned(), format!("urn:w|{word}"))]);
        let found = tenant.get(&format!("Patient?{query}"), &all).await.expect(200);
        assert_eq!(found.json()["total"], 1, "{word:?}: an identifier is compared as it was written");
    }
}

#[tokio::test]
async fn xml_is_the_same_resource() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let mut resource = samples::heart_rate("a", "p1");
    let text = resource.to_string().replace(r#""value":72.0"#, r#""value":120.00"#);
    resource = serde_json::from_str(&text).expect("JSON");
    let extension = r#"{"url":"urn:x","valueDecimal":0.10}"#;
    resource["extension"] = json!([serde_json::from_str::<Value>(extension).expect("JSON")]);
    resource["note"] = json!([{ "text": "a < b & \"c\" \u{1f600} \u{e9}" }]);
    tenant.put("Observation/a", &all, &resource.to_string()).await.expect(201);

    // Out, however it is asked for.
    let asked = [
        ("Observation/a", Some(XML)),
        ("Observation/a", Some("application/xml")),
        ("Observation/a", Some("application/fhir+json;q=0.5, application/fhir+xml;q=0.9, */*;q=0.1")),
        ("Observation/a?_format=xml", None),
        ("Observation/a?_format=application/fhir+xml", Some(FHIR)),
        ("Observation/a?_format=application/fhir%2Bxml", None),
    ];
    let mut xml = String::new();
    for (path, accept) in asked {
        let mut request = tenant.request(Method::GET, path, &all);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let got = Answer::of(request).await.expect(200);
        assert_eq!(got.header("content-type"), "application/fhir+xml; charset=utf-8", "{path} {accept:?}");
        assert_eq!(got.header("etag"), "W/\"1\"");
        assert!(got.body.contains(r#"<value value="120.00"/>"#), "{}", got.body);
        assert!(got.body.contains(r#"<valueDecimal value="0.10"/>"#), "{}", got.body);
        xml = got.body;
    }

    // In again, under another id: the same content in JSON.
    let put = |id: &str, media: &'static str, body: String| {
        let request = tenant.request(Method::PUT, &format!("Observation/{id}"), &all);
        Answer::of(request.header("content-type", media).body(body))
    };
    let renamed = xml.replace(r#"<id value="a"/>"#, r#"<id value="b"/>"#);
    for media in [XML, "application/xml", "text/xml", "application/fhir+xml; charset=UTF-8"] {
        let answer = put("b", media, renamed.clone()).await.sound();
        assert!(answer.status < 300, "{media}: {}", answer.body);
    }
    let mut read = tenant.get("Observation/b", &all).await.expect(200).json();
    for name in ["id", "meta"] {
        read.as_object_mut().expect("an object").shift_remove(name);
        resource.as_object_mut().expect("an object").shift_remove(name);
    }
    assert_eq!(read, resource);
    assert!(read.to_string().contains(r#""value":120.00"#) && read.to_string().contains(r#""valueDecimal":0.10"#));

    // Lists and refusals are XML as well.
    let list = Answer::of(tenant.request(Method::GET, "Observation?_id=a&color=red", &all).header("accept", XML));
    let list = list.await.expect(200);
    assert!(list.body.contains("?><Bundle xmlns=\"http://hl7.org/fhir\">"), "{}", list.body);
    assert!(list.body.contains("<total value=\"1\"/>") && list.body.contains("<OperationOutcome"), "{}", list.body);
    for (path, token, status) in
        [("Observation/zz", Some(all.as_str()), 404), ("Device/a", Some(&all), 404), ("Observation/a", None, 401)]
    {
        let mut request = client().get(format!("{}/{path}", tenant.base())).header("accept", XML);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let refused = Answer::of(request).await.expect(status);
        assert_eq!(refused.header("content-type"), "application/fhir+xml; charset=utf-8", "{path}");
        assert!(refused.body.contains("?><OperationOutcome xmlns=\"http://hl7.org/fhir\">"), "{}", refused.body);
    }

    // What XML cannot say is there as JSON alone; a write that is done is told of all the same.
    let unspeakable = samples::patient("u", "\u{fffe}").to_string();
    let request = tenant.request(Method::PUT, "Patient/u", &all).header("accept", XML).header("content-type", FHIR);
    Answer::of(request.body(unspeakable)).await.expect(201);
    for path in ["Patient/u", "Patient/u/_history/1", "Patient/u/_history", "Patient?_id=u"] {
        tenant.get(path, &all).await.expect(200);
        let xml = Answer::of(tenant.request(Method::GET, path, &all).header("accept", XML)).await.expect(406);
        assert!(xml.body.contains("<code value=\"not-supported\"/>") && !xml.holds("mrn-u"), "{}", xml.body);
    }

    // What is no such XML is refused, without a word to anybody else.
    let head = r#"<Observation xmlns="http://hl7.org/fhir"><id value="c"/><status value="final"/>"#;
    let tail = r#"<code><text value="x"/></code></Observation>"#;
    for (body, status) in [
        (format!("{head}{tail}"), 201),
        (format!("{head}<unknown value=\"1\"/>{tail}"), 400),
        (format!("{head}<subject>"), 400),
        (format!("{head}{tail}<!-- behind --><Patient/>"), 400),
        (format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{head}{tail}"), 400),
        (head.replace("http://hl7.org/fhir", "urn:other") + tail, 400),
        (format!("{head}<code><text value=\"x\"/></code><code><text value=\"y\"/></code></Observation>"), 400),
        (format!("{head}</Observation>"), 422),
        (String::new(), 400),
    ] {
        let refused = put("c", XML, body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
    }
    let bytes = [head.as_bytes(), b"<language value=\"\xff\"/>", tail.as_bytes()].concat();
    let request = tenant.request(Method::PUT, "Observation/c", &all).header("content-type", XML).body(bytes);
    Answer::of(request).await.expect_outcome(400, "structure");
}

/// A refusal to be had: what to ask, and what to expect.
struct Refusal {
    method: &'static str,
    path: &'static str,
    headers: &'static str,
    body: &'static [u8],
    expected: (u16, &'static str),
    allow: &'static str,
}

const fn refusal(method: &'static str, path: &'static str, expected: (u16, &'static str)) -> Refusal {
    Refusal { method, path, headers: "", body: b"", expected, allow: "" }
}

impl Refusal {
    const fn allow(self, allow: &'static str) -> Self {
        Self { allow, ..self }
    }

    const fn sending(self, headers: &'static str, body: &'static [u8]) -> Self {
        Self { headers, body, ..self }
    }
}

const JSON_BODY: &str = "content-type: application/fhir+json\r\n";
const FORM_BODY: &str = "content-type: application/x-www-form-urlencoded\r\n";
const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"a"}"#;

const fn post(body: &'static [u8], expected: (u16, &'static str)) -> Refusal {
    refusal("POST", "Patient", expected).sending(JSON_BODY, body)
}

/// Asked for with a token that may do everything.
const REFUSALS: &[Refusal] = &[
    // Addresses.
    refusal("GET", "", (405, "not-supported")).allow("POST"),
    refusal("POST", "", (400, "invalid")).sending(JSON_BODY, br#"{"resourceType":"Bundle","type":"collection"}"#),
    refusal("GET", "_history", (405, "not-supported")),
    refusal("POST", "_search", (405, "not-supported")).sending(FORM_BODY, b"_id=a"),
    refusal("POST", "Patient/_history", (405, "not-supported")).allow("GET, HEAD"),
    refusal("PATCH", "Patient/a", (405, "not-supported")).allow("GET, HEAD, PUT, DELETE"),
    refusal("POST", "Patient/a", (405, "not-supported")).allow("GET, HEAD, PUT, DELETE"),
    refusal("PATCH", "Patient", (405, "not-supported")).allow("GET, HEAD, POST, PUT, DELETE"),
    refusal("PUT", "Patient", (400, "invalid")).sending(JSON_BODY, br#"{"resourceType":"Patient"}"#),
    refusal("DELETE", "Observation", (400, "invalid")),
    refusal("DELETE", "Observation?color=x", (400, "not-supported")),
    refusal("GET", "Observation/_search", (405, "not-supported")).allow("POST"),
    refusal("DELETE", "Patient/a/_history", (405, "not-supported")).allow("GET, HEAD"),
    refusal("PUT", "Patient/a/_history/1", (405, "not-supported")).allow("GET, HEAD"),
    refusal("BREW", "Patient", (405, "not-supported")).allow("GET, HEAD, POST, PUT, DELETE"),
    refusal("OPTIONS", "Patient", (405, "not-supported")).allow("GET, HEAD, POST, PUT, DELETE"),
    refusal("POST", "metadata", (405, "not-supported")).allow("GET, HEAD"),
    refusal("DELETE", ".well-known/smart-configuration", (405, "not-supported")).allow("GET, HEAD"),
    refusal("GET", "Device", (404, "not-supported")),
    refusal("GET", "patient", (404, "not-supported")),
    refusal("GET", "Nonsense/a", (404, "not-supported")),
    refusal("GET", "Patient/$match", (404, "not-supported")),
    refusal("GET", "Patient/a/$everything", (404, "not-supported")),
    refusal("GET", "Patient/a/%24everything", (404, "not-supported")),
    refusal("GET", "Patient/a/Device", (404, "not-supported")),
    refusal("GET", "$export", (404, "not-supported")),
    refusal("GET", ".well-known/openid-configuration", (404, "not-supported")),
    refusal("GET", "Patient//a", (404, "not-supported")),
    // Representations.
    Refusal { headers: "accept: text/html\r\n", ..refusal("GET", "Patient", (406, "not-supported")) },
    Refusal { headers: "accept: application/fhir+json;q=0\r\n", ..refusal("GET", "Patient", (406, "not-supported")) },
    Refusal {
        headers: "accept: application/rdf+xml, text/turtle\r\n",
        ..refusal("GET", "Patient", (406, "not-supported"))
    },
    refusal("GET", "Patient?_format=ttl", (406, "not-supported")),
    refusal("GET", "metadata?_format=ttl", (406, "not-supported")),
    refusal("POST", "Patient", (415, "not-supported")).sending("", PATIENT),
    refusal("POST", "Patient", (415, "not-supported")).sending("content-type: text/plain\r\n", PATIENT),
    refusal("POST", "Patient", (415, "not-supported"))
        .sending("content-type: application/json-patch+json\r\n", PATIENT),
    refusal("POST", "Patient", (415, "not-supported"))
        .sending("content-type: application/fhir+json; charset=latin1\r\n", PATIENT),
    refusal("POST", "Patient", (415, "not-supported"))
        .sending("content-type: application/fhir+json\r\ncontent-type: application/fhir+json\r\n", PATIENT),
    refusal("POST", "Patient", (415, "not-supported"))
        .sending("content-type: application/fhir+json\r\ncontent-encoding: gzip\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    refusal("POST", "Patient/_search", (415, "not-supported")).sending(JSON_BODY, b"{}"),
    refusal("POST", "Patient/_search", (415, "not-supported")).sending("", b"name=a"),
    // Texts.
    post(b"", (400, "structure")),
    post(b"  \n", (400, "structure")),
    post(b"null", (400, "structure")),
    post(b"[]", (400, "structure")),
    post(b"\"Patient\"", (400, "structure")),
    post(b"{}", (400, "structure")),
    post(br#"{"resourceType":"Patient""#, (400, "structure")),
    post(br#"{"resourceType":"Patient"}x"#, (400, "structure")),
    post(br#"{"resourceType":"Patient"}{"resourceType":"Patient"}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient",}"#, (400, "structure")),
    post(br"{'resourceType':'Patient'}", (400, "structure")),
    post(b"{\"resourceType\":\"Patient\"}//", (400, "structure")),
    post(b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}", (400, "structure")),
    post(b"{\"resourceType\":\"Patient\",\"language\":\"\xff\"}", (400, "structure")),
    post(b"{\"resourceType\":\"Patient\",\"language\":\"\xc0\xaf\"}", (400, "structure")),
    post(b"\xff\xfe{\0}\0", (400, "structure")),
    post(br#"{"resourceType":"Patient","name":[{"family":"\ud800"}]}"#, (400, "invalid")),
    post(br#"{"resourceType":"Patient","name":[{"family":"\u0000"}]}"#, (400, "invalid")),
    post(b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\nb\"}]}", (400, "structure")),
    post(br#"{"resourceType":"Patient","active":true,"active":true}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","active":true,"\u0061ctive":true}"#, (400, "structure")),
    post(br#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#, (400, "structure")),
    post(br#"{"resourceType":"Nonsense"}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","shoeSize":41}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","name":{"family":"x"}}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","active":"true"}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}"#, (400, "structure")),
    post(br#"{"resourceType":"Patient","birthDate":"29.2.1980"}"#, (400, "invalid")),
    post(br#"{"resourceType":"Patient","birthDate":"1981-02-29"}"#, (400, "invalid")),
    post(br#"{"resourceType":"Patient","link":[{"type":"refer"}]}"#, (422, "required")),
    refusal("POST", "Observation", (422, "required"))
        .sending(JSON_BODY, br#"{"resourceType":"Observation","status":"final"}"#),
    // Queries.
    refusal("GET", "Patient?name=%zz", (400, "invalid")),
    refusal("GET", "Patient?name=%FF", (400, "invalid")),
    refusal("GET", "Patient?name=a%00", (400, "invalid")),
    refusal("POST", "Patient/_search", (400, "invalid")).sending(FORM_BODY, b"name=%zz"),
    refusal("POST", "Patient/_search", (400, "invalid")).sending(FORM_BODY, b"name=\xff"),
];

/// What every refusal says, whatever it is about.
#[track_caller]
fn is_an_outcome(answer: &Answer) {
    let outcome = answer.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/fhir+json; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    for issue in outcome["issue"].as_array().expect("issues") {
        assert_eq!(issue["severity"], "error");
        assert!(issue["diagnostics"].as_str().is_some_and(|text| text.len() > 10), "{}", answer.body);
    }
    assert!(Uuid::parse_str(answer.header("x-request-id")).is_ok(), "every answer has a request id");
    assert_ne!(answer.header("traceparent"), "");
}

#[tokio::test]
async fn every_refusal_is_an_operation_outcome() {
    let tenant = Tenant::fresh().await;
    let mut wrong = Vec::new();
    for case in REFUSALS {
        for base in [format!("/t/{}/fhir", tenant.name), "/fhir".to_owned()] {
            let Refusal { method, path, headers, body, expected: (status, code), allow } = case;
            if base == "/fhir" && path.starts_with(".well-known/smart") {
                continue;
            }
            let slash = if path.is_empty() { "" } else { "/" };
            let head = format!(
                "{method} {base}{slash}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
                 content-length: {}\r\n{headers}\r\n",
                tenant.all(),
                body.len()
            );
            let what = format!("{method} {base}{slash}{path} {headers:?} {}", String::from_utf8_lossy(body));
            let answer = raw::exchange(tenant.server, [head.as_bytes(), body].concat()).await.expect(&what);
            if (answer.status, answer.json()["issue"][0]["code"].as_str()) != (*status, Some(*code)) {
                wrong.push(format!("{what}: {} {}, not {status} {code}", answer.status, answer.body));
                continue;
            }
            is_an_outcome(&answer);
            assert_eq!(answer.headers.contains_key("allow"), *status == 405, "{what}");
            assert_eq!(answer.header("allow"), *allow, "{what}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tenant.get("Patient", &tenant.all()).await.expect(200).json()["total"], 0, "nothing was written");
}

/// What is said to who shows a token that is bound to a key, and no proof.
const PROOF: &str = "DPoP error=\"invalid_dpop_proof\", algs=\"RS256 RS384 PS256 ES256 ES384 EdDSA\"";

#[tokio::test]
async fn who_shows_no_good_token_is_told_how_to() {
    let tenant = Tenant::fresh().await;
    let (good, other) = (tenant.all(), Tenant::fresh().await);
    let expired = tenant.token("system/*.cruds").with("exp", 1_000_000_000).with("iat", 999_999_000).sign();
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let own = format!("/t/{}/fhir/Patient", tenant.name);
    let none = "/t/nobody-of-this-name/fhir/Patient".to_owned();
    let cases = [
        (&own, String::new(), 401, "login", "Bearer"),
        (&own, bearer("x"), 401, "login", "Bearer error=\"invalid_token\""),
        (&own, "authorization: Basic eDp5\r\n".to_owned(), 401, "login", "Bearer error=\"invalid_token\""),
        (&own, format!("authorization: DPoP {good}\r\n"), 401, "login", PROOF),
        (&own, bearer(&expired), 401, "expired", "Bearer error=\"invalid_token\""),
        (&own, bearer(&good).repeat(2), 400, "invalid", "Bearer error=\"invalid_request\""),
        (&own, bearer(&other.all()), 403, "forbidden", ""),
        (
            &own,
            bearer(&tenant.token("system/Observation.cruds").sign()),
            403,
            "forbidden",
            "Bearer error=\"insufficient_scope\"",
        ),
        (&none, String::new(), 404, "not-found", ""),
        (&none, bearer(&good), 403, "forbidden", ""),
        (&none, bearer("x"), 401, "login", "Bearer error=\"invalid_token\""),
    ];
    for (path, headers, status, code, challenge) in cases {
        let answer = raw::get(tenant.server, path, &headers).await.expect("an answer").expect_outcome(status, code);
        is_an_outcome(&answer);
        assert_eq!(answer.header("www-authenticate"), challenge, "{path} {status}");
        assert!(!answer.holds(&good) && !answer.holds(&expired));
    }
    let in_query = raw::get(tenant.server, &format!("{own}?access_token={good}"), "").await.expect("an answer");
    is_an_outcome(&in_query.expect_outcome(400, "invalid"));
    let both = raw::get(tenant.server, &format!("{own}?access_token={good}"), &bearer(&good)).await.expect("an answer");
    is_an_outcome(&both.expect_outcome(400, "invalid"));
}

#[tokio::test]
async fn bodies_and_addresses_have_their_limits() {
    const LIMIT: usize = 5 * 1024 * 1024;
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    // A string may have a megabyte; white space is free.
    let of_size = |size: usize| {
        let body = r#"{"resourceType":"Patient","id":"big"}"#;
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    // Just within, announced and in chunks.
    tenant.put("Patient/big", &all, &of_size(LIMIT)).await.expect(201);
    let chunked = |body: &str| {
        let mut bytes = format!(
            "PUT /t/{}/fhir/Patient/big HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {all}\r\n\
             {JSON_BODY}transfer-encoding: chunked\r\n\r\n",
            tenant.name
        )
        .into_bytes();
        for chunk in body.as_bytes().chunks(256 * 1024) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        raw::exchange(tenant.server, bytes)
    };
    chunked(&of_size(LIMIT)).await.expect("an answer").expect(200);

    is_an_outcome(&chunked(&of_size(LIMIT + 1)).await.expect("an answer").expect_outcome(413, "too-long"));
    // Announced: refused before it is sent.
    let announced = |request: &str, media: &str, size: usize| {
        let head = format!(
            "{request} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {all}\r\n{media}content-length: {size}\r\n\r\n{{"
        );
        tokio::time::timeout(Duration::from_secs(10), raw::exchange(tenant.server, head))
    };
    let put = format!("PUT /t/{}/fhir/Patient/big", tenant.name);
    let refused = announced(&put, JSON_BODY, LIMIT + 1).await.expect("no wait for the rest").expect("an answer");
    is_an_outcome(&refused.expect_outcome(413, "too-long"));
    assert_eq!(tenant.get("Patient/big", &all).await.expect(200).header("etag"), "W/\"2\"");

    // Without a body at all: nothing says how long it would be, and it is none.
    let bare = format!(
        "POST /t/{}/fhir/Patient HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {all}\r\n{JSON_BODY}\r\n",
        tenant.name
    );
    is_an_outcome(&raw::exchange(tenant.server, bare).await.expect("an answer").expect_outcome(400, "structure"));

    // A form may hold as much as a body.
    let form = |size: usize| {
        let request = tenant.request(Method::POST, "Patient/_search", &all);
        let text = format!("name=a&x={}", "y".repeat(size - 9));
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(text))
    };
    form(LIMIT).await.expect(200);
    let search = format!("POST /t/{}/fhir/Patient/_search", tenant.name);
    let refused = announced(&search, FORM_BODY, LIMIT + 1).await.expect("no wait for the rest").expect("an answer");
    is_an_outcome(&refused.expect_outcome(413, "too-long"));

    let path = format!("/t/{}/fhir/Patient", tenant.name);
    let longest = "x".repeat(16 * 1024 - path.len() - 2);
    tenant.get(&format!("Patient?x={longest}"), &all).await.expect(200);
    for length in [16 * 1024, 40 * 1024] {
        let refused = tenant.get(&format!("Patient?x={}", "x".repeat(length)), &all).await;
        is_an_outcome(&refused.expect_outcome(414, "too-long"));
    }
}

#[tokio::test]
async fn every_answer_names_its_request_and_goes_on_with_the_callers_trace() {
    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let tenant = Tenant::fresh().await;
    let mut seen = Vec::new();
    for (path, status) in [("Patient", 200), ("Patient/none", 404), ("metadata", 200), ("Nonsense", 404)] {
        for (sent, goes_on) in [(Some(CALLER), true), (Some("00-nonsense"), false), (None, false)] {
            let mut request = tenant.request(Method::GET, path, &tenant.all()).header("x-request-id", "mine");
            if let Some(sent) = sent {
                request = request.header("traceparent", sent);
            }
            let answer = Answer::of(request).await.expect(status);
            let id = Uuid::parse_str(answer.header("x-request-id")).expect("an id of ours");
            assert!(!seen.contains(&id));
            seen.push(id);
            let trace = answer.header("traceparent");
            assert_eq!(trace.len(), 55, "{trace}");
            assert_eq!(trace[..36] == CALLER[..36], goes_on, "{trace}");
            assert_ne!(trace[36..52], CALLER[36..52], "the span is ours");
        }
    }
}

#[tokio::test]
async fn real_resources_come_back_as_they_were() {
    let Some(files) = examples::files() else {
        println!("not run: 1 case, it needs the files of VITALS_TEST_DATA");
        return;
    };
    let tenant = Tenant::fresh().await;
    let mut lines = Vec::new();
    for (_, name, text) in &files {
        lines.extend(text.lines().filter(|line| !line.trim().is_empty()).map(|line| (name.clone(), line.to_owned())));
    }
    let refused = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (count, base, all) = (lines.len(), tenant.base(), tenant.all());
    let mut tasks = tokio::task::JoinSet::new();
    for chunk in lines.chunks(count.div_ceil(4)) {
        let (chunk, base, all, refused) = (chunk.to_vec(), base.clone(), all.clone(), refused.clone());
        tasks.spawn(async move {
            for (file, line) in chunk {
                let mut sent: Value = serde_json::from_str(&line).expect("JSON");
                let (kind, id) = (text_of(&sent, "resourceType").to_owned(), text_of(&sent, "id").to_owned());
                let address = format!("{base}/{kind}/{id}");
                let request = client().put(&address).bearer_auth(&all).header("content-type", FHIR).body(line);
                let put = Answer::of(request).await.sound();
                if put.status >= 300 {
                    refused.lock().expect("nobody panicked").push((file, kind, id, put));
                    continue;
                }
                let read = Answer::of(client().get(&address).bearer_auth(&all)).await.expect(200);
                assert_eq!(read.body, put.body, "{address}");
                let mut back = read.json();
                for resource in [&mut sent, &mut back] {
                    for name in ["versionId", "lastUpdated"] {
                        resource["meta"].as_object_mut().map(|meta| meta.shift_remove(name));
                    }
                    if resource["meta"].as_object().is_none_or(serde_json::Map::is_empty) {
                        resource.as_object_mut().expect("an object").shift_remove("meta");
                    }
                }
                // Compared as texts: the order of the members and every digit with them.
                assert_eq!(back.to_string(), sent.to_string(), "{address}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task ends");
    }
    // Some official examples break a rule themselves: just those are refused, each for the reason that is known.
    let expected = examples::refused();
    let mut known = Vec::new();
    for (file, kind, id, put) in refused.lock().expect("nobody panicked").iter() {
        let reason = expected.iter().find(|known| (known.file, known.resource_type, known.id) == (file, kind, id));
        let reason = reason.unwrap_or_else(|| panic!("{file} {kind}/{id}: {} {}", put.status, put.body));
        assert_eq!(put.status, 422, "{}", put.body);
        reason.is_why(&put.json()["issue"]);
        known.push(*reason);
    }
    known.sort_unstable();
    assert_eq!(known, expected, "each of them, once");
    println!("{count} resources, {} of them refused", known.len());
    assert!(count > 1_900, "only {count} resources");
}

fn text_of<'r>(resource: &'r Value, name: &str) -> &'r str {
    resource[name].as_str().expect("a text")
}

#[tokio::test]
async fn requests_that_no_origin_server_may_answer_are_refused_and_noted() {
    let tenant = Tenant::fresh().await;
    let path = format!("/t/{}/fhir/Patient", tenant.name);
    let authorization = format!("authorization: Bearer {}\r\n", tenant.all());
    for (line, hosts, status, code) in [
        (format!("GET http://vitals.test{path}"), "host: vitals.test\r\n", 400, "invalid"),
        (format!("GET {path}"), "", 400, "invalid"),
        (format!("GET {path}"), "host: vitals.test\r\nhost: other.test\r\n", 400, "invalid"),
        ("CONNECT vitals.test:443".to_owned(), "host: vitals.test\r\n", 405, "not-supported"),
    ] {
        for credentials in ["", &authorization] {
            let head = format!("{line} HTTP/1.1\r\n{hosts}{credentials}\r\n");
            let answer = raw::exchange(tenant.server, head).await.expect("an answer").expect_outcome(status, code);
            is_an_outcome(&answer);
            assert_eq!(answer.header("connection"), "close", "{line}");
        }
    }
    assert_eq!(ledger::each_left_one_record().await, 8);
}

#[tokio::test]
async fn heads_that_are_no_http_are_refused_and_counted() {
    let tenant = Tenant::fresh().await;
    let begin = format!(
        "POST /t/{}/fhir/Patient HTTP/1.1\r\nhost: vitals.test\r\nauthorization: Bearer {}\r\n",
        tenant.name,
        tenant.all()
    );
    let counted = async |reason: &str| {
        let page = Answer::of(client().get(format!("{}/metrics", tenant.server.operator_url))).await.expect(200).body;
        let name = format!("vitals_connection_failures_total{{reason=\"{reason}\"}} ");
        let figure = page.lines().find_map(|line| line.strip_prefix(&name)).expect("the figure is there");
        figure.parse::<u64>().expect("a number")
    };
    for (what, rest, status, reason) in [
        ("two lengths", "content-length: 1\r\ncontent-length: 2\r\n\r\nxy".to_owned(), 400, "malformed"),
        ("a folded line", "x: a\r\n b\r\n\r\n".to_owned(), 400, "malformed"),
        ("a blank before the colon", "x : a\r\n\r\n".to_owned(), 400, "malformed"),
        ("101 headers", format!("{}\r\n", "x: a\r\n".repeat(99)), 431, "head too large"),
        ("70 kB", format!("x: {}\r\n\r\n", "a".repeat(70_000)), 431, "head too large"),
    ] {
        let before = counted(reason).await;
        let answer = raw::exchange(tenant.server, format!("{begin}{rest}")).await.expect(what).expect(status);
        assert_eq!(answer.body, "", "{what}");
        poll::until("it is counted", || async { counted(reason).await > before }).await;
    }
}
