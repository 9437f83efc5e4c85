//! The command line, as a person or a script meets it: the real program, beside a server that runs.

mod access;
mod checks;
mod grants;
mod imports;
mod issuers;
mod limits;
mod trail;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use vitals_tests::{
    Answer, Program,
    program::{self, Shared},
    samples,
    tenant::client,
};

/// A tenant's members, as the contract names them.
const TENANT: [&str; 7] = ["created", "id", "isolation", "name", "status", "tier", "version"];

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    let tail = uuid::Uuid::new_v4().simple().to_string();
    format!("{name}-{}", &tail[..12])
}

/// A fresh tenant, made by the command.
pub async fn tenant(program: &Program, name: &str) -> String {
    let id = unique(name);
    program.run(&["tenant", "create", &id]).await.expect(0);
    id
}

/// A token, made by the command.
pub async fn token(program: &Program, tenant: &str, scope: &str) -> String {
    let ran = program.run(&["token", "--tenant", tenant, "--scope", scope]).await.expect(0);
    ran.stdout.trim_end().to_owned()
}

/// A request below a tenant's FHIR base on the shared server.
pub async fn ask(method: Method, tenant: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
    let server = &program::shared().await.server;
    let url = format!("{}/t/{tenant}/fhir/{path}", server.url);
    let mut request = client().request(method, url).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("content-type", "application/fhir+json").body(body.to_string());
    }
    Answer::of(request).await.sound()
}

/// A read below a tenant's FHIR base on the shared server.
pub async fn get(tenant: &str, path: &str, token: &str) -> Answer {
    ask(Method::GET, tenant, path, token, None).await
}

/// The names of an object's members, in the order of the alphabet.
#[track_caller]
pub fn members(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("not an object: {value}"));
    object.keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
}

#[tokio::test]
async fn tenants_are_made_listed_and_shown_with_the_members_of_the_contract() {
    let Shared { program, .. } = program::shared().await;
    let id = unique("shown");

    let made =
        program.run(&["tenant", "create", &id, "--name", "Sankt Märgen", "--tier", "gold", "--json"]).await.expect(0);

    let made = made.json();
    assert_eq!(members(&made), TENANT);
    assert_eq!(
        (&made["id"], &made["name"], &made["tier"]),
        (&id.as_str().into(), &"Sankt Märgen".into(), &"gold".into())
    );
    assert_eq!((&made["status"], &made["isolation"]), (&"active".into(), &"schema".into()));
    assert!(made["created"].as_str().is_some_and(|time| time.ends_with('Z')), "{made}");
    assert_eq!(program.run(&["tenant", "show", &id, "--json"]).await.expect(0).json(), made);
    let listed = program.run(&["--json", "tenant", "list"]).await.expect(0).json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.iter().filter(|row| **row == made).count(), 1);
    assert!(listed.iter().all(|row| members(row) == TENANT));
}

#[tokio::test]
async fn people_get_tables_and_fields() {
    let Shared { program, server, .. } = program::shared().await;
    let id = unique("people");

    let made = program.run(&["tenant", "create", &id, "--name", "People's"]).await.expect(0);
    let list = program.run(&["tenant", "list"]).await.expect(0);
    let show = program.run(&["tenant", "show", &id]).await.expect(0);

    assert_eq!(made.stdout, format!("tenant {id} is at {}/t/{id}/fhir\n", server.url));
    let heading: Vec<&str> = list.stdout.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heading, ["ID", "NAME", "STATUS", "ISOLATION", "TIER", "VERSION", "CREATED"]);
    assert!(list.stdout.lines().any(|line| line.starts_with(&id) && line.contains("People's")), "{}", list.stdout);
    let fields: Vec<&str> = show.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(fields, ["id", "name", "status", "isolation", "tier", "version", "created"]);
    for ran in [made, list, show] {
        assert_eq!(ran.stderr, "");
    }
}

#[tokio::test]
async fn a_tenant_serves_when_create_returns() {
    let Shared { program, .. } = program::shared().await;
    for _ in 0..5 {
        let id = tenant(program, "at-once").await;
        let token = token(program, &id, "system/*.cruds").await;

        let created = ask(Method::POST, &id, "Patient", &token, Some(&samples::patient("p", "Amsel"))).await;

        created.expect(201);
    }
}

#[tokio::test]
async fn a_taken_name_is_refused_and_changes_nothing() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "taken").await;
    let before = program.run(&["tenant", "show", &id, "--json"]).await.expect(0).json();

    let again = program.run(&["tenant", "create", &id, "--name", "Another"]).await;

    again.expect_sentence(1, &format!("there is a tenant {id} already"));
    assert_eq!(program.run(&["tenant", "show", &id, "--json"]).await.expect(0).json(), before);
}

