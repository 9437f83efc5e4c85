//! The base over every tenant that granted something.

use reqwest::{Method, RequestBuilder};

use crate::{Answer, Tenant, Token, tenant::client};

impl Tenant {
    /// A token like that of [`Tenant::delegate`] with further scopes.
    pub fn delegate_with(&self, scope: &str, entries: &[(&Self, &str)]) -> Token<'_> {
        self.delegate(entries).with("scope", format!("{scope} org:delegated").trim_start())
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
