//! The EHR's side of a launch: an EHR announces that a user launches an app about a patient, and gets the handle that the
//! app brings to `authorize` (SMART App Launch 2.2 leaves how to the server).

use chrono::TimeDelta;
use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::{Value, json};
use url::Url;
use vitals_fhir::resource::is_id;
use vitals_store::authorization::{Account, Launch};

use super::{Asked, OauthError, client_auth, form::Form};
use crate::{
    authorization::{LaunchContext, Patients, accounts::folded, secrets},
    rest::respond,
};

/// How long the app may take until it brings the handle: its page has to load.
const LIFE: TimeDelta = TimeDelta::minutes(5);
/// Longest text in a context.
const MAX_TEXT: usize = 2_000;

/// Announces a launch.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let form = Form::read_any(asked.incoming).await?;
    // The app is named by a parameter of its own, since client_id says who asks.
    let ehr = client_auth::confidential(&mut asked, &form).await?;
    if !ehr.ehr {
        return Err(OauthError::unauthorized_client("Only a client that is registered as an EHR announces launches."));
    }
    let context = context(&form)?;
    let (app, user) = (form.require("app")?, form.require("user")?);
    let now = asked.app.clock.now();
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let app = tx.client(app).await?.filter(|app| app.revoked.is_none() && !app.redirect_uris.is_empty());
    let mut account = tx.account(user).await?;
    if account.is_none() {
        account = tx.account_by_username(&folded(user)).await?;
    }
    let account = account.filter(|account: &Account| account.revoked.is_none());
    let (Some(app), Some(account)) = (app, account) else {
        tx.rollback().await?;
        return Err(OauthError::invalid_request("There is no such app, or no such user."));
    };
    if Patients::of(&account).settle(context.patient.as_deref()).is_err() {
        tx.rollback().await?;
        return Err(OauthError::invalid_request("The user cannot launch an app about this patient."));
    }
    let handle = secrets::random();
    let launch = Launch {
        hash: secrets::hash(&handle),
        client: app.id,
        account: account.id.clone(),
        context: context.text(),
        expires: now + LIFE,
    };
    tx.insert_launch(&launch, now).await?;
    tx.commit().await?;
    asked.record.subject = Some(account.id);
    asked.record.patient.clone_from(&context.patient);
    asked.record.encounter.clone_from(&context.encounter);
    let mut body = json!({ "launch": handle, "expires_in": LIFE.num_seconds() });
    if let Some(mut url) = app.launch_uri.as_deref().and_then(|uri| Url::parse(uri).ok()) {
        let issuer = asked.app.desk.audience(asked.tenant);
        url.query_pairs_mut().append_pair("iss", &issuer).append_pair("launch", &handle);
        body["launch_url"] = json!(url.as_str());
    }
    let mut response = respond::json(StatusCode::CREATED, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn context(form: &Form) -> Result<LaunchContext, OauthError> {
    let id = |name: &str| match form.get(name) {
        Some(id) if !is_id(id) => Err(OauthError::invalid_request(format!("The parameter {name} is no id."))),
        id => Ok(id.map(str::to_owned)),
    };
    let text = |name: &str| match form.get(name) {
        Some(text) if text.len() > MAX_TEXT => {
            Err(OauthError::invalid_request(format!("The parameter {name} is longer than 2,000 bytes.")))
        }
        text => Ok(text.map(str::to_owned)),
    };
    let style = text("smart_style_url")?;
    if style.as_deref().is_some_and(|url| !Url::parse(url).is_ok_and(|url| url.scheme() == "https")) {
        return Err(OauthError::invalid_request("The parameter smart_style_url must be https."));
    }
    let banner = match form.get("need_patient_banner") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(OauthError::invalid_request("The parameter need_patient_banner is true or false.")),
    };
    let others = text("fhirContext")?.map(|text| serde_json::from_str::<Value>(&text));
    let others = others.transpose().ok().filter(|others| others.as_ref().is_none_or(are_references));
    Ok(LaunchContext {
        patient: id("patient")?,
        encounter: id("encounter")?,
        intent: text("intent")?,
        need_patient_banner: banner,
        smart_style_url: style,
        fhir_context: others.ok_or_else(|| {
            OauthError::invalid_request("The parameter fhirContext is a JSON array of objects with a reference.")
        })?,
        auth_time: None,
    })
}

/// Objects that name something, with roles as SMART has them: `launch`, or a URI of somebody's own. The patient and the
/// encounter have parameters of their own, and are here only in another role.
fn are_references(others: &Value) -> bool {
    let names = ["reference", "canonical", "identifier"];
    let is_named = |other: &Value| names.iter().any(|name| other.get(name).is_some());
    let has_place = |other: &Value| {
        let reference = other["reference"].as_str().unwrap_or("");
        let has_own = reference.starts_with("Patient/") || reference.starts_with("Encounter/");
        match other.get("role") {
            None => !has_own,
            Some(Value::String(role)) if role == "launch" => !has_own,
            Some(Value::String(role)) => Url::parse(role).is_ok(),
            Some(_) => false,
        }
    };
    others.as_array().is_some_and(|others| others.iter().all(|other| is_named(other) && has_place(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_ids_and_short_texts() {
        let read = |text: &str| context(&Form::of(text).unwrap());
        let whole = "patient=p1&encounter=e1&intent=reconcile&need_patient_banner=false\
                     &smart_style_url=https://ehr.example/style.json&fhirContext=[{\"reference\":\"ImagingStudy/1\"}]";
        let read_whole = read(whole).unwrap();
        assert_eq!(read_whole.patient.as_deref(), Some("p1"));
        assert_eq!(read_whole.need_patient_banner, Some(false));
        assert_eq!(read_whole.fhir_context.unwrap()[0]["reference"], "ImagingStudy/1");
        assert_eq!(read("").unwrap(), LaunchContext::default());
        for bad in [
            "patient=Patient/p1",
            "encounter=a%20b",
            "need_patient_banner=yes",
            "smart_style_url=javascript:alert(1)",
            "fhirContext={}",
            "fhirContext=[1]",
            "fhirContext=x",
            "fhirContext=[{\"reference\":\"Patient/p1\"}]",
            "fhirContext=[{\"reference\":\"Encounter/e1\",\"role\":\"launch\"}]",
            "fhirContext=[{\"reference\":\"ImagingStudy/1\",\"role\":\"\"}]",
            "fhirContext=[{\"reference\":\"ImagingStudy/1\",\"role\":\"focus\"}]",
        ] {
            assert_eq!(read(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
