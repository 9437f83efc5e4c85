//! Looks at Patient resources for a page, as the person who is signed in: by a token of theirs that goes through the same
//! gate as any other, so that scopes, compartment and trail hold here as everywhere.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vitals_access::{
    access::Access,
    proof::{Circumstances, Credential},
    scope,
    verifier::Base,
};
use vitals_fhir::{
    json::{self, Value},
    resource::{Id, Patient},
    search::Query,
};
use vitals_store::{
    authorization::Account,
    rows::{Mark, Position, Versioned},
};

use super::{Asked, OauthError, page::FoundPatient};
use crate::{
    failure::{Failure, Kind},
    interaction::{Exchange, Note, read, search_type},
};

/// The `client_id` of tokens that these pages use themselves.
const CLIENT: &str = "sign-in-pages";
/// Patients on a page.
const PAGE: &str = "10";
const PURPOSE: &str = "patients-page";

/// A page of patients, and where the next one begins.
pub(super) struct Found {
    pub(super) patients: Vec<FoundPatient>,
    pub(super) next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    mark: Mark,
    id: String,
}

/// The patients that a person finds by name and birth date. `None` where they may search none.
pub(super) async fn search(
    asked: &mut Asked<'_>,
    account: &Account,
    (name, birthdate): (&str, &str),
    after: Option<&str>,
) -> Result<Option<Found>, OauthError> {
    let Some(access) = access(asked, account, "user/Patient.rs", None).await? else { return Ok(None) };
    let mut pairs = vec![("_count".to_owned(), PAGE.to_owned())];
    for (parameter, value) in [("name", name), ("birthdate", birthdate)] {
        if !value.is_empty() {
            pairs.push((parameter.to_owned(), escaped(value)));
        }
    }
    let query = Query::<Patient>::parse(&pairs, false, &[]).map_err(Failure::malformed)?;
    let position = after.and_then(|text| open(asked, account, text));
    let mut exchange = exchange(asked, &access);
    let (page, _) = search_type::search_type(&mut exchange, &query, position.as_ref()).await?;
    exchange.note.clone().fill(asked.record);
    asked.record.resource_type = Some("Patient".to_owned());
    let next = page.next.as_ref().and_then(|next| seal(asked, account, next));
    Ok(Some(Found { patients: page.found.iter().map(|found| of(&found.resource)).collect(), next }))
}

/// One patient, if the person may see it. Who may see only patients that others named for them sees those.
pub(in crate::oauth) async fn one(
    asked: &mut Asked<'_>,
    account: &Account,
    id: &str,
    is_named: bool,
) -> Result<Option<FoundPatient>, OauthError> {
    let Ok(logical_id) = id.parse::<Id<Patient>>() else { return Ok(None) };
    let (scope, context) = if is_named { ("patient/Patient.rs", Some(id)) } else { ("user/Patient.rs", None) };
    let Some(access) = access(asked, account, scope, context).await? else { return Ok(None) };
    let mut exchange = exchange(asked, &access);
    let found = match read::read(&mut exchange, &logical_id).await {
        Ok(found) => Some(of(&found)),
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::Deleted | Kind::Scope) => None,
        Err(failure) => return Err(failure.into()),
    };
    if found.is_some() {
        exchange.note.clone().fill(asked.record);
        asked.record.resource_type = Some("Patient".to_owned());
    }
    Ok(found)
}

