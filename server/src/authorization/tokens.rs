//! Issuing tokens: for a code, for a refresh token, to a service by itself
//! (RFC 6749; <https://hl7.org/fhir/smart-app-launch/app-launch.html>, `backend-services.html`).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use vitals_access::{revocations::Revocable, scope, tenant::Tenant};
use vitals_store::{
    StoreError,
    authorization::{Account, Approval, Authentication, AuthorizationTx, Client, Refresh, RefreshToken},
    control::revocations::RevocationKind,
};

mod issue;

use issue::{Granted, claims, delegate, insert, issue, text};

use super::{Desk, context::LaunchContext, ending::DeskError, secrets};

/// Life of an access token for a person's app (SMART recommends at most an hour).
const PERSONS: TimeDelta = TimeDelta::seconds(3_600);
/// Life of a service's access token (SMART Backend Services: at most five minutes).
const SERVICES: TimeDelta = TimeDelta::seconds(300);
/// A refresh token that nobody uses for so long ends; each use starts anew. Three months of any year, as § 170.315(g)(10)
/// has it.
const REFRESH: TimeDelta = TimeDelta::days(92);

/// What a token is bound to: whoever shows it must prove that they hold this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The thumbprint of a DPoP key (RFC 9449).
    pub jkt: Option<String>,
    /// The thumbprint of a certificate (RFC 8705).
    pub x5t: Option<String>,
}

impl Binding {
    /// Whether it is bound at all.
    pub const fn is_bound(&self) -> bool {
        self.jkt.is_some() || self.x5t.is_some()
    }

    fn confirmation(&self) -> Option<Value> {
        let mut members = Map::new();
        if let Some(jkt) = &self.jkt {
            members.insert("jkt".to_owned(), json!(jkt));
        }
        if let Some(x5t) = &self.x5t {
            members.insert("x5t#S256".to_owned(), json!(x5t));
        }
        (!members.is_empty()).then_some(Value::Object(members))
    }
}

/// A client that has shown who it is, and what its tokens are to be bound to.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The client.
    pub client: &'a Client,
    /// What its tokens are bound to.
    pub binding: &'a Binding,
    /// When it asked, before it was looked up: what is taken back from then on ends what is issued here as well.
    pub now: DateTime<Utc>,
}

/// What a client brings for its code.
#[derive(Clone, Copy, Debug)]
pub struct BroughtCode<'a> {
    /// The code.
    pub code: &'a str,
    /// Where it was sent, as the client says.
    pub redirect_uri: &'a str,
    /// The PKCE verifier.
    pub verifier: &'a str,
}

