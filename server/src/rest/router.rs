//! From an address to what is asked for. Paths are matched as they were sent: nothing is percent-decoded, so a
//! tenant's name, a type or an id written any other way than plainly is no address here.

use std::sync::LazyLock;

use vitals_access::{tenant::TenantName, verifier::Base};
use vitals_fhir::{
    catalog::{self, Code, Operation, audit_event::AUDIT_EVENT},
    resource::ResourceType,
};

/// What an address of the public listener asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address<'p> {
    /// Below a FHIR base.
    Fhir(FhirBase, Fhir<'p>),
    /// Below `/t/{tenant}/delegated/fhir`: over every tenant that granted this one access.
    Delegated(TenantName, Fhir<'p>),
    /// `/t/{tenant}/auth/jwks`
    Jwks(TenantName),
    /// Elsewhere below `/t/{tenant}/auth`, or its metadata.
    Auth(TenantName, Auth),
    /// Below `/t/{tenant}/admin`: what follows.
    Admin(TenantName, &'p str),
    /// `/healthz`
    Healthz,
    /// `/readyz`
    Readyz,
    /// `/openapi.json`
    OpenApi,
    /// `/openapi.plain.json`
    OpenApiPlain,
    /// `/docs`
    Docs,
    /// Nothing; below a FHIR base the answer is still an OperationOutcome.
    Nothing,
}

/// What is asked for of a tenant's authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `.well-known/openid-configuration`, and the same as RFC 8414 has it
    Metadata,
    /// `authorize`
    Authorize,
    /// `par`
    Par,
    /// `token`
    Token,
    /// `introspect`
    Introspect,
    /// `revoke`
    Revoke,
    /// `register`
    Register,
    /// `userinfo`
    Userinfo,
    /// `launch`
    Launch,
    /// `manage`
    Manage,
    /// `sign-in`
    SignIn,
    /// `sign-out`
    SignOut,
    /// `patients`
    Patients,
    /// `consent`
    Consent,
    /// `callback`: back from an outside OpenID provider
    Callback,
    /// `page.css`
    Style,
}

/// The authorization server's addresses, what each asks for, and what it is called in the trail and in metrics.
const AUTH: [(&str, Auth, &str, &str); 16] = [
    (
        ".well-known/openid-configuration",
        Auth::Metadata,
        "document",
        "/t/{tenant}/auth/.well-known/openid-configuration",
    ),
    ("authorize", Auth::Authorize, "authorize", "/t/{tenant}/auth/authorize"),
    ("par", Auth::Par, "par", "/t/{tenant}/auth/par"),
    ("token", Auth::Token, "token", "/t/{tenant}/auth/token"),
    ("introspect", Auth::Introspect, "introspect", "/t/{tenant}/auth/introspect"),
    ("revoke", Auth::Revoke, "revoke", "/t/{tenant}/auth/revoke"),
    ("register", Auth::Register, "register", "/t/{tenant}/auth/register"),
    ("userinfo", Auth::Userinfo, "userinfo", "/t/{tenant}/auth/userinfo"),
    ("launch", Auth::Launch, "launch", "/t/{tenant}/auth/launch"),
    ("manage", Auth::Manage, "manage", "/t/{tenant}/auth/manage"),
    ("sign-in", Auth::SignIn, "sign-in", "/t/{tenant}/auth/sign-in"),
    ("sign-out", Auth::SignOut, "sign-out", "/t/{tenant}/auth/sign-out"),
    ("patients", Auth::Patients, "patients", "/t/{tenant}/auth/patients"),
    ("consent", Auth::Consent, "consent", "/t/{tenant}/auth/consent"),
    ("callback", Auth::Callback, "callback", "/t/{tenant}/auth/callback"),
    ("page.css", Auth::Style, "document", "/t/{tenant}/auth/page.css"),
];

impl Auth {
    fn named(path: &str) -> Option<Self> {
        AUTH.iter().find(|(name, ..)| *name == path).map(|(_, asked, ..)| *asked)
    }

    /// What it is called in the trail.
    pub fn action(self) -> &'static str {
        AUTH.iter().find(|(_, asked, ..)| *asked == self).map_or("unknown", |(_, _, action, _)| action)
    }

    /// Whether a person looks at what it answers.
    pub const fn is_page(self) -> bool {
        matches!(
            self,
            Self::Authorize
                | Self::Manage
                | Self::SignIn
                | Self::SignOut
                | Self::Patients
                | Self::Consent
                | Self::Callback
        )
    }

    /// Whether it is the same for everybody.
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Metadata | Self::Style)
    }
}

