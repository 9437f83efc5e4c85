//! The isolation matrix: every row of the catalog, with the credentials of another tenant, about ids of this one. The
//! answer is that for an id that never was. A row that is new in the catalog is in here by itself.

use serde_json::Value;
use uuid::Uuid;
use vitals_fhir::{
    catalog::{self, Code, Operation},
    resource::ResourceType,
};
use vitals_tests::{Answer, Ask, Tenant, ask::content};

/// Stands in everything of the attacked tenant's, and may stand in no answer to anybody else.
const CANARY: &str = "CANARY-of-this-tenant";

/// Ids of one length, so that answers that name them may be compared to the byte.
fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Rows of the attacked tenant, made for one row of the matrix.
struct Rows<'t> {
    tenant: &'t Tenant,
    kind: ResourceType,
    standing: String,
    deleted: String,
}

impl<'t> Rows<'t> {
    /// A resource of two versions, and one that is deleted.
    async fn plant(tenant: &'t Tenant, kind: ResourceType) -> Self {
        let rows = Self { tenant, kind, standing: new_id(), deleted: new_id() };
        let all = tenant.all();
        for (id, status) in [(&rows.standing, 201), (&rows.standing, 200), (&rows.deleted, 201)] {
            let body = content(kind, id, CANARY).to_string();
            tenant.put(&format!("{kind}/{id}"), &all, &body).await.expect(status);
        }
        tenant.delete(&format!("{kind}/{}", rows.deleted), &all).await.expect(204);
        rows
    }

    /// All there is to know about them: versions, texts, deletions.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for id in [&self.standing, &self.deleted] {
            let history = self.tenant.get(&format!("{}/{id}/_history", self.kind), &self.tenant.all()).await;
            state.push(history.expect(200).json());
        }
        state
    }
}

/// An answer without what must differ between two requests: the id asked for, and the id and time the server gave.
fn neutral(answer: &Answer, id: &str) -> (u16, Vec<(String, String)>, String) {
    let (status, mut headers, mut body) = answer.anonymous(id);
    if let Ok(resource) = serde_json::from_str::<Value>(&answer.body)
        && let (Some(made), Some(time)) = (resource["id"].as_str(), resource["meta"]["lastUpdated"].as_str())
    {
        body = body.replace(made, "<id>").replace(time, "<time>");
        for (_, value) in &mut headers {
            *value = value.replace(made, "<id>");
        }
        headers.retain(|(name, _)| name != "last-modified");
    }
    (status, headers, body)
}

/// Asks about the standing, the deleted and an unknown id, and holds the answers against each other.
async fn indistinguishable(rows: &Rows<'_>, operation: &Operation, bases: &[String], token: Option<&str>) -> Answer {
    let name = format!("{} {} at {}", operation.method.name(), operation.path, bases[0]);
    let before = rows.state().await;

    let (mut answers, mut heads) = (Vec::new(), Vec::new());
    for id in [rows.standing.clone(), rows.deleted.clone(), new_id()] {
        for base in bases {
            let ask = Ask::of(operation, &id, &content(rows.kind, &id, "intruder"));
            if let Some(head) = ask.head() {
                heads.push(head.send(base, token).await.anonymous(&id));
            }
            let answer = ask.send(base, token).await;
            assert!(!answer.holds(CANARY), "{name}: {}", answer.body);
            answers.push((id.clone(), base.clone(), answer));
        }
    }
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]), "{name}, HEAD: {heads:?}");

    assert_eq!(rows.state().await, before, "{name} changed something");
    let (first_id, first_base, first) = answers.pop().expect("an answer about an id that never was");
    let expected = neutral(&first, &first_id);
    for (id, base, answer) in answers {
        let (status, headers, body) = neutral(&answer, &id);
        assert_eq!((status, headers, body.replace(&base, &first_base)), expected, "{name}: {id} at {base}");
    }
    first
}

