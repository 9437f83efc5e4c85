//! What the server says about itself (logs, metrics, traces) and to those it refuses holds no health data, no token
//! and no key, whatever happens: a real `vitals serve` with canaries in everything that is a patient's, and with every
//! word it says kept.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use vitals_tests::{
    Answer, Tenant, oracle, poll,
    program::{Outside, STOPS_WITHIN},
    samples,
    tenant::client,
};

/// Stands in every name, identifier, note, value, code and id that is somebody's.
const CANARY: &str = "CANARY";
const FHIR: &str = "application/fhir+json";
/// The trace of a caller, as the header has it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A collector of traces on loopback, which keeps what it gets.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::collect(stream, Arc::clone(&kept)));
            }
        });
        Self { url, received }
    }

    /// Answers every request of a connection with an empty success, and keeps all of it: heads and bodies.
    async fn collect(mut stream: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
        loop {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                request.push(byte);
            }
            let head = String::from_utf8_lossy(&request).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let mut body = vec![0; length.expect("an export says how long it is")];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            request.extend(body);
            kept.lock().expect("nobody panicked").extend(request);
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        self.received.lock().expect("nobody panicked").windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Whether any of the words stands in a text.
#[track_caller]
fn silent(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        if let Some(place) = text.find(secret.as_str()) {
            let (from, to) = (place.saturating_sub(200), (place + 200).min(text.len()));
            panic!("{what} holds {secret:?}: …{}…", String::from_utf8_lossy(&text.as_bytes()[from..to]));
        }
    }
}

/// A patient and an observation that are nothing but canaries.
fn patient(id: &str) -> Value {
    let mut patient = samples::patient(id, &format!("{CANARY}-family"));
    patient["identifier"] = json!([{ "system": format!("urn:{CANARY}-system"), "value": format!("{CANARY}-mrn") }]);
    patient["telecom"] = json!([{ "system": "phone", "value": format!("{CANARY}-phone") }]);
    patient["address"] = json!([{ "text": format!("{CANARY}-street") }]);
    patient
}

fn observation(id: &str, patient: &str) -> Value {
    let mut observation = samples::heart_rate(id, patient);
    observation["note"] = json!([{ "text": format!("{CANARY}-note") }]);
    observation["identifier"] = json!([{ "value": format!("{CANARY}-accession") }]);
    observation["code"]["text"] = json!(format!("{CANARY}-code"));
    observation["valueQuantity"]["value"] = json!(987.654_321);
    observation["valueQuantity"]["unit"] = json!(format!("{CANARY}-unit"));
    observation
}

/// The same as its profile forbids it.
fn unlike_its_profile(id: &str) -> String {
    let mut observation = observation(id, "p1");
    observation["category"][0]["coding"][0]["code"] = json!(format!("{CANARY}-category"));
    observation["valueQuantity"]["code"] = json!(format!("{CANARY}-ucum"));
    observation["valueQuantity"]["value"] = json!(-987.654_321);
    observation["effectiveDateTime"] = json!("1980-02");
    observation["component"] = json!([{ "code": { "text": format!("{CANARY}-part") } }]);
    observation.to_string()
}

/// What was said to callers: the answers that were refusals, and the headers of all.
#[derive(Default)]
struct Heard {
    refusals: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

/// A served tenant, and who asks.
struct Caller<'h> {
    base: String,
    token: String,
    heard: &'h mut Heard,
}

impl Caller<'_> {
    async fn ask(&mut self, request: reqwest::RequestBuilder, what: &str) -> Answer {
        let answer = Answer::of(request).await;
        if answer.status >= 300 {
            self.heard.refusals.push((what.to_owned(), answer.body.clone()));
        }
        let headers = answer.headers.iter();
        let lines = headers.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        self.heard.headers.push((what.to_owned(), lines.collect::<Vec<_>>().join("\n")));
        answer
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<&str>) -> Answer {
        let mut request = client().request(method.clone(), format!("{}/{path}", self.base)).bearer_auth(&self.token);
        request = request.header("traceparent", format!("00-{TRACE}-{SPAN}-01"));
        if let Some(body) = body {
            request = request.header("content-type", FHIR).body(body.to_owned());
        }
        self.ask(request, &format!("{method} {path} {body:?}")).await
    }
}