/// The path of an endpoint of the authorization server: the `http.route` of metrics.
pub fn auth_route(asked: Auth) -> &'static str {
    AUTH.iter().find(|(_, known, ..)| *known == asked).map_or("", |(.., route)| route)
}

/// Which FHIR base was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FhirBase {
    /// `/t/{tenant}/fhir`
    Tenant(TenantName),
    /// `/t/{tenant}/delegated/fhir`
    Delegated(TenantName),
    /// `/fhir`: the tenant is the token's.
    Global,
}

impl FhirBase {
    /// The tenant that the base names.
    pub const fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::Tenant(name) | Self::Delegated(name) => Some(name),
            Self::Global => None,
        }
    }

    /// The base's path.
    pub fn path(&self) -> String {
        match self {
            Self::Tenant(name) => format!("/t/{name}/fhir"),
            Self::Delegated(name) => format!("/t/{name}/delegated/fhir"),
            Self::Global => "/fhir".to_owned(),
        }
    }

    /// What the token gate compares where callers of other tenants may have a grant.
    pub fn for_delegates(&self) -> Base {
        match self {
            Self::Tenant(name) => Base::Fhir(name.clone()),
            Self::Delegated(name) => Base::Tenant(name.clone()),
            Self::Global => Base::Global,
        }
    }

    /// What the token gate compares where only a tenant's own callers are let in.
    pub fn for_verifier(&self) -> Base {
        match self {
            Self::Tenant(name) | Self::Delegated(name) => Base::Tenant(name.clone()),
            Self::Global => Base::Global,
        }
    }
}

