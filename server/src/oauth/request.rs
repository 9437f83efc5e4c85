//! The authorization request (RFC 6749, section 4.1.1; SMART App Launch 2.2; RFC 7636, 8707, 9126, 9449): read and judged
//! once, at `authorize` and at `par` alike.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vitals_access::{scope, tenant::Tenant};
use vitals_store::authorization::Client;

use super::{OauthError, form::Form};
use crate::{authorization::secrets, state::App};

/// What the `request_uri` of a pushed request begins with (RFC 9126, section 2.2).
pub(crate) const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";
/// Scopes in a request; a token has no more.
const MAX_SCOPES: usize = 64;
/// Longest value that is carried through the pages and given back.
const MAX_TEXT: usize = 2_048;
/// A challenge is SHA-256 in base64url (RFC 7636, section 4.2).
const CHALLENGE: usize = 43;

/// A request that may be put before its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorizationRequest {
    /// The app.
    pub(crate) client_id: String,
    /// Its name for people.
    pub(crate) client_name: String,
    /// Where the answer goes: one of the client's own, to the letter.
    pub(crate) redirect_uri: String,
    /// What the app wants back.
    pub(crate) state: Option<String>,
    /// The scopes asked for, as far as they are known here.
    pub(crate) scopes: Vec<String>,
    /// The PKCE challenge (S256).
    pub(crate) challenge: String,
    /// What the id_token has to carry.
    pub(crate) nonce: Option<String>,
    /// The handle an EHR launched the app with.
    pub(crate) launch: Option<String>,
    /// Which pages the app wants seen.
    pub(crate) prompt: Prompt,
    /// Longest time since the user signed in, in seconds.
    pub(crate) max_age: Option<i64>,
    /// Who the app thinks the user is.
    pub(crate) login_hint: Option<String>,
    /// The thumbprint of the DPoP key that the code is to be bound to.
    pub(crate) dpop_jkt: Option<String>,
}

/// Which pages an app wants its user to see (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prompt {
    /// None: an error where one is needed.
    pub(crate) none: bool,
    /// Sign in, whoever is signed in.
    pub(crate) login: bool,
    /// Consent, whatever was approved before.
    pub(crate) consent: bool,
}

/// A request that is refused.
#[derive(Clone, Debug)]
pub(crate) enum Bad {
    /// The user is shown why and goes nowhere: it is not sure whose request it is.
    Shown(OauthError),
    /// The app is told, where its answers go.
    Told(Box<Told>),
}

/// What an app is told of a request of its that is refused (RFC 6749, section 4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Where its answers go.
    pub(crate) redirect_uri: String,
    /// What it wants back.
    pub(crate) state: Option<String>,
    /// The error's name.
    pub(crate) error: &'static str,
    /// A sentence for developers.
    pub(crate) description: String,
}

impl From<OauthError> for Bad {
    fn from(error: OauthError) -> Self {
        Self::Shown(error)
    }
}

impl From<vitals_store::StoreError> for Bad {
    fn from(error: vitals_store::StoreError) -> Self {
        Self::Shown(error.into())
    }
}

impl Bad {
    /// The failure as an answer for programs, at `par`.
    pub(crate) fn into_error(self) -> OauthError {
        match self {
            Self::Shown(error) => error,
            Self::Told(told) => {
                OauthError::named(poem::http::StatusCode::BAD_REQUEST, told.error, told.description.clone())
            }
        }
    }
}

impl AuthorizationRequest {
    /// Reads the parameters of a request, of one that was pushed ahead those of then, and judges them.
    pub(crate) async fn parse(
        app: &App,
        tenant: &Arc<Tenant>,
        pairs: Vec<(String, String)>,
    ) -> Result<(Self, Client), Bad> {
        let form = Form::of_pairs(pairs)?;
        let now = app.clock.now();
        let id = form.require("client_id")?;
        let mut tx = app.pool.authorization(tenant).await?;
        let client = tx.client(id).await?.filter(|client| client.revoked.is_none());
        let mut pushed = None;
        if let (Some(client), Some(uri)) = (&client, form.get("request_uri")) {
            let handle = uri.strip_prefix(REQUEST_URI).map(secrets::hash);
            if let Some(hash) = handle {
                pushed = tx.take_pushed_request(&hash, &client.id, now).await?;
            }
        }
        tx.commit().await?;
        let client = client.ok_or_else(|| OauthError::invalid_client("This app is not registered here."))?;
        let form = match (form.get("request_uri"), pushed) {
            (None, _) => form,
            (Some(_), Some(text)) => Form::of(&text)?,
            (Some(_), None) => {
                let used = "The request_uri is not one of this app's, has run out, or was used.";
                return Err(OauthError::invalid_request(used).into());
            }
        };
        Self::judge(app, tenant, &form, &client).await.map(|request| (request, client))
    }

