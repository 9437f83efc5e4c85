//! `vitals tenant set|lockdown`, `vitals client|user|api-key|key …`: what they print, what serves when they return, and
//! that each leaves its records.

use serde_json::{Value, json};
use vitals_tests::{
    Answer, poll,
    program::{self, Program, Shared},
    tenant::client,
};

use super::{get, members, tenant, token, unique};

const FORM: &str = "application/x-www-form-urlencoded";

/// Asks the token endpoint of a tenant of the shared server for a service's token.
async fn service_token(tenant: &str, id: &str, secret: &str) -> Answer {
    let Shared { server, .. } = program::shared().await;
    let request = client().post(format!("{}/t/{tenant}/auth/token", server.url)).basic_auth(id, Some(secret));
    let body = "grant_type=client_credentials&scope=system%2F*.rs";
    Answer::of(request.header("content-type", FORM).body(body)).await
}

/// Reads something with a credential as it stands.
async fn read(tenant: &str, authorization: &str) -> u16 {
    let Shared { server, .. } = program::shared().await;
    let request = client().get(format!("{}/t/{tenant}/fhir/Patient/nobody", server.url));
    Answer::of(request.header("authorization", authorization)).await.status
}

/// The secret that a command showed in its JSON, and then never again.
fn shown<'a>(made: &'a Value, name: &str) -> &'a str {
    made[name].as_str().unwrap_or_else(|| panic!("no {name}: {made}"))
}

async fn json_of(program: &Program, arguments: &[&str]) -> Value {
    program.run(&[arguments, &["--json"]].concat()).await.expect(0).json()
}

#[tokio::test]
async fn a_client_gets_tokens_from_create_to_revoke() {
    let Shared { program, .. } = program::shared().await;
    let (id, name) = (tenant(program, "client").await, unique("svc"));

    let made =
        json_of(program, &["client", "create", "--tenant", &id, "--id", &name, "--scope", "system/*.rs", "--secret"])
            .await;
    let secret = shown(&made, "client_secret");
    let granted = service_token(&id, &name, secret).await.expect(200).json();
    let bearer = format!("Bearer {}", shown(&granted, "access_token"));
    assert_eq!(read(&id, &bearer).await, 404);
    let listed = json_of(program, &["client", "list", "--tenant", &id]).await;
    assert_eq!((&listed[0]["client_id"], listed[0].get("client_secret")), (&json!(name), None));
    let people = program.run(&["client", "list", "--tenant", &id]).await.expect(0);
    assert!(people.stdout.contains(&name) && !people.stdout.contains(secret), "{}", people.stdout);

    program.run(&["client", "revoke", &name, "--tenant", &id]).await.expect(0);
    assert_eq!(read(&id, &bearer).await, 401, "its tokens end with it");
    assert_eq!(service_token(&id, &name, secret).await.json()["error"], "invalid_client");
    program.run(&["client", "revoke", &name, "--tenant", &id]).await.expect_sentence(1, "has no client");
    let taken = ["client", "create", "--tenant", &id, "--id", &name, "--scope", "system/*.rs"];
    program.run(&taken).await.expect_sentence(1, "already");
}

#[tokio::test]
async fn what_a_client_may_not_be_is_told() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "refused").await;
    let create = |more: &'static [&'static str]| {
        let id = id.clone();
        async move {
            let begin = ["client", "create", "--tenant", &id, "--id", "app", "--scope", "patient/*.rs"];
            program.run(&[&begin[..], more].concat()).await
        }
    };
    for (more, part) in [
        (&["--redirect-uri", "http://app.example/cb"][..], "redirect URI"),
        (&["--redirect-uri", "https://app.example/cb#part"], "redirect URI"),
        (&["--redirect-uri", "https://app.example/*"], "redirect URI"),
        (&["--redirect-uri", "javascript:alert(1)"], "redirect URI"),
        (&["--jwks", "/nowhere/keys.json"], "cannot read --jwks"),
    ] {
        create(more).await.expect_sentence(1, part);
    }
    create(&["--secret", "--jwks-url", "https://app.example/jwks"]).await.expect(2);
    let nowhere = ["client", "create", "--tenant", "nobody-here", "--id", "app", "--scope", "openid"];
    program.run(&nowhere).await.expect_sentence(1, "there is no tenant nobody-here");
}

#[tokio::test]
async fn a_users_password_is_shown_once_or_taken_from_a_file() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "user").await;
    let file = program.file(&unique("password"), "correct horse battery staple\n");
    let short = program.file(&unique("password"), "short");

    let made = json_of(program, &["user", "create", "--tenant", &id, "--username", "Ada", "--patient", "p1"]).await;
    let from_file = [
        "user",
        "create",
        "--tenant",
        &id,
        "--username",
        "bob",
        "--fhir-user",
        "Practitioner/7",
        "--password-file",
        &file,
    ];
    let bob = json_of(program, &from_file).await;
    let refused = ["user", "create", "--tenant", &id, "--username", "eve", "--password-file", &short];
    program.run(&refused).await.expect_sentence(1, "password");
    program.run(&["user", "create", "--tenant", &id, "--username", "ADA"]).await.expect_sentence(1, "taken");

    assert!(shown(&made, "password").len() >= 12);
    assert_eq!((&made["username"], &made["patients"]), (&json!("ada"), &json!(["p1"])));
    assert_eq!((bob.get("password"), &bob["fhirUser"]), (None, &json!("Practitioner/7")));
    let listed = json_of(program, &["user", "list", "--tenant", &id]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(listed[0].get("password").is_none());
    program.run(&["user", "revoke", "bob", "--tenant", &id]).await.expect(0);
    program.run(&["user", "revoke", "carol", "--tenant", &id]).await.expect_sentence(1, "has no user carol");
}

