//! The authorization server of a tenant as clients, users and EHRs see it: registered apps, accounts, codes, assertions,
//! proofs.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use vitals_access::{clock::Clock as _, tenant};
use vitals_fhir::search::form_text;
use vitals_server::authorization::{
    ApprovedRequest, Desk, LaunchContext, approve,
    clients::{self, NewClient, Registered},
    secrets,
};
use vitals_store::authorization::{Account, Authentication, RegistrationToken, Session};

use crate::{
    Answer, Tenant, cluster,
    forge::{self, Forge},
    tenant::client,
};

/// Where the apps of tests are sent back to.
pub const CALLBACK: &str = "https://app.example/callback";
/// The PKCE verifier of tests (RFC 7636, appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A form to be posted.
pub fn post(url: &str, pairs: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    client().post(url).header("content-type", "application/x-www-form-urlencoded").body(form_text(&pairs))
}

/// Words as a list of scopes.
pub fn scopes(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A client to be registered, with an address to be sent back to.
pub fn app(authentication: Authentication, allowed: &str) -> NewClient {
    let mut new = NewClient::named("Growth Chart", authentication, "tests");
    new.redirect_uris = vec![CALLBACK.to_owned()];
    new.scopes = scopes(allowed);
    new
}

/// A service to be registered, which proves itself by this key under the id `k`.
pub fn service(key: &Forge, allowed: &str) -> NewClient {
    let mut new = NewClient::named("Nightly report", Authentication::PrivateKeyJwt, "tests");
    new.jwks = Some(json!({ "keys": [key.jwk("k")] }).to_string());
    new.scopes = scopes(allowed);
    new
}

impl Tenant {
    /// The URL of its authorization server, its issuer.
    pub fn issuer(&self) -> String {
        format!("{}/t/{}/auth", self.server.url, self.name)
    }

    /// The URL of an endpoint.
    pub fn auth(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.issuer())
    }

    /// Posts a form to an endpoint.
    pub async fn ask(&self, endpoint: &str, pairs: &[(&str, &str)]) -> Answer {
        Answer::of(post(&self.auth(endpoint), pairs)).await.sound()
    }

    /// Does something with the rules of the authorization server, on the runtime of the server: connections opened on a
    /// test's own would end with it.
    pub async fn at_desk<T, F>(&self, work: impl FnOnce(Desk, Arc<tenant::Tenant>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let app = Arc::clone(&self.server.app);
        let mut directory = app.feed.current().expect("a directory");
        if directory.tenant(&self.name).is_none() {
            let app = Arc::clone(&app);
            let refreshed = cluster::runtime().spawn(async move { app.feed.refresh().await });
            directory = refreshed.await.expect("refreshed").expect("a directory");
        }
        let tenant = Arc::clone(directory.tenant(&self.name).expect("the tenant"));
        cluster::runtime().spawn(work(app.desk.clone(), tenant)).await.expect("it ends")
    }

    /// Registers a client.
    pub async fn register(&self, new: NewClient) -> Registered {
        let registered = self.at_desk(|desk, tenant| async move { clients::register(&desk, &tenant, new).await });
        registered.await.expect("a client")
    }

    /// Makes an account; the answer is its id.
    pub async fn user(&self, fhir_user: Option<&str>, held: &str) -> String {
        let id = Uuid::new_v4().to_string();
        let account = Account {
            id: id.clone(),
            username: format!("user-{id}"),
            name: "Ann Example".to_owned(),
            password: None,
            issuer: None,
            subject: None,
            fhir_user: fhir_user.map(str::to_owned),
            patients: Vec::new(),
            scopes: scopes(held),
            failures: 0,
            locked_until: None,
            created: self.server.clock.now(),
            revoked: None,
        };
        let inserted = self.at_desk(|desk, tenant| async move {
            let mut tx = desk.pool.authorization(&tenant).await?;
            let inserted = tx.insert_account(&account).await?;
            tx.commit().await.map(|()| inserted)
        });
        assert!(inserted.await.expect("the tables"), "an account of that name is there");
        id
    }

    /// Signs somebody in; the answer is the id of the session.
    pub async fn session(&self, account: &str) -> String {
        let now = self.server.clock.now();
        let session = Session {
            hash: secrets::hash(&secrets::random()),
            id: Uuid::new_v4().to_string(),
            account: account.to_owned(),
            address: None,
            created: now,
            seen: now,
            expires: now + chrono::TimeDelta::minutes(15),
        };
        let id = session.id.clone();
        let inserted = self.at_desk(|desk, tenant| async move {
            let mut tx = desk.pool.authorization(&tenant).await?;
            tx.insert_session(&session).await?;
            tx.commit().await
        });
        inserted.await.expect("the tables");
        id
    }

    /// Gives out an initial access token for registration, for these scopes at most.
    pub async fn registration_token(&self, allowed: &str) -> String {
        let secret = secrets::random();
        let now = self.server.clock.now();
        let token = RegistrationToken {
            hash: secrets::hash(&secret),
            id: Uuid::new_v4().to_string(),
            scopes: scopes(allowed),
            created: now,
            expires: now + chrono::TimeDelta::hours(1),
            revoked: None,
        };
        let inserted = self.at_desk(|desk, tenant| async move {
            let mut tx = desk.pool.authorization(&tenant).await?;
            tx.insert_registration_token(&token).await?;
            tx.commit().await
        });
        inserted.await.expect("the tables");
        secret
    }

    /// Approves what a request asks for; the answer is the code.
    pub async fn approve(&self, request: ApprovedRequest) -> String {
        self.at_desk(|desk, tenant| async move { approve(&desk, &tenant, &request).await }).await.expect("approved")
    }
}

/// What a user of a tenant's approved for an app, with the context of one patient.
pub fn approved(client: &str, account: &str, granted: &str, patient: Option<&str>) -> ApprovedRequest {
    ApprovedRequest {
        client: client.to_owned(),
        account: account.to_owned(),
        session: None,
        scopes: scopes(granted),
        context: LaunchContext {
            patient: patient.map(str::to_owned),
            auth_time: Some(1_795_000_000),
            ..LaunchContext::default()
        },
        launch: None,
        redirect_uri: CALLBACK.to_owned(),
        challenge: CHALLENGE.to_owned(),
        nonce: None,
        jkt: None,
    }
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&forge::unb64(part)).expect("claims")
}

/// The header of a token.
pub fn header(token: &str) -> Value {
    let part = token.split('.').next().expect("three parts");
    serde_json::from_slice(&forge::unb64(part)).expect("a header")
}

/// The claims of a good client assertion.
pub fn assertion_claims(tenant: &Tenant, client: &str) -> Value {
    let now = tenant.server.clock.now().timestamp();
    json!({
        "iss": client,
        "sub": client,
        "aud": tenant.auth("token"),
        "exp": now + 240,
        "iat": now,
        "jti": Uuid::new_v4().to_string(),
    })
}

/// A client assertion of these claims, by a key under the id `k`.
pub fn assertion(key: &Forge, algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "kid": "k", "typ": "JWT" });
    key.token(&header.to_string(), &claims.to_string())
}

/// The parameters that show an assertion.
pub fn shows(assertion: &str) -> [(&str, &str); 2] {
    [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ]
}
