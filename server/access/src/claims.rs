//! The claims of a token as types. Whatever is present must be of its own type: `null`, a number for a text, an empty
//! text are refused, because an `Option` that a caller can empty is a rule that a caller can switch off.

use vitals_fhir::{
    json::{Kind, Value},
    resource::is_id,
};

mod confirmation;
mod mapping;
mod numeric_date;

pub(crate) use confirmation::Confirmation;
pub use mapping::{ClaimMapping, ClaimPath, MappedScopes, MappedTenant, NotAPath};
pub(crate) use numeric_date::numeric_date;

/// Longest text of a claim.
const MAX_TEXT: usize = 1_024;
/// Scopes of a token, counted once each (contract, section 3).
const MAX_SCOPES: usize = 64;
/// Entries of `delegated_access`.
const MAX_DELEGATIONS: usize = 64;

type Read<T> = Result<T, &'static str>;

/// One entry of `delegated_access`: what the issuer says another tenant granted. A grant must say so too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The granting tenant's name.
    pub tenant: String,
    /// The scopes it covers.
    pub scopes: Vec<String>,
    /// When it ends, in milliseconds since 1970.
    pub expires: i64,
}

/// The claims this server understands; times in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) expires: i64,
    pub(crate) issued: Option<i64>,
    pub(crate) not_before: Option<i64>,
    pub(crate) tenant: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) patient: Option<String>,
    pub(crate) encounter: Option<String>,
    pub(crate) fhir_user: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) jti: Option<String>,
    pub(crate) delegations: Vec<Delegation>,
    pub(crate) tier: Option<String>,
    /// The approval under which our own authorization server issued it.
    pub(crate) approval: Option<String>,
    /// The session it belongs to.
    pub(crate) session: Option<String>,
    /// What its holder has to prove with every request.
    pub(crate) confirmation: Option<Confirmation>,
}

impl Claims {
    /// Reads an object of claims, named as its issuer does; the strict reader has refused any that stands twice.
    pub(crate) fn read(claims: Value<'_>, mapping: &ClaimMapping) -> Read<Self> {
        refuse_other_kinds(claims)?;
        let mapped = |path: &Option<ClaimPath>, name: &str| {
            let elsewhere = path.as_ref().and_then(|path| path.one(claims)).transpose()?;
            agreed(elsewhere, text(claims, name).transpose()?)
        };
        Ok(Self {
            issuer: text(claims, "iss").ok_or("iss is missing or no text")??,
            subject: text(claims, "sub").ok_or("sub is missing or no text")??,
            audiences: audiences(claims)?,
            expires: time(claims, "exp", "exp is no date")?.ok_or("exp is missing")?,
            issued: time(claims, "iat", "iat is no date")?,
            not_before: time(claims, "nbf", "nbf is no date")?,
            tenant: agreed(
                mapping.tenant.as_ref().map_or(Ok(None), |tenant| tenant.read(claims))?,
                text(claims, "tenant_id").transpose()?,
            )?,
            scopes: scopes(claims, mapping)?,
            patient: agreed(
                mapping.patient.as_ref().map_or(Ok(None), |path| mapped_id(path, claims))?,
                id(claims, "patient", "patient is not one FHIR id")?,
            )?,
            encounter: id(claims, "encounter", "encounter is not one FHIR id")?,
            fhir_user: mapped(&mapping.fhir_user, "fhirUser")?,
            client: match &mapping.client {
                Some(path) => path.one(claims).transpose()?,
                None => client(claims)?,
            },
            jti: text(claims, "jti").transpose()?,
            delegations: delegations(claims)?,
            tier: mapped(&mapping.tier, "rate_limit_tier")?,
            approval: text(claims, "approval_id").transpose()?,
            session: text(claims, "sid").transpose()?,
            confirmation: Confirmation::read(claims)?,
        })
    }
}

/// What a claim says under its mapped name or its own. To pass one over would be to widen what the token reaches.
fn agreed(mapped: Option<String>, own: Option<String>) -> Read<Option<String>> {
    match (mapped, own) {
        (Some(mapped), Some(own)) if mapped != own => Err("a claim says something else than the one it is mapped from"),
        (mapped, own) => Ok(mapped.or(own)),
    }
}

/// Refuses tokens of other kinds that say so in their claims: ID tokens, by what only they hold, and Keycloak's ID,
/// refresh and logout tokens, which name their kind there.
fn refuse_other_kinds(claims: Value<'_>) -> Read<()> {
    const ID_TOKEN: &str = "the token is an ID token";
    if ["at_hash", "c_hash"].iter().any(|name| claims.get(name).is_some()) {
        return Err(ID_TOKEN);
    }
    let scope_claims = ["scope", "scopes", "scp"];
    if claims.get("nonce").is_some() && scope_claims.iter().all(|name| claims.get(name).is_none()) {
        return Err(ID_TOKEN);
    }
    let kind = claims.get("typ").and_then(Value::string).unwrap_or_default();
    if ["ID", "Refresh", "Offline", "Logout"].iter().any(|other| kind.eq_ignore_ascii_case(other)) {
        return Err("the token is not an access token");
    }
    Ok(())
}