#[tokio::test]
async fn api_keys_are_taken_only_where_they_are_switched_on_and_never_in_production() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "api-key").await;
    let made = json_of(program, &["api-key", "create", "--tenant", &id, "--scope", "system/*.rs", "--ttl", "1h"]).await;
    let key = format!("ApiKey {}", shown(&made, "key"));
    assert_eq!(read(&id, &key).await, 401, "switched off");

    let set = json_of(program, &["tenant", "set", &id, "--api-keys", "on"]).await;
    assert_eq!(set["api_keys"], true);
    assert_eq!(read(&id, &key).await, 404);
    program.run(&["tenant", "set", &id, "--production", "on"]).await.expect_sentence(2, "production");
    program.run(&["tenant", "set", &id, "--production", "on", "--api-keys", "off"]).await.expect(0);
    assert_eq!(read(&id, &key).await, 401, "in production");

    program.run(&["tenant", "set", &id, "--production", "off", "--api-keys", "on"]).await.expect(0);
    assert_eq!(read(&id, &key).await, 404);
    program.run(&["api-key", "revoke", shown(&made, "id"), "--tenant", &id]).await.expect(0);
    assert_eq!(read(&id, &key).await, 401, "revoked");
    let listed = json_of(program, &["api-key", "list", "--tenant", &id]).await;
    assert!(listed[0]["revoked"].is_string() && listed[0].get("key").is_none(), "{listed}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "settings").await;
    for (option, value) in [
        ("--colour", "red"),
        ("--origin", "https://app.example/"),
        ("--client-ca", file!()),
        ("--idle-minutes", "0"),
        ("--api-keys", "yes"),
        ("--sign-in-issuer", "https://idp.example"),
    ] {
        let ran = program.run(&["tenant", "set", &id, option, value]).await;
        assert!(ran.code != Some(0) && !ran.stderr.is_empty(), "{option} {value}");
    }
    let set = json_of(program, &["tenant", "set", &id, "--colour", "#0B5FFF", "--origin", "https://app.example"]).await;
    assert_eq!((&set["colour"], &set["origins"]), (&json!("#0b5fff"), &json!(["https://app.example"])));
    let unset = json_of(program, &["tenant", "set", &id, "--colour", "", "--origin", ""]).await;
    assert!(unset.get("colour").is_none() && unset.get("origins").is_none(), "{unset}");
}

#[tokio::test]
async fn keys_are_rotated_with_and_without_an_overlap() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "key").await;
    let old = token(program, &id, "system/*.rs").await;

    let rotated = json_of(program, &["key", "rotate", "--tenant", &id]).await;
    get(&id, "Patient", &old).await.expect(200);
    let new = token(program, &id, "system/*.rs").await;
    get(&id, "Patient", &new).await.expect(200);
    json_of(program, &["key", "rotate", "--tenant", &id, "--now"]).await;
    get(&id, "Patient", &old).await.expect_outcome(401, "login");
    get(&id, "Patient", &new).await.expect_outcome(401, "login");

    assert_eq!(rotated.as_array().map(Vec::len), Some(2), "{rotated}");
    assert_eq!(members(&rotated[0]), ["algorithm", "created", "kid"]);
    assert_eq!(members(&rotated[1]), ["algorithm", "created", "kid", "retired"]);
}

#[tokio::test]
async fn a_lockdown_ends_everything_at_once_and_says_what_was_done_with_it() {
    let Shared { program, .. } = program::shared().await;
    let (id, name) = (tenant(program, "lockdown").await, unique("svc"));
    let bystander = tenant(program, "bystander").await;
    let other = token(program, &bystander, "system/*.rs").await;
    program.run(&["tenant", "set", &id, "--api-keys", "on"]).await.expect(0);
    let svc =
        json_of(program, &["client", "create", "--tenant", &id, "--id", &name, "--scope", "system/*.rs", "--secret"])
            .await;
    let key = json_of(program, &["api-key", "create", "--tenant", &id, "--scope", "system/*.rs"]).await;
    let bearer = format!("Bearer {}", token(program, &id, "system/*.rs").await);
    let of_service = service_token(&id, &name, shown(&svc, "client_secret")).await.expect(200).json();
    let of_service = format!("Bearer {}", shown(&of_service, "access_token"));
    let api_key = format!("ApiKey {}", shown(&key, "key"));
    for shown in [&bearer, &of_service, &api_key] {
        assert_eq!(read(&id, shown).await, 404);
    }

    let report = json_of(program, &["tenant", "lockdown", &id]).await;

    for shown in [&bearer, &of_service, &api_key] {
        assert_eq!(read(&id, shown).await, 401);
    }
    assert_eq!(service_token(&id, &name, shown(&svc, "client_secret")).await.json()["error"], "invalid_client");
    assert_eq!((&report["secrets"], &report["api_keys"]), (&json!([name]), &json!([key["id"]])));
    assert_eq!(report["keys"].as_array().map(Vec::len), Some(1));
    let callers = report["callers"].as_array().expect("callers");
    let service = callers.iter().find(|caller| caller["client"] == name.as_str() && caller["subject"] == name.as_str());
    let service = service.unwrap_or_else(|| panic!("the service is told of: {report}"));
    assert!(service["denied"].as_u64() >= Some(1) && service["last"].is_string(), "{service}");
    get(&bystander, "Patient", &other).await.expect(200);
    let people = program.run(&["tenant", "lockdown", &id]).await.expect(0);
    assert!(people.stdout.contains("to issue anew"), "{}", people.stdout);
    poll::until("tokens of later seconds are good", async || {
        let again = token(program, &id, "system/*.rs").await;
        get(&id, "Patient", &again).await.status == 200
    })
    .await;
}