/// Tokens, and what the app is told with them.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: String,
    /// Its `jti`, for the trail.
    pub jti: String,
    /// Who it is for: an account, or the client itself.
    pub subject: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Its life.
    pub life: TimeDelta,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The id_token.
    pub id_token: Option<String>,
    /// What the app is launched about.
    pub context: LaunchContext,
}

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The code or refresh token is not good.
    #[error("{0}")]
    Grant(&'static str),
    /// The scopes cannot be granted.
    #[error("{0}")]
    Scope(&'static str),
    /// The client may not use this grant.
    #[error("{0}")]
    Client(&'static str),
    /// A failure of ours.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// Whether what was brought is taken, or shows that two have it.
enum Judged<T> {
    Good(T),
    Replayed(Approval),
}

/// The tokens for a code.
pub async fn for_code(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    asking: Asking<'_>,
    brought: BroughtCode<'_>,
) -> Result<Issued, TokenError> {
    let now = asking.now;
    let mut tx = desk.pool.authorization(tenant).await?;
    let judged = async {
        let taken = tx.take_code(&secrets::hash(brought.code), now).await?;
        let taken = taken.ok_or(TokenError::Grant("the code is not good"))?;
        if taken.used_before {
            let approval = tx.approval(&taken.code.approval).await?;
            return of_client(approval, asking.client).map(Judged::Replayed);
        }
        let (approval, account) = standing(&mut tx, &taken.code.approval, asking.client).await?;
        if taken.code.expires <= now || !approval.holds(now) {
            return Err(TokenError::Grant("the code is not good"));
        }
        if taken.code.redirect_uri != brought.redirect_uri {
            return Err(TokenError::Grant("the redirect_uri is not the one the code was sent to"));
        }
        if !is_verifier(brought.verifier) || !secrets::same(&secrets::hash(brought.verifier), &taken.code.challenge) {
            return Err(TokenError::Grant("the code_verifier does not match"));
        }
        if taken.code.jkt.is_some() && taken.code.jkt != asking.binding.jkt {
            return Err(TokenError::Grant("the code is bound to another DPoP key"));
        }
        let refresh_token = refresh_token(&mut tx, &approval, asking, now).await?;
        Ok(Judged::Good((approval, account, taken.code.nonce, refresh_token)))
    };
    let (approval, account, nonce, refresh_token) = ended(desk, tenant, judged.await, tx).await?;
    let scopes = approval.scopes.clone();
    let granted = Granted { approval: &approval, account: &account, scopes, nonce: nonce.as_deref() };
    issue(desk, tenant, asking, granted, refresh_token).await
}

/// The tokens for a refresh token, which is replaced. `asked` may narrow the scopes of this access token.
pub async fn for_refresh_token(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    asking: Asking<'_>,
    brought: &str,
    asked: Option<&str>,
) -> Result<Issued, TokenError> {
    let now = asking.now;
    let mut tx = desk.pool.authorization(tenant).await?;
    let judged = async {
        let refused = || TokenError::Grant("the refresh token is not good");
        let taken = tx.take_refresh_token(&secrets::hash(brought), now).await?.ok_or_else(refused)?;
        if taken.used_before {
            let approval = tx.approval(&taken.token.approval).await?;
            return of_client(approval, asking.client).map(Judged::Replayed);
        }
        let (approval, account) = standing(&mut tx, &taken.token.approval, asking.client).await?;
        if taken.token.expires <= now || !approval.holds(now) {
            return Err(refused());
        }
        if taken.token.jkt.is_some() && taken.token.jkt != asking.binding.jkt {
            return Err(TokenError::Grant("the refresh token is bound to another DPoP key"));
        }
        if approval.refresh == Refresh::Online && !session_holds(&mut tx, &approval, now).await? {
            return Err(TokenError::Grant("the user has signed out"));
        }
        let scopes = narrowed(&approval.scopes, asked)?;
        // What the client may have and the user holds may have shrunk since.
        let scopes = scope::grantable(&scopes, &asking.client.scopes, &account.scopes);
        if scopes.is_empty() {
            return Err(TokenError::Scope("none of the scopes may be granted any more"));
        }
        let refresh_token = refresh_token(&mut tx, &approval, asking, now).await?;
        Ok(Judged::Good((approval, account, scopes, refresh_token)))
    };
    let (approval, account, scopes, refresh_token) = ended(desk, tenant, judged.await, tx).await?;
    let granted = Granted { approval: &approval, account: &account, scopes, nonce: None };
    issue(desk, tenant, asking, granted, refresh_token).await
}

/// An access token for a service by itself.
pub async fn for_service(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    asking: Asking<'_>,
    asked: Option<&str>,
) -> Result<Issued, TokenError> {
    let Asking { client, binding, now } = asking;
    if !client.authentication.is_confidential() {
        return Err(TokenError::Client("a client that cannot prove who it is gets no tokens for itself"));
    }
    let asked = words(asked.ok_or(TokenError::Scope("the parameter scope is missing"))?);
    let own: Vec<String> = client.scopes.iter().filter(|scope| is_for_services(scope)).cloned().collect();
    let asked: Vec<String> = asked.into_iter().filter(|scope| is_for_services(scope)).collect();
    let scopes = scope::grantable(&asked, &own, &own);
    if scopes.is_empty() {
        return Err(TokenError::Scope("none of these scopes may be granted to this client itself"));
    }
    let mut claims = claims(desk, tenant, client, now, SERVICES);
    claims.insert("sub".to_owned(), json!(client.id));
    claims.insert("scope".to_owned(), json!(scopes.join(" ")));
    insert(&mut claims, "cnf", binding.confirmation());
    delegate(&mut claims, desk, tenant, &scopes, now)?;
    let jti = text(&claims, "jti");
    let access_token = desk.sign_access(tenant, &Value::Object(claims)).await?;
    Ok(Issued {
        access_token,
        jti,
        subject: client.id.clone(),
        scopes,
        life: SERVICES,
        refresh_token: None,
        id_token: None,
        context: LaunchContext::default(),
    })
}

/// The approval behind a code or refresh token and who gave it, if it was given to this client. Who ends it meanwhile
/// waits for us, and takes back what we issue.
async fn standing(tx: &mut AuthorizationTx, id: &str, client: &Client) -> Result<(Approval, Account), TokenError> {
    let approval = of_client(tx.hold_approval(id).await?, client)?;
    let account = tx.account(&approval.account).await?.filter(|account| account.revoked.is_none());
    Ok((approval, account.ok_or(TokenError::Grant("the user is not known any more"))?))
}

fn of_client(approval: Option<Approval>, client: &Client) -> Result<Approval, TokenError> {
    let approval = approval.filter(|approval| approval.client == client.id);
    approval.ok_or(TokenError::Grant("it was not given to this client"))
}

async fn session_holds(tx: &mut AuthorizationTx, approval: &Approval, now: DateTime<Utc>) -> Result<bool, StoreError> {
    match &approval.session {
        Some(session) => tx.session_holds(session, now).await,
        None => Ok(false),
    }
}

/// Ends the transaction as it was judged. What is brought a second time ends its approval: two have it, and one of them
/// should not (RFC 9700, section 4.14.2).
async fn ended<T>(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    judged: Result<Judged<T>, TokenError>,
    mut tx: AuthorizationTx,
) -> Result<T, TokenError> {
    match judged {
        Ok(Judged::Good(good)) => {
            tx.commit().await?;
            Ok(good)
        }
        Ok(Judged::Replayed(approval)) => {
            tx.end_approval(&approval.id, desk.clock.now()).await?;
            tx.commit().await?;
            // Once is enough, however often it is brought again.
            let issued = Some(approval.created.timestamp());
            let known = Revocable { approval: Some(&approval.id), issued, ..Revocable::default() };
            if !desk.feed.current().map_err(DeskError::from)?.is_revoked(&tenant.role, &known) {
                desk.revoke(tenant, RevocationKind::Approval, &approval.id).await?;
            }
            Err(TokenError::Grant("it was used before: everything given for it has ended"))
        }
        Err(TokenError::Desk(error)) => Err(error.into()),
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

/// A new refresh token of an approval, unless it gives none. One of a client that proves itself by nothing else is bound
/// to its DPoP key (RFC 9449, section 5).
async fn refresh_token(
    tx: &mut AuthorizationTx,
    approval: &Approval,
    asking: Asking<'_>,
    now: DateTime<Utc>,
) -> Result<Option<String>, StoreError> {
    if approval.refresh == Refresh::None {
        return Ok(None);
    }
    let secret = secrets::random();
    let is_public = asking.client.authentication == Authentication::None;
    let mut expires = approval.expires.min(now + REFRESH);
    if approval.refresh == Refresh::Offline {
        // Who lets an app go on is not asked again while it does.
        expires = now + REFRESH;
        tx.prolong_approval(&approval.id, expires).await?;
    }
    let token = RefreshToken {
        hash: secrets::hash(&secret),
        approval: approval.id.clone(),
        jkt: asking.binding.jkt.clone().filter(|_| is_public),
        created: now,
        expires,
    };
    tx.insert_refresh_token(&token).await?;
    Ok(Some(secret))
}

/// Whether a service may have the scope: not where there is a user or a launch.
fn is_for_services(scope: &str) -> bool {
    let plain = ["openid", "fhirUser", "profile", "offline_access", "online_access"];
    let of_users = ["patient/", "user/", "launch"];
    !plain.contains(&scope) && !of_users.iter().any(|family| scope.starts_with(family))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What is asked of what was granted, none of which may be wider (RFC 6749, section 6).
fn narrowed(granted: &[String], asked: Option<&str>) -> Result<Vec<String>, TokenError> {
    let Some(asked) = asked.map(words) else { return Ok(granted.to_vec()) };
    let within = scope::grantable(&asked, granted, granted);
    if asked.is_empty() || asked.iter().any(|word| !within.contains(word)) {
        return Err(TokenError::Scope("a refresh cannot widen the scopes that were granted"));
    }
    Ok(within)
}

/// Whether a text is a verifier: 43 to 128 of the characters that need no escape (RFC 7636, section 4.1).
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_refresh_narrows_and_never_widens() {
        let granted = owned(&["openid", "patient/*.rs", "offline_access"]);
        assert_eq!(narrowed(&granted, None).unwrap(), granted);
        assert_eq!(narrowed(&granted, Some("patient/*.rs")).unwrap(), owned(&["patient/*.rs"]));
        assert_eq!(narrowed(&granted, Some("patient/Patient.r")).unwrap(), owned(&["patient/Patient.r"]));
        for wider in ["patient/*.cruds", "patient/*.rs user/*.rs", "user/*.rs", "unknown", "", "openid fhirUser"] {
            assert!(matches!(narrowed(&granted, Some(wider)), Err(TokenError::Scope(_))), "{wider}");
        }
    }

    #[test]
    fn a_verifier_is_long_enough_and_plain() {
        assert!(is_verifier(&"a".repeat(43)) && is_verifier(&"-._~".repeat(32)));
        for bad in ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43)), String::new()] {
            assert!(!is_verifier(&bad), "{bad}");
        }
    }

    #[test]
    fn services_get_no_scopes_of_users() {
        let of_services = ["system/*.rs", "vitals:read", "users:read", "export:bulk", "admin:users"];
        assert!(of_services.iter().all(|scope| is_for_services(scope)));
        let of_users =
            ["patient/*.rs", "user/*.rs", "openid", "launch", "launch/patient", "offline_access", "fhirUser"];
        assert!(!of_users.iter().any(|scope| is_for_services(scope)));
    }
}
