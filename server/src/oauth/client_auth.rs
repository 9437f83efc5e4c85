//! Who asks, at the endpoints that programs use (RFC 6749, section 2.3; RFC 7523; RFC 8705; SMART App Launch 2.2).
//!
//! A client proves itself in the one way it registered. An unknown client, one that was revoked and one whose proof is
//! not good are answered alike, after the same work.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::http::{HeaderMap, HeaderValue, header};
use vitals_access::{
    assertion::{self, AssertionError, AssertionExpected},
    keys::KeySet,
    proof::{ClientCertificate, SubjectName},
    tenant::Tenant,
};
use vitals_fhir::search::form_pairs;
use vitals_store::authorization::{Authentication, Client};

use super::{Asked, OauthError, form::Form};
use crate::{
    authorization::{
        clients::{self, CertificateName},
        secrets,
    },
    egress::CLIENT,
    rest::limits,
    state::App,
};

/// The only kind of client assertion (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion that is read.
const MAX_ASSERTION: usize = 8_192;
/// What everybody reads whose proof is not good.
const REFUSED: &str = "The client is not known here, or did not prove who it is.";
/// The hash of no secret, to be compared with where there is none.
const NO_SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a request shows of its client.
enum Shown {
    /// An id alone: a public client, or one with a certificate.
    Id(String),
    /// An id and a secret, and whether they came by HTTP authentication.
    Secret { id: String, secret: String, basic: bool },
    /// An assertion, and the id of its issuer.
    Assertion { id: String, jwt: String },
}

impl Shown {
    /// Reads it; more than one way is refused (RFC 6749, section 2.3).
    fn read(headers: &HeaderMap, form: &Form) -> Result<Self, OauthError> {
        let several = || OauthError::invalid_request("A client proves who it is in one way at a time.");
        let id = form.get("client_id");
        let (assertion, kind) = (form.get("client_assertion"), form.get("client_assertion_type"));
        let basic = basic(headers)?;
        match (basic, form.get("client_secret"), assertion) {
            (Some((of, secret)), None, None) => {
                if id.is_some_and(|id| id != of) {
                    return Err(several());
                }
                Ok(Self::Secret { id: of, secret, basic: true })
            }
            (None, Some(secret), None) => {
                let id = id.ok_or_else(|| OauthError::invalid_request("The parameter client_id is missing."))?;
                Ok(Self::Secret { id: id.to_owned(), secret: secret.to_owned(), basic: false })
            }
            (None, None, Some(jwt)) => {
                if kind != Some(JWT_BEARER) {
                    return Err(OauthError::invalid_client("This client_assertion_type is not supported."));
                }
                let of = Some(jwt).filter(|jwt| jwt.len() <= MAX_ASSERTION).and_then(assertion::claimed_client);
                let of = of.ok_or_else(|| OauthError::invalid_client(REFUSED))?;
                if id.is_some_and(|id| id != of) {
                    return Err(OauthError::invalid_client(REFUSED));
                }
                Ok(Self::Assertion { id: of, jwt: jwt.to_owned() })
            }
            (None, None, None) => {
                let id =
                    id.ok_or_else(|| OauthError::invalid_client("The request does not say which client it is of."))?;
                Ok(Self::Id(id.to_owned()))
            }
            _ => Err(several()),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Secret { id, .. } | Self::Assertion { id, .. } => id,
        }
    }

    fn refused(&self) -> OauthError {
        match self {
            Self::Secret { basic: true, .. } => OauthError::unauthenticated(REFUSED),
            _ => OauthError::invalid_client(REFUSED),
        }
    }
}

