//! Registering clients, changing their secrets and ending them. What is registered is judged here, whoever asks: a
//! command, a tenant's administrator, or the program itself (RFC 7591).

use std::sync::Arc;

use vitals_access::{keys::KeySet, scope, tenant::Tenant};
use vitals_store::{
    authorization::{Authentication, Client},
    control::{self, revocations::RevocationKind},
};

use super::{Desk, ending::DeskError, keys, secrets};

mod addresses;
mod certificates;

pub use certificates::{CertificateName, is_registered};

/// Longest name of a client.
const MAX_NAME: usize = 200;
/// Longest id of a client.
const MAX_ID: usize = 200;
/// Longest key set.
const MAX_JWKS: usize = 32 * 1024;
/// Scopes a client may be allowed.
const MAX_SCOPES: usize = 200;

/// A client to be registered.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id, unless one is to be made.
    pub id: Option<String>,
    /// Its name for people.
    pub name: String,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// Its public keys, as a JWK Set; for `self_signed_tls_client_auth` with its certificates (`x5c`).
    pub jwks: Option<String>,
    /// Where its public keys are.
    pub jwks_url: Option<String>,
    /// What its certificate has to say, for `tls_client_auth`: see [`CertificateName`].
    pub certificate: Option<String>,
    /// Where people are sent back to.
    pub redirect_uris: Vec<String>,
    /// Where an EHR launches it.
    pub launch_uri: Option<String>,
    /// What it may be granted at most.
    pub scopes: Vec<String>,
    /// Whether it is an EHR, which may announce launches of other apps.
    pub ehr: bool,
    /// Whether its tokens must be bound to a key or a certificate.
    pub require_proof: bool,
    /// What else it registers (RFC 7591), as a JSON object.
    pub metadata: String,
    /// Who registers it.
    pub registered_by: String,
}

impl NewClient {
    /// A client that has nothing yet but a name and a method.
    pub fn named(name: &str, authentication: Authentication, registered_by: &str) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            authentication,
            jwks: None,
            jwks_url: None,
            certificate: None,
            redirect_uris: Vec::new(),
            launch_uri: None,
            scopes: Vec::new(),
            ehr: false,
            require_proof: false,
            metadata: "{}".to_owned(),
            registered_by: registered_by.to_owned(),
        }
    }
}

/// A client that was registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// As it is kept.
    pub client: Client,
    /// Its secret, which is shown this once.
    pub secret: Option<String>,
    /// What its registrar should know.
    pub warnings: Vec<String>,
}