/// What is asked for below a FHIR base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fhir<'p> {
    /// The base itself: batches and transactions.
    System,
    /// `metadata`
    Metadata,
    /// `.well-known/smart-configuration`
    SmartConfiguration,
    /// `{Type}`
    Type(ResourceType),
    /// `{Type}/_search`
    TypeSearch(ResourceType),
    /// `{Type}/{id}`
    Instance(ResourceType, &'p str),
    /// `{Type}/{id}/_history`
    InstanceHistory(ResourceType, &'p str),
    /// `{Type}/{id}/_history/{vid}`
    InstanceVersion(ResourceType, &'p str, &'p str),
    /// `{Type}/_history`
    TypeHistory(ResourceType),
    /// `{Type}/$validate`
    Validate(ResourceType),
    /// `{Type}/{id}/$validate`
    InstanceValidate(ResourceType, &'p str),
    /// `Patient/{id}/{Type}`
    Compartment(&'p str, ResourceType),
    /// `AuditEvent`
    Trail,
    /// `AuditEvent/_search`
    TrailSearch,
    /// `AuditEvent/{id}`
    TrailRecord(&'p str),
    /// The history or the search of all types, or the history of AuditEvents, which are not offered.
    NotOffered,
    /// A type that is not offered, or no such path.
    Nothing,
}

/// Reads the path of a request.
pub fn address(path: &str) -> Address<'_> {
    match path {
        "/healthz" => return Address::Healthz,
        "/readyz" => return Address::Readyz,
        "/openapi.json" => return Address::OpenApi,
        "/openapi.plain.json" => return Address::OpenApiPlain,
        "/docs" => return Address::Docs,
        _ => {}
    }
    if let Some(rest) = below(path, "/fhir") {
        return match fhir(rest) {
            // Which authorization server to ask depends on the tenant, which only the tenant's own base names.
            Fhir::SmartConfiguration => Address::Nothing,
            asked => Address::Fhir(FhirBase::Global, asked),
        };
    }
    for well_known in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        if let Some(of) = path.strip_prefix(well_known) {
            let name = of.strip_prefix("/t/").and_then(|rest| rest.strip_suffix("/auth"));
            return match name.and_then(|name| name.parse().ok()) {
                Some(name) => Address::Auth(name, Auth::Metadata),
                None => Address::Nothing,
            };
        }
    }
    let Some(rest) = path.strip_prefix("/t/") else { return Address::Nothing };
    let Some((name, rest)) = rest.split_once('/') else { return Address::Nothing };
    let Ok(name) = name.parse::<TenantName>() else { return Address::Nothing };
    if rest == "auth/jwks" {
        return Address::Jwks(name);
    }
    if let Some(asked) = rest.strip_prefix("auth/") {
        return Auth::named(asked).map_or(Address::Nothing, |asked| Address::Auth(name, asked));
    }
    if let Some(below) = below(rest, "admin") {
        return Address::Admin(name, below);
    }
    if let Some(rest) = below(rest, "delegated/fhir") {
        return Address::Delegated(name, fhir(rest));
    }
    match below(rest, "fhir") {
        Some(rest) => Address::Fhir(FhirBase::Tenant(name), fhir(rest)),
        None => Address::Nothing,
    }
}

/// What follows `base`, without the slash between; one slash at the very end counts as none.
fn below<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    match path.strip_prefix(base)? {
        "" | "/" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// Reads what follows a base and its slash.
pub fn fhir(path: &str) -> Fhir<'_> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [""] => Fhir::System,
        ["metadata"] => Fhir::Metadata,
        ["_history" | "_search"]
        | [AUDIT_EVENT, "_history"]
        | [AUDIT_EVENT, _, "_history"]
        | [AUDIT_EVENT, _, "_history", _] => Fhir::NotOffered,
        [".well-known", "smart-configuration"] => Fhir::SmartConfiguration,
        [AUDIT_EVENT] => Fhir::Trail,
        [AUDIT_EVENT, "_search"] => Fhir::TrailSearch,
        [AUDIT_EVENT, operation] if operation.starts_with('$') => Fhir::Nothing,
        [AUDIT_EVENT, id] => Fhir::TrailRecord(id),
        [name, rest @ ..] => match (ResourceType::named(name), rest) {
            (Some(kind), []) => Fhir::Type(kind),
            (Some(kind), ["_search"]) => Fhir::TypeSearch(kind),
            (Some(kind), ["_history"]) => Fhir::TypeHistory(kind),
            // Some clients escape the sign, which a path needs not.
            (Some(kind), ["$validate" | "%24validate"]) => Fhir::Validate(kind),
            (Some(kind), [id, "$validate" | "%24validate"]) => Fhir::InstanceValidate(kind, id),
            (Some(_), [operation]) if operation.starts_with('$') => Fhir::Nothing,
            (Some(kind), [id]) => Fhir::Instance(kind, id),
            (Some(kind), [id, "_history"]) => Fhir::InstanceHistory(kind, id),
            // Of the types here, one is in the compartment of another.
            (Some(ResourceType::Patient), [id, "Observation"]) => Fhir::Compartment(id, ResourceType::Observation),
            (Some(kind), [id, "_history", version]) => Fhir::InstanceVersion(kind, id, version),
            _ => Fhir::Nothing,
        },
        [] => Fhir::Nothing,
    }
}

/// The path of an operation below a tenant's base, with its parameters in braces: the `http.route` of metrics.
pub fn route(operation: &Operation) -> &'static str {
    static ROUTES: LazyLock<Vec<(ResourceType, Code, String)>> =
        LazyLock::new(|| catalog::all().map(|row| (row.resource, row.code, template(row))).collect());
    let wanted = (operation.resource, operation.code);
    ROUTES.iter().find(|(resource, code, _)| (*resource, *code) == wanted).map_or("", |(_, _, path)| path)
}

