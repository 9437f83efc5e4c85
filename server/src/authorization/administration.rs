//! What administrators see of clients, users, sessions and approvals, and how they end the last two. The forms are those
//! of the command line and of `/admin` alike; no secret is in them, not even as a hash.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use vitals_access::tenant::Tenant;
use vitals_fhir::temporal::instant;
use vitals_store::{
    StoreError,
    authorization::{Account, Approval, Authentication, Client, Session},
    control::{
        keys::{self, KeyRow},
        revocations::RevocationKind,
    },
};

use super::{
    Desk, DeskError,
    accounts::{self, AccountError},
    passwords,
};

/// The clients of a tenant, those that ended among them.
pub async fn clients(desk: &Desk, tenant: &Arc<Tenant>) -> Result<Vec<Client>, StoreError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let clients = tx.clients().await?;
    tx.commit().await?;
    Ok(clients)
}

/// One client.
pub async fn client(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<Option<Client>, StoreError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let client = tx.client(id).await?;
    tx.commit().await?;
    Ok(client)
}

/// The users of a tenant, those that ended among them.
pub async fn users(desk: &Desk, tenant: &Arc<Tenant>) -> Result<Vec<Account>, StoreError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let accounts = tx.accounts().await?;
    tx.commit().await?;
    Ok(accounts)
}

/// One user, by id or by what they sign in by.
pub async fn user(desk: &Desk, tenant: &Arc<Tenant>, id_or_name: &str) -> Result<Option<Account>, StoreError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let account = match tx.account(id_or_name).await? {
        Some(account) => Some(account),
        None => tx.account_by_username(&accounts::folded(id_or_name)).await?,
    };
    tx.commit().await?;
    Ok(account)
}

/// A new password for a user, who is logged off everywhere: shown once.
pub async fn renew_password(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<String, AccountError> {
    let known = user(desk, tenant, id).await?.filter(|account| account.password.is_some() && account.revoked.is_none());
    let account = known.ok_or(AccountError::Unknown)?;
    let password = passwords::generate();
    accounts::set_password(desk, tenant, &account.id, &password).await?;
    let mut tx = desk.pool.authorization(tenant).await?;
    let sessions = tx.end_sessions_of(&account.id).await?;
    tx.clear_failures(&account.id).await?;
    let ended: Vec<_> = sessions.iter().map(|session| (RevocationKind::Session, session.as_str())).collect();
    desk.conclude(tenant, tx, &ended).await?;
    Ok(password)
}

/// The keys a tenant signs with, and those that are still taken.
pub async fn keys(desk: &Desk, tenant: &Arc<Tenant>) -> Result<Vec<KeyRow>, DeskError> {
    let now = desk.clock.now();
    let mut conn = desk.control().await?;
    let rows = keys::list(&mut conn, tenant).await?;
    Ok(rows.into_iter().filter(|row| row.retired.is_none_or(|at| at > now)).collect())
}

/// Who is signed in, and what stands approved.
pub async fn sessions(desk: &Desk, tenant: &Arc<Tenant>) -> Result<Value, StoreError> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    let sessions = tx.sessions(now).await?;
    let mut approvals = Vec::new();
    for client in tx.clients().await?.iter().filter(|client| client.revoked.is_none()) {
        approvals.extend(tx.approvals_of_client(&client.id, now).await?);
    }
    tx.commit().await?;
    Ok(json!({
        "sessions": sessions.iter().map(shown_session).collect::<Vec<_>>(),
        "approvals": approvals.iter().map(shown_approval).collect::<Vec<_>>(),
    }))
}

/// Ends a session or an approval, and every token under it; false where there is neither.
pub async fn end_session_or_approval(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<bool, DeskError> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    let kind = if tx.end_session_id(id).await? {
        tx.end_approvals_of_session(id, now).await?;
        Some(RevocationKind::Session)
    } else if tx.end_approval(id, now).await? {
        Some(RevocationKind::Approval)
    } else {
        None
    };
    let ended: Vec<_> = kind.map(|kind| (kind, id)).into_iter().collect();
    desk.conclude(tenant, tx, &ended).await?;
    Ok(kind.is_some())
}

/// A client, with the names of RFC 7591.
pub fn shown_client(client: &Client) -> Value {
    let method = match client.authentication {
        Authentication::ClientSecret => "client_secret_basic",
        other => other.name(),
    };
    let mut shown = object([
        ("client_id", json!(client.id)),
        ("client_name", json!(client.name)),
        ("scope", json!(client.scopes.join(" "))),
        ("token_endpoint_auth_method", json!(method)),
        ("redirect_uris", json!(client.redirect_uris)),
        ("launch_uri", json!(client.launch_uri)),
        ("jwks_uri", json!(client.jwks_url)),
        ("ehr", json!(client.ehr)),
        ("require_proof", json!(client.require_proof)),
        ("registered_by", json!(client.registered_by)),
        ("created", json!(instant(client.created.timestamp_millis()))),
        ("revoked", json!(client.revoked.map(|at| instant(at.timestamp_millis())))),
    ]);
    if let Some(jwks) = client.jwks.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
        shown.insert("jwks".to_owned(), jwks);
    }
    if client.authentication == Authentication::TlsClientAuth {
        shown.insert("tls_client_auth_subject_dn".to_owned(), json!(client.certificate));
    }
    Value::Object(shown)
}

/// A user.
pub fn shown_user(account: &Account) -> Value {
    Value::Object(object([
        ("id", json!(account.id)),
        ("username", json!(account.username)),
        ("name", json!(account.name)),
        ("fhirUser", json!(account.fhir_user)),
        ("patients", json!(account.patients)),
        ("scope", json!(account.scopes.join(" "))),
        ("issuer", json!(account.issuer)),
        ("subject", json!(account.subject)),
        ("locked_until", json!(account.locked_until.map(|at| instant(at.timestamp_millis())))),
        ("created", json!(instant(account.created.timestamp_millis()))),
        ("revoked", json!(account.revoked.map(|at| instant(at.timestamp_millis())))),
    ]))
}

/// A signing key.
pub fn shown_key(row: &KeyRow) -> Value {
    Value::Object(object([
        ("kid", json!(row.kid)),
        ("algorithm", json!(row.algorithm)),
        ("created", json!(instant(row.created.timestamp_millis()))),
        ("retired", json!(row.retired.map(|at| instant(at.timestamp_millis())))),
    ]))
}

fn shown_session(session: &Session) -> Value {
    Value::Object(object([
        ("id", json!(session.id)),
        ("user", json!(session.account)),
        ("address", json!(session.address)),
        ("created", json!(instant(session.created.timestamp_millis()))),
        ("seen", json!(instant(session.seen.timestamp_millis()))),
    ]))
}

fn shown_approval(approval: &Approval) -> Value {
    Value::Object(object([
        ("id", json!(approval.id)),
        ("client_id", json!(approval.client)),
        ("user", json!(approval.account)),
        ("scope", json!(approval.scopes.join(" "))),
        ("refresh", json!(approval.refresh.name())),
        ("created", json!(instant(approval.created.timestamp_millis()))),
        ("expires", json!(instant(approval.expires.timestamp_millis()))),
    ]))
}

/// An object without the members that are nothing.
fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}
