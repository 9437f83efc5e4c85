//! How `vitals serve` and `vitals demo` start, stop, and say why they do not.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vitals_tests::{
    Answer, Program, forge, poll,
    program::{Outside, Ran, STOPS_WITHIN, Serving},
    raw, samples,
    tenant::client,
};

/// A password that must not be told to anybody.
const SECRET: &str = "hunter2-secret";

/// A request below the FHIR base of the tenant `north`.
async fn north(server: &Serving, method: Method, path: &str, token: &str, body: Option<String>) -> Answer {
    let mut request = client().request(method, format!("{}/t/north/fhir/{path}", server.url)).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("content-type", "application/fhir+json").body(body);
    }
    Answer::of(request).await
}

/// A token for the tenant `north`.
async fn token(program: &Program) -> String {
    let ran = program.run(&["token", "--tenant", "north", "--scope", "system/*.cruds"]).await.expect(0);
    ran.stdout.trim_end().to_owned()
}

/// Sends all but the end of a request that creates a patient; the end is handed back.
async fn half_sent(server: &Serving, token: &str) -> (TcpStream, String) {
    let body = samples::patient("p", "Amsel").to_string();
    let (first, rest) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /t/north/fhir/Patient HTTP/1.1\r\nhost: vitals.test\r\nauthorization: Bearer {token}\r\n\
         content-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    let address = server.url.strip_prefix("http://").expect("tests serve plain http");
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // Another request that was sent later is answered: the first one has arrived.
    north(server, Method::GET, "Patient", token, None).await.expect(200);
    (stream, rest.to_owned())
}

#[tokio::test]
async fn the_ready_line_is_all_of_standard_output_and_the_log_is_json_line_by_line() {
    let program = Program::embedded();
    program.run(&["tenant", "create", "north"]).await.expect(0);
    let server = program.serve().await;
    let token = token(&program).await;
    north(&server, Method::GET, "Patient", &token, None).await.expect(200);
    north(&server, Method::GET, "Patient/none", &token, None).await.expect(404);
    north(&server, Method::GET, "Patient", "no.token.this", None).await.expect(401);
    let url = server.url.clone();

    let ran = server.stop().await.expect(0);

    assert_eq!(ran.stdout, format!("listening on {url}\n"));
    let lines: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    for line in &lines {
        for member in ["timestamp", "level", "target", "message"] {
            assert!(line[member].is_string(), "{line}");
        }
    }
    let answered = |status: u64| lines.iter().any(|line| line["http.response.status_code"] == status);
    assert!(answered(200) && answered(404) && answered(401), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&token));
}

#[tokio::test]
async fn every_start_finds_what_was_there_before_even_after_a_kill() {
    let program = Program::embedded();
    let first = program.serve().await;
    program.run(&["tenant", "create", "north"]).await.expect(0);
    let written = samples::patient("p1", "Amsel").to_string();
    north(&first, Method::PUT, "Patient/p1", &token(&program).await, Some(written)).await.expect(201);
    first.stop().await.expect(0);
    poll::until("the database is gone", async || !program.folder.join("postgres/postmaster.pid").exists()).await;

    let began = Instant::now();
    let mut second = program.serve().await;
    println!("a start on what is there: {:?}", began.elapsed());
    north(&second, Method::GET, "Patient/p1", &token(&program).await, None).await.expect(200);
    let written = samples::patient("p1", "Meise").to_string();
    north(&second, Method::PUT, "Patient/p1", &token(&program).await, Some(written)).await.expect(200);
    second.process.kill();

    let third = program.serve().await;
    let found = north(&third, Method::GET, "Patient/p1", &token(&program).await, None).await.expect(200);
    assert_eq!(found.json()["name"][0]["family"], "Meise");
    program.run(&["audit", "verify"]).await.expect(0);
}

