//! What stands in the tokens: claims of access tokens (RFC 9068, SMART App Launch 2.2) and of id_tokens (OpenID Connect
//! Core, section 2).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use vitals_access::{keys::SigningAlgorithm, tenant::Tenant};
use vitals_store::{
    StoreError,
    authorization::{Account, Approval, Client, Refresh},
};

use super::{Asking, Issued, PERSONS, TokenError};
use crate::authorization::{Desk, DeskError, LaunchContext, grants};

/// What is granted, by whom.
pub(super) struct Granted<'a> {
    pub(super) approval: &'a Approval,
    pub(super) account: &'a Account,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<&'a str>,
}

pub(super) async fn issue(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    asking: Asking<'_>,
    granted: Granted<'_>,
    refresh_token: Option<String>,
) -> Result<Issued, TokenError> {
    let Granted { approval, account, scopes, nonce } = granted;
    let inconsistent = StoreError::Inconsistent { table: "approval", column: "context" };
    let context = LaunchContext::stored(&approval.context).ok_or(inconsistent)?;
    let now = asking.now;
    let user = account.fhir_user.as_ref().map(|user| format!("{}/{user}", desk.audience(tenant)));
    let mut claims = claims(desk, tenant, asking.client, now, PERSONS);
    claims.insert("sub".to_owned(), json!(account.id));
    claims.insert("scope".to_owned(), json!(scopes.join(" ")));
    claims.insert("approval_id".to_owned(), json!(approval.id));
    insert(&mut claims, "patient", context.patient.as_ref().map(|id| json!(id)));
    insert(&mut claims, "encounter", context.encounter.as_ref().map(|id| json!(id)));
    // Asked for or not: `user/` scopes are confined by it.
    insert(&mut claims, "fhirUser", user.as_ref().map(|user| json!(user)));
    if approval.refresh != Refresh::Offline {
        insert(&mut claims, "sid", approval.session.as_ref().map(|session| json!(session)));
    }
    insert(&mut claims, "cnf", asking.binding.confirmation());
    delegate(&mut claims, desk, tenant, &scopes, now)?;
    let jti = text(&claims, "jti");
    let access_token = desk.sign_access(tenant, &Value::Object(claims)).await?;

    let has = |word: &str| scopes.iter().any(|scope| scope == word);
    let mut id_token = None;
    if has("openid") {
        let mut identity = Map::new();
        identity.insert("iss".to_owned(), json!(desk.issuer(tenant)));
        identity.insert("sub".to_owned(), json!(account.id));
        identity.insert("aud".to_owned(), json!(asking.client.id));
        identity.insert("iat".to_owned(), json!(now.timestamp()));
        identity.insert("exp".to_owned(), json!((now + PERSONS).timestamp()));
        insert(&mut identity, "nonce", nonce.map(|nonce| json!(nonce)));
        insert(&mut identity, "auth_time", context.auth_time.map(|time| json!(time)));
        insert(&mut identity, "fhirUser", user.filter(|_| has("fhirUser")).map(|user| json!(user)));
        insert(&mut identity, "name", has("profile").then(|| json!(account.name)));
        let algorithm = id_token_algorithm(asking.client);
        id_token = Some(desk.sign_id_token(tenant, algorithm, &Value::Object(identity)).await?);
    }
    Ok(Issued {
        access_token,
        jti,
        subject: account.id.clone(),
        scopes,
        life: PERSONS,
        refresh_token,
        id_token,
        context,
    })
}

/// The claims that every access token has.
pub(super) fn claims(
    desk: &Desk,
    tenant: &Tenant,
    client: &Client,
    now: DateTime<Utc>,
    life: TimeDelta,
) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(desk.issuer(tenant)));
    claims.insert("aud".to_owned(), json!(desk.audience(tenant)));
    claims.insert("iat".to_owned(), json!(now.timestamp()));
    claims.insert("exp".to_owned(), json!((now + life).timestamp()));
    claims.insert("jti".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    claims.insert("tenant_id".to_owned(), json!(tenant.name.as_str()));
    claims.insert("client_id".to_owned(), json!(client.id));
    claims
}

/// Puts in what other tenants granted this one, where that was asked for and may be had.
pub(super) fn delegate(
    claims: &mut Map<String, Value>,
    desk: &Desk,
    tenant: &Tenant,
    scopes: &[String],
    now: DateTime<Utc>,
) -> Result<(), DeskError> {
    if scopes.iter().any(|scope| scope == grants::DELEGATED) {
        let claim = grants::delegated_access(&*desk.feed.current()?, tenant, now);
        if claim.left_out > 0 {
            tracing::warn!(tenant.id = %tenant.name, left_out = claim.left_out, "more grants than a token holds");
        }
        claims.insert("delegated_access".to_owned(), Value::Array(claim.entries));
    }
    Ok(())
}

pub(super) fn insert(claims: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        claims.insert(name.to_owned(), value);
    }
}

pub(super) fn text(claims: &Map<String, Value>, name: &str) -> String {
    claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// RS256 unless the client registered the other one (OpenID Connect Dynamic Registration, section 2).
fn id_token_algorithm(client: &Client) -> SigningAlgorithm {
    let metadata: Value = serde_json::from_str(&client.metadata).unwrap_or_default();
    if metadata["id_token_signed_response_alg"] == "ES256" { SigningAlgorithm::Es256 } else { SigningAlgorithm::Rs256 }
}
