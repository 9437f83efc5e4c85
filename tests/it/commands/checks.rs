//! `vitals doctor`, `audit`, `setup` and `openapi`: what looks and does not change tenants.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};
use vitals_store::embedded::{Embedded, EmbeddedOptions};
use vitals_tests::{
    Answer, Program, poll,
    program::{self, Outside, Shared},
    samples,
    tenant::client,
};

use super::{ask, get, members, tenant, token};

/// The passwords of an embedded database.
fn passwords(folder: &Path) -> Vec<String> {
    let names = ["database-admin", "database-app", "database-audit-read", "database-audit-write"];
    let read = |name: &str| fs::read_to_string(folder.join("secrets").join(name)).expect("a password");
    names.map(|name| read(name).trim().to_owned()).to_vec()
}

/// The checks of the doctor that failed.
fn failed(checks: &Value) -> Vec<&str> {
    let checks = checks.as_array().expect("an array");
    checks.iter().filter(|check| check["ok"] == false).map(|check| check["check"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn the_doctor_finds_a_running_installation_well_and_hides_its_passwords() {
    let program = Program::embedded();
    let server = program.serve().await;
    tenant(&program, "patient").await;

    let json = program.run(&["doctor", "--json"]).await.expect(0);
    let people = program.run(&["doctor"]).await.expect(0);
    server.stop().await.expect(0);

    let checks = json.json();
    assert!(checks.as_array().is_some_and(|checks| checks.len() > 10), "{checks}");
    for check in checks.as_array().expect("an array") {
        assert_eq!(members(check), ["advice", "check", "ok"]);
        assert_eq!(check["ok"], true, "{check}");
    }
    assert!(json.stdout.contains("postgres://vitals_app:***@"), "{}", json.stdout);
    for password in passwords(&program.folder) {
        assert!(
            ![&json.stdout, &json.stderr, &people.stdout, &people.stderr].iter().any(|text| text.contains(&password))
        );
    }
    assert!(people.stdout.lines().skip(1).all(|line| line.contains(" ok ")), "{}", people.stdout);
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let program = Program::embedded();
    program.run(&["tenant", "create", "north"]).await.expect(0);
    let token = program.folder.join("operator.token");
    fs::write(&token, "a-token-that-everybody-reads").expect("a file can be written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("its mode can be changed");

    let exposed = program.run(&["doctor", "--json"]).await.expect(1);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("its mode can be changed");
    let other_key =
        program.clone().with("VITALS_MASTER_KEY", &"11".repeat(32)).run(&["doctor", "--json"]).await.expect(1);
    fs::remove_file(&token).expect("it is there");
    let people = program.with("VITALS_OPERATOR_TOKEN_FILE", "/nowhere/token").run(&["doctor"]).await.expect(1);

    assert_eq!(failed(&exposed.json()), ["operator token"]);
    assert!(exposed.stdout.contains("chmod 600"), "{}", exposed.stdout);
    assert_eq!(failed(&other_key.json()), ["master key and the tenants' keys"]);
    assert_eq!(people.stdout.lines().filter(|line| line.contains("FAILED")).count(), 1, "{}", people.stdout);
}

#[tokio::test]
async fn the_doctor_sees_rights_that_no_login_should_have() {
    let outside = Outside::fresh().await;
    outside.tenants(1).await;
    let well = outside.program.run(&["doctor", "--json"]).await;
    // fsync is off for tests, and said so.
    assert_eq!(failed(&well.expect(1).json()), ["commits reach the disk"]);

    let role = outside.sql("SELECT role FROM control.tenant").await;
    outside.sql(&format!("GRANT SELECT ON {role}.patient TO vitals_app")).await;
    outside.sql("GRANT CREATE ON SCHEMA public TO PUBLIC").await;

    let ill = outside.program.run(&["doctor", "--json"]).await.expect(1);
    assert!(failed(&ill.json()).contains(&"rights of the login roles"), "{}", ill.stdout);
    // And it does not serve so.
    let served = outside.program.run(&["serve"]).await.expect(1);
    for part in ["will not serve", &format!("REVOKE ALL ON {role}.patient FROM vitals_app"), "may create in"] {
        assert!(served.stderr.contains(part), "no {part:?} in: {}", served.stderr);
    }
}

#[tokio::test]
async fn a_trail_that_holds_is_said_to_hold() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "trail").await;
    let token = token(program, &id, "system/*.cruds").await;
    ask(reqwest::Method::PUT, &id, "Patient/p1", &token, Some(&samples::patient("p1", "Amsel"))).await.expect(201);
    get(&id, "Patient/p1", &token).await.expect(200);
    get(&id, "Patient/p2", &token).await.expect(404);

    let verified = program.run(&["audit", "verify", "--tenant", &id, "--json"]).await.expect(0).json();
    let people = program.run(&["audit", "verify"]).await.expect(0);
    let tail = program.run(&["audit", "tail", "--tenant", &id, "--json"]).await.expect(0).json();

    assert_eq!(members(&verified), ["first_bad", "ok", "records"]);
    assert_eq!((&verified["ok"], &verified["first_bad"]), (&json!(true), &Value::Null));
    assert!(people.stdout.ends_with("records, and every one holds\n"), "{}", people.stdout);
    let tail = tail.as_array().expect("an array");
    assert_eq!(verified["records"], tail.len());
    let seen: Vec<String> = tail
        .iter()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("origin"), text("action"), text("decision"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            "cli tenant.create allowed",
            "cli token.issue allowed",
            "http update allowed",
            "http read allowed",
            "http read denied",
        ]
    );
    assert!(!tail.iter().any(|record| record.to_string().contains("Amsel")));
}

#[tokio::test]
async fn every_command_that_changes_something_is_in_the_trail() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "recorded").await;
    program.run(&["tenant", "suspend", &id]).await.expect(0);
    program.run(&["tenant", "resume", &id]).await.expect(0);
    program.run(&["migrate", "up", "--tenant", &id]).await.expect(0);
    program.run(&["tenant", "create", &id]).await.expect(1);
    let file = program.file(&format!("{id}.ndjson"), &format!("{}\n", samples::patient("p1", "Amsel")));
    program.run(&["import", "--tenant", &id, &file]).await.expect(0);
    program.run(&["tenant", "delete", &id, "--confirm", &id]).await.expect(0);

    let tail = program.run(&["audit", "tail", "--lines", "10000", "--json"]).await.expect(0).json();

    let about = |record: &&Value| record["tenant"] == id.as_str() && record["reason"] != "begun";
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or("-").to_owned();
    let seen = tail.as_array().expect("an array").iter().filter(about);
    let mut seen: Vec<String> =
        seen.map(|record| ["origin", "action", "decision"].map(|name| text(record, name)).join(" ")).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "cli import allowed",
            "cli migrate.up allowed",
            "cli tenant.create allowed",
            "cli tenant.create denied",
            "cli tenant.delete allowed",
            "cli tenant.resume allowed",
            "cli tenant.suspend allowed",
            "job import allowed",
        ]
    );
}