#[tokio::test]
async fn what_is_no_tenant_name_is_a_usage_error() {
    let Shared { program, .. } = program::shared().await;
    let too_long = "a".repeat(41);
    let names = [
        "",
        "a",
        "ab",
        "North",
        "NORTH",
        "1north",
        "north-",
        "-north",
        "north_1",
        "north ",
        " north",
        "nörth",
        "north\"",
        "north;--",
        "a,b",
        "north/south",
        "public",
        "default",
        "system",
        "operator",
        "admin",
        "auth",
        "fhir",
        "pgvitals",
        "pg-north",
        &too_long,
    ];
    for name in names {
        // After `--` a name may begin as an option does.
        let ran = program.run(&["tenant", "create", "--", name]).await.expect(2);
        assert_eq!(ran.stdout, "", "{name:?}");
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{name:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_command_that_makes_no_sense_ends_with_two() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "usage").await;
    let id = id.as_str();
    let lines: [&[&str]; 22] = [
        &[],
        &["serv"],
        &["tenant"],
        &["tenant", "create"],
        &["tenant", "create", "usage-x", "--isolation", "none"],
        &["tenant", "create", "usage-x", "--tier", "two words"],
        &["tenant", "create", "usage-x", "--name", ""],
        &["tenant", "create", "usage-x", "--issuer", "https://idp.example"],
        &["tenant", "create", "usage-x", "--jwks-url", "https://idp.example/jwks"],
        &["tenant", "list", "--everything"],
        &["tenant", "delete", id],
        &["issuer", "add", "--tenant", id],
        &["issuer", "add", "--tenant", id, "--issuer", "https://i", "--jwks", "f", "--jwks-url", "https://i/jwks"],
        &["migrate", "up", "--jobs", "0"],
        &["token", "--tenant", id],
        &["token", "--scope", "vitals:read"],
        &["token", "--tenant", id, "--scope", "", "--ttl", "1"],
        &["token", "--tenant", id, "--scope", "", "--ttl", "25h"],
        &["token", "--tenant", id, "--scope", "", "--patient", "Patient/p1"],
        &["import", "--tenant", id],
        &["audit", "tail", "--lines", "-1"],
        &["tenant", "list", "--listen", "8080"],
    ];
    for line in lines {
        let ran = program.run(line).await.expect(2);
        assert_eq!(ran.stdout, "", "{line:?}");
        assert!(!ran.stderr.is_empty(), "{line:?}");
    }
    program.run(&["tenant", "show", "usage-x"]).await.expect(1);
}

#[tokio::test]
async fn help_and_version_are_data() {
    let Shared { program, .. } = program::shared().await;
    for line in [["--help"].as_slice(), &["tenant", "--help"], &["tenant", "create", "-h"], &["--version"]] {
        let ran = program.run(line).await.expect(0);
        assert!(ran.stdout.contains("vitals") && ran.stderr.is_empty(), "{line:?}: {ran:?}");
    }
}

#[tokio::test]
async fn every_command_says_in_one_sentence_that_there_is_no_such_tenant() {
    let Shared { program, .. } = program::shared().await;
    let id = unique("nowhere");
    let id = id.as_str();
    let file = program.file("empty.ndjson", "");
    let keys = program.file("keys.json", r#"{"keys":[]}"#);
    let lines: [&[&str]; 12] = [
        &["tenant", "show", id],
        &["tenant", "suspend", id],
        &["tenant", "resume", id],
        &["tenant", "delete", id, "--confirm", id],
        &["issuer", "add", "--tenant", id, "--issuer", "https://idp.example", "--jwks", &keys],
        &["issuer", "list", "--tenant", id],
        &["issuer", "remove", "--tenant", id, "--issuer", "https://idp.example"],
        &["migrate", "up", "--tenant", id],
        &["token", "--tenant", id, "--scope", ""],
        &["import", "--tenant", id, &file],
        &["audit", "verify", "--tenant", id],
        &["audit", "tail", "--tenant", id],
    ];
    for line in lines {
        let ran = program.run(line).await;
        assert_eq!(ran.code, Some(1), "{line:?}: {ran:?}");
        ran.expect_sentence(1, &format!("there is no tenant {id}"));
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_at_once_and_a_resumed_one_served() {
    let Shared { program, .. } = program::shared().await;
    let (id, other) = (tenant(program, "asleep").await, tenant(program, "awake").await);
    let (token, others) = (token(program, &id, "system/*.rs").await, token(program, &other, "system/*.rs").await);
    get(&id, "Patient", &token).await.expect(200);

    let suspended = program.run(&["tenant", "suspend", &id, "--json"]).await.expect(0);
    get(&id, "Patient", &token).await.expect_outcome(403, "forbidden");
    get(&other, "Patient", &others).await.expect(200);
    // Twice is as good as once.
    program.run(&["tenant", "suspend", &id]).await.expect(0);
    let resumed = program.run(&["tenant", "resume", &id, "--json"]).await.expect(0);
    get(&id, "Patient", &token).await.expect(200);

    assert_eq!((members(&suspended.json()), &suspended.json()["status"]), (TENANT.to_vec(), &"suspended".into()));
    assert_eq!((members(&resumed.json()), &resumed.json()["status"]), (TENANT.to_vec(), &"active".into()));
}

#[tokio::test]
async fn delete_asks_for_the_name() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "kept").await;
    let token = token(program, &id, "system/*.rs").await;
    for confirm in ["", "other", "KEPT", &format!("{id}x"), &id[..id.len() - 1]] {
        let ran = program.run(&["tenant", "delete", &id, &format!("--confirm={confirm}")]).await.expect(2);
        assert_eq!(ran.stdout, "", "{confirm:?}");
    }
    get(&id, "Patient", &token).await.expect(200);

    let deleted = program.run(&["tenant", "delete", &id, "--confirm", &id, "--json"]).await.expect(0);

    assert_eq!(deleted.json(), serde_json::json!({ "id": id, "deleted": true }));
    program.run(&["tenant", "show", &id]).await.expect_sentence(1, "there is no tenant");
    get(&id, "Patient", &token).await.expect_outcome(401, "login");
}

/// T20.
#[tokio::test]
async fn a_tenant_made_again_under_its_name_sees_nothing_old() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "again").await;
    let old = token(program, &id, "system/*.cruds").await;
    let patient = samples::patient("p1", "Vogel");
    for version in 1..=2 {
        let written = ask(Method::PUT, &id, "Patient/p1", &old, Some(&patient)).await;
        written.expect(if version == 1 { 201 } else { 200 });
    }
    ask(Method::PUT, &id, "Observation/o1", &old, Some(&samples::heart_rate("o1", "p1"))).await.expect(201);
    get(&id, "Observation?patient=p1", &old).await.expect(200);

    program.run(&["tenant", "delete", &id, "--confirm", &id]).await.expect(0);
    program.run(&["tenant", "create", &id]).await.expect(0);

    get(&id, "Patient/p1", &old).await.expect_outcome(401, "login");
    let new = token(program, &id, "system/*.cruds").await;
    for path in ["Patient/p1", "Patient/p1/_history", "Patient/p1/_history/1", "Observation/o1"] {
        get(&id, path, &new).await.expect_outcome(404, "not-found");
    }
    for path in ["Patient", "Observation", "Observation?patient=p1", "Patient?name=vogel"] {
        assert!(get(&id, path, &new).await.expect(200).ids().is_empty(), "{path}");
    }
    let written = ask(Method::PUT, &id, "Patient/p1", &new, Some(&patient)).await.expect(201);
    assert_eq!(written.json()["meta"]["versionId"], "1");
    get(&id, "Patient/p1", &old).await.expect_outcome(401, "login");
}

