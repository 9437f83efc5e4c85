//! The pages people see: templates (`server/templates`) in a frame of headers. No script, nothing from elsewhere, in no
//! frame, and every value escaped by the template engine.

use askama::Template;
use poem::{
    Body, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use vitals_access::tenant::Tenant;

use self::sentences::Group;
use super::{Asked, OauthError, visitor::Visitor};
use crate::rest::respond;

mod colour;
pub(super) mod sentences;

/// What stands on every page.
pub(super) struct Site {
    /// The tenant's name.
    name: String,
    /// Who is signed in.
    person: Option<String>,
    /// What makes its forms ours.
    form: String,
    /// Seconds after which whoever is signed in has to sign in again, unless they do something.
    idle: Option<i64>,
}

impl Site {
    /// The pages of a tenant, for a browser.
    pub(super) fn of(asked: &Asked<'_>, visitor: &Visitor) -> Self {
        Self {
            name: asked.tenant.display.clone(),
            person: visitor.person().map(str::to_owned),
            form: visitor.form_token(asked.app, asked.tenant),
            idle: visitor.signed_in.as_ref().map(|signed_in| {
                let left = signed_in.session.expires - asked.app.clock.now();
                left.num_seconds().max(0)
            }),
        }
    }
}

/// Signing in.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignIn {
    pub(super) site: Site,
    pub(super) onward: String,
    pub(super) app: Option<String>,
    pub(super) message: Option<String>,
    pub(super) username: String,
    pub(super) provider: Option<String>,
}

/// Choosing a patient.
#[derive(Template)]
#[template(path = "patients.html")]
pub(super) struct Patients {
    pub(super) site: Site,
    pub(super) onward: String,
    pub(super) app: String,
    pub(super) searchable: bool,
    pub(super) name: String,
    pub(super) birthdate: String,
    pub(super) message: Option<String>,
    pub(super) found: Vec<FoundPatient>,
    pub(super) next: Option<String>,
}

/// A patient to choose.
pub(super) struct FoundPatient {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) detail: String,
}

impl FoundPatient {
    /// A patient of whom nothing but the id may be seen.
    pub(super) fn unseen(id: &str) -> Self {
        Self { id: id.to_owned(), name: format!("Patient {id}"), detail: String::new() }
    }
}

/// Letting an app do something, or not.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct Consent {
    pub(super) site: Site,
    pub(super) onward: String,
    pub(super) app: String,
    pub(super) host: String,
    pub(super) patient: Option<String>,
    pub(super) groups: Vec<Group>,
}

/// The apps somebody let do something.
#[derive(Template)]
#[template(path = "manage.html")]
pub(super) struct Manage {
    pub(super) site: Site,
    pub(super) apps: Vec<Connected>,
    pub(super) message: Option<String>,
    pub(super) has_password: bool,
    pub(super) refused: Option<String>,
}

/// An app that is connected.
pub(super) struct Connected {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) sentences: Vec<String>,
    pub(super) since: String,
    pub(super) used: Option<String>,
    pub(super) ends: String,
}

/// After signing out.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub(super) struct SignedOut {
    pub(super) site: Site,
}

#[derive(Template)]
#[template(path = "error.html")]
struct Failed<'a> {
    site: Site,
    title: &'static str,
    text: &'a str,
    advice: Option<&'static str>,
    request_id: &'a str,
}

/// A template that knows its site.
pub(super) trait Page: Template {
    /// Its site.
    fn site(&self) -> &Site;
}

macro_rules! pages {
    ($($page:ty),*) => { $(impl Page for $page { fn site(&self) -> &Site { &self.site } })* };
}
pages!(SignIn, Patients, Consent, Manage, SignedOut, Failed<'_>);

/// A page as an answer. `leads_to` is where its forms may lead beside ourselves: Chromium holds redirects that follow a
/// form against its policy.
pub(super) fn answer(status: StatusCode, page: &impl Page, leads_to: Option<&str>) -> Result<Response, OauthError> {
    let html = page.render().map_err(|_| OauthError::internal())?;
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self'{}; frame-ancestors 'none'; base-uri 'none'",
        leads_to.and_then(source).map(|source| format!(" {source}")).unwrap_or_default()
    );
    let mut response = Response::builder().status(status).body(Body::from_string(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Our own forms have to say where they come from; nobody else learns of these addresses.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Whoever leaves the screen leaves nothing on it (45 CFR 164.312(a)(2)(iii)).
    if let Some(line) =
        page.site().idle.and_then(|idle| HeaderValue::from_str(&format!("{}; url=manage?idle", idle + 1)).ok())
    {
        headers.insert(header::REFRESH, line);
    }
    Ok(response)
}

/// The source of a redirect URI for a policy: its origin, or its scheme where that has none.
fn source(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+:".contains(&byte));
    if !plain(scheme) {
        return None;
    }
    let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
    match host.filter(|_| matches!(scheme, "http" | "https")) {
        // Policies have no form for addresses in brackets.
        Some(host) if plain(host) => Some(format!("{scheme}://{host}")),
        _ => Some(format!("{scheme}:")),
    }
}

/// The host that an app's address is at, as people know it; of an app on a device its scheme.
pub(super) fn host(uri: &str) -> &str {
    let Some((_, rest)) = uri.split_once("://") else { return uri.split(':').next().unwrap_or_default() };
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Why somebody goes no further, as a page.
pub(super) fn failed(tenant: Option<&Tenant>, error: &OauthError, request_id: &str) -> Response {
    if error.is_redirect() {
        return error.clone().into_response();
    }
    let (title, advice) = match error.status() {
        404 => ("Not found", None),
        429 => ("Please wait", None),
        503 => ("Not now", Some("Wait a moment and try again.")),
        500..=599 => ("Something went wrong", None),
        _ => ("This did not work", Some("Close this page, or go back to the app and begin again.")),
    };
    let name = tenant.map_or("Vitals", |tenant| tenant.display.as_str()).to_owned();
    let site = Site { name, person: None, form: String::new(), idle: None };
    let page = Failed { site, title, text: error.description(), advice, request_id };
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer(status, &page, None) {
        Ok(mut response) => {
            error.add_headers(response.headers_mut());
            response
        }
        Err(error) => error.into_response(),
    }
}

/// The style sheet, in the tenant's colour.
pub(super) fn style(asked: &Asked<'_>) -> Result<Response, OauthError> {
    if !matches!(asked.incoming.method, Method::GET | Method::HEAD) {
        return Err(OauthError::not_offered("GET, HEAD"));
    }
    let text = colour::properties(asked.tenant.settings.colour.as_deref()) + include_str!("../../templates/page.css");
    let mut response = respond::empty(StatusCode::OK);
    response.set_body(Body::from_string(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_where_the_app_is() {
        for (uri, expected) in [
            ("https://app.example/cb?x=1", Some("https://app.example")),
            ("http://127.0.0.1:8000/cb", Some("http://127.0.0.1:8000")),
            ("http://[::1]:8000/cb", Some("http:")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("com.example.app://cb/x", Some("com.example.app:")),
            ("https://app.example;script-src/cb", Some("https:")),
            ("a b:/cb", None),
            ("nothing", None),
        ] {
            assert_eq!(source(uri).as_deref(), expected, "{uri}");
        }
        assert_eq!(host("https://app.example/cb"), "app.example");
        assert_eq!(host("com.example.app:/cb"), "com.example.app");
    }
}