/// What the other tenant's own token gets at its own base: what it may do with an id of its own that is new to it.
fn unknown_to_it(code: Code, confined: bool) -> u16 {
    match code {
        Code::Read | Code::Vread | Code::HistoryInstance | Code::ValidateInstance | Code::Delete => 404,
        Code::SearchType | Code::SearchTypePost | Code::SearchCompartment | Code::HistoryType | Code::Validate => 200,
        Code::ConditionalDelete => 204,
        Code::Create if confined => 403,
        Code::Update | Code::ConditionalUpdate if confined => 404,
        Code::Create | Code::Update | Code::ConditionalUpdate => 201,
    }
}

#[tokio::test]
async fn ids_of_another_tenant_are_ids_that_never_were() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    for operation in catalog::all() {
        for base in [other.base(), format!("{}/fhir", other.server.url)] {
            let rows = Rows::plant(&this, operation.resource).await;
            let answer = indistinguishable(&rows, operation, std::slice::from_ref(&base), Some(&other.all())).await;
            assert_eq!(answer.status, unknown_to_it(operation.code, false), "{} at {base}", operation.path);

            // A patient of this tenant's in the claim opens nothing either.
            let rows = Rows::plant(&this, operation.resource).await;
            let confined = other.token("patient/*.cruds").patient(&rows.standing).sign();
            let answer = indistinguishable(&rows, operation, std::slice::from_ref(&base), Some(&confined)).await;
            assert_eq!(answer.status, unknown_to_it(operation.code, true), "{} at {base}", operation.path);
            if let Code::SearchType | Code::SearchTypePost | Code::SearchCompartment = operation.code {
                assert_eq!(answer.json()["total"], 0, "{}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn the_base_of_another_tenant_is_forbidden_whether_it_exists_or_not() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    // As long as this tenant's base, and nobody's.
    let unknown = format!("{}/t/x{}/fhir", this.server.url, &this.name.as_str()[1..]);
    for operation in catalog::all() {
        let rows = Rows::plant(&this, operation.resource).await;
        for token in [
            other.all(),
            other.token("patient/*.cruds").patient(&rows.standing).sign(),
            other.token("").sign(),
            other.delegate(&[(&this, "system/*.cruds")]).sign(),
        ] {
            let bases = [this.base(), unknown.clone()];
            let answer = indistinguishable(&rows, operation, &bases, Some(&token)).await;
            answer.expect_outcome(403, "forbidden");
        }
    }
}

/// What reads under a grant, of what it covers.
fn under_a_grant(code: Code) -> u16 {
    match code {
        Code::Read
        | Code::Vread
        | Code::HistoryInstance
        | Code::SearchType
        | Code::SearchTypePost
        | Code::SearchCompartment
        | Code::HistoryType
        // With the finding that the caller may not write it.
        | Code::ValidateInstance => 200,
        Code::Create
        | Code::Update
        | Code::ConditionalUpdate
        | Code::Delete
        | Code::ConditionalDelete
        | Code::Validate => 403,
    }
}

#[tokio::test]
async fn a_grant_opens_reads_of_what_it_covers_to_the_one_it_was_made_to() {
    let (this, other, third) = (Tenant::fresh().await, Tenant::fresh().await, Tenant::fresh().await);
    this.grant(&other, "system/*.cruds").await;
    let delegated = |tenant: &Tenant| tenant.delegate(&[(&this, "system/*.cruds")]).sign();
    for operation in catalog::all() {
        let rows = Rows::plant(&this, operation.resource).await;
        let before = rows.state().await;
        let ask = Ask::of(operation, &rows.standing, &content(rows.kind, &rows.standing, "intruder"));
        let answer = ask.send(&this.base(), Some(&delegated(&other))).await;
        assert_eq!(answer.status, under_a_grant(operation.code), "{}: {}", operation.path, answer.body);
        let told = answer.status == 200 && operation.code != Code::ValidateInstance;
        assert_eq!(answer.holds(CANARY), told, "{}: {}", operation.path, answer.body);
        assert_eq!(answer.holds("\"forbidden\""), !told, "{}: {}", operation.path, answer.body);
        assert_eq!(rows.state().await, before, "{}", operation.path);
        let answer = indistinguishable(&rows, operation, &[this.base()], Some(&delegated(&third))).await;
        answer.expect_outcome(403, "forbidden");
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn ids_that_a_grant_does_not_cover_are_ids_that_never_were() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    this.grant(&other, "system/Observation.rs?code=urn:none|none system/Patient.rs?_security=urn:none|none").await;
    let token = other.delegate(&[(&this, "system/*.cruds")]).sign();
    for operation in catalog::all() {
        let rows = Rows::plant(&this, operation.resource).await;
        let answer = indistinguishable(&rows, operation, &[this.base()], Some(&token)).await;
        let expected = match operation.code {
            Code::Read | Code::Vread | Code::HistoryInstance | Code::ValidateInstance => 404,
            code => under_a_grant(code),
        };
        assert_eq!(answer.status, expected, "{}: {}", operation.path, answer.body);
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_known_of_any_id() {
    let this = Tenant::fresh().await;
    for operation in catalog::all() {
        let rows = Rows::plant(&this, operation.resource).await;
        let answer = indistinguishable(&rows, operation, &[this.base()], None).await.expect_outcome(401, "login");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn the_same_requests_succeed_with_the_tenants_own_token() {
    let this = Tenant::fresh().await;
    for operation in catalog::all() {
        for base in [this.base(), format!("{}/fhir", this.server.url)] {
            let rows = Rows::plant(&this, operation.resource).await;
            let ask = Ask::of(operation, &rows.standing, &content(rows.kind, &rows.standing, "own"));
            let answer = ask.send(&base, Some(&this.all())).await;
            let expected = match operation.code {
                Code::Create => 201,
                Code::Delete | Code::ConditionalDelete => 204,
                Code::Read
                | Code::Vread
                | Code::HistoryInstance
                | Code::SearchType
                | Code::SearchTypePost
                | Code::SearchCompartment
                | Code::HistoryType
                | Code::Validate
                | Code::ValidateInstance
                | Code::Update
                | Code::ConditionalUpdate => 200,
            };
            assert_eq!(answer.status, expected, "{} at {base}: {}", operation.path, answer.body);
            if let Code::SearchType | Code::SearchTypePost | Code::SearchCompartment = operation.code {
                assert_eq!(answer.ids(), std::slice::from_ref(&rows.standing));
            }
        }
    }
}

#[tokio::test]
async fn searches_of_a_whole_type_find_rows_of_the_own_tenant_only() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    for kind in ResourceType::ALL {
        let theirs = Rows::plant(&this, kind).await;
        let own = new_id();
        other.put(&format!("{kind}/{own}"), &other.all(), &content(kind, &own, "own").to_string()).await.expect(201);

        // The ids of both tenants, and the one both have.
        let both = new_id();
        for tenant in [&this, &other] {
            let mark = if tenant.name == this.name { CANARY } else { "own" };
            let body = content(kind, &both, mark).to_string();
            tenant.put(&format!("{kind}/{both}"), &tenant.all(), &body).await.expect(201);
        }
        let queries = [
            kind.name().to_owned(),
            format!("{kind}?_id={},{own},{both}", theirs.standing),
            format!("{kind}?_count=1000"),
        ];
        for query in queries {
            let found = other.get(&query, &other.all()).await.expect(200);
            let mut ids = found.ids();
            ids.sort();
            let mut expected = vec![own.clone(), both.clone()];
            expected.sort();
            assert_eq!(ids, expected, "{query}");
            assert!(!found.holds(CANARY), "{query}: {}", found.body);
        }
    }
}
