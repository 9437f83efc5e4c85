//! The operator's addresses: what a path and a method ask for.

use poem::http::Method;

use super::guard::Door;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Every tenant.
    List,
    /// A new tenant.
    Create,
    /// One tenant.
    Show,
    /// A tenant's tokens are to be refused.
    Suspend,
    /// A tenant is to serve again.
    Resume,
    /// A tenant is to be deleted.
    Delete,
    /// Where the tenants' schemas stand.
    Migrations,
    /// The metrics page.
    Metrics,
    /// Whether the process lives.
    Healthz,
    /// Whether it can do its work.
    Readyz,
    /// Another method than the address has; those that it has.
    NotOffered(&'static str),
    /// There is no such address.
    Nothing,
}

impl Ask {
    /// The action's name in the audit trail.
    pub const fn action(self) -> &'static str {
        match self {
            Self::List => "operator.tenant.list",
            Self::Create => "operator.tenant.create",
            Self::Show => "operator.tenant.show",
            Self::Suspend => "operator.tenant.suspend",
            Self::Resume => "operator.tenant.resume",
            Self::Delete => "operator.tenant.delete",
            Self::Migrations => "operator.migration.list",
            Self::Metrics => "operator.metrics.read",
            Self::Healthz | Self::Readyz => "operator.health.read",
            Self::NotOffered(_) | Self::Nothing => "operator.unknown",
        }
    }

    /// What it asks of its caller. Addresses that are not there need the token too: who has none learns nothing.
    pub const fn door(self) -> Door {
        match self {
            Self::Metrics => Door::TokenFromElsewhere,
            _ => Door::Token,
        }
    }
}

/// What is asked for, about whom, and the template of the address for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'p> {
    /// What is asked for.
    pub ask: Ask,
    /// The template of the address, where there is one.
    pub route: Option<&'static str>,
    /// The tenant's name as it stands in the path; empty where none does.
    pub tenant: &'p str,
}

/// Reads a path and a method.
pub fn asked<'p>(path: &'p str, method: &Method) -> Asked<'p> {
    let parts: Vec<&'p str> = path.split('/').skip(1).collect();
    let (route, tenant, offers): (_, _, &[(&str, Ask)]) = match parts.as_slice() {
        ["operator", "tenants"] => ("/operator/tenants", "", &[("GET", Ask::List), ("POST", Ask::Create)]),
        ["operator", "tenants", tenant] => {
            ("/operator/tenants/{tenant}", *tenant, &[("GET", Ask::Show), ("DELETE", Ask::Delete)])
        }
        ["operator", "tenants", tenant, "suspend"] => {
            ("/operator/tenants/{tenant}/suspend", *tenant, &[("POST", Ask::Suspend)])
        }
        ["operator", "tenants", tenant, "resume"] => {
            ("/operator/tenants/{tenant}/resume", *tenant, &[("POST", Ask::Resume)])
        }
        ["operator", "migrations"] => ("/operator/migrations", "", &[("GET", Ask::Migrations)]),
        ["metrics"] => ("/metrics", "", &[("GET", Ask::Metrics)]),
        ["healthz"] => ("/healthz", "", &[("GET", Ask::Healthz)]),
        ["readyz"] => ("/readyz", "", &[("GET", Ask::Readyz)]),
        _ => return Asked { ask: Ask::Nothing, route: None, tenant: "" },
    };
    let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let found = offers.iter().find(|(offered, _)| *offered == wanted).map(|(_, ask)| *ask);
    Asked { ask: found.unwrap_or(Ask::NotOffered(allow(offers))), route: Some(route), tenant }
}

const fn allow(offers: &[(&str, Ask)]) -> &'static str {
    match offers {
        [(_, Ask::List), ..] => "GET, HEAD, POST",
        [(_, Ask::Show), ..] => "GET, HEAD, DELETE",
        [(_, Ask::Suspend | Ask::Resume), ..] => "POST",
        _ => "GET, HEAD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_stand() {
        let cases = [
            ("GET", "/operator/tenants", Ask::List, ""),
            ("HEAD", "/operator/tenants", Ask::List, ""),
            ("POST", "/operator/tenants", Ask::Create, ""),
            ("PUT", "/operator/tenants", Ask::NotOffered("GET, HEAD, POST"), ""),
            ("GET", "/operator/tenants/north", Ask::Show, "north"),
            ("DELETE", "/operator/tenants/north", Ask::Delete, "north"),
            ("POST", "/operator/tenants/north", Ask::NotOffered("GET, HEAD, DELETE"), "north"),
            ("POST", "/operator/tenants/north/suspend", Ask::Suspend, "north"),
            ("POST", "/operator/tenants/north/resume", Ask::Resume, "north"),
            ("GET", "/operator/tenants/north/suspend", Ask::NotOffered("POST"), "north"),
            ("GET", "/operator/tenants/", Ask::Show, ""),
            ("GET", "/operator/migrations", Ask::Migrations, ""),
            ("GET", "/metrics", Ask::Metrics, ""),
            ("POST", "/metrics", Ask::NotOffered("GET, HEAD"), ""),
            ("GET", "/healthz", Ask::Healthz, ""),
            ("GET", "/readyz", Ask::Readyz, ""),
            ("GET", "/", Ask::Nothing, ""),
            ("GET", "", Ask::Nothing, ""),
            ("GET", "/metrics/", Ask::Nothing, ""),
            ("GET", "//metrics", Ask::Nothing, ""),
            ("GET", "/t/north/fhir/Patient", Ask::Nothing, ""),
            ("POST", "/operator/tenants/north/drop", Ask::Nothing, ""),
        ];
        for (method, path, ask, tenant) in cases {
            let read = asked(path, &method.parse().unwrap());
            assert_eq!((read.ask, read.tenant), (ask, tenant), "{method} {path}");
        }
    }
}
