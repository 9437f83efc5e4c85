//! The scope matrix: every row of the catalog under every form of scope, against a table that says what each reaches.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;
use vitals_fhir::{
    catalog::{self, Code},
    interaction::Letter,
    resource::ResourceType,
};
use vitals_tests::{Ask, Tenant, samples};

/// What a table says of scopes: whose they are, and what they reach of each type.
///
/// A reach is `letters=labels`, several parted by `; `. `*` is every resource of the type, new ones among them; no
/// letter at all is 403; a letter without labels is granted and reaches nothing.
struct Row {
    scope: &'static str,
    patient: Option<&'static str>,
    user: Option<&'static str>,
    patients: &'static str,
    observations: &'static str,
}

const fn row(scope: &'static str, patients: &'static str, observations: &'static str) -> Row {
    Row { scope, patient: None, user: None, patients, observations }
}

impl Row {
    const fn of(self, patient: &'static str) -> Self {
        Self { patient: Some(patient), ..self }
    }

    const fn by(self, user: &'static str) -> Self {
        Self { user: Some(user), ..self }
    }

    /// The labels that a letter reaches; nothing where no scope grants it.
    fn reach(&self, kind: ResourceType, letter: Letter) -> Option<Vec<&'static str>> {
        let (text, all): (_, &[&str]) = match kind {
            ResourceType::Patient => (self.patients, &PATIENTS),
            ResourceType::Observation => (self.observations, &OBSERVATIONS),
        };
        let sign = match letter {
            Letter::Create => 'c',
            Letter::Read => 'r',
            Letter::Update => 'u',
            Letter::Delete => 'd',
            Letter::Search => 's',
        };
        let part =
            text.split("; ").find(|part| part.split('=').next().is_some_and(|letters| letters.contains(sign)))?;
        match part.split_once('=').expect("letters=labels").1 {
            "*" => Some(all.to_vec()),
            labels => Some(labels.split(' ').filter(|label| !label.is_empty()).collect()),
        }
    }

    fn reaches_all(&self, kind: ResourceType, letter: Letter) -> bool {
        let text = if kind == ResourceType::Patient { self.patients } else { self.observations };
        self.reach(kind, letter).is_some() && text.ends_with('*')
    }
}

const PATIENTS: [&str; 2] = ["p1", "p2"];
/// Heart rates of both patients and of a device, and the first one's oxygen saturation, a heart rate with an oxygen
/// saturation inside, and a laboratory value.
const OBSERVATIONS: [&str; 6] = ["hr1", "hr2", "hrd", "spo", "mix", "lab"];

const VITAL_SIGNS: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

/// A tenant with one resource for each label.
struct World {
    tenant: Tenant,
    ids: BTreeMap<&'static str, String>,
}

impl World {
    async fn new() -> Self {
        let tenant = Tenant::fresh().await;
        let labels = PATIENTS.into_iter().chain(OBSERVATIONS);
        let ids = labels.map(|label| (label, Uuid::new_v4().to_string())).collect();
        let world = Self { tenant, ids };
        let all = world.tenant.all();
        for label in PATIENTS.into_iter().chain(OBSERVATIONS) {
            let content = world.content(label);
            let path = format!("{}/{}", content["resourceType"].as_str().expect("a type"), world.ids[label]);
            world.tenant.put(&path, &all, &content.to_string()).await.expect(201);
        }
        world
    }