/// The client that a request is of, proven as it registered.
pub(super) async fn client(asked: &mut Asked<'_>, form: &Form) -> Result<Client, OauthError> {
    let shown = Shown::read(&asked.incoming.headers, form)?;
    // What names no client may hold anything, a secret too: it is not for the trail.
    let is_plain = |id: &str| id.len() <= 200 && id.bytes().all(|byte| byte.is_ascii_graphic());
    asked.record.client = Some(shown.id().to_owned()).filter(|id| is_plain(id));
    asked.record.unverified = true;
    let found = {
        let mut tables = asked.app.pool.authorization_once(asked.tenant).await?;
        tables.client(shown.id()).await?.filter(|client| client.revoked.is_none())
    };
    let proven = prove(asked, &shown, found.as_ref()).await?;
    let client = found.filter(|_| proven).ok_or_else(|| shown.refused())?;
    asked.record.unverified = false;
    // Only who proved to be the client takes of its quotas.
    let (app, charge) = (asked.app, asked.app.limiter.costs().auth());
    let decided = app.limiter.admit_client(asked.tenant, &client.id, charge, app.clock.now().timestamp_millis()).await;
    limits::sort(decided, &mut asked.incoming.limits)?;
    asked.record.certificate = asked.incoming.certificate.as_ref().map(|certificate| certificate.thumbprint_text());
    Ok(client)
}

/// The same where public clients have no business.
pub(super) async fn confidential(asked: &mut Asked<'_>, form: &Form) -> Result<Client, OauthError> {
    let client = client(asked, form).await.map_err(challenged)?;
    if client.authentication.is_confidential() {
        Ok(client)
    } else {
        Err(challenged(OauthError::invalid_client(REFUSED)))
    }
}

/// Without a client that has proven itself these endpoints answer 401 (RFC 7662, section 2.3).
fn challenged(error: OauthError) -> OauthError {
    if error.reason() == "invalid_client" { OauthError::unauthenticated(error.description().to_owned()) } else { error }
}

async fn prove(asked: &Asked<'_>, shown: &Shown, client: Option<&Client>) -> Result<bool, OauthError> {
    let certificate = asked.incoming.certificate.as_deref();
    match (shown, client) {
        (Shown::Secret { secret, .. }, client) => {
            let kept = client.and_then(|client| client.secret.as_deref()).unwrap_or(NO_SECRET);
            let is = secrets::is(secret, kept);
            Ok(is && client.is_some_and(|client| client.authentication == Authentication::ClientSecret))
        }
        (Shown::Assertion { jwt, .. }, Some(client)) if client.authentication == Authentication::PrivateKeyJwt => {
            asserted(asked, jwt, client).await
        }
        (Shown::Id(_), Some(client)) => Ok(match client.authentication {
            Authentication::None => true,
            Authentication::TlsClientAuth => certificate.is_some_and(|certificate| {
                certificate.is_vouched_for(&asked.tenant.role) && says(certificate, client.certificate.as_deref())
            }),
            Authentication::SelfSignedTlsClientAuth => certificate.is_some_and(|certificate| {
                certificate.is_valid_at(asked.app.clock.now())
                    && clients::is_registered(client.jwks.as_deref().unwrap_or(""), &certificate.thumbprint_text())
            }),
            Authentication::ClientSecret | Authentication::PrivateKeyJwt => false,
        }),
        _ => Ok(false),
    }
}

/// Whether a certificate says of its holder what the client registered.
fn says(certificate: &ClientCertificate, registered: Option<&str>) -> bool {
    let names = |wanted: SubjectName| certificate.names().contains(&wanted);
    match registered.and_then(CertificateName::read) {
        None => false,
        Some(CertificateName::Subject(subject)) => certificate.has_subject(subject),
        Some(CertificateName::Dns(host)) => names(SubjectName::Dns(host.to_owned())),
        Some(CertificateName::Uri(uri)) => names(SubjectName::Uri(uri.to_owned())),
        Some(CertificateName::Ip(address)) => names(SubjectName::Ip(address)),
        Some(CertificateName::Email(address)) => names(SubjectName::Email(address.to_owned())),
    }
}

/// Whether an assertion is good: by its client's key, for us, and new (J36: on every replica).
async fn asserted(asked: &Asked<'_>, jwt: &str, client: &Client) -> Result<bool, OauthError> {
    let Asked { app, tenant, .. } = asked;
    let issuer = app.desk.issuer(tenant);
    let endpoint = |name: &str| format!("{issuer}/{name}");
    // For `token` alone, or for the issuer: an assertion meant for another endpoint of ours is for `token` by RFC 9126,
    // section 2, and RFC 7662 in practice.
    let audiences = [endpoint("token"), issuer.clone()];
    let now = app.clock.now();
    let expected =
        AssertionExpected { client_id: &client.id, audiences: &audiences, jwks_url: client.jwks_url.as_deref(), now };
    let mut judged = assertion::check(jwt, &keys(app, tenant, client, Wanted::Any).await?, &expected);
    if matches!(judged, Err(AssertionError::UnknownKey)) && client.jwks_url.is_some() {
        judged = assertion::check(jwt, &keys(app, tenant, client, Wanted::Another).await?, &expected);
    }
    let Ok(good) = judged else { return Ok(false) };
    let mark = secrets::hash(&format!("assertion {} {}", client.id, good.jti));
    Ok(app.pool.authorization_once(tenant).await?.see(&mark, good.expires, now).await?)
}