#[tokio::test]
async fn a_record_that_was_changed_or_removed_is_found() {
    let outside = Outside::fresh().await;
    for id in ["north", "south"] {
        outside.program.run(&["tenant", "create", id]).await.expect(0);
        outside.program.run(&["token", "--tenant", id, "--scope", "vitals:read"]).await.expect(0);
        outside.program.run(&["tenant", "suspend", id]).await.expect(0);
    }
    outside.program.run(&["audit", "verify"]).await.expect(0);
    let role = outside.sql("SELECT role FROM control.tenant WHERE name = 'north'").await;
    let keep = "CREATE TABLE public.kept AS SELECT * FROM audit.record";
    outside.audit_sql(keep).await;
    let issued = format!("WHERE chain = '{role}' AND record LIKE '%token.issue%'");

    let tampering = [
        format!("UPDATE audit.record SET record = replace(record, 'vitals:read', 'vitals:writ') {issued}"),
        format!("DELETE FROM audit.record {issued}"),
        format!("UPDATE audit.record SET time = time + interval '1 second' {issued}"),
        format!("UPDATE audit.record SET previous = hash {issued}"),
    ];
    for statement in tampering {
        outside.audit_sql(&statement).await;

        let found = outside.program.run(&["audit", "verify", "--json"]).await.expect(1).json();
        let people = outside.program.run(&["audit", "verify", "--tenant", "north"]).await.expect(1);

        assert_eq!(found["ok"], false, "{statement}");
        assert_eq!(members(&found["first_bad"]), ["reason", "sequence", "tenant", "writer"], "{statement}");
        assert_eq!(found["first_bad"]["tenant"], "north", "{statement}");
        assert!(people.stdout.starts_with("the trail does not hold: record "), "{}", people.stdout);
        outside.program.run(&["audit", "verify", "--tenant", "south"]).await.expect(0);
        outside.audit_sql("TRUNCATE audit.record; INSERT INTO audit.record SELECT * FROM public.kept").await;
        outside.program.run(&["audit", "verify"]).await.expect(0);
    }
}