    fn content(&self, label: &str) -> Value {
        let id = self.ids[label].as_str();
        let vital = |patient: &str, code| samples::vital(id, &self.ids[patient], code, 70.0, "2026-03-01T08:00:00Z");
        match label {
            "p1" => samples::patient(id, "One"),
            "p2" => with(samples::patient(id, "Two"), "meta", restricted()),
            "hr1" => vital("p1", samples::HEART_RATE),
            "hr2" => vital("p2", samples::HEART_RATE),
            "hrd" => with(vital("p1", samples::HEART_RATE), "subject", json!({ "reference": "Device/d1" })),
            "spo" => vital("p1", samples::SPO2),
            "mix" => {
                let inside = json!([{
                    "code": { "coding": [{ "system": "http://loinc.org", "code": samples::SPO2 }] },
                    "valueQuantity": { "value": 97, "unit": "%" },
                }]);
                with(vital("p1", samples::HEART_RATE), "component", inside)
            }
            "lab" => {
                let laboratory = json!([{ "coding": [{ "system": VITAL_SIGNS, "code": "laboratory" }] }]);
                let lab = with(vital("p1", samples::GLUCOSE), "category", laboratory);
                with(with(lab, "status", json!("preliminary")), "meta", restricted())
            }
            other => unreachable!("no content for {other}"),
        }
    }

    fn token(&self, row: &Row) -> String {
        let mut token = self.tenant.token(row.scope);
        if let Some(patient) = row.patient {
            token = token.patient(self.ids.get(patient).map_or(patient, String::as_str));
        }
        if let Some(user) = row.user {
            let user = user.replace("{base}", &self.tenant.base()).replace("{p1}", &self.ids["p1"]);
            token = token.with("fhirUser", user);
        }
        token.sign()
    }
}

fn with(mut resource: Value, name: &str, value: Value) -> Value {
    resource[name] = value;
    resource
}

fn restricted() -> Value {
    json!({ "security": [{ "system": CONFIDENTIALITY, "code": "R" }] })
}

/// The status of an interaction about a resource, by whether it is reached, searched and updated.
fn expected(code: Code, reached: bool, searches: bool, updates: bool) -> u16 {
    match (code, reached) {
        (Code::Create, true) => 201,
        // A new Patient has an id of its own, which is in nobody's compartment.
        (Code::Create, false) => 403,
        // What it may search and not delete is not there.
        (Code::ConditionalDelete, false) if searches => 404,
        // Nothing that it may search: nothing to delete.
        (Code::Delete, true) | (Code::ConditionalDelete, _) => 204,
        // What it may update and not search does not meet the criteria, and stands at the id all the same.
        (Code::ConditionalUpdate, false) if updates && !searches => 412,
        // A list of what is reached, or findings.
        (Code::SearchType | Code::SearchTypePost | Code::SearchCompartment | Code::HistoryType | Code::Validate, _)
        | (_, true) => 200,
        (_, false) => 404,
    }
}

/// Runs every row of the catalog under the row's scopes: on every resource, on one that is not there, on the type.
async fn judge(row: Row) {
    let world = World::new().await;
    let token = world.token(&row);
    judge_as(&world, &row, &token).await;
}

/// The same for a caller of another tenant, whose token has the row's scopes for this one, which granted others.
async fn judge_granted(granted: &str, row: Row) {
    let (world, other) = (World::new().await, Tenant::fresh().await);
    world.tenant.grant(&other, granted).await;
    let token = other.delegate(&[(&world.tenant, row.scope)]).sign();
    judge_as(&world, &row, &token).await;
}