/// Why a client is not registered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The id is in use, or was.
    #[error("there is a client {0} already")]
    Taken(String),
    /// A redirect URI that cannot be taken (RFC 7591 has a name of its own for it).
    #[error("redirect URI {uri}: {reason}")]
    RedirectUri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Anything else it says of itself that cannot be taken.
    #[error("{0}")]
    Metadata(String),
    /// A failure of ours.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<vitals_store::StoreError> for ClientError {
    fn from(error: vitals_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// Registers a client.
pub async fn register(desk: &Desk, tenant: &Arc<Tenant>, new: NewClient) -> Result<Registered, ClientError> {
    let mut warnings = Vec::new();
    let thumbprints = check(&new, &mut warnings)?;
    let secret = (new.authentication == Authentication::ClientSecret).then(secrets::random);
    let client = Client {
        id: new.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        name: new.name,
        authentication: new.authentication,
        secret: secret.as_deref().map(secrets::hash),
        jwks: new.jwks,
        jwks_url: new.jwks_url,
        certificate: new.certificate,
        redirect_uris: new.redirect_uris,
        launch_uri: new.launch_uri,
        scopes: new.scopes,
        ehr: new.ehr,
        require_proof: new.require_proof,
        metadata: new.metadata,
        registered_by: new.registered_by,
        created: desk.clock.now(),
        revoked: None,
    };
    let mut tx = desk.pool.authorization(tenant).await?;
    if !tx.insert_client(&client).await? {
        tx.rollback().await?;
        return Err(ClientError::Taken(client.id));
    }
    tx.commit().await?;
    publish(desk, tenant, &client, &thumbprints).await?;
    if !client.redirect_uris.is_empty() {
        keys::ensure_rs256(desk, tenant).await?;
    }
    Ok(Registered { client, secret, warnings })
}

/// Ends a client: its tokens, its approvals, and what was published of it. False if there is none, or it has ended.
pub async fn revoke(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<bool, DeskError> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    let ended = tx.revoke_client(id, now).await?;
    if !ended {
        tx.commit().await?;
        return Ok(false);
    }
    tx.end_approvals_of_client(id, now).await?;
    control::clients::withdraw(&mut desk.control().await?, &tenant.role, id, now).await?;
    desk.conclude(tenant, tx, &[(RevocationKind::Client, id)]).await?;
    Ok(true)
}

/// Gives a client that proves itself by a secret another one, which is shown this once; the old one is of no use from
/// now on. Nothing if there is no such client.
pub async fn replace_secret(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<Option<String>, DeskError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let client = tx.client(id).await?.filter(|client| client.revoked.is_none());
    let secret = secrets::random();
    let replaced = match client {
        Some(client) if client.authentication == Authentication::ClientSecret => {
            tx.set_client_secret(id, Some(&secrets::hash(&secret))).await?
        }
        _ => false,
    };
    tx.commit().await?;
    Ok(replaced.then_some(secret))
}

async fn publish(desk: &Desk, tenant: &Tenant, client: &Client, thumbprints: &[String]) -> Result<(), DeskError> {
    let mut origins: Vec<String> = client.redirect_uris.iter().filter_map(|uri| addresses::origin(uri)).collect();
    origins.sort_unstable();
    origins.dedup();
    if origins.is_empty() && thumbprints.is_empty() {
        return Ok(());
    }
    let published = control::clients::Published { client: &client.id, origins: &origins, thumbprints };
    let mut conn = desk.control().await?;
    let seq = control::clients::publish(&mut conn, &tenant.role, &published, desk.clock.now()).await?;
    desk.settled(seq).await
}

/// Judges what is to be registered; the answer is the thumbprints of the certificates it signs itself.
fn check(new: &NewClient, warnings: &mut Vec<String>) -> Result<Vec<String>, ClientError> {
    let wrong = |reason: &str| Err(ClientError::Metadata(reason.to_owned()));
    let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte));
    if new.id.as_deref().is_some_and(|id| id.is_empty() || id.len() > MAX_ID || !plain(id)) {
        return wrong("a client's id is up to 200 letters, digits and -._~:/");
    }
    if new.name.trim().is_empty() || new.name.len() > MAX_NAME || new.name.chars().any(char::is_control) {
        return wrong("a client's name is 1 to 200 bytes, without control characters");
    }
    addresses::check(new)?;
    if new.scopes.len() > MAX_SCOPES {
        return wrong("a client may be allowed 200 scopes");
    }
    for unknown in new.scopes.iter().filter(|text| !scope::is_known(text)) {
        warnings.push(format!("scope {unknown} is not known here: it is never granted"));
    }
    let is_service = new.redirect_uris.is_empty();
    if is_service && !new.authentication.is_confidential() {
        return wrong("a client without a way to prove who it is needs a redirect URI");
    }
    if new.ehr && !new.authentication.is_confidential() {
        return wrong("an EHR must prove who it is");
    }
    if new.authentication == Authentication::ClientSecret && new.scopes.iter().any(|text| text.starts_with("system/")) {
        warnings.push("a service should prove itself by a key (private_key_jwt), not by a secret".to_owned());
    }
    keys_of(new, warnings)
}

fn keys_of(new: &NewClient, warnings: &mut Vec<String>) -> Result<Vec<String>, ClientError> {
    let wrong = |reason: &str| Err(ClientError::Metadata(reason.to_owned()));
    if new.jwks.as_ref().is_some_and(|jwks| jwks.len() > MAX_JWKS) {
        return wrong("a key set may have 32 kB");
    }
    if new.jwks.as_ref().is_some_and(|jwks| certificates::holds_private_keys(jwks)) {
        return wrong("the key set holds a private or a symmetric key: register public keys alone");
    }
    if new.jwks.is_some() && new.jwks_url.is_some() {
        return wrong("a client has a key set or its address, not both");
    }
    if let Some(url) = &new.jwks_url {
        addresses::check_keys(url)?;
    }
    if new.certificate.is_some() && new.authentication != Authentication::TlsClientAuth {
        return wrong("the name of a certificate goes with tls_client_auth");
    }
    match new.authentication {
        Authentication::PrivateKeyJwt => match &new.jwks {
            None if new.jwks_url.is_none() => wrong("private_key_jwt needs a key set or its address"),
            None => Ok(Vec::new()),
            Some(jwks) => {
                let (keys, skipped) = KeySet::from_jwks(jwks);
                warnings.extend(skipped);
                if keys.is_empty() { wrong("the key set holds no usable key") } else { Ok(Vec::new()) }
            }
        },
        Authentication::TlsClientAuth => {
            let name = new.certificate.as_deref().and_then(CertificateName::read);
            if name.is_none() {
                return wrong(
                    "tls_client_auth needs the certificate's name: subject_dn:…, san_dns:…, san_uri:…, san_ip:… or \
                     san_email:…",
                );
            }
            Ok(Vec::new())
        }
        Authentication::SelfSignedTlsClientAuth => {
            let thumbprints = new.jwks.as_deref().map(certificates::thumbprints).unwrap_or_default();
            if thumbprints.is_empty() {
                return wrong("self_signed_tls_client_auth needs a key set whose keys have certificates (x5c)");
            }
            Ok(thumbprints)
        }
        Authentication::None | Authentication::ClientSecret => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
