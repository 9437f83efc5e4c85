//! Signing in at the tenant's OpenID provider (OpenID Connect Core 1.0, section 3.1, with PKCE).
//!
//! What the provider says is a `sub`; whose account that is, an administrator said before. A stranger with a good name at
//! the provider is a stranger still.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{Method, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use vitals_access::{
    id_token::{self, IdTokenError, IdTokenExpected},
    settings::Upstream,
};
use vitals_fhir::search::form_text;

use super::{Asked, OauthError, authorize::see_other, cookie::Cookie, form::Form, pending::Onward, visitor};
use crate::{
    authorization::{provider, secrets},
    egress::{self, Discovered},
};

const PURPOSE: &str = "sign-in-at-provider";
/// Longest cookie that every browser keeps (RFC 6265, section 6.1).
const LONGEST_COOKIE: usize = 3_900;
/// Longest `sub` (OpenID Connect Core 1.0, section 2).
const LONGEST_SUBJECT: usize = 255;

/// A sign-in under way, as the browser keeps it, sealed.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    onward: String,
}

/// Sends a browser to the provider.
pub(super) async fn begin(asked: &mut Asked<'_>, onward: &Onward) -> Result<Response, OauthError> {
    let (app, tenant) = (asked.app, asked.tenant);
    let Some(provider) = &tenant.settings.sign_in else { return Err(OauthError::no_such_address()) };
    let discovered = discovered(asked, provider).await?;
    let Some(endpoint) = discovered.authorization_endpoint.as_deref() else { return Err(away()) };
    let under_way = UnderWay {
        issuer: provider.issuer.clone(),
        state: secrets::random(),
        nonce: secrets::random(),
        verifier: secrets::random(),
        onward: onward.seal(app, tenant)?,
    };
    let again = match onward {
        Onward::Authorize(pending) => pending.request.prompt.login || pending.request.max_age.is_some(),
        Onward::Manage => false,
    };
    let (callback, challenge) = (callback(asked), secrets::hash(&under_way.verifier));
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", callback.as_str()),
        ("scope", provider.scope.as_str()),
        ("state", under_way.state.as_str()),
        ("nonce", under_way.nonce.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    pairs.extend(again.then_some(("prompt", "login")));
    let sign = if endpoint.contains('?') { '&' } else { '?' };
    let mut response = see_other(&format!("{endpoint}{sign}{}", form_text(&owned(&pairs))))?;
    let plain = serde_json::to_vec(&under_way).map_err(|_| OauthError::internal())?;
    let sealed = app.master_key.seal(PURPOSE, tenant.role.as_str().as_bytes(), &plain);
    let value = URL_SAFE_NO_PAD.encode(sealed.map_err(|_| OauthError::internal())?);
    if value.len() > LONGEST_COOKIE {
        return Err(OauthError::invalid_request("The request of the app is too long to sign in elsewhere meanwhile."));
    }
    let line = Cookie::Provider.set(app, tenant, &value).ok_or_else(OauthError::internal)?;
    response.headers_mut().append(header::SET_COOKIE, line);
    Ok(response)
}

/// Answers a browser that comes back from the provider.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::GET {
        return Err(OauthError::not_offered("GET"));
    }
    let (app, tenant) = (asked.app, Arc::clone(asked.tenant));
    let Some(provider) = &tenant.settings.sign_in else { return Err(OauthError::no_such_address()) };
    let form = Form::of(&asked.incoming.query)?;
    let under_way = under_way(&asked).filter(|under_way| {
        let state = form.get("state").unwrap_or_default();
        under_way.issuer == provider.issuer && secrets::same(&under_way.state, state)
    });
    let Some(under_way) = under_way else {
        return Err(OauthError::invalid_request(
            "This sign-in was not begun at this browser, or is over. Begin again.",
        ));
    };
    // Who mixes up two providers is caught here (RFC 9207).
    if form.get("iss").is_some_and(|issuer| issuer != provider.issuer) {
        return Err(OauthError::invalid_request("The answer is another provider's."));
    }
    let Some(code) = form.get("code") else {
        return Err(OauthError::named(
            StatusCode::FORBIDDEN,
            "access_denied",
            "Signing in at the provider did not work.",
        ));
    };
    let onward = Onward::open(app, &tenant, &under_way.onward)?;
    let subject = subject(&asked, provider, &under_way, code).await?;
    let mut tx = app.pool.authorization(&tenant).await?;
    let account = tx.account_by_subject(&provider.issuer, &subject).await?;
    tx.commit().await?;
    let Some(account) = account.filter(|account| account.revoked.is_none()) else {
        // So that an administrator can find whom to link.
        asked.record.unverified = true;
        asked.record.issuer = Some(provider.issuer.clone());
        asked.record.subject = Some(subject);
        let text = format!("You are not known at {}: ask its administrator to link your account.", tenant.display);
        return Err(OauthError::named(StatusCode::FORBIDDEN, "access_denied", text));
    };
    let mut response = see_other(&onward.address(app, &tenant)?)?;
    visitor::sign_in(&mut asked, &account, &mut response).await?;
    if let Some(line) = Cookie::Provider.clear(app, &tenant) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(response)
}

