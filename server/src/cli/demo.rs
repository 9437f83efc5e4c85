//! `vitals demo`: two hospitals with ninety days of vital signs that a generator made, and a research platform that they
//! let read some of them, served at once.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use vitals_access::{
    keys::ACCESS_TOKEN,
    tenant::{Tenant, TenantName},
};
use vitals_fhir::{json, outcome::Issue};
use vitals_store::control::{
    self,
    jobs::{self, NewJob},
    tenants,
};

use super::{CommandError, Connection, Exit, Opened, serve};
use crate::{
    config::Settings,
    failure::Failure,
    job::load::{self, Batch, Loader},
    state::App,
};

pub mod physiology;
mod research;

/// The same data on every machine.
const SEED: u64 = 7;
/// Resources in one statement.
const BATCH: usize = 500;
/// Statements at a time.
const AT_ONCE: usize = 2;
/// How long the printed token is good.
const TOKEN_HOURS: i64 = 24;
/// What the printed token may do.
const SCOPES: &str = "vitals:read vitals:write users:read system/Patient.cruds system/Observation.cruds";

/// Serves the demo until a signal.
pub async fn run(settings: &Settings) -> Result<Exit, CommandError> {
    Box::pin(serve::serve(settings, async |app, opened| {
        let hospitals = physiology::hospitals(SEED, app.clock.now());
        let mut admin = opened.admin().await?;
        for hospital in &hospitals {
            let name: TenantName = hospital.tenant.parse()?;
            if tenants::find(&mut admin, &name).await?.is_none() {
                eprintln!("vitals: making {} with {} patients", hospital.display, hospital.patients.len());
                let tenant = make(app, &mut admin, &name, hospital.display).await?;
                load(app, opened, &tenant, hospital).await?;
            }
        }
        let [first, second] = &hospitals;
        let token = token(app, &mut admin, first).await?;
        let research = research::token(app, &mut admin, &hospitals).await?;
        println!("{}", tour(&app.public_url, first, second, &token));
        println!("{}", delegated_tour(&app.public_url, first, &research));
        Ok(())
    }))
    .await
}

async fn make(app: &App, admin: &mut Connection, name: &TenantName, display: &str) -> Result<Tenant, CommandError> {
    let new = tenants::NewTenant {
        name: name.clone(),
        display: display.to_owned(),
        isolation: tenants::Isolation::Schema,
        tier: "default".to_owned(),
        issuer: None,
    };
    Ok(tenants::create(admin, &app.master_key, &new, app.clock.now()).await?.tenant)
}

async fn load(
    app: &App,
    opened: &Opened<'_>,
    tenant: &Tenant,
    hospital: &physiology::Hospital,
) -> Result<(), CommandError> {
    let mut connection = opened.serving().await?;
    let id = uuid::Uuid::now_v7();
    let job = NewJob { id, tenant, kind: "demo", subject: "cli:demo", scopes: "system/*.cruds" };
    let loader = Arc::new(Loader {
        access: Arc::new(jobs::open(&mut connection, &job, app.clock.now()).await?.access()),
        pool: app.pool.clone(),
        audit: app.audit.clone(),
        clock: Arc::clone(&app.clock),
        bases: vec![format!("{}/t/{}/fhir", app.public_url, tenant.name)],
    });
    let patients = batch(&loader, hospital.patients.iter().map(|patient| patient.body.as_str()))?;
    loader.write(&patients, None).await.map_err(|failure| stopped(&failure))?;
    // Made as they are written, so that nobody holds ninety days of a hospital at once.
    let mut observations = hospital.patients.iter().flat_map(physiology::Patient::observations).peekable();
    let mut writing = JoinSet::new();
    while observations.peek().is_some() || !writing.is_empty() {
        while writing.len() < AT_ONCE && observations.peek().is_some() {
            let batch = batch(&loader, observations.by_ref().take(BATCH).map(|made| made.body))?;
            let loader = Arc::clone(&loader);
            writing.spawn(async move { loader.write(&batch, None).await });
        }
        if let Some(written) = writing.join_next().await {
            written?.map_err(|failure| stopped(&failure))?;
        }
    }
    jobs::finish(&mut connection, id, app.clock.now()).await?;
    Ok(())
}

fn stopped(failure: &Failure) -> CommandError {
    CommandError::new(format!("loading stopped: {}", failure.reason))
}