#[tokio::test]
async fn setup_may_be_repeated_and_shows_no_password_it_was_given() {
    let outside = Outside::not_set_up().await;
    let before = outside.program.run(&["tenant", "list"]).await.expect(1);
    assert!(before.stderr.contains("vitals setup"), "{}", before.stderr);

    let first = outside.program.run(&["setup", "--json"]).await.expect(0);
    let second = outside.program.run(&["setup", "--json"]).await.expect(0);
    let people = outside.program.run(&["setup"]).await.expect(0);

    assert_eq!(members(&first.json()), ["audit_database_url", "database_url", "made", "pending"]);
    assert!(first.json()["made"].as_array().is_some_and(|made| !made.is_empty()), "{}", first.stdout);
    assert_eq!((&second.json()["made"], &second.json()["pending"]), (&json!([]), &json!([])));
    assert!(people.stdout.starts_with("VITALS_DATABASE_URL=postgres://vitals_app:***@"), "{}", people.stdout);
    let password = outside.urls.app.split([':', '@']).nth(2).expect("a password");
    for ran in [&before, &first, &second, &people] {
        assert!(!ran.stdout.contains(password) && !ran.stderr.contains(password), "{ran:?}");
    }
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
}

#[tokio::test]
async fn setup_with_nothing_but_an_administrator_prints_what_a_server_needs() {
    let place = Program::embedded();
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    let database = Embedded::start_with(&place.folder, options, &mut |_| {}).await.expect("a PostgreSQL without us");
    let admin = database.urls().admin.expect("the embedded database has an administrator");
    let program =
        Program::embedded().with("VITALS_ADMIN_DATABASE_URL", &admin).with("VITALS_MASTER_KEY", &"11".repeat(32));

    let printed = program.run(&["setup"]).await.expect(0).stdout;
    let again = program.run(&["setup"]).await;

    again.expect_sentence(1, "role vitals_app is there already");
    let mut program = program;
    for line in printed.lines() {
        let (name, value) = line.split_once('=').expect("a variable");
        assert!(["VITALS_DATABASE_URL", "VITALS_AUDIT_DATABASE_URL"].contains(&name), "{printed}");
        program = program.with(name, value);
    }
    program.run(&["tenant", "create", "north"]).await.expect(0);
    // A server needs no administrator.
    let server = program.clone().without("VITALS_ADMIN_DATABASE_URL").serve().await;
    let token = token(&program, "north", "system/*.rs").await;
    let url = format!("{}/t/north/fhir/Patient", server.url);
    Answer::of(client().get(url).bearer_auth(token)).await.expect(200);
    server.stop().await.expect(0);
    database.stop().await.expect("it stops");
}

#[tokio::test]
async fn openapi_is_what_the_server_says() {
    let Shared { program, server, .. } = program::shared().await;

    let printed = program.run(&["openapi"]).await.expect(0);

    let served = Answer::of(client().get(format!("{}/openapi.json", server.url))).await.expect(200);
    assert_eq!(printed.json(), served.json());
}

#[tokio::test]
async fn commands_without_a_server_start_the_database_for_themselves() {
    let program = Program::embedded();
    let made = program.run(&["tenant", "create", "north"]).await.expect(0);
    // Nobody uses it any more.
    poll::until("the database is gone", async || !program.folder.join("postgres/postmaster.pid").exists()).await;

    let listed = program.run(&["tenant", "list", "--json"]).await.expect(0);

    assert!(made.stderr.contains("preparing a PostgreSQL"), "{}", made.stderr);
    assert_eq!((listed.json()[0]["id"].as_str(), listed.stderr.as_str()), (Some("north"), ""));
    assert!(!program.folder.join("postgres/postmaster.pid").exists());
}
