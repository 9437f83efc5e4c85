//! The OpenAPI document as a developer reads it: what it gives as an example is sent, what it says of refusals is what
//! is said, and its scopes are enough.

use reqwest::{Method, header};
use serde_json::Value;
use vitals_fhir::{
    catalog::{self, Code, ParameterKind},
    interaction::Letter,
    resource::ResourceType,
};
use vitals_tests::{Answer, Ask, Tenant, ask::content, program::Program, tenant::client};

const FHIR: &str = "application/fhir+json";

async fn document(tenant: &Tenant) -> Value {
    Answer::of(client().get(format!("{}/openapi.json", tenant.server.url))).await.expect(200).json()
}

/// What a `$ref` refers to, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(value, |pointer| document.pointer(pointer).expect("a reference resolves"))
}

/// The operations of a tenant's base: path below it, method, operation.
fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let paths = paths.filter_map(|(path, item)| Some((path.strip_prefix("/t/{tenant}/fhir")?, item)));
    let found = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("an item").iter();
        methods.filter_map(move |(name, operation)| {
            let method = name.to_uppercase().parse().ok()?;
            operation.get("operationId").map(|_| (path, method, operation))
        })
    });
    found.collect()
}

/// The parameters of an operation.
fn parameters<'d>(document: &'d Value, operation: &'d Value) -> impl Iterator<Item = &'d Value> {
    operation["parameters"].as_array().into_iter().flatten().map(|one| resolved(document, one))
}

/// The path with the examples of its parameters.
fn path_of_examples(document: &Value, path: &str, operation: &Value) -> String {
    parameters(document, operation).filter(|one| one["in"] == "path").fold(path.to_owned(), |path, parameter| {
        let name = format!("{{{}}}", parameter["name"].as_str().expect("a name"));
        path.replace(&name, parameter["example"].as_str().expect("a path parameter has an example"))
    })
}

#[tokio::test]
async fn examples_of_requests_work_as_pasted() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let document = document(&tenant).await;
    let example = |name: &str| &document["components"]["examples"][name]["value"];
    // What the examples of changes are about.
    for name in ["storedPatient", "storedHeartRate"] {
        let (kind, id) = (&example(name)["resourceType"], &example(name)["id"]);
        let path = format!("{}/{}", kind.as_str().expect("a type"), id.as_str().expect("an id"));
        tenant.put(&path, &all, &example(name).to_string()).await.expect(201);
    }

    let mut sent = Vec::new();
    for (path, method, operation) in operations(&document) {
        let Some(examples) = operation["requestBody"]["content"][FHIR]["examples"].as_object() else { continue };
        let path = path_of_examples(&document, path, operation);
        let kind = &operation["tags"][0];
        // A conditional update says by criteria what it means.
        let criteria = if parameters(&document, operation).any(|one| one["name"] == "_id") { "?_id=ada" } else { "" };
        for name in examples.keys() {
            let body = serde_json::to_string_pretty(example(name)).expect("JSON");
            let address = format!("{}{path}{criteria}", tenant.base());
            let request = client().request(method.clone(), &address).bearer_auth(&all).header("content-type", FHIR);
            let answer = Answer::of(request.body(body)).await.sound();

            if path.ends_with("$validate") {
                let said = if name == "refusedHeartRate" { "unprocessable" } else { "nothingAgainstIt" };
                let found = answer.expect(200).json();
                assert!(kind == "Patient" || &found == example(said), "{path} {name}: {found}");
            } else if name == "refusedHeartRate" {
                assert_eq!(&answer.expect_outcome(422, "code-invalid").json(), example("unprocessable"));
            } else {
                assert!(answer.status < 300, "{method} {address} {name}: {} {}", answer.status, answer.body);
                assert!(operation["responses"].get(answer.status.to_string()).is_some(), "{}", answer.status);
            }
            sent.push(name.as_str());
        }
    }
    for name in ["patient", "heartRate", "bloodPressure", "refusedHeartRate", "question", "transaction"] {
        assert!(sent.contains(&name), "{name} stands nowhere");
    }
}

