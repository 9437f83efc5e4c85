//! What a record means in the vocabulary of FHIR, DICOM and IHE.

use vitals_access::audit::{AuditRecord, Decision, Origin};

/// A code of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) system: &'static str,
    pub(super) code: String,
    pub(super) display: Option<&'static str>,
}

pub(super) const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const DECISION: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
/// What is no interaction of FHIR.
const OWN: &str = "urn:vitals:action";

/// Our names of FHIR's interactions, and FHIR's own.
const INTERACTIONS: [(&str, &str); 11] = [
    ("read", "read"),
    ("vread", "vread"),
    ("history-instance", "history-instance"),
    ("history-type", "history-type"),
    ("search-type", "search-type"),
    ("create", "create"),
    ("update", "update"),
    ("delete", "delete"),
    ("batch", "batch"),
    ("transaction", "transaction"),
    ("validate", "operation"),
];

/// What the authorization server does about people and programs.
const SIGNING_IN: [&str; 9] =
    ["authorize", "callback", "consent", "launch", "par", "patients", "sign-in", "sign-out", "token"];

/// The interaction of FHIR that a record is of.
pub(super) fn interaction(record: &AuditRecord) -> Option<&'static str> {
    INTERACTIONS.iter().find(|(ours, _)| *ours == record.action).map(|(_, code)| *code)
}

/// Whether a decision about rights ended it.
fn is_refusal(record: &AuditRecord) -> bool {
    record.decision == Decision::Denied && matches!(record.status, Some(401 | 403))
}

/// What kind of event it is.
pub(super) fn kind(record: &AuditRecord) -> Coding {
    let dicom = |code: &str, display| Coding { system: DICOM, code: code.to_owned(), display: Some(display) };
    let action = record.action.as_str();
    if is_refusal(record) {
        return dicom("110113", "Security Alert");
    }
    if interaction(record).is_some() && record.origin == Origin::Http {
        return Coding { system: EVENT_TYPE, code: "rest".to_owned(), display: Some("Restful Operation") };
    }
    match action {
        "audit.read" | "audit.verify" | "audit.tail" | "audit.export" | "audit.digest" => {
            dicom("110101", "Audit Log Used")
        }
        "import" => dicom("110107", "Import"),
        "export" => dicom("110106", "Export"),
        _ if SIGNING_IN.contains(&action) => dicom("110114", "User Authentication"),
        _ if action.contains('.') => dicom("110113", "Security Alert"),
        _ => dicom("110100", "Application Activity"),
    }
}

/// What it is more exactly.
pub(super) fn subtypes(record: &AuditRecord) -> Vec<Coding> {
    let mut all = Vec::new();
    if is_refusal(record) {
        let display = Some("Authorization Decision using only Roles");
        all.push(Coding { system: DECISION, code: "AuthZ-Role".to_owned(), display });
    }
    all.push(match interaction(record) {
        Some(code) => Coding { system: INTERACTION, code: code.to_owned(), display: Some(code) },
        None => Coding { system: OWN, code: record.action.clone(), display: None },
    });
    all
}

/// Created, read, updated, deleted or executed.
pub(super) fn action(record: &AuditRecord) -> &'static str {
    let action = record.action.as_str();
    match action.rsplit('.').next().unwrap_or(action) {
        "read" | "vread" | "history-instance" | "history-type" | "list" | "show" | "document" | "userinfo" => "R",
        "create" | "add" | "register" => "C",
        "update" | "password" | "secret" | "rotate" | "suspend" | "resume" | "set" => "U",
        "delete" | "revoke" | "remove" => "D",
        _ => "E",
    }
}

/// Done, refused, failed.
pub(super) fn outcome(record: &AuditRecord) -> &'static str {
    match (record.decision, record.status) {
        (Decision::Allowed, _) => "0",
        (Decision::Denied, Some(status)) if status < 500 => "4",
        _ => "8",
    }
}

/// The profile of IHE's Basic Audit Log Patterns that a record meets: they are of what succeeded, over HTTP, for a
/// program that is known.
pub(super) fn profile(record: &AuditRecord, patients: usize) -> Option<String> {
    if record.decision != Decision::Allowed || record.origin != Origin::Http || record.client.is_none() {
        return None;
    }
    let named = record.resource_id.is_some();
    let name = match record.action.as_str() {
        "read" | "vread" if named => "Read",
        "search-type" => "Query",
        "create" if named => "Create",
        "update" if named => "Update",
        "delete" if named => "Delete",
        _ => return None,
    };
    // Of one patient: with several, one event for each would be wanted, and there is one record for each request.
    let patient = if patients == 1 { "Patient" } else { "" };
    Some(format!("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{patient}{name}"))
}
