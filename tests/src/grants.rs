//! Grants between tenants, made as an administrator of the grantor would, and tokens that use them.

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_server::authorization::grants::{self, Wanted};

use crate::{
    Answer, Tenant,
    tenant::{Token, client},
};

impl Tenant {
    /// Lets another tenant read what these scopes reach here, for ninety days; the answer is the grant's id.
    pub async fn grant(&self, to: &Self, scopes: &str) -> String {
        let wanted = Wanted {
            grantee: to.name.to_string(),
            scopes: scopes.split(' ').map(str::to_owned).collect(),
            purpose: "HRESCH".to_owned(),
            not_before: None,
            expires: self.server.clock.now() + TimeDelta::days(90),
            note: None,
            created_by: "tests".to_owned(),
        };
        self.at_desk(|desk, tenant| async move { grants::create(&desk, &tenant, wanted).await })
            .await
            .expect("a grant")
            .row
            .id
    }

    /// Ends a grant that this tenant made.
    pub async fn end_grant(&self, id: &str) {
        let id = id.to_owned();
        let ended = self
            .at_desk(|desk, tenant| async move { grants::revoke(&desk, &tenant, &id, "tests").await })
            .await
            .expect("the grant ends");
        assert!(ended, "there is a grant to end");
    }

    /// A token with `org:delegated` that has an entry for each of these tenants, with the scopes it says it has there.
    pub fn delegate<'t>(&'t self, scope: &str, entries: &[(&Self, &str)]) -> Token<'t> {
        let expires = self.server.clock.now().timestamp() + 600;
        let entries: Vec<Value> = entries
            .iter()
            .map(|(tenant, scopes)| json!({ "tenant_id": tenant.name.as_str(), "scopes": scopes, "expires": expires }))
            .collect();
        self.token(format!("{scope} org:delegated").trim_start()).with("delegated_access", entries)
    }

    /// The base over every tenant that granted this one access.
    pub fn delegated_base(&self) -> String {
        format!("{}/t/{}/delegated/fhir", self.server.url, self.name)
    }

    /// A request there.
    pub fn over_all(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        client().request(method, format!("{}/{path}", self.delegated_base())).bearer_auth(token)
    }

    /// GET there.
    pub async fn get_over_all(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.over_all(Method::GET, path, token)).await
    }
}