#[tokio::test]
async fn token_prints_the_token_alone_and_it_works() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "token").await;

    let ran = program.run(&["token", "--tenant", &id, "--scope", "patient/*.rs", "--patient", "p1"]).await.expect(0);

    assert_eq!(ran.stderr, "");
    let token = ran.stdout.strip_suffix('\n').expect("one line");
    assert_eq!(token.split('.').count(), 3);
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    assert!(token.bytes().all(sign), "{token}");
    get(&id, "Patient", token).await.expect(200);
    get(&id, "Patient/p2", token).await.expect_outcome(404, "not-found");
    // Nowhere but here.
    let other = tenant(program, "elsewhere").await;
    get(&other, "Patient", token).await.expect_outcome(403, "forbidden");
}

#[tokio::test]
async fn scopes_go_in_as_given_and_those_that_grant_nothing_are_warned_of() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "scopes").await;
    let scope = "vitals:reed system/Patient.dc";

    let ran = program.run(&["token", "--tenant", &id, "--scope", scope]).await.expect(0);

    let warnings: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(warnings.len(), 2, "{}", ran.stderr);
    for (warning, scope) in warnings.iter().zip(scope.split(' ')) {
        assert!(warning.starts_with("vitals: ") && warning.contains(scope), "{warning}");
    }
    let token = ran.stdout.trim_end();
    let claims = token.split('.').nth(1).expect("claims");
    let claims: Value = serde_json::from_slice(&vitals_tests::forge::unb64(claims)).expect("claims are JSON");
    assert_eq!(claims["scope"], scope);
    get(&id, "Observation", token).await.expect_outcome(403, "forbidden");
    // None at all is a choice, and no mistake.
    let none = program.run(&["token", "--tenant", &id, "--scope", ""]).await.expect(0);
    assert_eq!(none.stderr, "");
    get(&id, "Observation", none.stdout.trim_end()).await.expect_outcome(403, "forbidden");
}

#[tokio::test]
async fn a_token_of_a_suspended_tenant_comes_with_a_word() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "early").await;
    program.run(&["tenant", "suspend", &id]).await.expect(0);

    let ran = program.run(&["token", "--tenant", &id, "--scope", "system/*.rs"]).await.expect(0);

    assert!(ran.stderr.contains("suspended"), "{}", ran.stderr);
    get(&id, "Patient", ran.stdout.trim_end()).await.expect_outcome(403, "forbidden");
    program.run(&["tenant", "resume", &id]).await.expect(0);
    get(&id, "Patient", ran.stdout.trim_end()).await.expect(200);
}