/// Reads, writes and searches that succeed.
async fn succeed(caller: &mut Caller<'_>, id: &str) {
    let (patient_path, observation_path) = (format!("Patient/{id}"), format!("Observation/{id}"));
    for (path, body) in [(&patient_path, patient(id)), (&observation_path, observation(id, id))] {
        caller.send(Method::PUT, path, Some(&body.to_string())).await.expect(201);
        caller.send(Method::PUT, path, Some(&body.to_string())).await.expect(200);
        caller.send(Method::GET, path, None).await.expect(200);
        caller.send(Method::GET, &format!("{path}/_history/1"), None).await.expect(200);
        caller.send(Method::GET, &format!("{path}/_history"), None).await.expect(200);
        caller.send(Method::GET, &format!("{path}?_format=xml"), None).await.expect(200);
    }
    caller.send(Method::POST, "Patient", Some(&patient("any").to_string())).await.expect(201);
    for query in [
        format!("Patient?name={CANARY}-family"),
        format!("Patient?identifier=urn:{CANARY}-system%7C{CANARY}-mrn"),
        format!("Patient?{CANARY}-parameter={CANARY}-value&_id={id}"),
        format!("Observation?patient={id}&code={CANARY}-code&_count=1"),
        format!("Observation?subject=https://{CANARY}.example/Patient/1"),
        "Patient?_count=1".to_owned(),
    ] {
        caller.send(Method::GET, &query, None).await.expect(200);
    }
    let form = client().post(format!("{}/Patient/_search", caller.base)).bearer_auth(&caller.token);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("name={CANARY}-form"));
    caller.ask(form, "a form").await.expect(200);
}

