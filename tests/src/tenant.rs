//! A fresh tenant, and tokens signed by its own key.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use vitals_access::{
    clock::Clock as _,
    keys::{ACCESS_TOKEN, SigningKey},
    settings::Settings,
    tenant::TenantName,
};
use vitals_store::control::{self, keys, tenants};

use crate::{Answer, Server, oracle, server};

/// A tenant that one test has for itself.
pub struct Tenant {
    /// The server it is on.
    pub server: &'static Server,
    /// Its name.
    pub name: TenantName,
    /// Its own signing key.
    pub key: SigningKey,
    _watch: oracle::Watch,
}

/// The HTTP client of all tests: no redirects, no proxies.
pub fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        vitals_server::egress::install_tls_provider();
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client")
    })
}

impl Tenant {
    /// A fresh tenant on the shared server.
    pub async fn fresh() -> Self {
        Self::on(server::shared()).await
    }

    /// A fresh tenant on a server.
    pub async fn on(server: &'static Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name: TenantName = format!("test-{number}-{}", std::process::id()).parse().expect("a tenant name");
        Self::named(server, &name).await
    }

    /// A tenant of this name.
    pub async fn named(server: &'static Server, name: &TenantName) -> Self {
        let mut admin = server.cluster.admin().await;
        let new = tenants::NewTenant {
            name: name.clone(),
            display: format!("Tenant {name}"),
            isolation: tenants::Isolation::Schema,
            tier: "default".to_owned(),
            issuer: None,
        };
        tenants::create(&mut admin, &server.cluster.master_key, &new, server.clock.now()).await.expect("a tenant");
        let key = keys::signing_for(&mut admin, &server.cluster.master_key, name).await.expect("its key");
        Self::of(server, name.clone(), key)
    }

    /// A tenant that is there already.
    pub fn of(server: &'static Server, name: TenantName, key: SigningKey) -> Self {
        Self { server, name, key, _watch: oracle::Watch }
    }

    /// A request below its administration.
    pub fn admin(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/t/{}/admin/{path}", self.server.url, self.name);
        client().request(method, url).bearer_auth(token)
    }

    /// A token for its administration.
    pub fn administrator(&self) -> String {
        self.token("admin:users").sign()
    }

    /// Its FHIR base URL.
    pub fn base(&self) -> String {
        format!("{}/t/{}/fhir", self.server.url, self.name)
    }

    /// Switches on what these settings say, as an operator would.
    pub async fn set(&self, settings: &Value) {
        let settings: Settings = serde_json::from_value(settings.clone()).expect("settings of a tenant");
        let mut admin = self.server.cluster.admin().await;
        control::settings::set(&mut admin, &self.name, &settings, self.server.clock.now()).await.expect("they are set");
        self.server.app.feed.refresh().await.expect("the directory is read");
    }

    /// A token with these scopes, to be changed before it is signed.
    pub fn token(&self, scope: &str) -> Token<'_> {
        let now = self.server.clock.now().timestamp();
        let claims = json!({
            "iss": format!("{}/t/{}/auth", self.server.url, self.name),
            "sub": "tester",
            "aud": self.base(),
            "iat": now,
            "exp": now + 600,
            "jti": uuid::Uuid::new_v4().to_string(),
            "tenant_id": self.name.as_str(),
            "client_id": "tests",
            "scope": scope,
        });
        let Value::Object(claims) = claims else { unreachable!("an object was written") };
        Token { key: &self.key, claims }
    }

    /// A token that may do everything with clinical data.
    pub fn all(&self) -> String {
        self.token("system/*.cruds").sign()
    }

    /// A request below the FHIR base.
    pub fn request(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}/{path}", self.base())).bearer_auth(token)
    }

    /// GET below the FHIR base.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, token)).await
    }

    /// POST of a resource.
    pub async fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path, token).header("content-type", "application/fhir+json");
        Answer::of(request.body(body.to_owned())).await
    }

    /// PUT of a resource.
    pub async fn put(&self, path: &str, token: &str, body: &str) -> Answer {
        let request = self.request(Method::PUT, path, token).header("content-type", "application/fhir+json");
        Answer::of(request.body(body.to_owned())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path, token)).await
    }
}

/// A token about to be signed.
pub struct Token<'k> {
    key: &'k SigningKey,
    claims: Map<String, Value>,
}

impl Token<'_> {
    /// Sets a claim.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Confines it to a patient.
    #[must_use]
    pub fn patient(self, id: &str) -> Self {
        self.with("patient", id)
    }

    /// The signed token.
    pub fn sign(self) -> String {
        self.key.sign(ACCESS_TOKEN, &Value::Object(self.claims))
    }
}