#[tokio::test]
async fn a_stopping_server_answers_what_it_has_begun_and_takes_nothing_new() {
    let outside = Outside::fresh().await;
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
    let mut server = outside.program.serve().await;
    let (mut stream, rest) = half_sent(&server, &token(&outside.program).await).await;

    let began = Instant::now();
    server.process.terminate();
    let address = server.url.strip_prefix("http://").expect("tests serve plain http").to_owned();
    poll::until("nothing new is taken", async || TcpStream::connect(&address).await.is_err()).await;
    assert!(server.process.is_running());
    stream.write_all(rest.as_bytes()).await.expect("the server reads");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.expect("the server answers");
    let ran = server.process.end(STOPS_WITHIN).await.expect(0);

    println!("from the signal to the end: {:?}", began.elapsed());
    let answer = raw::parse(&received).expect("a whole answer").expect(201);
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    let again = outside.program.serve().await;
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    north(&again, Method::GET, &format!("Patient/{id}"), &token(&outside.program).await, None).await.expect(200);
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_does_not_keep_a_server_from_stopping() {
    let program = Program::embedded();
    let server = program.serve().await;
    program.run(&["tenant", "create", "north"]).await.expect(0);
    let (stream, _) = half_sent(&server, &token(&program).await).await;

    let began = Instant::now();
    server.process.interrupt();
    server.process.end(STOPS_WITHIN).await.expect(0);

    println!("from the signal to the end: {:?}", began.elapsed());
    drop(stream);
    assert!(!program.folder.join("postgres/postmaster.pid").exists(), "the database was left running");
}

#[tokio::test]
async fn a_busy_port_is_told_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = Program::embedded();
    for option in ["--listen", "--operator-listen"] {
        let ran = program.run(&["serve", option, &address]).await;

        let ran = ran.expect_sentence(1, &format!("cannot listen on {address}: another program uses this port"));
        assert!(ran.stderr.contains(&format!("choose another with {option}")), "{}", ran.stderr);
    }
    assert!(!program.folder.exists(), "nothing was begun");
}

#[tokio::test]
async fn a_database_that_is_away_is_told_in_one_sentence() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let url = format!("postgres://vitals_app:{SECRET}@{free}/vitals");
    let program = Program::embedded()
        .with("VITALS_DATABASE_URL", &url)
        .with("VITALS_ADMIN_DATABASE_URL", &url)
        .with("VITALS_MASTER_KEY", &"11".repeat(32));

    for line in [
        ["serve"].as_slice(),
        &["tenant", "list"],
        &["migrate", "status"],
        &["token", "--tenant", "t-1", "--scope", ""],
    ] {
        let ran = program.run(line).await.expect_sentence(1, &format!("no PostgreSQL answers at {free}"));
        assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    }
    let doctor = program.run(&["doctor"]).await.expect(1);
    assert!(doctor.stdout.contains("no PostgreSQL answers") && !doctor.stdout.contains(SECRET), "{}", doctor.stdout);
}

#[tokio::test]
async fn a_wrong_password_is_told_in_one_sentence() {
    let outside = Outside::fresh().await;
    let wrong = with_password(&outside.urls.app, SECRET);
    let program = outside.program.clone().with("VITALS_DATABASE_URL", &wrong);
    for line in [["serve"].as_slice(), &["token", "--tenant", "north", "--scope", ""]] {
        let ran = program.run(line).await.expect_sentence(1, "refused user vitals_app: wrong password");
        assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    }
    let missing = with_database(&outside.urls.app, "nowhere");
    let ran = outside.program.clone().with("VITALS_DATABASE_URL", &missing).run(&["serve"]).await;
    ran.expect_sentence(1, "has no database nowhere: run `vitals setup` first");
}

/// The same address with another password.
fn with_password(url: &str, password: &str) -> String {
    let (user, rest) = url.split_once('@').expect("a password");
    format!("{}:{password}@{rest}", user.rsplit_once(':').expect("a password").0)
}

/// The same address with another database.
fn with_database(url: &str, database: &str) -> String {
    let (server, parameters) = url.split_once('?').expect("parameters");
    format!("{}/{database}?{parameters}", server.rsplit_once('/').expect("a database").0)
}

#[tokio::test]
async fn a_second_server_on_a_data_directory_learns_of_the_first() {
    let program = Program::embedded();
    let first = program.serve().await;

    let ran = program.run(&["serve"]).await.expect_sentence(1, "another vitals server uses");

    assert!(ran.stderr.contains(&format!(" at {}", first.url)), "{}", ran.stderr);
    client().get(format!("{}/healthz", first.url)).send().await.expect("the first one goes on");
    first.stop().await.expect(0);
    program.serve().await.stop().await.expect(0);
}

