//! A record as an AuditEvent.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use vitals_access::audit::{AuditEntry, AuditRecord, Decision};
use vitals_store::audit::patients;

use super::{
    Sight,
    meaning::{self, Coding, DICOM},
};

const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const BASIC_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";

/// The AuditEvent of a record, as far as it is within sight. `base` is the server's public URL.
pub fn audit_event(record: &AuditRecord, sight: &Sight, base: &str) -> Value {
    let own = |patient: &String| match sight {
        Sight::Everything => true,
        Sight::Patients(own) => own.contains(patient),
    };
    let about: BTreeSet<&String> = patients(record).filter(|patient| own(patient)).collect();
    let time = record.time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut meta = json!({ "versionId": "1", "lastUpdated": time });
    if let Some(profile) = meaning::profile(record, about.len()) {
        meta["profile"] = json!([profile]);
    }
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": record.id.to_string(),
        "meta": meta,
        "type": coding(&meaning::kind(record)),
        "subtype": meaning::subtypes(record).iter().map(coding).collect::<Vec<_>>(),
        "action": meaning::action(record),
        "recorded": time,
        "outcome": meaning::outcome(record),
    });
    if let (Some(reason), Sight::Everything) = (&record.reason, sight) {
        event["outcomeDesc"] = text(reason);
    }
    if let Some(purpose) = &record.purpose {
        event["purposeOfEvent"] = json!([{ "coding": [{ "system": ACT_REASON, "code": purpose }] }]);
    }
    event["agent"] = agents(record, sight, base);
    event["source"] = json!({
        "observer": { "display": base },
        "type": [{
            "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
            "code": "4",
            "display": "Application Server",
        }],
    });
    if let Some(tenant) = &record.tenant {
        event["source"]["site"] = text(tenant);
    }
    let entities = entities(record, sight, base, &about);
    if !entities.is_empty() {
        event["entity"] = Value::Array(entities);
    }
    event
}

/// Who did it with what, and who answered.
fn agents(record: &AuditRecord, sight: &Sight, base: &str) -> Value {
    let mut all = Vec::new();
    let code = |system: &str, code: &str, display: &str| json!({ "coding": [{ "system": system, "code": code, "display": display }] });
    let writes = matches!(record.action.as_str(), "create" | "update" | "delete");
    if let Some(subject) = &record.subject {
        let kind = if writes { ("AUT", "author (originator)") } else { ("IRCP", "information recipient") };
        let mut agent = json!({
            "type": code(PARTICIPATION, kind.0, kind.1),
            "who": { "identifier": identifier(record.issuer.as_deref(), subject) },
            "altId": text(subject),
            "requestor": true,
        });
        if record.unverified {
            agent["name"] = json!("claimed by a token that was refused");
        }
        all.push(agent);
    }
    let (client, server) = match record.action.as_str() {
        "delete" => (code(DICOM, "110150", "Application"), code(CUSTODIAN, "custodian", "Custodian")),
        "read" | "vread" => (code(DICOM, "110152", "Destination Role ID"), code(DICOM, "110153", "Source Role ID")),
        _ => (code(DICOM, "110153", "Source Role ID"), code(DICOM, "110152", "Destination Role ID")),
    };
    let who = match &record.client {
        Some(client) => json!({ "identifier": identifier(None, client) }),
        None => json!({ "display": "not known" }),
    };
    let mut network = json!({ "type": "2" });
    if let (Some(address), Sight::Everything) = (&record.address, sight) {
        network["address"] = text(address);
    }
    all.push(json!({ "type": client, "who": who, "requestor": record.subject.is_none(), "network": network }));
    all.push(json!({
        "type": server,
        "who": { "display": base },
        "requestor": false,
        "network": { "address": base, "type": "5" },
    }));
    if let Some(acting) = record.acting_tenant.as_ref().filter(|acting| Some(*acting) != record.tenant.as_ref()) {
        let provider = code("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider");
        let who = json!({ "identifier": identifier(Some("urn:vitals:tenant"), acting) });
        all.push(json!({ "type": provider, "who": who, "requestor": false }));
    }
    Value::Array(all)
}

