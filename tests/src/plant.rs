//! Rows that no write lets in any more: databases hold what an earlier, laxer time took, and scopes, searches and reads
//! must hold over those as well. What is planted goes through the store and past the rules of the profiles.

use serde_json::Value;
use vitals_access::{
    access::Access,
    clock::Clock as _,
    directory::Directory,
    proof::{Circumstances, Credential},
    tenant::TenantName,
    verifier::Base,
};
use vitals_fhir::{
    body::Body,
    index::ObservationIndex,
    interaction::Update,
    resource::{Id, Observation},
};
use vitals_store::rows::{Expected, Load, Put};

use crate::{Server, Tenant, cluster};

/// What a good token reaches.
fn access_of(server: &Server, directory: &Directory, name: &TenantName, token: &str) -> Access {
    let base = Base::Tenant(name.clone());
    let circumstances = Circumstances::inside(&base);
    server.app.verifier.verify(directory, &Credential::Bearer(token), &circumstances).expect("a good token")
}

impl Tenant {
    /// What a good token of this tenant reaches, without a request.
    pub fn access(&self, token: &str) -> Access {
        let directory = self.server.app.directory().expect("the directory is read");
        access_of(self.server, &directory, &self.name, token)
    }

    /// Inserts Observations at their ids, whichever profile they break, and returns what the index says of each. Their
    /// structure must be sound; no audit record is written.
    pub async fn plant(&self, observations: &[Value]) -> Vec<(String, ObservationIndex)> {
        let (server, token, name) = (self.server, self.all(), self.name.clone());
        let bases = [self.base(), format!("{}/fhir", server.url)];
        let loads: Vec<Load<Observation>> = observations.iter().map(|observation| load(observation, &bases)).collect();
        let indexes = loads.iter().map(|load| (load.id.as_str().to_owned(), load.body.index().clone())).collect();
        // On the runtime of the servers: the connection goes back to their pool and must outlive the test.
        let planted = cluster::runtime().spawn(async move {
            // The tenant may be younger than what the server knows.
            let directory = server.app.feed.refresh().await.expect("the directory is read");
            let access = access_of(server, &directory, &name, &token);
            let mut tx = server.app.pool.begin_long(&access).await.expect("the tenant opens");
            let mut rows = tx.allow::<Observation, Update>().expect("the token may do everything");
            let puts: Vec<_> = loads.iter().map(|load| Put { load, expected: Expected::Nothing }).collect();
            let answers = rows.put_many(&puts, server.clock.now().timestamp_millis()).await.expect("the rows go in");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            tx.commit().await.expect("a commit");
        });
        planted.await.expect("the task ends");
        indexes
    }
}

fn load(observation: &Value, bases: &[String; 2]) -> Load<Observation> {
    let bases = bases.each_ref().map(String::as_str);
    let body = Body::parse(observation.to_string().as_bytes(), &bases, |_, _| Vec::new()).expect("a sound structure");
    let id: Id<Observation> = body.id().expect("an id").clone();
    Load { id, body }
}
