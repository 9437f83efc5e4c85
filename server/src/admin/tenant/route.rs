//! The addresses of a tenant's administration: what a path and a method ask for.

use poem::http::Method;

/// What is asked for of a collection or of one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All of them.
    List,
    /// A new one.
    Create,
    /// One of them.
    Show,
    /// Its end.
    Revoke,
    /// A new secret or password for it.
    Renew,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `clients`
    Clients(What),
    /// `users`
    Users(What),
    /// `issuers`
    Issuers(What),
    /// `api-keys`
    ApiKeys(What),
    /// `keys`
    Keys(What),
    /// `sessions`
    Sessions(What),
    /// `audit`
    Audit(What),
    /// `limits`
    Limits,
    /// `grants`
    Grants(What),
    /// What scopes would open, or what a grant opens, as counts.
    Preview,
    /// Another method than the address has; those that it has.
    NotOffered(&'static str),
    /// There is no such address.
    Nothing,
}

/// What is asked for, about which, and the template of the address for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked for.
    pub ask: Ask,
    /// The template of the address, where there is one.
    pub route: Option<&'static str>,
    /// The id in the path.
    pub id: Option<String>,
}

impl Asked {
    /// The id, or an empty text where there is none.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Whether it changes something.
    pub const fn changes(&self) -> bool {
        match self.ask {
            Ask::Clients(what)
            | Ask::Users(what)
            | Ask::Issuers(what)
            | Ask::ApiKeys(what)
            | Ask::Keys(what)
            | Ask::Sessions(what)
            | Ask::Grants(what) => !matches!(what, What::List | What::Show),
            Ask::Audit(_) | Ask::Limits | Ask::Preview | Ask::NotOffered(_) | Ask::Nothing => false,
        }
    }

    /// The scopes of which one opens it.
    pub const fn scopes(&self) -> &'static [&'static str] {
        match self.ask {
            Ask::Audit(_) => &["audit:read", "admin:users"],
            _ => &["admin:users"],
        }
    }

    /// The action's name in the audit trail.
    pub const fn action(&self) -> &'static str {
        match self.ask {
            Ask::Clients(What::List | What::Show) => "client.read",
            Ask::Clients(What::Create) => "client.create",
            Ask::Clients(What::Revoke) => "client.revoke",
            Ask::Clients(What::Renew) => "client.secret",
            Ask::Users(What::List | What::Show) => "user.read",
            Ask::Users(What::Create) => "user.create",
            Ask::Users(What::Revoke) => "user.revoke",
            Ask::Users(What::Renew) => "user.password",
            Ask::Issuers(What::List | What::Show) => "issuer.read",
            Ask::Issuers(What::Create) => "issuer.add",
            Ask::Issuers(What::Revoke | What::Renew) => "issuer.remove",
            Ask::ApiKeys(What::List | What::Show) => "api-key.read",
            Ask::ApiKeys(What::Create) => "api-key.create",
            Ask::ApiKeys(What::Revoke | What::Renew) => "api-key.revoke",
            Ask::Keys(What::List | What::Show) => "key.read",
            Ask::Keys(What::Create | What::Revoke | What::Renew) => "key.rotate",
            Ask::Sessions(What::List | What::Show | What::Create) => "session.read",
            Ask::Sessions(What::Revoke | What::Renew) => "session.revoke",
            Ask::Audit(_) => "audit.read",
            Ask::Limits => "limits.read",
            Ask::Grants(What::List | What::Show) => "grant.read",
            Ask::Grants(What::Create) => "grant.create",
            Ask::Grants(What::Revoke | What::Renew) => "grant.revoke",
            Ask::Preview => "grant.preview",
            Ask::NotOffered(_) | Ask::Nothing => "unknown",
        }
    }
}

type Offers = &'static [(&'static str, Ask)];

/// Paths with their methods: the table that OpenAPI and tests are held against.
const ROUTES: [(&str, Offers); 20] = [
    ("clients", &[("GET", Ask::Clients(What::List)), ("POST", Ask::Clients(What::Create))]),
    ("clients/{id}", &[("GET", Ask::Clients(What::Show)), ("DELETE", Ask::Clients(What::Revoke))]),
    ("clients/{id}/secret", &[("POST", Ask::Clients(What::Renew))]),
    ("users", &[("GET", Ask::Users(What::List)), ("POST", Ask::Users(What::Create))]),
    ("users/{id}", &[("GET", Ask::Users(What::Show)), ("DELETE", Ask::Users(What::Revoke))]),
    ("users/{id}/password", &[("POST", Ask::Users(What::Renew))]),
    ("issuers", &[("GET", Ask::Issuers(What::List)), ("POST", Ask::Issuers(What::Create))]),
    ("issuers/{id}", &[("DELETE", Ask::Issuers(What::Revoke))]),
    ("api-keys", &[("GET", Ask::ApiKeys(What::List)), ("POST", Ask::ApiKeys(What::Create))]),
    ("api-keys/{id}", &[("DELETE", Ask::ApiKeys(What::Revoke))]),
    ("keys", &[("GET", Ask::Keys(What::List)), ("POST", Ask::Keys(What::Create))]),
    ("sessions", &[("GET", Ask::Sessions(What::List))]),
    ("sessions/{id}", &[("DELETE", Ask::Sessions(What::Revoke))]),
    ("audit", &[("GET", Ask::Audit(What::List))]),
    ("audit/{id}", &[("GET", Ask::Audit(What::Show))]),
    ("limits", &[("GET", Ask::Limits)]),
    ("grants", &[("GET", Ask::Grants(What::List)), ("POST", Ask::Grants(What::Create))]),
    // No id of a grant is this word.
    ("grants/preview", &[("POST", Ask::Preview)]),
    ("grants/{id}", &[("GET", Ask::Grants(What::Show)), ("DELETE", Ask::Grants(What::Revoke))]),
    ("grants/{id}/preview", &[("GET", Ask::Preview)]),
];