#[tokio::test]
async fn flags_bind_stronger_than_the_environment_than_the_file() {
    let outside = Outside::fresh().await;
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
    let file = outside.program.file("vitals.toml", "public-url = 'https://file.example'\nlog = 'pretty'\n");
    let plain = outside.program.clone();
    let with_file = plain.clone().with("VITALS_CONFIG", &file);
    let with_both = with_file.clone().with("VITALS_PUBLIC_URL", "https://environment.example");
    let issued = ["token", "--tenant", "north", "--scope", ""];
    let flag = ["--public-url", "https://flag.example", "token", "--tenant", "north", "--scope", ""];
    let file_by_flag = ["token", "--config", &file, "--tenant", "north", "--scope", ""];
    let cases: [(&Program, &[&str], &str); 5] = [
        (&plain, &issued, "http://127.0.0.1:0"),
        (&plain, &file_by_flag, "https://file.example"),
        (&with_file, &issued, "https://file.example"),
        (&with_both, &issued, "https://environment.example"),
        (&with_both, &flag, "https://flag.example"),
    ];
    for (program, line, public_url) in cases {
        let ran = program.run(line).await.expect(0);
        let claims = ran.stdout.split('.').nth(1).expect("claims");
        let claims: Value = serde_json::from_slice(&forge::unb64(claims)).expect("claims are JSON");
        assert_eq!(claims["iss"], format!("{public_url}/t/north/auth"), "{line:?}");
    }
}

#[tokio::test]
async fn settings_that_are_wrong_end_with_two_and_name_where_they_were_given() {
    let program = Program::embedded();
    let unknown = program.file("unknown.toml", "listne = '127.0.0.1:1'\n");
    let broken = program.file("broken.toml", &format!("log = 'json'\ndatabase-url = 'postgres://u:{SECRET}@h/d\n"));
    let outside = format!("postgres://u:{SECRET}@127.0.0.1:1/d");
    let cases: [(&str, &str, &str); 9] = [
        ("VITALS_LISTEN", "8080", "VITALS_LISTEN: must be ADDRESS:PORT"),
        ("VITALS_LISTEN", "0.0.0.0:0", "--public-url is needed"),
        ("VITALS_LOG", "xml", "VITALS_LOG: must be json or pretty"),
        ("VITALS_PUBLIC_URL", "ftp://h", "VITALS_PUBLIC_URL: must be an http or https URL"),
        ("VITALS_CONFIG", "/nowhere/vitals.toml", "cannot read /nowhere/vitals.toml"),
        ("VITALS_CONFIG", &unknown, "no option is called listne"),
        ("VITALS_CONFIG", &broken, "look at line 2"),
        ("VITALS_DATABASE_URL", &outside, "--master-key-file"),
        ("VITALS_DATABASE_URL", "mysql://u@h/d", "VITALS_DATABASE_URL: must be a URL that begins with postgres://"),
    ];
    for (name, value, part) in cases {
        let ran = program.clone().with(name, value).run(&["serve"]).await.expect_sentence(2, part);
        assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    }
    assert!(!program.folder.exists(), "nothing was begun");
}

#[tokio::test]
async fn a_password_in_a_flag_is_warned_of_and_never_shown() {
    let outside = Outside::fresh().await;
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
    let program = outside.program.clone().without("VITALS_DATABASE_URL");
    let (url, admin) = (outside.urls.app.clone(), outside.urls.app_admin().expect("admin"));
    let file = program.file("url", &format!("{url}\n"));
    let issued = ["token", "--tenant", "north", "--scope", ""];

    let in_flag = program.run(&[&["--database-url", &url], &issued[..]].concat()).await.expect(0);
    let in_file = program.run(&[&["--database-url-file", &file], &issued[..]].concat()).await.expect(0);
    let wrong = format!("mysql://u:{SECRET}@h/d");
    let refused = program.run(&["--database-url", &wrong, "serve"]).await.expect_sentence(2, "--database-url: must be");
    let doctor = outside.program.run(&["doctor"]).await.expect(1);
    let served = outside.program.serve().await.stop().await.expect(0);

    assert!(in_flag.stderr.starts_with("vitals: --database-url holds a password"), "{}", in_flag.stderr);
    assert_eq!(in_flag.stderr.lines().count(), 1);
    assert_eq!(in_file.stderr, "");
    let password = |url: &str| url.split([':', '@']).nth(2).expect("a password").to_owned();
    for Ran { stdout, stderr, .. } in [in_flag, in_file, refused, doctor, served] {
        for secret in [SECRET, &password(&url), &password(&admin)] {
            assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}\n{stderr}");
        }
    }
}