fn batch(loader: &Loader, bodies: impl Iterator<Item = impl AsRef<str>>) -> Result<Batch, CommandError> {
    let mut batch = Batch::default();
    for body in bodies {
        let document = json::parse(body.as_ref().as_bytes()).map_err(|error| invalid(vec![error.into()]))?;
        batch.push(load::judge(&document, &loader.bases, || uuid::Uuid::now_v7().to_string()).map_err(invalid)?);
    }
    Ok(batch)
}

/// The generator made something else than it should.
fn invalid(issues: Vec<Issue>) -> CommandError {
    let why = issues.into_iter().next().map(|issue| issue.diagnostics).unwrap_or_default();
    CommandError::new(format!("the generated data is not valid FHIR: {why}"))
}

async fn token(app: &App, admin: &mut Connection, hospital: &physiology::Hospital) -> Result<String, CommandError> {
    let name: TenantName = hospital.tenant.parse()?;
    let key = control::keys::signing_for(admin, &app.master_key, &name).await?;
    let now = app.clock.now().timestamp();
    Ok(key.sign(
        ACCESS_TOKEN,
        &json!({
            "iss": format!("{}/t/{name}/auth", app.public_url),
            "sub": "demo",
            "aud": format!("{}/t/{name}/fhir", app.public_url),
            "iat": now,
            "exp": now + TOKEN_HOURS * 3600,
            "jti": uuid::Uuid::new_v4().to_string(),
            "tenant_id": name.as_str(),
            "client_id": "vitals-demo",
            "scope": SCOPES,
        }),
    ))
}

/// What is printed of the research platform.
fn delegated_tour(public_url: &str, first: &physiology::Hospital, token: &str) -> String {
    let heart_rates = "Observation?code=http://loinc.org|8867-4&_sort=-date";
    format!(
        "# A token of {name}, which both hospitals let read heart rates, and nothing else of most:\n\
         export RESEARCH={token}\n\n\
         # The latest heart rates of both hospitals as one list; meta.tag of each says whose it is:\n\
         curl -sS -H \"Authorization: Bearer $RESEARCH\" \
         '{public_url}/t/{tenant}/delegated/fhir/{heart_rates}&_count=6'\n\n\
         # The same at the base of the one that granted it; both trails tell of it:\n\
         curl -sS -H \"Authorization: Bearer $RESEARCH\" '{public_url}/t/{here}/fhir/{heart_rates}&_count=3'\n",
        name = research::DISPLAY,
        tenant = research::TENANT,
        here = first.tenant,
    )
}

/// What is printed: addresses, a token, and lines to paste.
fn tour(public_url: &str, first: &physiology::Hospital, second: &physiology::Hospital, token: &str) -> String {
    let base = |hospital: &physiology::Hospital| format!("{public_url}/t/{}/fhir", hospital.tenant);
    let (here, there) = (base(first), base(second));
    let patient = first.patients.first().map(|patient| patient.id.as_str()).unwrap_or_default();
    let stranger = second.patients.first().map(|patient| patient.id.as_str()).unwrap_or_default();
    let width = first.display.len().max(second.display.len());
    let body = json!({
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2026-01-01T08:00:00Z",
        "valueQuantity": {
            "value": 72, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min"},
    });
    format!(
        "Two hospitals are served, each with {patients} patients and {days} days of vital signs (none of them exists):\n\
         \n  {first:<width$}  {here}\n  {second:<width$}  {there}\n\n\
         # A token of {first}, good for {TOKEN_HOURS} hours:\n\
         export TOKEN={token}\n\n\
         # Read a patient:\n\
         curl -sS -H \"Authorization: Bearer $TOKEN\" '{here}/Patient/{patient}'\n\n\
         # Search: the latest five heart rates of that patient:\n\
         curl -sS -H \"Authorization: Bearer $TOKEN\" \
         '{here}/Observation?patient={patient}&code=http://loinc.org|8867-4&_sort=-date&_count=5'\n\n\
         # Create a heart rate:\n\
         curl -sS -i -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/fhir+json' \
         '{here}/Observation' -d '{body}'\n\n\
         # The same token at the other hospital is refused (403):\n\
         curl -sS -i -H \"Authorization: Bearer $TOKEN\" '{there}/Patient/{stranger}'\n",
        patients = physiology::PATIENTS,
        days = physiology::DAYS,
        first = first.display,
        second = second.display,
    )
}
