//! What is refused at the base over several tenants.

use reqwest::Method;
use serde_json::json;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, grants::BITES_WITHIN, ledger, poll, samples, server, tenant::client,
};

use super::{HEART, World, follow};

#[tokio::test]
async fn o11_without_org_delegated_nobody_reads_over_several_tenants() {
    let world = World::new().await;
    let platform = &world.platform;
    let [one, ..] = &world.hospitals;
    let entry = json!([{ "tenant_id": one.name.as_str(), "scopes": [HEART], "expires": 4_000_000_000_i64 }]);
    for (what, token) in [
        ("O11 org:self alone", platform.token("org:self vitals:read").with("delegated_access", entry.clone())),
        ("O11 no word of organisations", platform.token("vitals:read system/*.rs").with("delegated_access", entry)),
        ("no entry", platform.token("org:delegated vitals:read")),
        ("an entry that has ended", {
            let ended = json!([{ "tenant_id": one.name.as_str(), "scopes": [HEART], "expires": 1_000_000_000 }]);
            platform.token("org:delegated").with("delegated_access", ended)
        }),
        ("an entry without a scope in common", platform.delegate(&[(one, "users:read")])),
        ("an entry for oneself", platform.delegate_with("vitals:read", &[(platform, HEART)])),
        ("a patient's token", platform.delegate(&[(one, HEART)]).patient("p1")),
    ] {
        let answer = platform.get_over_all("Observation", &token.sign()).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        answer.expect_outcome(403, "forbidden");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn only_the_grantees_own_tokens_are_taken_at_its_base() {
    let world = World::new().await;
    let [one, ..] = &world.hospitals;
    let url = format!("{}/Observation", world.platform.delegated_base());
    Answer::of(client().get(&url)).await.expect_outcome(401, "login");
    Answer::of(client().get(&url).bearer_auth("nonsense")).await.expect_outcome(401, "login");
    // The hospital that granted, and somebody else.
    for tenant in [one, &Tenant::fresh().await] {
        let token = tenant.delegate_with("org:self vitals:read", &[(one, HEART)]).sign();
        Answer::of(client().get(&url).bearer_auth(token)).await.expect_outcome(403, "forbidden");
    }
    let nobody = format!("{}/t/x-nobody/delegated/fhir/Observation", world.platform.server.url);
    Answer::of(client().get(&nobody)).await.expect_outcome(404, "not-found");
    Answer::of(client().get(&nobody).bearer_auth(world.token())).await.expect_outcome(403, "forbidden");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d10_what_was_granted_is_granted_on_to_nobody() {
    let world = World::new().await;
    let [one, ..] = &world.hospitals;
    let third = Tenant::fresh().await;
    // The platform lets a third one read all it has: that is its own data, and none of the hospital's.
    world.platform.grant(&third, "vitals:read").await;
    let token = third.delegate(&[(&world.platform, HEART), (one, HEART)]).sign();
    let answer = third.get_over_all("Observation", &token).await.expect(200);
    assert!(answer.ids().is_empty(), "{}", answer.body);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d09_only_search_and_read_are_offered() {
    let world = World::new().await;
    let token = world.token_with("system/*.cruds");
    let rate = samples::heart_rate("hr-0-0", "p1").to_string();
    for (method, path, status) in [
        ("POST", "Observation", 405),
        ("PUT", "Observation/hr-0-0", 405),
        ("DELETE", "Observation/hr-0-0", 405),
        ("PATCH", "Observation/hr-0-0", 405),
        ("PUT", "Observation?_id=hr-0-0", 405),
        ("DELETE", "Observation?_id=hr-0-0", 405),
        ("POST", "", 405),
        ("GET", "Observation/_history", 405),
        ("GET", "Observation/hr-0-0/_history", 405),
        ("GET", "Observation/hr-0-0/_history/1", 405),
        ("GET", "Patient/p1/Observation", 405),
        ("POST", "Observation/$validate", 405),
        ("GET", "Observation/_search", 405),
        ("GET", "_history", 405),
        ("GET", "Device", 404),
        ("GET", "Patient/p1/$everything", 404),
        ("GET", ".well-known/smart-configuration", 404),
        ("GET", "Observation?_include=Observation:subject", 400),
        ("GET", "Observation?_revinclude=Observation:subject", 400),
        ("GET", "Observation?subject.name=x", 400),
        ("GET", "Observation?_has:Observation:derived-from:code=x", 400),
        ("GET", "Observation?date=tomorrow", 400),
        ("GET", "Observation?_page=x", 404),
    ] {
        let method: Method = method.parse().expect("a method");
        let what = format!("{method} {path}");
        let mut request = world.platform.over_all(method, path, &token);
        if matches!(path, "Observation" | "Observation/hr-0-0" | "" | "Observation/$validate") {
            request = request.header("content-type", "application/fhir+json").body(rate.clone());
        }
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{what}");
    }
    let [one, ..] = &world.hospitals;
    assert_eq!(one.get("Observation/hr-0-0", &one.all()).await.expect(200).header("etag"), "W/\"1\"");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn page_links_are_for_this_caller_this_list_and_this_base() {
    let world = World::new().await;
    let (platform, token) = (&world.platform, world.token());
    let page = platform.get_over_all("Observation?_count=2", &token).await.expect(200);
    let next = page.link("next").expect("a page follows");
    follow(&next, &token).await.expect(200);
    // Others of the same tenant, with other scopes, or of another tenant.
    for stranger in [
        world.token_with("vitals:read"),
        platform.delegate(&[(&world.hospitals[0], HEART)]).with("sub", "another").sign(),
    ] {
        follow(&next, &stranger).await.expect_outcome(404, "not-found");
    }
    follow(&next.replace("Observation?", "Patient?"), &token).await.expect_outcome(404, "not-found");
    let (head, tail) = next.split_at(next.len() - 1);
    let altered = format!("{head}{}", if tail == "A" { "B" } else { "A" });
    follow(&altered, &token).await.expect_outcome(404, "not-found");
    follow(&format!("{next}&_count=50"), &token).await.expect_outcome(404, "not-found");
    // Its own base has links of its own.
    let own = next.replace("/delegated/fhir/", "/fhir/");
    follow(&own, &platform.token("vitals:read").sign()).await.expect_outcome(404, "not-found");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn e25_a_revocation_bites_on_every_server_within_a_second() {
    let options = Options { public_url: Some(server::shared().url.clone()), ..Options::default() };
    let replica: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    let world = World::new().await;
    let token = world.token();
    let url = format!("http://{}/t/{}/delegated/fhir/Observation?_count=100", replica.address, world.platform.name);
    let found = async || {
        let answer = Answer::of(client().get(&url).bearer_auth(&token)).await;
        // Of grants it has not heard of yet it knows as much as of none.
        if answer.status == 403 { 0 } else { answer.expect(200).ids().len() }
    };
    poll::until("the replica knows the grants", || async { found().await == 12 }).await;

    world.hospitals[1].ungrant(&world.grants[1]).await;
    poll::within(BITES_WITHIN, "the replica asks two", || async { found().await == 8 }).await;
}

#[tokio::test]
async fn a_search_over_several_tenants_counts_as_one_of_each_for_its_caller() {
    let world = World::new().await;
    let platform = &world.platform;
    platform.set(&json!({ "limits": { "tenant": { "search": { "sustained": 12 } } } })).await;
    let token = world.token();
    // Twelve units of two a search: two searches of three tenants.
    for left in [6, 0] {
        let answer = platform.get_over_all("Observation?_count=1", &token).await.expect(200);
        let said = answer.header("ratelimit");
        assert!(said.contains(&format!("r={left}")), "{said}");
    }
    let refused = platform.get_over_all("Observation?_count=1", &token).await.expect_outcome(429, "throttled");
    assert!(refused.holds(&format!("{}:search:sustained", platform.name)), "{}", refused.body);
    // The hospitals' own callers are counted by themselves.
    let [one, ..] = &world.hospitals;
    one.get("Observation?_count=1", &one.all()).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn names_in_a_token_are_told_back_the_same_whether_they_exist_or_not() {
    let world = World::new().await;
    let [one, ..] = &world.hospitals;
    let silent = Tenant::fresh().await;
    let nobody = format!("x{}", &silent.name.as_str()[1..]);
    let expires = 4_000_000_000_i64;
    let entry = |name: &str| json!({ "tenant_id": name, "scopes": [HEART], "expires": expires });
    let ask = async |name: &str| {
        let entries = json!([entry(one.name.as_str()), entry(name)]);
        let token = world.platform.token("org:delegated").with("delegated_access", entries).sign();
        let answer = world.platform.get_over_all("Observation?_count=1", &token).await.expect(200);
        let outcomes = super::entries(&answer, "outcome");
        serde_json::to_string(&outcomes).expect("JSON").replace(name, "<name>")
    };
    let existing = ask(silent.name.as_str()).await;
    assert!(existing.contains("<name>"), "{existing}");
    assert_eq!(existing, ask(&nobody).await);
    // What is no name at all is told of to nobody.
    assert_eq!(ask("not a name").await, "[]");
}