    /// Judges the parameters of a request of a client that is known.
    pub(crate) async fn judge(app: &App, tenant: &Arc<Tenant>, form: &Form, client: &Client) -> Result<Self, Bad> {
        if form.get("client_id").is_some_and(|id| id != client.id) {
            return Err(OauthError::invalid_request("The client_id is another app's.").into());
        }
        let redirect_uri = form.require("redirect_uri")?;
        // To the letter, the loopback's port included: a prefix or a pattern is what attacks live on (RFC 9700, 4.1).
        if !client.redirect_uris.iter().any(|registered| registered == redirect_uri) {
            return Err(OauthError::invalid_request("This redirect_uri is not registered for the app.").into());
        }
        let challenge = challenge(form)?;
        let told = |error, description: &str| {
            Bad::Told(Box::new(Told {
                redirect_uri: redirect_uri.to_owned(),
                state: form.get("state").filter(|state| state.len() <= MAX_TEXT).map(str::to_owned),
                error,
                description: description.to_owned(),
            }))
        };
        let invalid = |description| told("invalid_request", description);
        match form.get("response_type") {
            Some("code") => {}
            None => return Err(invalid("The parameter response_type is missing.")),
            Some(_) => return Err(told("unsupported_response_type", "The only response_type is code.")),
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(invalid("The only response_mode is query."));
        }
        if form.get("request").is_some() {
            return Err(told("request_not_supported", "Request objects are not supported: push the request."));
        }
        if form.get("request_uri").is_some() {
            return Err(invalid("A pushed request cannot name another."));
        }
        let audience = app.desk.audience(tenant);
        let audiences = [form.get("aud"), form.get("resource")];
        let is_ours = |named: &&str| named.strip_suffix('/').unwrap_or(named) == audience;
        if audiences.iter().all(Option::is_none) || !audiences.iter().flatten().all(is_ours) {
            return Err(invalid("The parameter aud must be the FHIR base URL of this organisation."));
        }
        let text = |name: &'static str| match form.get(name) {
            Some(value) if value.len() > MAX_TEXT => Err(invalid("A parameter is longer than 2,048 bytes.")),
            value => Ok(value.map(str::to_owned)),
        };
        let mut scopes: Vec<String> = Vec::new();
        for word in form.get("scope").unwrap_or("").split(' ').filter(|word| scope::is_known(word)) {
            if !scopes.iter().any(|known| known == word) {
                scopes.push(word.to_owned());
            }
        }
        if scopes.is_empty() || scopes.len() > MAX_SCOPES {
            return Err(told("invalid_scope", "The parameter scope names no scope that is known here, or too many."));
        }
        let launch = text("launch")?;
        if launch.is_some() != scopes.iter().any(|word| word == "launch") {
            return Err(invalid(
                "The scope launch goes with the parameter launch of an EHR's launch, and the other way.",
            ));
        }
        if let Some(handle) = &launch {
            let mut tx = app.pool.authorization(tenant).await?;
            let found = tx.launch(&secrets::hash(handle), &client.id, app.clock.now()).await?;
            tx.commit().await?;
            if found.is_none() {
                return Err(invalid("The launch is not one of this app's, has run out, or was used."));
            }
        }
        let max_age = form.get("max_age").map(|age| age.parse::<u32>().map(i64::from)).transpose();
        let dpop_jkt = text("dpop_jkt")?;
        if dpop_jkt.as_ref().is_some_and(|jkt| !is_thumbprint(jkt)) {
            return Err(invalid("The parameter dpop_jkt is no thumbprint."));
        }
        Ok(Self {
            client_id: client.id.clone(),
            client_name: client.name.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state: text("state")?,
            scopes,
            challenge,
            nonce: text("nonce")?,
            launch,
            prompt: prompt(form.get("prompt").unwrap_or("")).map_err(invalid)?,
            max_age: max_age.map_err(|_| invalid("The parameter max_age is no number of seconds."))?,
            login_hint: text("login_hint")?,
            dpop_jkt,
        })
    }
}

/// The PKCE challenge, which every request must have, by S256 (O12). Without one the user is told here: an app of the
/// attacker's making would go on with what it is told.
fn challenge(form: &Form) -> Result<String, OauthError> {
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OauthError::invalid_request("The parameter code_challenge_method must be S256 (RFC 7636)."));
    }
    match form.get("code_challenge") {
        Some(challenge) if is_thumbprint(challenge) => Ok(challenge.to_owned()),
        _ => Err(OauthError::invalid_request("The parameter code_challenge must be SHA-256 in base64url (RFC 7636).")),
    }
}

/// Whether a text can be SHA-256 in base64url.
fn is_thumbprint(text: &str) -> bool {
    text.len() == CHALLENGE && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn prompt(text: &str) -> Result<Prompt, &'static str> {
    let mut prompt = Prompt::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            // Whoever wants another account has to sign in as it.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err("The parameter prompt knows none, login, consent and select_account."),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err("The prompt none goes with no other.");
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_read_and_none_stands_alone() {
        let read = |text| prompt(text).map(|prompt| (prompt.none, prompt.login, prompt.consent));
        assert_eq!(read(""), Ok((false, false, false)));
        assert_eq!(read("none"), Ok((true, false, false)));
        assert_eq!(read("login consent"), Ok((false, true, true)));
        assert!(read("none login").is_err());
        assert!(read("create").is_err());
    }

    #[test]
    fn only_s256_is_a_challenge() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let read = |text: String| challenge(&Form::of(&text).unwrap());
        assert!(read(format!("code_challenge_method=S256&code_challenge={good}")).is_ok());
        for bad in [
            String::new(),
            format!("code_challenge={good}"),
            format!("code_challenge_method=plain&code_challenge={good}"),
            format!("code_challenge_method=s256&code_challenge={good}"),
            "code_challenge_method=S256".to_owned(),
            format!("code_challenge_method=S256&code_challenge={good}A"),
            format!("code_challenge_method=S256&code_challenge={}", good.replace('-', "%2B")),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().status(), 400, "{bad}");
        }
    }
}