fn template(operation: &Operation) -> String {
    format!("/t/{{tenant}}/fhir/{}", operation.path.replace(":id", "{id}").replace(":vid", "{vid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_stand() {
        let tenant = |name: &str| FhirBase::Tenant(name.parse().expect("a tenant name"));
        let cases = [
            ("/t/north/fhir", Address::Fhir(tenant("north"), Fhir::System)),
            ("/t/north/fhir/", Address::Fhir(tenant("north"), Fhir::System)),
            ("/t/north/fhir/metadata", Address::Fhir(tenant("north"), Fhir::Metadata)),
            ("/t/north/fhir/Patient/a", Address::Fhir(tenant("north"), Fhir::Instance(ResourceType::Patient, "a"))),
            (
                "/t/north/fhir/Patient/_history",
                Address::Fhir(tenant("north"), Fhir::TypeHistory(ResourceType::Patient)),
            ),
            (
                "/t/north/fhir/Patient/a/Observation",
                Address::Fhir(tenant("north"), Fhir::Compartment("a", ResourceType::Observation)),
            ),
            ("/t/north/fhir/Patient/$validate", Address::Fhir(tenant("north"), Fhir::Validate(ResourceType::Patient))),
            (
                "/t/north/fhir/Patient/a/%24validate",
                Address::Fhir(tenant("north"), Fhir::InstanceValidate(ResourceType::Patient, "a")),
            ),
            ("/t/north/fhir/Patient/$everything", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhir/Patient/a/Patient", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhir/Observation/a/Observation", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhir/Device", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhir/Patient/a/$everything", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhir/Patient/", Address::Fhir(tenant("north"), Fhir::Instance(ResourceType::Patient, ""))),
            ("/t/north/fhir/AuditEvent", Address::Fhir(tenant("north"), Fhir::Trail)),
            ("/t/north/fhir/AuditEvent/_search", Address::Fhir(tenant("north"), Fhir::TrailSearch)),
            ("/t/north/fhir/AuditEvent/a", Address::Fhir(tenant("north"), Fhir::TrailRecord("a"))),
            ("/t/north/fhir/AuditEvent/a/_history/1", Address::Fhir(tenant("north"), Fhir::NotOffered)),
            ("/t/north/fhir/AuditEvent/$validate", Address::Fhir(tenant("north"), Fhir::Nothing)),
            ("/t/north/fhirx", Address::Nothing),
            ("/t/north/auth/token", Address::Auth("north".parse().expect("a name"), Auth::Token)),
            ("/t/north/auth/token/", Address::Nothing),
            (
                "/.well-known/oauth-authorization-server/t/north/auth",
                Address::Auth("north".parse().expect("a name"), Auth::Metadata),
            ),
            ("/.well-known/oauth-authorization-server/t/north", Address::Nothing),
            ("/t/north/admin/clients/a", Address::Admin("north".parse().expect("a name"), "clients/a")),
            ("/t/north/delegated/fhir/", Address::Delegated("north".parse().expect("a name"), Fhir::System)),
            (
                "/t/north/delegated/fhir/Patient/a",
                Address::Delegated("north".parse().expect("a name"), Fhir::Instance(ResourceType::Patient, "a")),
            ),
            ("/t/north/delegated", Address::Nothing),
            ("/t/north/delegated/fhirx", Address::Nothing),
            ("/t/NORTH/fhir", Address::Nothing),
            ("/t/north%2ffhir", Address::Nothing),
            ("/t//fhir", Address::Nothing),
            ("/t/north/../south/fhir", Address::Nothing),
            ("//t/north/fhir", Address::Nothing),
            ("/t/north;x=1/fhir", Address::Nothing),
            ("/fhir/Patient", Address::Fhir(FhirBase::Global, Fhir::Type(ResourceType::Patient))),
            ("/fhir/.well-known/smart-configuration", Address::Nothing),
            ("/t/public/fhir", Address::Nothing),
        ];
        for (path, expected) in cases {
            assert_eq!(address(path), expected, "{path}");
        }
    }
}