/// The members of an object and of those inside, without the values: what an example and an answer have in common.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn examples_of_answers_are_what_is_answered() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let document = document(&tenant).await;
    let example = |name: &str| document["components"]["examples"][name]["value"].clone();
    let said = |name: &str| example(name).to_string();
    tenant.put("Patient/ada", &all, &said("patient")).await.expect(201);

    let heart_rate = tenant.post("Observation", &all, &said("heartRate")).await.expect(201);
    tenant.post("Observation", &all, &said("heartRate")).await.expect(201);
    let transaction = tenant.post("", &all, &said("transaction")).await.expect(200);
    let patient = tenant.get("Patient/ada", &all).await.expect(200);
    let page = tenant.get("Observation?patient=ada&code=http://loinc.org%7C8867-4&_count=1", &all).await.expect(200);
    let patients = tenant.get("Patient?identifier=urn:example:mrn%7C1815-1210", &all).await.expect(200);

    for (name, answer) in [
        ("storedHeartRate", heart_rate),
        ("transactionResponse", transaction),
        ("storedPatient", patient),
        ("observationPage", page),
        ("patientPage", patients),
    ] {
        assert_eq!(shape(&answer.json()), shape(&example(name)), "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn examples_of_refusals_are_what_is_said() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let narrow = tenant.token("vitals.heart_rate:read").sign();
    let document = document(&tenant).await;
    let patient = content(ResourceType::Patient, "ada", "x").to_string();
    for id in ["ada", "gone"] {
        tenant.put(&format!("Patient/{id}"), &all, &patient.replace("ada", id)).await.expect(201);
    }
    tenant.delete("Patient/gone", &all).await.expect(204);

    let get = |path: &str| tenant.request(Method::GET, path, &all);
    let post =
        |media, body: String| tenant.request(Method::POST, "Patient", &all).header("content-type", media).body(body);
    let photo = format!(r#"{{"resourceType":"Patient","photo":[{{"data":"{}"}}]}}"#, "A".repeat(6 << 20));
    let status = r#"{"resourceType":"Observation","status":7,"code":{"text":"x"}}"#;
    for (name, code, request) in [
        ("badRequest", 400, get("Observation?date=yesterday")),
        ("malformed", 400, tenant.request(Method::POST, "Observation", &all).header("content-type", FHIR).body(status)),
        ("unauthorized", 401, client().get(format!("{}/Patient/ada", tenant.base()))),
        ("forbidden", 403, tenant.request(Method::GET, "Patient/ada", &narrow)),
        ("notFound", 404, get("Patient/nobody")),
        ("notAcceptable", 406, get("Patient/ada").header(header::ACCEPT, "text/csv")),
        ("gone", 410, get("Patient/gone")),
        (
            "preconditionFailed",
            412,
            tenant
                .request(Method::PUT, "Patient/ada", &all)
                .header("content-type", FHIR)
                .header("if-match", "W/\"7\"")
                .body(patient.clone()),
        ),
        ("tooLarge", 413, post(FHIR, photo)),
        ("addressTooLong", 414, get(&format!("Patient?_id={}", "a,".repeat(8_200)))),
        ("unsupportedMediaType", 415, post("text/csv", patient.clone())),
    ] {
        let answer = Answer::of(request).await.expect(code);
        let example = &document["components"]["examples"][name]["value"];
        assert_eq!(&answer.json(), example, "{name}");
        let listed = document["components"]["responses"].as_object().expect("responses").values();
        let mut listed = listed.filter_map(|response| response["content"][FHIR]["examples"].as_object());
        assert!(listed.any(|examples| examples.contains_key(name)), "{name} stands nowhere");
    }
}

#[tokio::test]
async fn examples_of_search_parameters_are_applied() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let document = document(&tenant).await;

    for row in catalog::all().filter(|row| row.code == Code::SearchType) {
        let operation = &document["paths"][format!("/t/{{tenant}}/fhir/{}", row.path)]["get"];
        for parameter in catalog::parameters(row.resource) {
            let described = parameters(&document, operation).find(|one| one["name"] == parameter.name);
            let example = &described.expect("each parameter is described")["example"];
            let values = match example {
                Value::Array(values) => values.clone(),
                one => vec![one.clone()],
            };
            let texts = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let pairs: Vec<_> = texts.map(|text| (parameter.name, text)).collect();
            let mut address = reqwest::Url::parse(&format!("{}/{}", tenant.base(), row.path)).expect("a URL");
            address.query_pairs_mut().extend_pairs(&pairs);
            let request = client().get(address).bearer_auth(&all);
            let found = Answer::of(request.header("prefer", "handling=strict")).await.expect(200);

            let applied = found.link("self").expect("a link");
            let name = format!("{}=", parameter.name);
            assert_eq!(applied.matches(&name).count(), pairs.len(), "{applied}");
            assert!(parameter.kind != ParameterKind::Result || pairs.len() == 1, "{}", parameter.name);
        }
    }
}

/// Each scope that an operation lists is enough for it, and all letters without one that it needs are not. Of the
/// scopes that name one vital, that of the heart rate is asked: it is the one that these resources are.
#[tokio::test]
async fn scopes_that_are_listed_are_enough() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let document = document(&tenant).await;
    let id = |kind| if kind == ResourceType::Patient { "p1" } else { "rate" };
    let sign = |letter| match letter {
        Letter::Create => "c",
        Letter::Read => "r",
        Letter::Update => "u",
        Letter::Delete => "d",
        Letter::Search => "s",
    };

    let mut asked = 0;
    for row in catalog::all() {
        let path = format!("/t/{{tenant}}/fhir/{}", row.path.replace(":id", "{id}").replace(":vid", "{vid}"));
        let scopes = &document["paths"][path][row.method.name().to_ascii_lowercase()]["x-scopes"];
        let ask = Ask::of(row, id(row.resource), &content(row.resource, id(row.resource), "x"));
        for scope in scopes.as_array().expect("scopes").iter().map(|scope| scope.as_str().expect("a scope")) {
            if scope.starts_with("vitals.") && !scope.starts_with("vitals.heart_rate:") {
                continue;
            }
            for kind in ResourceType::ALL {
                let body = content(kind, id(kind), "x").to_string();
                assert!(tenant.put(&format!("{kind}/{}", id(kind)), &all, &body).await.status < 300);
            }
            let token = tenant.token(scope).patient("p1").sign();
            let answer = ask.send(&tenant.base(), Some(&token)).await;
            assert!(answer.status < 300, "{} {scope}: {} {}", ask.path, answer.status, answer.body);
            asked += 1;
        }
        for missing in std::iter::once(row.letter).chain(row.also) {
            let rest = "cruds".replace(sign(missing), "");
            let token = tenant.token(&format!("system/{}.{rest}", row.resource)).sign();
            ask.send(&tenant.base(), Some(&token)).await.expect_outcome(403, "forbidden");
        }
    }
    assert!(asked > 80, "{asked} scopes");
}

#[tokio::test]
async fn the_command_prints_what_is_served() {
    let tenant = Tenant::fresh().await;
    let program = Program::embedded();
    for (path, arguments) in [("openapi.json", &["openapi"][..]), ("openapi.plain.json", &["openapi", "--plain"])] {
        let served = Answer::of(client().get(format!("{}/{path}", tenant.server.url))).await.expect(200);
        let printed = program.run(arguments).await;
        assert_eq!((printed.code, printed.stdout.trim_end()), (Some(0), served.body.as_str()), "{path}");
    }
}
