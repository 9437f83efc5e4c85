//! Introspection (O23) and revocation (O24).

use serde_json::json;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    oauth::{app, approved, post},
    poll,
};

use super::{GRANTED, World, inactive, introspected, resource_server, text};

#[tokio::test]
async fn o23_introspection_says_nothing_of_what_is_not_good() {
    let (world, other) = (World::new().await, World::new().await);
    let by = resource_server(&world.tenant).await;
    let url = world.tenant.auth("introspect");
    let tokens = world.tokens().await;
    let token = text(&tokens, "access_token");
    let url = url.as_str();
    for (label, asked) in [
        ("O23 nobody", post(url, &[("token", token)])),
        ("O23 a public client", post(url, &[("token", token), ("client_id", &world.app)])),
        ("O23 a wrong secret", post(url, &[("token", token)]).basic_auth(&by.0, Some("wrong"))),
        ("O23 the token itself", post(url, &[("token", token)]).bearer_auth(token)),
    ] {
        let answer = Answer::of(asked).await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{label}");
    }
    let said = introspected(&world.tenant, &by, token).await;
    for (member, value) in [
        ("active", json!(true)),
        ("client_id", json!(world.app)),
        ("sub", json!(world.user)),
        ("scope", json!(GRANTED)),
        ("patient", json!("p1")),
        ("iss", json!(world.tenant.issuer())),
        ("fhirUser", json!(format!("{}/Patient/p1", world.tenant.base()))),
    ] {
        assert_eq!(said[member], value, "{member}");
    }
    assert_eq!(introspected(&world.tenant, &by, text(&tokens, "refresh_token")).await["active"], true);

    let foreign = other.tokens().await;
    let aud = |aud: String| world.tenant.token("patient/*.rs").with("aud", aud).sign();
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let altered = format!("{message}.{first}{}", &signature[1..]);
    for (label, token) in [
        ("O23 of another tenant", text(&foreign, "access_token").to_owned()),
        ("O23 a refresh token of another tenant", text(&foreign, "refresh_token").to_owned()),
        ("O23 of another audience", aud("https://elsewhere.example/fhir".to_owned())),
        ("O23 of the audience of another tenant", aud(other.tenant.base())),
        ("O23 expired", world.tenant.token("patient/*.rs").with("exp", super::now(&world.tenant) - 10).sign()),
        ("O23 altered", altered),
        ("O23 an id_token", text(&tokens, "id_token").to_owned()),
        ("O23 nonsense", "nonsense".to_owned()),
        ("O23 nonsense of 9 kB", "x".repeat(9_000)),
    ] {
        assert_eq!(introspected(&world.tenant, &by, &token).await, inactive(), "{label}");
    }
    // A replaced refresh token, by which nothing is revoked: nobody brought it.
    world.refresh(text(&tokens, "refresh_token"), "").await.expect(200);
    assert_eq!(introspected(&world.tenant, &by, text(&tokens, "refresh_token")).await, inactive(), "O23 replaced");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn o24_what_is_revoked_is_refused_on_every_replica_within_a_second() {
    let tenant = Tenant::fresh().await;
    let options = Options { public_url: Some(tenant.server.url.clone()), ..Options::default() };
    let replica = Server::start(cluster::shared(), options).await;
    let world = World::of(tenant).await;
    let stranger = world.tenant.register(app(Authentication::None, GRANTED)).await.client.id;
    let by = resource_server(&world.tenant).await;
    let there = |token: &str| {
        let url = format!("http://{}/t/{}/fhir/Patient", replica.address, world.tenant.name);
        vitals_tests::tenant::client().get(url).bearer_auth(token)
    };
    let revoke =
        async |client: &str, token: &str| world.tenant.ask("revoke", &[("client_id", client), ("token", token)]).await;
    let tokens = world.tokens().await;
    let token = text(&tokens, "access_token");
    Answer::of(there(token)).await.expect(200);

    assert_eq!(revoke(&world.app, "unknown").await.expect(200).body, "", "O24 unknown");
    revoke(&stranger, token).await.expect(200);
    revoke(&stranger, text(&tokens, "refresh_token")).await.expect(200);
    world.tenant.get("Patient", token).await.expect(200);
    let nobody = world.tenant.ask("revoke", &[("token", token)]).await.expect(400);
    assert_eq!(nobody.json()["error"], "invalid_client");

    revoke(&world.app, token).await.expect(200);
    let began = std::time::Instant::now();
    world.tenant.get("Patient", token).await.expect(401);
    poll::until("the other server refuses it", || async { Answer::of(there(token)).await.status == 401 }).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "O24: {:?}", began.elapsed());
    assert_eq!(introspected(&world.tenant, &by, token).await, inactive());
    // The refresh token lives on, until it is given back as well: with what was issued under it.
    let second = world.refresh(text(&tokens, "refresh_token"), "").await.expect(200).json();
    let token = text(&second, "access_token");
    Answer::of(there(token)).await.expect(200);
    revoke(&world.app, text(&second, "refresh_token")).await.expect(200);
    world.tenant.get("Patient", token).await.expect(401);
    poll::until("the other server refuses it", || async { Answer::of(there(token)).await.status == 401 }).await;
    assert_eq!(introspected(&world.tenant, &by, text(&second, "refresh_token")).await, inactive());
    revoke(&world.app, token).await.expect(200);
    ledger::each_left_one_record().await;
    replica.stop().await;
}

#[tokio::test]
async fn userinfo_says_who_the_user_is_to_who_has_openid() {
    let world = World::new().await;
    let url = world.tenant.auth("userinfo");
    let get = |token: &str| vitals_tests::tenant::client().get(&url).bearer_auth(token);
    let tokens = world.tokens().await;
    let said = Answer::of(get(text(&tokens, "access_token"))).await.expect(200).json();
    assert_eq!(said, json!({ "sub": world.user }), "fhirUser and name were not asked for");
    let bare = Answer::of(vitals_tests::tenant::client().get(&url)).await.expect(401);
    assert_eq!(bare.header("www-authenticate"), "Bearer");
    let bad = Answer::of(get("nonsense")).await.expect(401);
    assert_eq!(bad.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    Answer::of(get(&world.tenant.token("patient/*.rs").sign())).await.expect(403);
    let other = World::new().await;
    Answer::of(get(text(&other.tokens().await, "access_token"))).await.expect(403);

    let rich = "openid fhirUser profile patient/*.rs";
    let id = world.tenant.register(app(Authentication::None, rich)).await.client.id;
    let code = world.tenant.approve(approved(&id, &world.user, rich, None)).await;
    let tokens = world.bring(&code, &[("client_id", &id)]).await.expect(200).json();
    let said = Answer::of(get(text(&tokens, "access_token"))).await.expect(200).json();
    assert_eq!(
        (&said["name"], text(&said, "fhirUser")),
        (&json!("Ann Example"), format!("{}/Patient/p1", world.tenant.base()).as_str())
    );
    ledger::each_left_one_record().await;
}
