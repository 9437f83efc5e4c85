//! Cookies of the pages: which they are, and how they are read and set. Each tenant has its own, by name and by path.

use poem::http::{HeaderMap, HeaderValue, header};
use vitals_access::tenant::Tenant;

use crate::state::App;

/// A cookie of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Who is signed in.
    Session,
    /// A browser that is not signed in, so that its forms are known as its own.
    Visit,
    /// A sign-in that is under way at an outside provider.
    Provider,
}

impl Cookie {
    fn name(self, app: &App, tenant: &Tenant) -> String {
        // A browser takes a `__Secure-` cookie over https alone (RFC 6265bis, section 4.1.3.1). Tenants' names hold no dot.
        let prefix = if is_secure(app) { "__Secure-" } else { "" };
        let suffix = match self {
            Self::Session => "",
            Self::Visit => ".visit",
            Self::Provider => ".provider",
        };
        format!("{prefix}vitals-{}{suffix}", tenant.name)
    }

    /// Its value, if the request has it once.
    pub(super) fn read(self, app: &App, tenant: &Tenant, headers: &HeaderMap) -> Option<String> {
        let name = self.name(app, tenant);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
        // Two of one name: one was put there by another host of the domain, and nobody knows which.
        values.next().filter(|_| values.next().is_none()).map(str::to_owned)
    }

    /// The header that sets it until the browser is closed.
    pub(super) fn set(self, app: &App, tenant: &Tenant, value: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.line(app, tenant, value, "")).ok()
    }

    /// The header that takes it away.
    pub(super) fn clear(self, app: &App, tenant: &Tenant) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.line(app, tenant, "", "; Max-Age=0")).ok()
    }

    fn line(self, app: &App, tenant: &Tenant, value: &str, end: &str) -> String {
        let secure = if is_secure(app) { "; Secure" } else { "" };
        let (name, path) = (self.name(app, tenant), path(app));
        // Lax, not Strict: people come here from apps, and back from providers, by following a redirect.
        format!("{name}={value}; Path={path}/t/{}/auth; HttpOnly; SameSite=Lax{secure}{end}", tenant.name)
    }
}

fn is_secure(app: &App) -> bool {
    app.public_url.starts_with("https:")
}

/// The path of the public URL, where it has one.
fn path(app: &App) -> &str {
    let (_, rest) = app.public_url.split_once("://").unwrap_or(("", ""));
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The origin of the public URL, as browsers write it in `Origin`.
pub(super) fn origin(app: &App) -> &str {
    app.public_url.strip_suffix(path(app)).unwrap_or(&app.public_url)
}
