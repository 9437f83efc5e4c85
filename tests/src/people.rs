//! People and apps of a tenant's authorization server, put there as an administrator would.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use vitals_access::clock::Clock as _;
use vitals_fhir::search::form_text;
use vitals_server::authorization::accounts::{self, NewAccount};
use vitals_store::authorization::{Account, Authentication, AuthorizationTx, Client, Launch};

use crate::{Tenant, cluster};

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// Where apps get their answers.
pub const CALLBACK: &str = "https://app.example/callback";
/// A PKCE verifier; [`challenge`] is its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The challenge of [`VERIFIER`].
pub fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

impl Tenant {
    /// The tenant as its server has it.
    pub async fn known(&self) -> Arc<vitals_access::tenant::Tenant> {
        let (app, name) = (Arc::clone(&self.server.app), self.name.clone());
        on_server(async move {
            let directory = app.feed.refresh().await.expect("the directory");
            Arc::clone(directory.tenant(&name).expect("the tenant"))
        })
        .await
    }

    /// Somebody with an account.
    pub async fn person(&self, username: &str, fhir_user: &str) -> Account {
        let new = NewAccount {
            username: username.to_owned(),
            name: format!("Person {username}"),
            password: Some(PASSWORD.to_owned()),
            fhir_user: Some(fhir_user.to_owned()),
            ..NewAccount::default()
        };
        self.account(new).await
    }

    /// An account.
    pub async fn account(&self, new: NewAccount) -> Account {
        let (app, tenant) = (Arc::clone(&self.server.app), self.known().await);
        on_server(async move { accounts::create(&app.desk, &tenant, new).await.map(|created| created.account) })
            .await
            .expect("an account")
    }

    /// An app that proves nothing, with these scopes.
    pub async fn app(&self, id: &str, scopes: &str) -> Client {
        self.client(Client {
            id: id.to_owned(),
            name: format!("App {id}"),
            authentication: Authentication::None,
            secret: None,
            jwks: None,
            jwks_url: None,
            certificate: None,
            redirect_uris: vec![CALLBACK.to_owned()],
            launch_uri: None,
            scopes: scopes.split(' ').map(str::to_owned).collect(),
            ehr: false,
            require_proof: false,
            metadata: "{}".to_owned(),
            registered_by: "tests".to_owned(),
            created: self.server.clock.now(),
            revoked: None,
        })
        .await
    }

    /// A client.
    pub async fn client(&self, client: Client) -> Client {
        let inserted = client.clone();
        self.authorization(move |mut tx| async move {
            let added = tx.insert_client(&inserted).await.expect("a client");
            (tx, added)
        })
        .await;
        client
    }

    /// A launch of an app by a user, as an EHR announces it; `handle` is what the app gets.
    pub async fn launch(&self, handle: &str, client: &str, account: &Account, context: &str) {
        let now = self.server.clock.now();
        let launch = Launch {
            hash: URL_SAFE_NO_PAD.encode(digest(&SHA256, handle.as_bytes())),
            client: client.to_owned(),
            account: account.id.clone(),
            context: context.to_owned(),
            expires: now + chrono::TimeDelta::minutes(5),
        };
        self.authorization(move |mut tx| async move {
            tx.insert_launch(&launch, now).await.expect("a launch");
            (tx, ())
        })
        .await;
    }

    /// Works on the tables of its authorization server.
    pub async fn authorization<T, F>(&self, work: impl FnOnce(AuthorizationTx) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = (AuthorizationTx, T)> + Send,
    {
        let (app, tenant) = (Arc::clone(&self.server.app), self.known().await);
        on_server(async move {
            let tx = app.pool.authorization(&tenant).await.expect("the tables");
            let (tx, done) = work(tx).await;
            tx.commit().await.expect("committed");
            done
        })
        .await
    }

    /// The path of an app's request for these scopes, below the pages; `more` are further parameters.
    pub fn asks(&self, client: &str, scopes: &str, more: &[(&str, &str)]) -> String {
        let (audience, challenge) = (self.base(), challenge());
        let usual = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("scope", scopes),
            ("state", "state-of-the-app"),
            ("aud", audience.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let pairs: Vec<(String, String)> =
            kept.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        format!("authorize?{}", form_text(&pairs))
    }
}

/// Runs on the runtime of the servers, whose connections outlive a test's own.
pub async fn on_server<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    cluster::runtime().spawn(work).await.expect("it ends")
}
