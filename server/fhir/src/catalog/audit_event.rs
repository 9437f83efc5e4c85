//! The trail as FHIR: AuditEvent, which is read and searched and never written. It is no table of a tenant's, so it
//! stands beside the catalog of those that are; the router, the CapabilityStatement and the OpenAPI document read it
//! here.

use super::{Code, Method, Parameter, ParameterKind};
use crate::interaction::Letter;

/// The type's name.
pub const AUDIT_EVENT: &str = "AuditEvent";

/// One interaction with the trail.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which interaction.
    pub code: Code,
    /// The method.
    pub method: Method,
    /// Path below the FHIR base, with `:id`.
    pub path: &'static str,
    /// The address as metrics have it.
    pub route: &'static str,
    /// The scope letter it needs.
    pub letter: Letter,
    /// What it does, for the OpenAPI document.
    pub summary: &'static str,
}

/// What is offered.
pub const ROWS: [Row; 3] = [
    Row {
        code: Code::Read,
        method: Method::Get,
        path: "AuditEvent/:id",
        route: "/t/{tenant}/fhir/AuditEvent/{id}",
        letter: Letter::Read,
        summary: "Read one record of the audit trail",
    },
    Row {
        code: Code::SearchType,
        method: Method::Get,
        path: "AuditEvent",
        route: "/t/{tenant}/fhir/AuditEvent",
        letter: Letter::Search,
        summary: "Search the audit trail: who did what to whom. An app of a patient sees who looked at that patient's data",
    },
    Row {
        code: Code::SearchTypePost,
        method: Method::Post,
        path: "AuditEvent/_search",
        route: "/t/{tenant}/fhir/AuditEvent/_search",
        letter: Letter::Search,
        summary: "Search the audit trail with the parameters in a form",
    },
];

const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    definition: &'static str,
    documentation: &'static str,
) -> Parameter {
    Parameter { name, kind, definition, documentation }
}

/// The search parameters.
pub const PARAMETERS: [Parameter; 13] = [
    parameter("_id", ParameterKind::Token, "http://hl7.org/fhir/SearchParameter/Resource-id", "Logical id"),
    parameter(
        "date",
        ParameterKind::Date,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-date",
        "When it was recorded; prefixes eq ne gt lt ge le sa eb",
    ),
    parameter(
        "patient",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-patient",
        "The patient whose data was disclosed, written or asked for by id: an id, or Patient/ and an id",
    ),
    parameter(
        "entity",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-entity",
        "The resource it is about, as Type/id; not for who sees a patient's part of the trail alone",
    ),
    parameter(
        "agent",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-agent",
        "Who did it, by the modifier identifier alone: a user or a client, as issuer|value or value",
    ),
    parameter(
        "altid",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-altid",
        "The user's name at the issuer (sub)",
    ),
    parameter(
        "address",
        ParameterKind::String,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-address",
        "The client's address in the network, whole; not for who sees a patient's part of the trail alone",
    ),
    parameter(
        "action",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-action",
        "C, R, U, D or E",
    ),
    parameter(
        "outcome",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-outcome",
        "0 done, 4 refused, 8 failed or not known",
    ),
    parameter(
        "type",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-type",
        "rest, or a code of DICOM: 110113 for what was refused, 110114 for signing in",
    ),
    parameter(
        "subtype",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/AuditEvent-subtype",
        "The interaction: read, search-type, create, transaction",
    ),
    parameter("_sort", ParameterKind::Result, "", "date or -date, which is the order without it"),
    parameter("_count", ParameterKind::Result, "", "Entries on a page: 50 unless told, at most 1,000"),
];