/// Texts with something wrong where the canary stands.
fn wrong_bodies() -> Vec<String> {
    let with = |member: &str| format!(r#"{{"resourceType":"Patient","id":"w",{member}}}"#);
    vec![
        with(&format!(r#""birthDate":"{CANARY}-date""#)),
        with(&format!(r#""gender":"{CANARY} code ""#)),
        with(&format!(r#""active":"{CANARY}-boolean""#)),
        with(&format!(r#""name":"{CANARY}-name""#)),
        with(&format!(r#""name":[{{"family":["{CANARY}-array"]}}]"#)),
        with(&format!(r#""name":[{{"family":"{CANARY}-\ud800"}}]"#)),
        with(&format!(r#""name":[{{"family":"{CANARY}-\u0000"}}]"#)),
        with(&format!(r#""name":[{{"family":"{CANARY}-one","family":"{CANARY}-two"}}]"#)),
        with(&format!(r#""multipleBirthInteger":"{CANARY}-integer""#)),
        with(&format!(r#""meta":{{"lastUpdated":"{CANARY}-instant"}}"#)),
        with(&format!(r#""meta":{{"profile":["{CANARY} uri with blanks"]}}"#)),
        with(&format!(r#""photo":[{{"data":"{CANARY}-not base64!"}}]"#)),
        with(&format!(r#""extension":[{{"valueString":"{CANARY}-no-url"}}]"#)),
        with(&format!(r#""link":[{{"type":"{CANARY}-link"}}]"#)),
        format!(r#"{{"resourceType":"Patient","id":"{CANARY}_id"}}"#),
        format!(r#"{{"resourceType":"{CANARY}-type","id":"w"}}"#),
        format!(r#"{{"resourceType":"Patient","id":"w","language":"{CANARY}-cut"#),
        format!("{CANARY}-not-json"),
        format!(r#"{{"resourceType":"Patient","id":"w"}} {CANARY}-behind"#),
        format!(r#"{{"resourceType":"Observation","id":"w","valueString":"{CANARY}-no-status"}}"#),
    ]
}

/// Requests that are refused, for as many reasons as there are.
async fn fail(caller: &mut Caller<'_>) {
    for body in wrong_bodies() {
        let kind = if body.contains("\"Observation\"") { "Observation" } else { "Patient" };
        for (method, path) in [(Method::PUT, format!("{kind}/w")), (Method::POST, kind.to_owned())] {
            let answer = caller.send(method, &path, Some(&body)).await;
            assert!((200..500).contains(&answer.status), "{body}: {}", answer.body);
        }
    }
    // A vital sign that its profile refuses in several places.
    caller.send(Method::PUT, "Observation/w", Some(&unlike_its_profile("w"))).await.expect(422);
    let head = r#"<Patient xmlns="http://hl7.org/fhir"><id value="w"/>"#;
    for body in [
        format!("{head}<birthDate value=\"{CANARY}-date\"/></Patient>"),
        format!("{head}<active value=\"{CANARY}-boolean\"/></Patient>"),
        format!("{head}<name><family value=\"{CANARY}-a\"/><family value=\"{CANARY}-b\"/></name></Patient>"),
        format!("{head}{CANARY}-text</Patient>"),
        format!("{head}<gender value=\"{CANARY}-cut"),
        format!("<!DOCTYPE x [<!ENTITY e \"{CANARY}-entity\">]>{head}</Patient>"),
        format!(
            "{head}<text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\">{CANARY}-div</text></Patient>"
        ),
    ] {
        let request = client().put(format!("{}/Patient/w", caller.base)).bearer_auth(&caller.token);
        let answer = caller.ask(request.header("content-type", "application/fhir+xml").body(body.clone()), &body).await;
        assert!((200..500).contains(&answer.status), "{body}: {}", answer.body);
    }
    for query in [
        format!("Observation?date={CANARY}"),
        format!("Observation?_count={CANARY}"),
        format!("Observation?_sort={CANARY}"),
        format!("Observation?patient={CANARY}_bad"),
        format!("Observation?subject=%23{CANARY}"),
        format!("Patient?identifier={CANARY}%7Ca%7Cb"),
        format!("Patient?name={CANARY}%5Cx"),
        format!("Patient?name:exact={CANARY}"),
        format!("Patient?_id={CANARY}_x"),
        format!("Patient?_page={CANARY}"),
        format!("Patient?name={CANARY}%zz"),
        format!("Patient?_format={CANARY}"),
        format!("Patient?_include={CANARY}"),
        format!("Patient/w/_history?_count={CANARY}"),
        format!("Patient/w/_history/{CANARY}"),
        format!("Patient?name={CANARY}{}", "x".repeat(17_000)),
    ] {
        let answer = caller.send(Method::GET, &query, None).await;
        assert!((200..500).contains(&answer.status), "{query}: {}", answer.body);
    }
    for (name, value) in [
        ("accept", format!("{CANARY}/x")),
        ("if-match", format!("W/\"{CANARY}\"")),
        ("content-type", format!("{CANARY}/y")),
        ("content-encoding", CANARY.to_owned()),
        ("prefer", CANARY.to_owned()),
        ("x-request-id", CANARY.to_owned()),
        ("traceparent", format!("00-{CANARY}")),
        ("tracestate", format!("{CANARY}=1")),
        ("baggage", format!("{CANARY}=1")),
        ("user-agent", CANARY.to_owned()),
        ("origin", format!("https://{CANARY}.example")),
        ("if-none-exist", format!("identifier={CANARY}")),
    ] {
        for method in [Method::GET, Method::PUT, Method::POST] {
            let path = if method == Method::POST { "Patient" } else { "Patient/w" };
            let request = client().request(method.clone(), format!("{}/{path}", caller.base));
            let request = request.bearer_auth(&caller.token).header(name, &value).body(patient("w").to_string());
            caller.ask(request, &format!("{method} with {name}")).await;
        }
    }
    // Credentials that are none.
    for credential in [
        format!("Bearer {CANARY}"),
        format!("Bearer {CANARY}.{CANARY}.{CANARY}"),
        format!("Basic {CANARY}"),
        format!("{CANARY} x"),
        format!("Bearer {}", caller.token.replace('.', "x")),
        format!("Bearer {}A", caller.token),
        format!("Bearer {}, Bearer {CANARY}", caller.token),
    ] {
        let request = client().get(format!("{}/Patient/w", caller.base)).header("authorization", &credential);
        let answer = caller.ask(request, &credential).await;
        assert!(matches!(answer.status, 400 | 401), "{credential}: {}", answer.body);
    }
    let in_address = format!("{}/Patient?access_token={}", caller.base, caller.token);
    caller.ask(client().get(in_address), "a token in the address").await.expect(400);
}

#[tokio::test]
async fn x32_logs_metrics_traces_and_refusals_say_nothing_of_patients_and_tokens() {
    // given a server whose every word is kept
    let collector = Collector::start().await;
    let outside = Outside::fresh().await;
    let program = outside
        .program
        .clone()
        .with("VITALS_PUBLIC_URL", "http://vitals.test")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .with("OTEL_BSP_SCHEDULE_DELAY", "200");
    let name = outside.tenants(1).await.remove(0);
    let patient_id = format!("{CANARY}-id");
    let token = program
        .run(&[
            "token",
            "--tenant",
            &name,
            "--scope",
            "system/*.cruds",
            "--sub",
            "CANARY-subject",
            "--client",
            "CANARY-client",
            "--encounter",
            "CANARY-encounter",
            "--fhir-user",
            "Practitioner/CANARY-user",
        ])
        .await
        .expect(0)
        .stdout
        .trim()
        .to_owned();
    let role = outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{name}'")).await;
    let server = program.serve().await;
    let mut heard = Heard::default();
    let mut caller = Caller { base: format!("{}/t/{name}/fhir", server.url), token: token.clone(), heard: &mut heard };

    // when all goes well
    succeed(&mut caller, &patient_id).await;
    // and when it does not
    fail(&mut caller).await;
    // and when the database itself refuses, with the row in its explanation
    outside
        .sql(&format!("ALTER TABLE {role}.patient ADD CONSTRAINT boom CHECK (id <> '{CANARY}-boom') NOT VALID"))
        .await;
    let boom = format!("Patient/{CANARY}-boom");
    caller.send(Method::PUT, &boom, Some(&patient(&format!("{CANARY}-boom")).to_string())).await.expect(500);
    outside.sql(&format!("ALTER TABLE {role}.observation RENAME COLUMN body TO lost")).await;
    caller.send(Method::GET, &format!("Observation/{patient_id}"), None).await.expect(500);
    caller.send(Method::GET, &format!("Observation?code={CANARY}"), None).await.expect(500);
    let body = observation("boom", &patient_id).to_string();
    caller.send(Method::PUT, "Observation/boom", Some(&body)).await.expect(500);
    // and when somebody deletes
    caller.send(Method::DELETE, &format!("Patient/{patient_id}"), None).await.expect(204);
    caller.send(Method::GET, &format!("Patient/{patient_id}"), None).await.expect(410);
    // and when an address is nobody's
    for path in
        [format!("/t/{CANARY}/fhir/Patient"), format!("/t/canary-tenant/fhir/Patient/{CANARY}"), format!("/{CANARY}")]
    {
        caller.ask(client().get(format!("{}{path}", server.url)), &path).await;
    }
    // and when the operator is asked
    let operator = format!("{}/operator/tenants/{CANARY}", server.operator_url);
    caller.ask(client().get(&operator).bearer_auth(CANARY), "the operator").await;
    let metrics = Answer::of(client().get(format!("{}/metrics", server.operator_url))).await.expect(200).body;

    poll::until("the caller's trace is exported", async || collector.holds(&bytes_of(TRACE))).await;
    server.process.terminate();
    let ran = server.process.end(STOPS_WITHIN + Duration::from_secs(10)).await.expect(0);

    // then nobody hears of it
    let mut secrets = vec![CANARY.to_owned(), "987.65432".to_owned(), "1980-02-29".to_owned()];
    secrets.extend(token.split('.').map(str::to_owned));
    silent("the log", &ran.stderr, &secrets);
    silent("standard output", &ran.stdout, &secrets);
    silent("the metrics page", &metrics, &secrets);
    silent("the metrics page", &metrics, &[name.clone(), role.clone()]);
    let exported = String::from_utf8_lossy(&collector.received.lock().expect("nobody panicked")).into_owned();
    silent("the traces", &exported, &secrets);
    for (what, body) in &heard.refusals {
        // The id and the parameter that a caller asked for stand in what it is told; no value ever does.
        let body = [patient_id.as_str(), "CANARY-boom", "CANARY-parameter"]
            .iter()
            .fold(body.clone(), |body, id| body.replace(id, ""));
        silent(&format!("the answer to {what}"), &body, &secrets);
    }
    for (what, headers) in &heard.headers {
        let headers = headers.replace(&patient_id, "").replace("CANARY-boom", "");
        silent(&format!("the headers of the answer to {what}"), &headers, &secrets);
    }
    let data = outside.sql("SHOW data_directory").await;
    let log = Path::new(&data).with_file_name("postgres.log");
    let database = std::fs::read_to_string(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    silent("the log of the database", &database, &secrets);

    // though all of them say something
    assert!(
        ran.stderr.contains("\"answered\"") && ran.stderr.contains("a statement on tenant data failed"),
        "{}",
        ran.stderr
    );
    for line in ran.stderr.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not JSON: {line}");
    }
    let answered = ran.stderr.lines().filter(|line| line.contains("\"answered\"")).count();
    assert!(answered >= heard.headers.len(), "{answered} lines for {} answers", heard.headers.len());
    assert!(metrics.contains("http_server_request_duration_seconds_bucket"), "{metrics}");
    assert!(metrics.contains("fhir_interaction=\"search-type\""), "{metrics}");
    assert!(exported.contains("fhir.interaction") && exported.contains("search-type") && exported.contains("vitals"));
    assert!(collector.holds(&bytes_of(SPAN)), "our spans are children of the caller's");
    assert!(database.contains("ready to accept connections"), "{database}");
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("a byte")).collect()
}

#[tokio::test]
async fn whatever_servers_of_this_run_say_is_heard() {
    let tenant = Tenant::fresh().await;
    let before = oracle::lines();
    tenant.put("Patient/a", &tenant.all(), &patient("a").to_string()).await.expect(201);
    // An answered request says so, and its span is heard when it ends.
    poll::until("the lines of a request", || async { oracle::lines() > before }).await;
    oracle::silent();
}

/// A way to say a text.
type Say = fn(&str);

#[test]
fn whatever_is_planted_is_known_when_it_is_heard() {
    // given ears of their own, so that nothing of this is heard by other tests
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.AA";
    let key = json!({ "kty": "EC", "d": "secret" }).to_string();
    let says: [(&str, Say); 5] = [
        ("a line", |text| tracing::debug!(target: "vitals_server::rest", "{text}")),
        ("a field", |text| tracing::info!(target: "vitals_store::pool", text, "a line")),
        ("an error", |text| tracing::error!(target: "vitals_access", error = %std::io::Error::other(text), "a line")),
        ("a line of a library", |text| tracing::warn!(target: "sqlx::query", statement = text)),
        ("a span", |text| drop(tracing::info_span!(target: "vitals_server::rest", "request", tenant.id = text))),
    ];
    for planted in [CANARY, "x mrn-1 y", "Lovelace", "1980-02-29", token, key.as_str(), "-----BEGIN PRIVATE KEY-----"] {
        for (what, say) in says {
            for (text, finds) in [(planted, 1), ("answered", 0)] {
                let heard: &'static oracle::Heard = Box::leak(Box::default());
                tracing::subscriber::with_default(oracle::subscriber(heard), || say(text));
                assert_eq!((heard.lines(), heard.finds().len()), (1, finds), "{what}: {text}: {:?}", heard.finds());
            }
        }
    }
}