/// Why the keys of a client are asked for.
#[derive(Clone, Copy)]
enum Wanted {
    Any,
    Another,
}

async fn keys(app: &App, tenant: &Arc<Tenant>, client: &Client, wanted: Wanted) -> Result<KeySet, OauthError> {
    let Some(url) = &client.jwks_url else {
        return Ok(KeySet::from_jwks(client.jwks.as_deref().unwrap_or("")).0);
    };
    let name = format!("{CLIENT}{}:{}", tenant.role, client.id);
    let fetched = match wanted {
        Wanted::Any => app.keeper.keys_for(&name, url).await,
        Wanted::Another => app.keeper.keys_after_miss(&name, url).await,
    };
    // A key set that cannot be had proves nothing of anybody: the client's trouble, not ours.
    Ok(fetched.map(|fetched| fetched.keys).unwrap_or_default())
}

/// Id and secret of HTTP authentication, each form-encoded within it (RFC 6749, section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OauthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OauthError::invalid_request("There may be one Authorization header."));
    }
    let read = |value: &HeaderValue| {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decoded(id)?, decoded(secret)?))
    };
    let read = read(value).filter(|(id, secret)| !id.is_empty() && !secret.is_empty());
    read.map(Some)
        .ok_or_else(|| OauthError::unauthenticated("The Authorization header holds no client's id and secret."))
}

fn decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let mut pairs = form_pairs(&format!("v={text}")).ok()?;
    pairs.pop().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn basic_holds_a_form_encoded_id_and_secret() {
        let of = |text: &str| basic(&headers(&format!("Basic {}", STANDARD.encode(text))));
        assert_eq!(of("app:secret").unwrap(), Some(("app".to_owned(), "secret".to_owned())));
        assert_eq!(of("a%3Ab:s+%25").unwrap(), Some(("a:b".to_owned(), "s %".to_owned())));
        for bad in ["app", ":secret", "app:", "a%zz:s", "a&b:s"] {
            assert_eq!(of(bad).unwrap_err().status(), 401, "{bad}");
        }
        assert_eq!(basic(&headers("Bearer x")).unwrap_err().status(), 401);
        assert_eq!(basic(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_client_proves_itself_in_one_way() {
        let form = |text: &str| Form::of(text).unwrap();
        let basic = headers(&format!("Basic {}", STANDARD.encode("app:secret")));
        assert!(matches!(Shown::read(&basic, &form("")), Ok(Shown::Secret { basic: true, .. })));
        let none = HeaderMap::new();
        assert!(matches!(
            Shown::read(&none, &form("client_id=a&client_secret=b")),
            Ok(Shown::Secret { basic: false, .. })
        ));
        assert!(matches!(Shown::read(&none, &form("client_id=a")), Ok(Shown::Id(_))));
        let reason =
            |headers: &HeaderMap, text: &str| Shown::read(headers, &form(text)).err().map(|error| error.reason());
        assert_eq!(reason(&basic, "client_secret=b&client_id=app"), Some("invalid_request"));
        assert_eq!(reason(&basic, "client_id=other"), Some("invalid_request"));
        assert_eq!(reason(&basic, "client_assertion=x"), Some("invalid_request"));
        assert_eq!(reason(&none, "client_id=a&client_secret=b&client_assertion=x"), Some("invalid_request"));
        assert_eq!(reason(&none, "client_secret=b"), Some("invalid_request"));
        assert_eq!(reason(&none, "client_assertion=x"), Some("invalid_client"));
        assert_eq!(reason(&none, ""), Some("invalid_client"));
    }
}