/// A token of the person's for one minute, verified like any other. `None` where they hold nothing of the scope.
async fn access(
    asked: &Asked<'_>,
    account: &Account,
    scope: &str,
    patient: Option<&str>,
) -> Result<Option<Access>, OauthError> {
    let wanted = [scope.to_owned()];
    let scopes = scope::grantable(&wanted, &wanted, &account.scopes);
    if scopes.is_empty() {
        return Ok(None);
    }
    let (app, tenant) = (asked.app, asked.tenant);
    let now = app.clock.now().timestamp();
    let mut claims = json!({
        "iss": app.desk.issuer(tenant),
        "sub": account.id,
        "aud": app.desk.audience(tenant),
        "iat": now,
        "exp": now + 60,
        "jti": uuid::Uuid::new_v4().to_string(),
        "tenant_id": tenant.name.as_str(),
        "client_id": CLIENT,
        "scope": scopes.join(" "),
    });
    if let Some(user) = &account.fhir_user {
        claims["fhirUser"] = user.as_str().into();
    }
    if let Some(patient) = patient {
        claims["patient"] = patient.into();
    }
    let token = app.desk.sign_access(tenant, &claims).await.map_err(|_| OauthError::unavailable())?;
    let directory = app.directory()?;
    let base = Base::Tenant(tenant.name.clone());
    match app.verifier.verify(&directory, &Credential::Bearer(&token), &Circumstances::inside(&base)) {
        Ok(access) => Ok(Some(access)),
        Err(_) => Err(OauthError::internal()),
    }
}

fn exchange<'a>(asked: &Asked<'a>, access: &'a Access) -> Exchange<'a> {
    Exchange {
        access,
        pool: &asked.app.pool,
        clock: &asked.app.clock,
        audit: &asked.app.audit,
        record: asked.record.clone(),
        note: Note::default(),
        turn: None,
        settling: false,
        boxed: false,
    }
}

/// A value that means itself: the signs that part values stand for themselves.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|sign| matches!(sign, '\\' | ',' | '$' | '|').then_some('\\').into_iter().chain([sign]))
        .collect()
}

fn seal(asked: &Asked<'_>, account: &Account, position: &Position) -> Option<String> {
    let place = Place { mark: position.mark.clone(), id: position.id.clone() };
    let plain = serde_json::to_vec(&place).ok()?;
    let sealed = asked.app.master_key.seal(PURPOSE, &context(asked, account), &plain).ok()?;
    Some(URL_SAFE_NO_PAD.encode(sealed))
}

fn open(asked: &Asked<'_>, account: &Account, text: &str) -> Option<Position> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = asked.app.master_key.open(PURPOSE, &context(asked, account), &sealed).ok()?;
    let place: Place = serde_json::from_slice(&plain).ok()?;
    Some(Position { mark: place.mark, id: place.id })
}

fn context(asked: &Asked<'_>, account: &Account) -> Vec<u8> {
    format!("{} {}", asked.tenant.role, account.id).into_bytes()
}

/// What a page says of a patient.
fn of(found: &Versioned<Patient>) -> FoundPatient {
    let id = found.id.as_str();
    let document = json::parse(found.body.as_bytes()).ok();
    let root = document.as_ref().map(json::Document::root);
    let text = |name: &str| root.and_then(|root| root.get(name)).and_then(Value::string).map(Cow::into_owned);
    let born = text("birthDate").map(|date| format!("born {date}"));
    let details: Vec<String> = [born, text("gender")].into_iter().flatten().collect();
    let detail = if details.is_empty() { format!("id {id}") } else { details.join(", ") };
    FoundPatient {
        id: id.to_owned(),
        name: root.and_then(human_name).unwrap_or_else(|| format!("Patient {id}")),
        detail,
    }
}

/// The first name of a patient that says something: its text, else given names and family name.
fn human_name(root: Value<'_>) -> Option<String> {
    let of = |name: Value<'_>| -> Option<String> {
        let text = name.get("text").and_then(Value::string).map(Cow::into_owned);
        let given = name.get("given").into_iter().flat_map(Value::items).filter_map(Value::string);
        let family = name.get("family").and_then(Value::string);
        let parts: Vec<String> = given.chain(family).map(Cow::into_owned).collect();
        text.or_else(|| Some(parts.join(" "))).filter(|name| !name.trim().is_empty())
    };
    root.get("name")?.items().find_map(of)
}