#[tokio::test]
async fn a_login_role_that_is_a_superuser_is_not_served_with() {
    let outside = Outside::fresh().await;
    let admin = outside.urls.app_admin().expect("admin");
    let program = outside
        .program
        .clone()
        .with("VITALS_DATABASE_URL", &admin)
        .with("VITALS_AUDIT_DATABASE_URL", &outside.urls.audit_write);

    let ran = program.run(&["serve"]).await.expect(1);

    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("vitals: will not serve with this database:"), "{}", ran.stderr);
    // The first cause, and not all that follows from it.
    let told: Vec<&str> = ran.stderr.lines().skip(1).map(str::trim).collect();
    assert!(told.first().is_some_and(|told| told.starts_with("role vitals_admin is a superuser: ")), "{}", ran.stderr);
    assert!(told.len() <= 2, "{}", ran.stderr);
    outside.program.serve().await.stop().await.expect(0);
}

#[tokio::test]
async fn a_server_with_another_master_key_does_not_start() {
    let outside = Outside::fresh().await;
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
    let other = outside.program.clone().with("VITALS_MASTER_KEY", &"11".repeat(32));

    for line in [["serve"].as_slice(), &["token", "--tenant", "north", "--scope", ""]] {
        let ran = other.run(line).await.expect_sentence(1, "vitals: ");
        assert!(ran.stderr.contains("key") && !ran.stderr.contains("1111"), "{}", ran.stderr);
    }
    let short = outside.program.with("VITALS_MASTER_KEY", SECRET).run(&["serve"]).await.expect_sentence(1, "32 bytes");
    assert!(!short.stderr.contains(SECRET), "{}", short.stderr);
}

/// The demo's lines are given to a shell as they were printed.
#[tokio::test]
async fn the_demos_lines_work_as_pasted() {
    let program = Program::embedded();
    let began = Instant::now();
    let mut demo = program.start(&["demo"]).await;
    let ready = demo.says("listening on ").await;
    println!("from nothing to the demo's ready line: {:?}", began.elapsed());
    let text = demo.stdout();
    let exports: Vec<&str> = text.lines().filter(|line| line.starts_with("export ")).collect();
    assert!(exports[0].starts_with("export TOKEN=") && exports[1].starts_with("export RESEARCH="), "{text}");
    let export = exports.join("\n");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(text.ends_with(&format!("{ready}\n")) && ready.starts_with("listening on http://127.0.0.1:"), "{text}");

    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: there is no curl on this machine to paste the lines for");
        return;
    }
    let answers: Vec<String> = lines.iter().map(|line| pasted(&export, line)).collect();

    let patient: Value = serde_json::from_str(&answers[0]).expect("a resource");
    assert_eq!(patient["resourceType"], "Patient");
    let found: Value = serde_json::from_str(&answers[1]).expect("a resource");
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(5), "{}", answers[1]);
    let values = found["entry"].as_array().expect("entries").iter().map(|entry| &entry["resource"]["valueQuantity"]);
    assert!(values.into_iter().all(|value| value["value"].is_number()), "{}", answers[1]);
    assert!(answers[2].starts_with("HTTP/1.1 201 "), "{}", answers[2]);
    assert!(answers[3].starts_with("HTTP/1.1 403 ") && answers[3].contains("OperationOutcome"), "{}", answers[3]);
    // Heart rates of both hospitals in one list, newest first, and those of one at its own base.
    let over_all: Value = serde_json::from_str(&answers[4]).expect("a resource");
    let found = over_all["entry"].as_array().expect("entries");
    assert_eq!(found.len(), 6, "{}", answers[4]);
    assert!(found.iter().all(|entry| entry["resource"]["meta"]["tag"][0]["system"] == "urn:vitals:tenant"));
    let at_one: Value = serde_json::from_str(&answers[5]).expect("a resource");
    assert_eq!(at_one["entry"].as_array().map(Vec::len), Some(3), "{}", answers[5]);
    demo.terminate();
    demo.end(Duration::from_secs(10)).await.expect(0);
}

fn pasted(export: &str, line: &str) -> String {
    let output = Command::new("sh").args(["-c", &format!("{export}\n{line}")]).output().expect("sh can be started");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("answers are UTF-8")
}