fn under_way(asked: &Asked<'_>) -> Option<UnderWay> {
    let value = Cookie::Provider.read(asked.app, asked.tenant, &asked.incoming.headers)?;
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let plain = asked.app.master_key.open(PURPOSE, asked.tenant.role.as_str().as_bytes(), &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// The `sub` that the provider gives for a code.
async fn subject(
    asked: &Asked<'_>,
    provider: &Upstream,
    under_way: &UnderWay,
    code: &str,
) -> Result<String, OauthError> {
    #[derive(Deserialize)]
    struct Tokens {
        id_token: String,
    }
    let discovered = discovered(asked, provider).await?;
    let Some(endpoint) = discovered.token_endpoint.as_deref() else { return Err(away()) };
    let secret = provider::open_secret(&asked.app.master_key, asked.tenant, provider);
    let secret = secret.map_err(|_| OauthError::internal())?;
    let callback = callback(asked);
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback.as_str()),
        ("code_verifier", under_way.verifier.as_str()),
    ];
    if secret.is_none() {
        pairs.push(("client_id", provider.client_id.as_str()));
    }
    let client = secret.as_deref().map(|secret| (provider.client_id.as_str(), secret));
    let text = asked.app.egress.post_form(endpoint, &egress::Form { pairs: owned(&pairs), client }).await;
    let text = text.map_err(|error| {
        tracing::warn!(%error, "the tenant's OpenID provider gave no tokens");
        away()
    })?;
    let tokens: Tokens = serde_json::from_str(&text).map_err(|_| away())?;
    let subject = verified(asked, provider, under_way, &discovered, &tokens.id_token).await?;
    if subject.len() > LONGEST_SUBJECT { Err(away()) } else { Ok(subject) }
}

async fn verified(
    asked: &Asked<'_>,
    provider: &Upstream,
    under_way: &UnderWay,
    discovered: &Discovered,
    token: &str,
) -> Result<String, OauthError> {
    let expected = IdTokenExpected {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        nonce: &under_way.nonce,
        now: asked.app.clock.now(),
    };
    let keeper = &asked.app.keeper;
    let keys = keeper.keys_for(&provider.issuer, &discovered.jwks_uri).await.map_err(|_| away())?;
    let judged = match id_token::check(token, &keys.keys, &expected) {
        Err(IdTokenError::UnknownKey) => {
            let keys = keeper.keys_after_miss(&provider.issuer, &discovered.jwks_uri).await.map_err(|_| away())?;
            id_token::check(token, &keys.keys, &expected)
        }
        judged => judged,
    };
    judged.map_err(|error| {
        tracing::warn!(%error, "an ID token of the tenant's OpenID provider is refused");
        OauthError::named(StatusCode::FORBIDDEN, "access_denied", "What the provider said of you cannot be trusted.")
    })
}

async fn discovered(asked: &Asked<'_>, provider: &Upstream) -> Result<Arc<Discovered>, OauthError> {
    let found = asked.app.desk.people.providers.discovered(&asked.app.egress, &provider.issuer).await;
    found.map_err(|error| {
        tracing::warn!(%error, "the tenant's OpenID provider cannot be discovered");
        away()
    })
}

fn away() -> OauthError {
    OauthError::named(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "Signing in through the provider does not work right now.",
    )
}

fn callback(asked: &Asked<'_>) -> String {
    format!("{}/callback", asked.app.desk.issuer(asked.tenant))
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
