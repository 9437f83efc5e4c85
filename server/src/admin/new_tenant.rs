//! The body that asks for a new tenant: `{id, name, issuer, jwks, isolation, tier}`.

use poem::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::Value;
use vitals_access::tenant::{NotAName, TenantName};
use vitals_fhir::json::{self, Kind};
use vitals_store::control::{
    issuers::{IssuerKeys, NewIssuer},
    tenants::{Isolation, NewTenant},
};

use super::problem::Problem;

/// Longest name for people, in characters.
const NAME_MOST: usize = 200;
/// Longest name of a tier.
const TIER_MOST: usize = 64;
/// The tier of who asks for none.
const TIER: &str = "default";

/// The body as it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    id: String,
    name: Option<String>,
    issuer: Option<String>,
    jwks: Option<Value>,
    isolation: Option<String>,
    tier: Option<String>,
}

/// Refuses what is not sent as JSON.
pub fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut sent = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = sent.next().and_then(|value| value.to_str().ok()?.split(';').next()).map(str::trim);
    match (essence, sent.next()) {
        (Some(essence), None) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Problem::not_json()),
    }
}

/// Reads the body.
pub fn parse(body: &[u8]) -> Result<NewTenant, Problem> {
    // serde takes the last of several values for a member within the key set; the strict parser takes none of them.
    let document = json::parse(body).map_err(|error| Problem::malformed(sentence(&error.message)))?;
    // serde would take an array of the members' values for them.
    if document.root().kind() != Kind::Object {
        return Err(Problem::unprocessable("The body must be an object."));
    }
    let wire: Wire =
        serde_json::from_str(document.text()).map_err(|error| Problem::unprocessable(sentence(&error.to_string())))?;
    let name: TenantName =
        wire.id.parse().map_err(|error: NotAName| Problem::unprocessable(sentence(&error.to_string())))?;
    Ok(NewTenant {
        display: wire.name.map_or_else(|| Ok(name.to_string()), display)?,
        isolation: wire.isolation.map_or(Ok(Isolation::Schema), |word| Isolation::parse(&word))?,
        tier: wire.tier.map_or_else(|| Ok(TIER.to_owned()), tier)?,
        issuer: issuer(wire.issuer, wire.jwks)?,
        name,
    })
}

fn display(name: String) -> Result<String, Problem> {
    if name.trim().is_empty() || name.chars().count() > NAME_MOST || name.chars().any(char::is_control) {
        return Err(Problem::unprocessable(format!(
            "The name is empty, longer than {NAME_MOST} characters, or holds a control character."
        )));
    }
    Ok(name)
}

fn tier(tier: String) -> Result<String, Problem> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if tier.is_empty() || tier.len() > TIER_MOST || !tier.bytes().all(sign) {
        return Err(Problem::unprocessable(format!("A tier is 1 to {TIER_MOST} letters, digits, '-' and '_'.")));
    }
    Ok(tier)
}

/// The issuer and its keys come together: a key set, as an object or as text, or the URL of one.
fn issuer(url: Option<String>, jwks: Option<Value>) -> Result<Option<NewIssuer>, Problem> {
    let (url, keys) = match (url, jwks) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(Problem::unprocessable("An issuer needs its keys: give jwks, as a key set or the URL of one."));
        }
        (None, Some(_)) => {
            return Err(Problem::unprocessable("Keys need their issuer: give issuer, the iss of its tokens."));
        }
        (Some(url), Some(Value::String(text))) if !text.trim_start().starts_with('{') => (url, IssuerKeys::Url(text)),
        (Some(url), Some(Value::String(text))) => (url, IssuerKeys::Inline(text)),
        (Some(url), Some(set @ Value::Object(_))) => (url, IssuerKeys::Inline(set.to_string())),
        (Some(_), Some(_)) => {
            return Err(Problem::unprocessable("jwks is a key set, as an object or as text, or the URL of one."));
        }
    };
    Ok(Some(NewIssuer::new(url, keys)))
}

/// A parser's complaint, no longer than a person reads.
fn sentence(complaint: &str) -> String {
    let complaint: String = complaint.chars().take(NAME_MOST).collect();
    format!("The body asks for no tenant: {}.", complaint.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_a_default() {
        let new = parse(br#"{"id": "north"}"#).unwrap();

        assert_eq!((new.name.as_str(), new.display.as_str(), new.tier.as_str()), ("north", "north", "default"));
        assert!(new.issuer.is_none());
    }

    #[test]
    fn an_issuer_comes_with_its_keys() {
        let keys = |jwks: &str| {
            let body = format!(r#"{{"id":"north","name":"St. North","issuer":"https://idp.example","jwks":{jwks}}}"#);
            parse(body.as_bytes()).unwrap().issuer.unwrap()
        };

        let set = keys(r#"{"keys":[{"kty":"EC"}]}"#);
        assert_eq!(
            (set.url.as_str(), set.keys),
            ("https://idp.example", IssuerKeys::Inline(r#"{"keys":[{"kty":"EC"}]}"#.into()))
        );
        assert_eq!(keys(r#"" {\"keys\":[]}""#).keys, IssuerKeys::Inline(r#" {"keys":[]}"#.into()));
        assert_eq!(keys(r#""https://idp.example/jwks""#).keys, IssuerKeys::Url("https://idp.example/jwks".to_owned()));
    }

    #[test]
    fn bodies_that_ask_for_no_tenant_are_refused() {
        let cases = [
            ("", 400),
            ("{", 400),
            (r#"{"id":"north"} x"#, 400),
            (r#"{"id":"north","id":"south"}"#, 400),
            (r#"{"id":"north","issuer":"https://idp.example","jwks":{"keys":[],"keys":[]}}"#, 400),
            ("[]", 422),
            (r#"["north",null,null,null,null,null]"#, 422),
            ("\"north\"", 422),
            ("{}", 422),
            (r#"{"id":7}"#, 422),
            (r#"{"id":"North"}"#, 422),
            (r#"{"id":"admin"}"#, 422),
            (r#"{"id":" north"}"#, 422),
            (r#"{"id":"north","admin":true}"#, 422),
            (r#"{"id":"north","name":""}"#, 422),
            (r#"{"id":"north","name":"a\nb"}"#, 422),
            (r#"{"id":"north","isolation":"database"}"#, 422),
            (r#"{"id":"north","isolation":"none"}"#, 422),
            (r#"{"id":"north","tier":"a b"}"#, 422),
            (r#"{"id":"north","issuer":"https://idp.example"}"#, 422),
            (r#"{"id":"north","jwks":{"keys":[]}}"#, 422),
            (r#"{"id":"north","issuer":"https://idp.example","jwks":7}"#, 422),
        ];
        for (body, status) in cases {
            assert_eq!(parse(body.as_bytes()).unwrap_err().status(), status, "{body}");
        }
    }

    #[test]
    fn only_json_is_read() {
        let cases = [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("application/jsonx"), false),
            (None, false),
        ];
        for (sent, good) in cases {
            let pairs = sent.map(|value| (header::CONTENT_TYPE, value.parse().unwrap()));
            let headers: HeaderMap = pairs.into_iter().collect();
            assert_eq!(check_media_type(&headers).is_ok(), good, "{sent:?}");
        }
    }
}