/// A text without control characters, if the claim is there at all.
pub(crate) fn text(claims: Value<'_>, name: &str) -> Option<Read<String>> {
    claims.get(name).map(as_text)
}

fn as_text(value: Value<'_>) -> Read<String> {
    let good = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
    match value.string() {
        Some(text) if good(&text) => Ok(text.into_owned()),
        _ => Err("a claim is not a text of its kind"),
    }
}

fn id(claims: Value<'_>, name: &str, wrong: &'static str) -> Read<Option<String>> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.string() {
            Some(text) if is_id(&text) => Ok(Some(text.into_owned())),
            _ => Err(wrong),
        },
    }
}

fn mapped_id(path: &ClaimPath, claims: Value<'_>) -> Read<Option<String>> {
    let id = path.one(claims).transpose()?;
    if id.as_deref().is_none_or(is_id) { Ok(id) } else { Err("patient is not one FHIR id") }
}

fn time(claims: Value<'_>, name: &str, wrong: &'static str) -> Read<Option<i64>> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.number().and_then(numeric_date).map(Some).ok_or(wrong),
    }
}

/// The client: `client_id` (RFC 9068), else `azp` (OpenID Connect).
fn client(claims: Value<'_>) -> Read<Option<String>> {
    let client = text(claims, "client_id").transpose()?;
    let party = text(claims, "azp").transpose()?;
    Ok(client.or(party))
}

/// `aud`, a text or a list of them.
pub(crate) fn audiences(claims: Value<'_>) -> Read<Vec<String>> {
    const WRONG: &str = "aud is missing, or neither a text nor a list of texts";
    let value = claims.get("aud").ok_or(WRONG)?;
    let all = if value.kind() == Kind::Array { texts(value) } else { value.string().map(|one| vec![one.into_owned()]) };
    all.filter(|all| !all.is_empty()).ok_or(WRONG)
}

fn texts(list: Value<'_>) -> Option<Vec<String>> {
    list.items().map(|item| item.string().map(std::borrow::Cow::into_owned)).collect()
}

/// The scopes as one set, in the order they came.
fn scopes(claims: Value<'_>, mapping: &ClaimMapping) -> Read<Vec<String>> {
    let all = match &mapping.scopes {
        Some(mapped) => mapped.read(claims)?,
        None => unmapped_scopes(claims)?,
    };
    let mut set: Vec<String> = Vec::new();
    for scope in all {
        if !scope.is_empty() && !set.contains(&scope) {
            set.push(scope);
        }
        if set.len() > MAX_SCOPES {
            return Err("more than 64 scopes");
        }
    }
    Ok(set)
}

/// `scope` (a text), `scopes` and `scp` (a list, or a text).
fn unmapped_scopes(claims: Value<'_>) -> Read<Vec<String>> {
    const WRONG: &str = "the scopes are not of their type";
    let mut all = Vec::new();
    for name in ["scope", "scopes", "scp"] {
        let Some(value) = claims.get(name) else { continue };
        all.extend(match value.kind() {
            Kind::Array if name != "scope" => texts(value).ok_or(WRONG)?,
            _ => split(&value.string().ok_or(WRONG)?),
        });
    }
    Ok(all)
}

/// Splits at spaces alone (RFC 6749, section 3.3): a tab is part of a scope, which is then not understood.
fn split(scopes: &str) -> Vec<String> {
    scopes.split(' ').map(str::to_owned).collect()
}

fn delegations(claims: Value<'_>) -> Read<Vec<Delegation>> {
    const WRONG: &str = "delegated_access is not of its form";
    let Some(value) = claims.get("delegated_access") else { return Ok(Vec::new()) };
    if value.kind() != Kind::Array || value.items().count() > MAX_DELEGATIONS {
        return Err(WRONG);
    }
    value
        .items()
        .map(|entry| {
            let scopes = entry.get("scopes").ok_or(WRONG)?;
            let scopes = match scopes.kind() {
                Kind::Array => texts(scopes).ok_or(WRONG)?,
                _ => split(&scopes.string().ok_or(WRONG)?),
            };
            if scopes.len() > MAX_SCOPES {
                return Err(WRONG);
            }
            Ok(Delegation {
                tenant: text(entry, "tenant_id").ok_or(WRONG)?.map_err(|_| WRONG)?,
                scopes,
                expires: entry.get("expires").and_then(moment).ok_or(WRONG)?,
            })
        })
        .collect()
}

/// A NumericDate, or a date and time in words.
fn moment(value: Value<'_>) -> Option<i64> {
    if let Some(number) = value.number() {
        return numeric_date(number);
    }
    let text = value.string()?;
    chrono::DateTime::parse_from_rfc3339(&text).ok().map(|moment| moment.timestamp_millis())
}

#[cfg(test)]
mod tests;