async fn judge_as(world: &World, row: &Row, token: &str) {
    let base = world.tenant.base();
    let said = format!("{:?} patient={:?} fhirUser={:?}", row.scope, row.patient, row.user);
    // In the order of the catalog: reads before writes, deletion last.
    for operation in catalog::all() {
        let (kind, letter) = (operation.resource, operation.letter);
        let labels: &[&str] = if kind == ResourceType::Patient { &PATIENTS } else { &OBSERVATIONS };
        // What takes two letters reaches what both of them reach.
        let reach = match operation.also {
            None => row.reach(kind, letter),
            Some(also) => row
                .reach(kind, letter)
                .zip(row.reach(kind, also))
                .map(|(one, other)| one.into_iter().filter(|label| other.contains(label)).collect()),
        };
        let never = Uuid::new_v4().to_string();
        let unknown = match operation.code {
            // Would make it.
            // A history of the type is not about one of them.
            Code::Create | Code::Update | Code::ConditionalUpdate | Code::HistoryType | Code::Validate => None,
            _ => Some(Ask::of(operation, &never, &Value::Null).send(&base, Some(token)).await),
        };
        for label in labels {
            let id = &world.ids[label];
            let answer = Ask::of(operation, id, &world.content(label)).send(&base, Some(token)).await;
            let what = format!("{said}: {} {} of {label}: {}", operation.method.name(), operation.path, answer.body);
            let Some(reach) = &reach else {
                assert_eq!(answer.status, 403, "{what}");
                assert_eq!(answer.header("www-authenticate"), "Bearer error=\"insufficient_scope\"", "{what}");
                answer.expect_outcome(403, "forbidden");
                continue;
            };
            let reached = reach.contains(label);
            let searches = |label: &&str| row.reach(kind, Letter::Search).is_some_and(|reach| reach.contains(label));
            let updates = row.reach(kind, Letter::Update).is_some_and(|reach| reach.contains(label));
            let expected = expected(operation.code, reached, searches(label), updates);
            assert_eq!(answer.status, expected, "{what}");
            match operation.code {
                Code::SearchCompartment => {
                    // A device's own is in no patient's compartment.
                    let found: Vec<String> = if reached && *label != "hrd" { vec![id.clone()] } else { Vec::new() };
                    assert_eq!(answer.ids(), found, "{what}");
                    let content = world.content(label);
                    let unknown = Ask::of(operation, &never, &content).send(&base, Some(token)).await;
                    assert!(reached || answer.anonymous(id) == unknown.anonymous(&never), "{what}");
                    continue;
                }
                // What the scopes would not let in is a finding.
                Code::Validate => {
                    assert_eq!(answer.holds("\"forbidden\""), !reached, "{what}");
                    continue;
                }
                Code::HistoryType => {
                    let listed = answer.ids().contains(id);
                    assert_eq!(listed, reached, "{what}");
                }
                Code::SearchType | Code::SearchTypePost => {
                    let found: Vec<String> = if reached { vec![id.clone()] } else { Vec::new() };
                    assert_eq!(answer.ids(), found, "{what}");
                }
                Code::Create | Code::Update | Code::ConditionalUpdate if reached => {
                    let readable = row.reach(kind, Letter::Read).is_some_and(|reach| reach.contains(label));
                    assert_eq!(answer.body.is_empty(), !readable, "{what}");
                }
                _ => {}
            }
            if let (false, Some(unknown)) = (reached, &unknown) {
                let is_search = matches!(operation.code, Code::SearchType | Code::SearchTypePost);
                let deletes = operation.code == Code::ConditionalDelete;
                assert!(is_search || deletes || unknown.status == 404, "{what}");
                if !deletes || !searches(label) {
                    assert_eq!(answer.anonymous(id), unknown.anonymous(&never), "{what}");
                }
            }
        }
        if let (Code::SearchType, Some(reach)) = (operation.code, &reach) {
            let mut found = world.tenant.get(kind.name(), token).await.expect(200).ids();
            let mut expected: Vec<String> = reach.iter().map(|label| world.ids[label].clone()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{said}: all of {kind}");
        }
        if operation.code == Code::Update {
            // Update as create takes the whole type.
            let expected = match &reach {
                None => 403,
                Some(_) if row.reaches_all(kind, letter) => 201,
                Some(_) => 404,
            };
            let content = world.content(if kind == ResourceType::Patient { "p1" } else { "hr1" });
            let answer = Ask::of(operation, &never, &content).send(&base, Some(token)).await;
            assert_eq!(answer.status, expected, "{said}: PUT of a new {kind}: {}", answer.body);
        }
    }
}

async fn judge_all(rows: Vec<Row>) {
    for row in rows {
        judge(row).await;
    }
}

#[tokio::test]
async fn smart_v1_scopes_reach_what_the_table_says() {
    judge_all(vec![
        row("patient/Patient.read", "rs=p1", "").of("p1"),
        row("patient/Observation.read", "", "rs=hr1 spo mix lab").of("p1"),
        row("patient/*.read", "rs=p1", "rs=hr1 spo mix lab").of("p1"),
        row("patient/*.write", "c=; ud=p1", "cud=hr1 spo mix lab").of("p1"),
        row("patient/*.*", "c=; ruds=p1", "cruds=hr1 spo mix lab").of("p1"),
        row("patient/*.*", "c=; ruds=p2", "cruds=hr2").of("p2"),
        row("patient/*.read", "rs=", "rs=").of("nobody-has-this-id"),
        row("user/*.read", "rs=*", "rs=*"),
        row("user/Observation.write", "", "cud=*"),
        row("system/*.read", "rs=*", "rs=*"),
        row("system/Patient.write", "cud=*", ""),
        row("system/*.*", "cruds=*", "cruds=*"),
        // The claim binds patient scopes only.
        row("system/*.read", "rs=*", "rs=*").of("p1"),
    ])
    .await;
}

#[tokio::test]
async fn smart_v2_scopes_grant_their_letters_and_no_others() {
    judge_all(vec![
        row("system/Observation.c", "", "c=*"),
        row("system/Observation.r", "", "r=*"),
        row("system/Observation.u", "", "u=*"),
        row("system/Observation.d", "", "d=*"),
        row("system/Observation.s", "", "s=*"),
        row("system/Patient.rs", "rs=*", ""),
        row("system/*.cud", "cud=*", "cud=*"),
        row("system/*.cruds", "cruds=*", "cruds=*"),
        row("patient/Observation.cr", "", "cr=hr1 spo mix lab").of("p1"),
        row("patient/*.rus", "rus=p1", "rus=hr1 spo mix lab").of("p1"),
    ])
    .await;
}

#[tokio::test]
async fn limits_of_v2_scopes_reach_what_they_name() {
    judge_all(vec![
        row("system/Observation.cruds?category=vital-signs", "", "cruds=hr1 hr2 hrd spo mix"),
        row(
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs",
            "",
            "rs=hr1 spo mix",
        )
        .of("p1"),
        row("patient/Observation.rs?category=laboratory", "", "rs=").of("p2"),
        row("system/Observation.cruds?code=http://loinc.org|8867-4", "", "cruds=hr1 hr2 hrd mix"),
        row("system/Observation.rs?code=http://loinc.org|2708-6,http://loinc.org|15074-8", "", "rs=spo lab"),
        row("system/Observation.rs?code=http://example.org/local|8867-4", "", "rs="),
        row("system/Observation.cruds?status=preliminary", "", "cruds=lab"),
        row("system/Observation.rs?category=vital-signs&status=preliminary", "", "rs="),
        row(
            "system/Observation.cruds?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R",
            "",
            "cruds=lab",
        ),
        row("system/Patient.ruds?_security=R", "ruds=p2", ""),
        // A Patient has no category: the limit lets none of them through.
        row("system/*.rs?category=vital-signs", "", "rs=hr1 hr2 hrd spo mix"),
        row("user/Observation.rs?category=laboratory patient/Observation.r", "", "r=hr1 spo mix lab; s=lab").of("p1"),
    ])
    .await;
}

#[tokio::test]
async fn vitals_scopes_reach_vital_signs_and_nothing_else() {
    judge_all(vec![
        row("vitals:read", "", "rs=hr1 hr2 hrd spo mix"),
        row("vitals.all:read", "", "rs=hr1 hr2 hrd spo mix"),
        row("vitals:write", "", "cud=hr1 hr2 hrd spo mix"),
        row("vitals.all:write vitals.all:read", "", "cruds=hr1 hr2 hrd spo mix"),
        row("vitals.heart_rate:read", "", "rs=hr1 hr2 hrd"),
        row("vitals.heart_rate:write", "", "cud=hr1 hr2 hrd"),
        row("vitals.spo2:read", "", "rs=spo"),
        row("vitals.body_weight:read", "", "rs="),
        row("vitals.heart_rate:read vitals.spo2:read", "", "rs=hr1 hr2 hrd spo"),
        row("vitals.heart_rate:read vitals.spo2:write", "", "rs=hr1 hr2 hrd; cud=spo"),
        row("vitals:read", "", "rs=hr1 spo mix").of("p1"),
        row("vitals.heart_rate:write", "", "cud=hr2").of("p2"),
        row("users:read", "rs=*", ""),
        row("users:read vitals.spo2:read", "rs=p1", "rs=spo").of("p1"),
    ])
    .await;
}

#[tokio::test]
async fn o05_user_scopes_reach_what_the_fhir_user_may() {
    judge_all(vec![
        row("user/*.rs", "rs=p1", "rs=hr1 spo mix lab").by("Patient/{p1}"),
        row("user/*.cruds", "c=; ruds=p1", "cruds=hr1 spo mix lab").by("{base}/Patient/{p1}"),
        row("user/*.rs", "rs=p2", "rs=hr2").by("RelatedPerson/r1").of("p2"),
        row("user/*.rs", "", "").by("RelatedPerson/r1"),
        row("user/*.rs", "rs=*", "rs=*").by("Practitioner/d1"),
        row("user/*.rs", "rs=*", "rs=*").by("Practitioner/d1").of("p1"),
        row("user/*.rs", "rs=*", "rs=*").by("https://elsewhere.example/Practitioner/d1"),
        // A patient of another server is nobody here, and what cannot be read might be a patient.
        row("user/*.rs", "", "").by("https://elsewhere.example/Patient/{p1}"),
        row("user/*.rs", "", "").by("somebody"),
        row("user/*.rs system/Patient.r", "r=*; s=p1", "rs=hr1 spo mix lab").by("Patient/{p1}"),
    ])
    .await;
}

#[tokio::test]
async fn a_delegated_caller_reads_what_grant_and_token_both_reach() {
    for (granted, row) in [
        ("system/*.cruds", row("system/*.cruds", "rs=*", "rs=*")),
        ("vitals:read users:read", row("system/*.rs", "rs=*", "rs=hr1 hr2 hrd spo mix")),
        ("system/*.rs", row("vitals.heart_rate:read vitals.spo2:write", "", "rs=hr1 hr2 hrd")),
        ("vitals.heart_rate:read vitals.spo2:read", row("vitals.spo2:read vitals.body_weight:read", "", "rs=spo")),
        ("system/Observation.r", row("system/Observation.rs", "", "r=*")),
        ("system/Observation.cs", row("system/*.cruds", "", "s=*")),
        (
            "system/Observation.rs?category=vital-signs",
            row("system/Observation.rs?code=http://loinc.org|2708-6,http://loinc.org|15074-8", "", "rs=spo"),
        ),
        ("system/Observation.rs?category=vital-signs", row("system/Observation.rs?category=laboratory", "", "rs=")),
        (
            "system/Observation.rs?status=preliminary,final",
            row("system/Observation.rs?status=preliminary,amended", "", "rs=lab"),
        ),
        ("system/Observation.rs?code=8867-4 vitals.spo2:read", row("vitals:read", "", "rs=hr1 hr2 hrd spo mix")),
        ("system/*.rs?_security=R", row("system/*.rs", "rs=p2", "rs=lab")),
        ("user/*.rs patient/*.rs users:read", row("system/*.rs", "rs=*", "")),
        ("system/*.rs", row("user/*.rs patient/*.rs users:read", "rs=*", "")),
    ] {
        judge_granted(granted, row).await;
    }
}

#[tokio::test]
async fn scopes_that_are_not_understood_in_full_grant_nothing() {
    let world = World::new().await;
    let many = ["patient/Observation.rs"; 200].join(" ");
    for (number, scope) in [
        ("O01", "system/Observation.sr"),
        ("O01", "system/Observation."),
        ("O01", "system/.read"),
        ("O01", "System/*.read"),
        ("O01", "system/observation.read"),
        ("O01", "Patient/*.read"),
        ("O01", "*/*.*"),
        ("O01", "system/*.*.read"),
        ("O01", "system/Observation.READ"),
        ("O01", "system/*.reads"),
        ("O01", "system/*.rr"),
        ("O01", "system\t/*.read"),
        ("O01", "system/*.read\tsystem/*.write"),
        ("O01", "system/*.read\u{a0}"),
        ("O01", "system/Observation.rs?"),
        ("O01", "system/Observation.rs?category"),
        ("O01", "system/Observation.rs?category="),
        ("O01", "system/Observation.rs?unheard-of=1"),
        ("O01", "system/Observation.rs?category:not=laboratory"),
        ("O01", "system/Observation.read?category=vital-signs"),
        ("O01", "vitals:reads"),
        ("O01", "vitals.pulse:read"),
        ("O01", "Vitals:read"),
        ("O01", "users:write"),
        ("O01", "*"),
        ("O01", ""),
        ("O11", "org:self org:delegated"),
        ("O11", "analytics:read export:bulk audit:read admin:users"),
        ("O11", "launch launch/patient launch/encounter openid fhirUser profile offline_access online_access"),
        // Of patients' compartments without saying whose.
        ("O03", "patient/*.cruds"),
        ("O03", many.as_str()),
    ] {
        // Not understood is no error: it is a token without rights.
        let token = world.tenant.token(scope).sign();
        for kind in ResourceType::ALL {
            let answer = world.tenant.get(kind.name(), &token).await;
            assert_eq!(answer.status, 403, "{number} {scope:?}: {}", answer.body);
        }
    }
    // The one that is understood counts among the many that are not.
    let token = world.tenant.token("system/.read Patient/*.read system/Patient.s */*.*").sign();
    world.tenant.get("Patient", &token).await.expect(200);
    world.tenant.get("Observation", &token).await.expect(403);
}

#[tokio::test]
async fn o02_scopes_come_in_scope_scopes_and_scp_and_nowhere_else() {
    let world = World::new().await;
    let base = || world.tenant.token("x").without("scope");
    let sixty_five: Vec<String> = (0..65).map(|place| format!("system/Observation.rs?code={place}")).collect();
    for (token, expected) in [
        (base().with("scope", "system/Patient.s"), 200),
        (base().with("scopes", json!(["system/Patient.s"])), 200),
        (base().with("scopes", "system/Patient.s"), 200),
        (base().with("scp", "system/Patient.s"), 200),
        (base().with("scp", json!(["openid", "system/Patient.s"])), 200),
        (base().with("scp", json!([])).with("scopes", json!(["openid"])).with("scope", "system/Patient.s"), 200),
        (base().with("Scope", "system/Patient.s"), 403),
        (base().with("permissions", json!(["system/Patient.s"])), 403),
        (base().with("roles", json!(["system/Patient.s"])), 403),
        (base().with("scopes", json!(["system/Patient.s system/Observation.s"])), 403),
        (base(), 403),
        (base().with("scope", json!(["system/Patient.s"])), 401),
        (base().with("scopes", json!({ "a": "system/Patient.s" })), 401),
        (base().with("scopes", json!([1])), 401),
        (base().with("scp", json!(null)), 401),
        (base().with("scope", sixty_five[..64].join(" ")), 403),
        (base().with("scope", sixty_five.join(" ")), 401),
    ] {
        let answer = world.tenant.get("Patient", &token.sign()).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
    }
}

#[tokio::test]
async fn o04_the_patient_claim_is_one_id() {
    let world = World::new().await;
    let url = format!("{}/Patient/{}", world.tenant.base(), world.ids["p1"]);
    let both = format!("{},{}", world.ids["p1"], world.ids["p2"]);
    for claim in [
        json!(both),
        json!("*"),
        json!([world.ids["p1"]]),
        json!(url),
        json!(format!("Patient/{}", world.ids["p1"])),
        json!(""),
        json!(null),
        json!(1),
        json!("a".repeat(65)),
    ] {
        let token = world.tenant.token("patient/*.rs system/*.rs").with("patient", claim.clone()).sign();
        let answer = world.tenant.get("Patient", &token).await;
        assert_eq!(answer.status, 401, "{claim}: {}", answer.body);
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
}
