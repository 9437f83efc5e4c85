//! What ends a grant: D03, D04, D13, on every server within a second.

use serde_json::json;
use vitals_access::clock::Clock as _;
use vitals_server::authorization::lockdown;
use vitals_store::control::{grants, tenants};
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, grants::BITES_WITHIN, ledger, poll, samples, server::shared,
    tenant::client,
};

use super::{HEART_RATE, Voice, World};

/// Another server over the same databases, under the same address.
async fn replica() -> &'static Server {
    let options = Options { public_url: Some(shared().url.clone()), ..Options::default() };
    Server::for_this_test(cluster::shared(), options).await
}

async fn show(server: &Server, tenant: &Tenant, token: &str) -> u16 {
    let url = format!("http://{}/t/{}/fhir/Observation/hr1", server.address, tenant.name);
    Answer::of(client().get(url).bearer_auth(token)).await.sound().status
}

/// Waits until every server lets the caller in, or until none does.
async fn everywhere(world: &World, replica: &Server, token: &str, status: u16) {
    poll::within(BITES_WITHIN, "every server knows", async || {
        show(world.lab.server, &world.hospital, token).await == status
            && show(replica, &world.hospital, token).await == status
    })
    .await;
}

#[tokio::test]
async fn d03_e25_a_revoked_grant_is_refused_by_every_replica_within_a_second() {
    let (world, replica) = (World::new().await, replica().await);
    let (hospital, lab) = (&world.hospital, &world.lab);
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, HEART_RATE);
        let grant = hospital.grant(lab, HEART_RATE).await;
        // Both servers have the token in their memories by then.
        everywhere(&world, replica, &token, 200).await;

        let role = hospital.role().parse().expect("a role");
        let mut conn = hospital.server.cluster.serving().await;
        let now = hospital.server.clock.now();
        assert!(grants::revoke(&mut conn, &role, &grant.id, "officer", now).await.expect("revoked"));
        everywhere(&world, replica, &token, 403).await;
        let refused = hospital.get("Observation/hr1", &token).await.expect_outcome(403, "forbidden");
        let records = hospital.records_of(refused.header("x-request-id")).await;
        assert_eq!((&records[0]["grant"], &records[0]["reason"]), (&json!(grant.id), &json!("the grant has ended")));
        poll::stays(std::time::Duration::from_millis(300), "it is refused", async || {
            show(replica, hospital, &token).await == 403
        })
        .await;
    }
}

#[tokio::test]
async fn a_lockdown_of_the_tenant_that_granted_ends_its_grants() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    let grant = hospital.grant(lab, HEART_RATE).await;
    let token = world.delegated(Voice::Outside, HEART_RATE);
    hospital.get("Observation/hr1", &token).await.expect(200);
    let server = hospital.server;
    let tenant = server.app.directory().expect("a directory").tenant(&hospital.name).expect("the tenant").clone();
    let ended = lockdown::lock_down(&server.app.desk, &tenant).await.expect("locked down");
    assert_eq!(ended.grants, [grant.id]);
    poll::within(BITES_WITHIN, "the grant is refused", async || show(server, hospital, &token).await == 403).await;
}

#[tokio::test]
async fn d04_a_grant_that_is_revoked_between_two_pages_opens_no_other_page() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, "system/*.rs");
        let grant = hospital.grant(lab, HEART_RATE).await;
        let first = hospital.get("Observation?_count=1&_sort=date", &token).await.expect(200);
        let next = first.link("next").expect("a second page");
        let follow = async |token: &str| Answer::of(client().get(&next).bearer_auth(token)).await;
        assert_eq!(follow(&token).await.expect(200).ids().len(), 1);
        // It is this caller's, under this grant, with these scopes there, and nobody else's.
        follow(&hospital.all()).await.expect_outcome(404, "not-found");
        follow(&world.delegated(voice, HEART_RATE)).await.expect_outcome(404, "not-found");
        follow(&lab.all()).await.expect_outcome(403, "forbidden");

        hospital.ungrant(&grant.id).await;
        follow(&token).await.expect_outcome(403, "forbidden");
        // Another grant of the same does not go on with what was begun under that one.
        let again = hospital.grant(lab, HEART_RATE).await;
        follow(&token).await.expect_outcome(404, "not-found");
        hospital.get("Observation?_count=1&_sort=date", &token).await.expect(200);
        hospital.ungrant(&again.id).await;
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d13_a_suspended_tenant_on_either_side_stops_what_was_granted() {
    let (world, replica) = (World::new().await, replica().await);
    let (hospital, lab) = (&world.hospital, &world.lab);
    let grant = hospital.grant(lab, HEART_RATE).await;
    let mut admin = hospital.server.cluster.admin().await;
    let tokens = [world.delegated(Voice::Own, HEART_RATE), world.delegated(Voice::Outside, HEART_RATE)];
    for (tenant, reason) in
        [(hospital, "the tenant that granted is suspended"), (lab, "the caller's tenant is suspended")]
    {
        for token in &tokens {
            everywhere(&world, replica, token, 200).await;
        }
        tenants::suspend(&mut admin, &tenant.name, tenant.server.clock.now()).await.expect("suspended");
        for token in &tokens {
            everywhere(&world, replica, token, 403).await;
            let refused = hospital.get("Observation/hr1", token).await.expect_outcome(403, "forbidden");
            for chain in [hospital, lab] {
                let records = chain.records_of(refused.header("x-request-id")).await;
                let record = records.first().expect("a record");
                assert_eq!((&record["grant"], &record["reason"]), (&json!(grant.id), &json!(reason)));
            }
        }
        tenants::resume(&mut admin, &tenant.name, tenant.server.clock.now()).await.expect("resumed");
    }
    for token in &tokens {
        everywhere(&world, replica, token, 200).await;
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d13_a_tenant_that_was_deleted_and_made_again_granted_nothing() {
    for deleted in ["the hospital", "the laboratory"] {
        let world = World::new().await;
        let World { hospital, lab, .. } = &world;
        hospital.grant(lab, "system/*.rs").await;
        let token = world.delegated(Voice::Outside, "system/*.rs");
        hospital.get("Observation/hr1", &token).await.expect(200);

        let old = if deleted == "the hospital" { hospital } else { lab };
        let server = old.server;
        let mut admin = server.cluster.admin().await;
        tenants::delete(&mut admin, &old.name, old.name.as_str(), server.clock.now()).await.expect("deleted");
        poll::until("the server knows", async || {
            server.app.directory().expect("a directory").tenant(&old.name).is_none()
        })
        .await;
        let status = if deleted == "the hospital" { 403 } else { 401 };
        hospital.get("Observation/hr1", &token).await.expect(status);

        let again = Tenant::named(server, &old.name).await;
        server.app.feed.refresh().await.expect("the directory is read");
        let (hospital, lab) = if deleted == "the hospital" { (&again, lab) } else { (hospital, &again) };
        let text = samples::heart_rate("hr1", "p1").to_string();
        hospital.put("Observation/hr1", &hospital.all(), &text).await;
        let token = lab.delegate(&[(hospital, "system/*.rs")]).sign();
        hospital.get("Observation/hr1", &token).await.expect_outcome(403, "forbidden");
        hospital.grant(lab, "system/*.rs").await;
        hospital.get("Observation/hr1", &token).await.expect(200);
        ledger::each_left_one_record().await;
    }
}
