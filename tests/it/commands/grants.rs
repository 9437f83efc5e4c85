//! `vitals grant …` and `vitals token --delegated`: what they print, what serves when they return, what they record.

use serde_json::{Value, json};
use vitals_tests::{
    Answer, poll,
    program::{self, Program, Shared},
    samples,
    tenant::client,
};

use super::{ask, get, tenant, token};

async fn json_of(program: &Program, arguments: &[&str]) -> Value {
    program.run(&[arguments, &["--json"]].concat()).await.expect(0).json()
}

async fn delegated(program: &Program, tenant: &str, scope: &str) -> String {
    let ran = program.run(&["token", "--tenant", tenant, "--scope", scope, "--delegated"]).await.expect(0);
    ran.stdout.trim_end().to_owned()
}

/// A search over every tenant that granted something.
async fn over_all(tenant: &str, token: &str) -> Answer {
    let server = &program::shared().await.server;
    let url = format!("{}/t/{tenant}/delegated/fhir/Observation", server.url);
    Answer::of(client().get(url).bearer_auth(token)).await.sound()
}

#[tokio::test]
async fn a_grant_serves_from_create_to_revoke() {
    let Shared { program, .. } = program::shared().await;
    let (hospital, platform) = (tenant(program, "giver").await, tenant(program, "taker").await);
    let all = token(program, &hospital, "system/*.cruds").await;
    let rate = samples::heart_rate("hr", "p1");
    ask(reqwest::Method::PUT, &hospital, "Observation/hr", &all, Some(&rate)).await.expect(201);

    let create = ["grant", "create", "--from", &hospital, "--to", &platform, "--scope", "vitals.heart_rate:read"];
    let more = ["--purpose", "HRESCH", "--expires", "90d", "--note", "Study 17"];
    let ran = program.run(&[&create[..], &more].concat()).await.expect(0);
    let id = ran.stdout.trim_end().to_owned();
    assert!(ran.stderr.contains(&format!("{platform} may read of {hospital} until ")), "{}", ran.stderr);

    // It serves when the command has returned, at both bases.
    let delegate = delegated(program, &platform, "").await;
    assert_eq!(over_all(&platform, &delegate).await.expect(200).ids(), ["hr"]);
    get(&hospital, "Observation/hr", &delegate).await.expect(200);

    let shown = json_of(program, &["grant", "show", &id, "--preview"]).await;
    assert_eq!(
        (&shown["from"], &shown["to"], &shown["status"]),
        (&json!(hospital), &json!(platform), &json!("active"))
    );
    assert_eq!((&shown["opens"]["observations"], &shown["opens"]["by_code"][0]["code"]), (&json!(1), &json!("8867-4")));
    let people = program.run(&["grant", "show", &id, "--preview"]).await.expect(0);
    assert!(people.stdout.contains("8867-4: 1 of 1 patients"), "{}", people.stdout);
    for name in [&hospital, &platform] {
        let listed = json_of(program, &["grant", "list", "--tenant", name]).await;
        assert_eq!((&listed[0]["id"], listed.as_array().map(Vec::len)), (&json!(id), Some(1)));
    }
    let every = program.run(&["grant", "list"]).await.expect(0);
    assert!(every.stdout.contains(&id) && every.stdout.contains("active"), "{}", every.stdout);

    program.run(&["grant", "revoke", &id]).await.expect(0);
    poll::until("the grant is refused", || async { over_all(&platform, &delegate).await.status == 403 }).await;
    get(&hospital, "Observation/hr", &delegate).await.expect(403);
    program.run(&["grant", "revoke", &id]).await.expect_sentence(1, "has ended already");
    let ran = program.run(&["token", "--tenant", &platform, "--scope", "", "--delegated"]).await.expect(0);
    assert!(ran.stderr.contains("no tenant grants"), "{}", ran.stderr);

    // Both trails tell of it.
    for name in [&hospital, &platform] {
        let ran = program.run(&["audit", "tail", "--tenant", name, "--lines", "50", "--json"]).await.expect(0);
        for action in ["grant.create", "grant.revoke"] {
            let done = |line: &&str| line.contains(&format!("\"action\":\"{action}\"")) && line.contains("\"allowed\"");
            let told: Vec<&str> = ran.stdout.lines().filter(done).collect();
            assert!(
                told.iter().any(|line| line.contains(&id) && line.contains("\"cli\"")),
                "{action} of {name}: {told:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_cannot_be_granted_is_told_by_the_command() {
    let Shared { program, .. } = program::shared().await;
    let (hospital, platform) = (tenant(program, "refuses").await, tenant(program, "wants").await);
    let create = async |from: &str, to: &str, scope: &str, purpose: &str, expires: &str| {
        let line = ["grant", "create", "--from", from, "--to", to, "--scope", scope, "--purpose", purpose];
        program.run(&[&line[..], &["--expires", expires]].concat()).await
    };
    let good = "vitals:read";
    create(&hospital, &hospital, good, "HRESCH", "1d").await.expect_sentence(2, "another tenant");
    create(&hospital, "x-nobody", good, "HRESCH", "1d").await.expect_sentence(2, "another tenant");
    create("x-nobody", &platform, good, "HRESCH", "1d").await.expect_sentence(1, "no tenant x-nobody");
    create(&hospital, &platform, "vitals:write", "HRESCH", "1d").await.expect_sentence(2, "vitals:write");
    create(&hospital, &platform, "", "HRESCH", "1d").await.expect_sentence(2, "1 to 64 scopes");
    create(&hospital, &platform, good, "research", "1d").await.expect_sentence(2, "PurposeOfUse");
    create(&hospital, &platform, good, "HRESCH", "soon").await.expect_sentence(2, "--expires");
    create(&hospital, &platform, good, "HRESCH", "2020-01-01").await.expect_sentence(2, "in the future");
    for command in ["show", "revoke"] {
        program.run(&["grant", command, "nothing"]).await.expect_sentence(1, "there is no grant nothing");
    }
    assert_eq!(json_of(program, &["grant", "list", "--tenant", &hospital]).await, json!([]));
}
