//! Clients: apps and services that may ask a tenant's authorization server for tokens (RFC 6749, section 2).

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "client";

/// How a client proves who it is (RFC 7591, `token_endpoint_auth_method`; `client_secret` is both of its forms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// Not at all: a public client, which PKCE alone protects.
    None,
    /// By a secret (`client_secret_basic`, `client_secret_post`).
    ClientSecret,
    /// By a signed assertion (RFC 7523, SMART App Launch).
    PrivateKeyJwt,
    /// By a certificate of a trusted CA (RFC 8705, section 2.1).
    TlsClientAuth,
    /// By a certificate of its own that it registered (RFC 8705, section 2.2).
    SelfSignedTlsClientAuth,
}

impl Authentication {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::None, Self::ClientSecret, Self::PrivateKeyJwt, Self::TlsClientAuth, Self::SelfSignedTlsClientAuth];

    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecret => "client_secret",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }

    /// The method of this word, or of one of the two words that RFC 7591 has for a secret.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "client_secret_basic" | "client_secret_post" => Some(Self::ClientSecret),
            _ => Self::ALL.into_iter().find(|method| method.name() == name),
        }
    }

    /// Whether a client of this method can prove who it is.
    #[must_use]
    pub const fn is_confidential(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// SHA-256 of its secret, in base64url.
    pub secret: Option<String>,
    /// Its public keys, as a JWK Set.
    pub jwks: Option<String>,
    /// Where its public keys are.
    pub jwks_url: Option<String>,
    /// What its certificate has to say, as `name:value` (`subject_dn:CN=…`, `san_dns:…`, `san_uri:…`, `san_ip:…`,
    /// `san_email:…`), for `tls_client_auth`.
    pub certificate: Option<String>,
    /// Where people are sent back to, to the letter.
    pub redirect_uris: Vec<String>,
    /// Where an EHR launches it.
    pub launch_uri: Option<String>,
    /// What it may be granted at most.
    pub scopes: Vec<String>,
    /// Whether it is an EHR, which may announce launches of other apps.
    pub ehr: bool,
    /// Whether its tokens must be bound to a key or a certificate.
    pub require_proof: bool,
    /// What else it registered (RFC 7591), as a JSON object.
    pub metadata: String,
    /// Who registered it.
    pub registered_by: String,
    /// When.
    pub created: DateTime<Utc>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
}

impl Client {
    fn read(row: &PgRow) -> Result<Self, StoreError> {
        let word: &str = get(row, TABLE, "authentication")?;
        let wrong = StoreError::Inconsistent { table: TABLE, column: "authentication" };
        Ok(Self {
            id: get(row, TABLE, "id")?,
            name: get(row, TABLE, "name")?,
            authentication: Authentication::named(word).ok_or(wrong)?,
            secret: get(row, TABLE, "secret")?,
            jwks: get(row, TABLE, "jwks")?,
            jwks_url: get(row, TABLE, "jwks_url")?,
            certificate: get(row, TABLE, "certificate")?,
            redirect_uris: get(row, TABLE, "redirect_uris")?,
            launch_uri: get(row, TABLE, "launch_uri")?,
            scopes: get(row, TABLE, "scopes")?,
            ehr: get(row, TABLE, "ehr")?,
            require_proof: get(row, TABLE, "require_proof")?,
            metadata: get(row, TABLE, "metadata")?,
            registered_by: get(row, TABLE, "registered_by")?,
            created: get(row, TABLE, "created")?,
            revoked: get(row, TABLE, "revoked")?,
        })
    }
}

/// The columns of a client.
const SELECT: &str = "SELECT c.tenant, c.id, c.name, c.authentication, c.secret, c.jwks, c.jwks_url, c.certificate, \
     c.redirect_uris, c.launch_uri, c.scopes, c.ehr, c.require_proof, c.metadata, c.registered_by, c.created, c.revoked \
     FROM client c";