const CUSTODIAN: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// What it was done to.
fn entities(record: &AuditRecord, sight: &Sight, base: &str, about: &BTreeSet<&String>) -> Vec<Value> {
    // Of a request of one tenant to another both trails tell, and the same id is somebody else in each.
    let at = match &record.tenant {
        Some(tenant) if record.acting_tenant.as_ref().is_some_and(|acting| acting != tenant) => {
            format!("{base}/t/{tenant}/fhir/")
        }
        _ => String::new(),
    };
    let mut all: Vec<Value> = about
        .iter()
        .map(|patient| {
            json!({
                "what": { "reference": format!("{at}Patient/{patient}") },
                "type": entity_type("1", "Person"),
                "role": role("1", "Patient"),
            })
        })
        .collect();
    let whole = *sight == Sight::Everything;
    let shown = |kind: Option<&String>, id: &String, patient: Option<&String>| {
        let itself = kind.is_some_and(|kind| kind == "Patient").then_some(id);
        whole || itself.or(patient).is_some_and(|patient| about.contains(patient))
    };
    if let Some(id) = &record.resource_id
        && shown(record.resource_type.as_ref(), id, record.patient.as_ref())
    {
        all.push(data(&at, record.resource_type.as_deref(), id, None));
    }
    for entry in &record.entries {
        if let Some(id) = &entry.resource_id
            && shown(entry.resource_type.as_ref(), id, entry.patient.as_ref())
        {
            all.push(data(&at, entry.resource_type.as_deref(), id, Some(entry)));
        }
    }
    let searched = record.action == "search-type" || record.query.is_some();
    if searched && (whole || record.action == "search-type") {
        all.push(query(record, whole));
    }
    if whole {
        all.extend(transaction(record));
        all.extend(record.grant.as_ref().map(|grant| {
            json!({
                "what": { "identifier": identifier(Some("urn:vitals:grant"), grant) },
                "type": { "system": "http://hl7.org/fhir/resource-types", "code": "Consent", "display": "Consent" },
            })
        }));
    }
    all
}

/// A resource, or what administration names by an id.
fn data(at: &str, kind: Option<&str>, id: &str, entry: Option<&AuditEntry>) -> Value {
    let what = match kind {
        Some(kind) => json!({ "reference": format!("{at}{kind}/{id}") }),
        None => json!({ "identifier": identifier(None, id) }),
    };
    let mut data =
        json!({ "what": what, "type": entity_type("2", "System Object"), "role": role("4", "Domain Resource") });
    if let Some(entry) = entry {
        let decision = match entry.decision {
            Decision::Allowed => "allowed",
            Decision::Denied => "denied",
            Decision::Unknown => "unknown",
        };
        data["detail"] = json!([
            { "type": "action", "valueString": text(&entry.action) },
            { "type": "decision", "valueString": decision },
        ]);
    }
    data
}

/// The search, as far as the trail keeps it.
fn query(record: &AuditRecord, whole: bool) -> Value {
    let kind = record.resource_type.as_deref().unwrap_or_default();
    let asked = match &record.query {
        Some(query) if whole => format!("{kind}?{query}"),
        _ => kind.to_owned(),
    };
    let mut entity = json!({
        "type": entity_type("2", "System Object"),
        "role": role("24", "Query"),
        "query": STANDARD.encode(if asked.is_empty() { "?" } else { &asked }),
    });
    if !asked.is_empty() {
        entity["description"] = text(&asked);
    }
    entity
}

/// The request by its id, with what a security officer asks for next.
fn transaction(record: &AuditRecord) -> Option<Value> {
    let id = record.request_id.as_ref()?;
    let details = [
        ("status", record.status.map(|status| status.to_string())),
        ("count", record.count.map(|count| count.to_string())),
        ("scopes", Some(record.scopes.join(" "))),
        ("used", Some(record.used.join(" "))),
        ("certificate", record.certificate.clone()),
        ("encounter", record.encounter.clone()),
    ];
    let details: Vec<Value> = details
        .into_iter()
        .filter_map(|(name, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some(json!({ "type": name, "valueString": text(&value) }))
        })
        .collect();
    let mut entity = json!({
        "what": { "identifier": { "value": text(id) } },
        "type": { "system": BASIC_ENTITY, "code": "XrequestId", "display": "The X-Request-Id value" },
    });
    if !details.is_empty() {
        entity["detail"] = Value::Array(details);
    }
    Some(entity)
}

fn coding(coding: &Coding) -> Value {
    let mut all =
        Map::from_iter([("system".to_owned(), json!(coding.system)), ("code".to_owned(), text(&coding.code))]);
    if let Some(display) = coding.display {
        all.insert("display".to_owned(), json!(display));
    }
    Value::Object(all)
}

fn entity_type(code: &str, display: &str) -> Value {
    json!({ "system": ENTITY_TYPE, "code": code, "display": display })
}

fn role(code: &str, display: &str) -> Value {
    json!({ "system": OBJECT_ROLE, "code": code, "display": display })
}

fn identifier(system: Option<&str>, value: &str) -> Value {
    let mut all = Map::new();
    if let Some(system) = system.filter(|system| !system.is_empty()) {
        all.insert("system".to_owned(), text(system));
    }
    all.insert("value".to_owned(), text(value));
    Value::Object(all)
}

/// A text that FHIR takes in both its representations: callers choose what they are called.
fn text(text: &str) -> Value {
    let sign =
        |sign: char| if sign.is_control() || matches!(sign, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { sign };
    let clean: String = text.chars().map(sign).collect();
    if clean.trim().is_empty() { json!("-") } else { Value::String(clean) }
}
