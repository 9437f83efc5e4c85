//! Who may see the trail, and what they see of it: the tenant's own list of records, and AuditEvents (sections 1, 4 and
//! 8 of the contract).

mod events;
mod list;

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples};

/// A tenant with two patients and some who did something with their data.
struct World {
    tenant: Tenant,
    /// The answers, by what was done.
    done: Vec<(&'static str, Answer)>,
}

impl World {
    async fn make() -> Self {
        let tenant = Tenant::fresh().await;
        let mut done = Vec::new();
        let nurse = tenant.token("system/*.cruds").with("sub", "nurse").with("client_id", "ward").sign();
        let doctor = tenant.token("user/*.rs").with("sub", "dr-who").with("client_id", "ehr").sign();
        for patient in ["p1", "p2"] {
            let body = samples::patient(patient, "x").to_string();
            done.push(("create", tenant.put(&format!("Patient/{patient}"), &nurse, &body).await.expect(201)));
            let id = format!("o-{patient}");
            let body = samples::heart_rate(&id, patient).to_string();
            done.push(("create", tenant.put(&format!("Observation/{id}"), &nurse, &body).await.expect(201)));
        }
        done.push(("read", tenant.get("Patient/p1", &doctor).await.expect(200)));
        done.push(("vread", tenant.get("Observation/o-p2/_history/1", &doctor).await.expect(200)));
        done.push(("search", tenant.get("Observation?code=8867-4&_count=10", &doctor).await.expect(200)));
        done.push(("search-one", tenant.get("Observation?patient=p1", &doctor).await.expect(200)));
        let entries = ["Patient/p1", "Patient/p2", "Observation?patient=p2"].map(|url| {
            json!({
                "request": { "method": "GET", "url": url },
            })
        });
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries }).to_string();
        done.push(("batch", tenant.post("", &doctor, &bundle).await.expect(200)));
        done.push(("denied", tenant.delete("Patient/p1", &doctor).await.expect(403)));
        done.push(("missing", tenant.get("Patient/p3", &doctor).await.expect(404)));
        let created = samples::heart_rate("any", "p1").to_string();
        done.push(("post", tenant.post("Observation", &nurse, &created).await.expect(201)));
        done.push(("delete", tenant.delete("Observation/o-p2", &nurse).await.expect(204)));
        Self { tenant, done }
    }

    /// The records, newest first, as the one who asks with this token is shown them.
    async fn list(&self, query: &str, token: &str) -> Vec<Value> {
        let answer = ask(&self.tenant, &format!("audit{query}"), token).await.expect(200);
        answer.json()["records"].as_array().expect("records").clone()
    }

    /// The id of the record that one of the answers left.
    async fn record(&self, what: &str) -> Value {
        let (_, answer) = self.done.iter().find(|(name, _)| *name == what).expect("it was done");
        self.tenant.record_of(answer.header("x-request-id")).await
    }
}

/// GET below the tenant's administration.
async fn ask(tenant: &Tenant, path: &str, token: &str) -> Answer {
    Answer::of(tenant.admin(Method::GET, path, token)).await
}

/// Of each record, what it is known by.
fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["record"].as_str().expect("an id")).collect()
}