impl AuthorizationTx {
    /// Adds a client; false if its id is taken.
    pub async fn insert_client(&mut self, client: &Client) -> Result<bool, StoreError> {
        let mut sql = Sql::new("client.insert");
        sql.push(
            "INSERT INTO client AS c (id, name, authentication, secret, jwks, jwks_url, certificate, redirect_uris, \
             launch_uri, scopes, ehr, require_proof, metadata, registered_by, created) VALUES (",
        );
        sql.bind(client.id.as_str()).push(", ").bind(client.name.as_str()).push(", ");
        sql.bind(client.authentication.name()).push(", ").bind(client.secret.as_deref()).push(", ");
        sql.bind(client.jwks.as_deref()).push(", ").bind(client.jwks_url.as_deref()).push(", ");
        sql.bind(client.certificate.as_deref()).push(", ").bind(client.redirect_uris.clone()).push(", ");
        sql.bind(client.launch_uri.as_deref()).push(", ").bind(client.scopes.clone()).push(", ").bind(client.ehr);
        sql.push(", ").bind(client.require_proof).push(", ").bind(client.metadata.as_str()).push(", ");
        sql.bind(client.registered_by.as_str()).push(", ").bind(client.created);
        sql.push(") ON CONFLICT (id) DO NOTHING RETURNING c.tenant");
        self.touches(sql).await
    }

    /// The client of an id, revoked or not.
    pub async fn client(&mut self, id: &str) -> Result<Option<Client>, StoreError> {
        let mut sql = Sql::new("client.find");
        sql.push(SELECT).push(" WHERE c.id = ").bind(id);
        self.rows(sql).await?.first().map(Client::read).transpose()
    }

    /// All clients, by id.
    pub async fn clients(&mut self) -> Result<Vec<Client>, StoreError> {
        let mut sql = Sql::new("client.list");
        sql.push(SELECT).push(" ORDER BY c.id");
        self.rows(sql).await?.iter().map(Client::read).collect()
    }

    /// Ends a client; false if there is none, or it has ended.
    pub async fn revoke_client(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("client.revoke");
        sql.push("UPDATE client AS c SET revoked = ").bind(now).push(", secret = NULL WHERE c.id = ").bind(id);
        sql.push(" AND c.revoked IS NULL RETURNING c.tenant");
        self.touches(sql).await
    }

    /// Gives a client another secret, by its hash, or none; false if there is no such client that serves.
    pub async fn set_client_secret(&mut self, id: &str, hash: Option<&str>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("client.set_secret");
        sql.push("UPDATE client AS c SET secret = ").bind(hash).push(" WHERE c.id = ").bind(id);
        sql.push(" AND c.revoked IS NULL RETURNING c.tenant");
        self.touches(sql).await
    }

    /// Changes what a client may do and how it proves who it is: all but its id, its secret and when it was made.
    pub async fn update_client(&mut self, client: &Client) -> Result<bool, StoreError> {
        let mut sql = Sql::new("client.update");
        sql.push("UPDATE client AS c SET name = ").bind(client.name.as_str()).push(", authentication = ");
        sql.bind(client.authentication.name()).push(", jwks = ").bind(client.jwks.as_deref());
        sql.push(", jwks_url = ").bind(client.jwks_url.as_deref()).push(", certificate = ");
        sql.bind(client.certificate.as_deref()).push(", redirect_uris = ").bind(client.redirect_uris.clone());
        sql.push(", launch_uri = ").bind(client.launch_uri.as_deref()).push(", scopes = ").bind(client.scopes.clone());
        sql.push(", ehr = ").bind(client.ehr).push(", require_proof = ").bind(client.require_proof);
        sql.push(", metadata = ").bind(client.metadata.as_str()).push(" WHERE c.id = ").bind(client.id.as_str());
        sql.push(" AND c.revoked IS NULL RETURNING c.tenant");
        self.touches(sql).await
    }

    /// Takes every client's secret away; the answer is whose.
    pub async fn clear_client_secrets(&mut self) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("client.clear_secrets");
        sql.push("UPDATE client AS c SET secret = NULL WHERE c.secret IS NOT NULL RETURNING c.tenant, c.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }
}