/// The same with the beginning of every path, for metrics.
const TEMPLATES: [&str; 20] = [
    "/t/{tenant}/admin/clients",
    "/t/{tenant}/admin/clients/{id}",
    "/t/{tenant}/admin/clients/{id}/secret",
    "/t/{tenant}/admin/users",
    "/t/{tenant}/admin/users/{id}",
    "/t/{tenant}/admin/users/{id}/password",
    "/t/{tenant}/admin/issuers",
    "/t/{tenant}/admin/issuers/{id}",
    "/t/{tenant}/admin/api-keys",
    "/t/{tenant}/admin/api-keys/{id}",
    "/t/{tenant}/admin/keys",
    "/t/{tenant}/admin/sessions",
    "/t/{tenant}/admin/sessions/{id}",
    "/t/{tenant}/admin/audit",
    "/t/{tenant}/admin/audit/{id}",
    "/t/{tenant}/admin/limits",
    "/t/{tenant}/admin/grants",
    "/t/{tenant}/admin/grants/preview",
    "/t/{tenant}/admin/grants/{id}",
    "/t/{tenant}/admin/grants/{id}/preview",
];

/// Reads what follows `/t/{tenant}/admin/`, and a method. An id is percent-decoded: an issuer's is its URL.
pub fn asked(below: &str, method: &Method) -> Asked {
    let parts: Vec<&str> = below.split('/').collect();
    let place = ROUTES.iter().position(|(template, _)| fits(template, &parts));
    let Some(place) = place else { return Asked { ask: Ask::Nothing, route: None, id: None } };
    let (template, offers) = ROUTES[place];
    let id = template.contains("{id}").then(|| decoded(parts[1])).flatten();
    if template.contains("{id}") && id.is_none() {
        return Asked { ask: Ask::Nothing, route: None, id: None };
    }
    let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let ask = offers.iter().find(|(offered, _)| *offered == wanted).map(|(_, ask)| *ask);
    Asked { ask: ask.unwrap_or(Ask::NotOffered(allow(offers))), route: Some(TEMPLATES[place]), id }
}

fn fits(template: &str, parts: &[&str]) -> bool {
    let mut wanted = template.split('/');
    let all = parts.iter().all(|part| match wanted.next() {
        Some("{id}") => !part.is_empty(),
        Some(word) => word == *part,
        None => false,
    });
    all && wanted.next().is_none()
}

/// A part of a path without its escapes; nothing where they are broken or hide control characters.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? << 4 | digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| text.len() <= 2_048 && !text.chars().any(char::is_control))
}

fn allow(offers: Offers) -> &'static str {
    match offers {
        [("GET", _), ("POST", _)] => "GET, HEAD, POST",
        [("GET", _), ("DELETE", _)] => "GET, HEAD, DELETE",
        [("GET", _)] => "GET, HEAD",
        [("DELETE", _)] => "DELETE",
        _ => "POST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_ids() {
        let cases = [
            ("GET", "clients", Ask::Clients(What::List), ""),
            ("HEAD", "clients", Ask::Clients(What::List), ""),
            ("POST", "clients", Ask::Clients(What::Create), ""),
            ("PUT", "clients", Ask::NotOffered("GET, HEAD, POST"), ""),
            ("DELETE", "clients/growth-chart", Ask::Clients(What::Revoke), "growth-chart"),
            ("POST", "clients/growth-chart/secret", Ask::Clients(What::Renew), "growth-chart"),
            ("DELETE", "issuers/https%3A%2F%2Fidp.example%2Fa", Ask::Issuers(What::Revoke), "https://idp.example/a"),
            ("GET", "issuers/x", Ask::NotOffered("DELETE"), "x"),
            ("DELETE", "issuers/%0a", Ask::Nothing, ""),
            ("DELETE", "issuers/%zz", Ask::Nothing, ""),
            ("POST", "keys", Ask::Keys(What::Create), ""),
            ("GET", "limits", Ask::Limits, ""),
            ("POST", "limits", Ask::NotOffered("GET, HEAD"), ""),
            ("DELETE", "sessions/", Ask::Nothing, ""),
            ("POST", "grants/preview", Ask::Preview, ""),
            ("GET", "grants/preview", Ask::NotOffered("POST"), ""),
            ("GET", "grants/g-1/preview", Ask::Preview, "g-1"),
            ("DELETE", "grants/g-1", Ask::Grants(What::Revoke), "g-1"),
            ("GET", "", Ask::Nothing, ""),
            ("GET", "clients/a/b", Ask::Nothing, ""),
            ("GET", "audit", Ask::Audit(What::List), ""),
            ("HEAD", "audit/018f", Ask::Audit(What::Show), "018f"),
            ("DELETE", "audit/018f", Ask::NotOffered("GET, HEAD"), "018f"),
            ("POST", "audit", Ask::NotOffered("GET, HEAD"), ""),
            ("GET", "audits", Ask::Nothing, ""),
        ];
        for (method, below, ask, id) in cases {
            let read = asked(below, &method.parse().unwrap());
            assert_eq!((read.ask, read.id()), (ask, id), "{method} {below}");
        }
    }

    #[test]
    fn templates_are_the_routes() {
        for ((route, _), template) in ROUTES.iter().zip(TEMPLATES) {
            assert_eq!(template, format!("/t/{{tenant}}/admin/{route}"));
        }
    }
}
