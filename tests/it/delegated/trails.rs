//! D14: what the trails of both sides tell of a request over several tenants.

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, ledger};

use super::{World, follow};
use crate::trail::chain;

/// The records that an answer left in the chain of a tenant.
async fn left_in(tenant: &Tenant, answer: &Answer) -> Vec<Value> {
    let mut all = chain(&tenant.server.cluster.urls.audit_read, &tenant.role()).await;
    all.retain(|record| record["request_id"] == answer.header("x-request-id"));
    all
}

#[tokio::test]
async fn d14_each_hospital_sees_its_part_and_the_platform_sees_all() {
    let world = World::new().await;
    let platform = world.platform.name.as_str();
    let answer = world.platform.get_over_all("Observation?_count=4&_sort=date", &world.token()).await.expect(200);

    for (hospital, grant) in world.hospitals.iter().zip(&world.grants) {
        let [record] = left_in(hospital, &answer).await.try_into().expect("one record");
        assert_eq!(record["tenant"], hospital.name.as_str());
        assert_eq!((&record["acting_tenant"], &record["grant"]), (&json!(platform), &json!(grant)));
        assert_eq!((&record["action"], &record["type"]), (&json!("search-type"), &json!("Observation")));
        assert_eq!((&record["decision"], &record["patients"]), (&json!("allowed"), &json!(["p1"])));
        assert_eq!(record["used"], json!(["vitals.heart_rate:read"]));
        // Nothing of the others.
        assert!(record.get("entries").is_none(), "{record}");
        for other in world.hospitals.iter().filter(|other| other.name != hospital.name) {
            assert!(!record.to_string().contains(other.name.as_str()), "{record}");
        }
    }
    let [own] = left_in(&world.platform, &answer).await.try_into().expect("one record");
    assert_eq!((&own["tenant"], &own["acting_tenant"]), (&json!(platform), &json!(platform)));
    let entries = own["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 3);
    let counts: u64 = entries.iter().map(|entry| entry["count"].as_u64().expect("a count")).sum();
    assert_eq!(counts, 4);
    for (hospital, grant) in world.hospitals.iter().zip(&world.grants) {
        let entry = entries.iter().find(|entry| entry["tenant"] == hospital.name.as_str()).expect("an entry");
        assert_eq!((&entry["grant"], &entry["status"]), (&json!(grant), &json!(200)));
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d14_denials_stand_in_both_trails_with_the_grant() {
    let world = World::new().await;
    let [one, two, _] = &world.hospitals;
    let token = world.token();
    let next = {
        let first = world.platform.get_over_all("Observation?_count=3", &token).await.expect(200);
        first.link("next").expect("a page follows")
    };
    two.ungrant(&world.grants[1]).await;
    for answer in [
        world.platform.get_over_all("Observation", &token).await.expect(200),
        follow(&next, &token).await.expect(200),
        world.platform.get_over_all("Observation/hr-0-0", &token).await.expect(200),
    ] {
        let [record] = left_in(two, &answer).await.try_into().expect("one record");
        assert_eq!((&record["decision"], &record["status"]), (&json!("denied"), &json!(403)), "{record}");
        assert_eq!((&record["grant"], &record["reason"]), (&json!(world.grants[1]), &json!("the grant has ended")));
        assert_eq!(record["acting_tenant"], world.platform.name.as_str());
        let [own] = left_in(&world.platform, &answer).await.try_into().expect("one record");
        let entries = own["entries"].as_array().expect("entries");
        let entry = entries.iter().find(|entry| entry["tenant"] == two.name.as_str()).expect("an entry");
        assert_eq!((&entry["decision"], &entry["grant"]), (&json!("denied"), &json!(world.grants[1])));
        assert_eq!(own["decision"], "allowed", "the others answered");
    }
    // Refused as a whole, and malformed: nobody was asked, so that nobody else has a record.
    let malformed = world.platform.get_over_all("Observation?date=x", &token).await.expect(400);
    assert_eq!(left_in(one, &malformed).await, Vec::<Value>::new());
    assert_eq!(left_in(&world.platform, &malformed).await.len(), 1);
    ledger::each_left_one_record().await;
}
