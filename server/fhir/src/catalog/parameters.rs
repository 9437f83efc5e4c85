//! The search parameters of each type (<https://hl7.org/fhir/R4/searchparameter-registry.html>).

use super::{Parameter, ParameterKind};

const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    definition: &'static str,
    documentation: &'static str,
) -> Parameter {
    Parameter { name, kind, definition, documentation }
}

const ID: Parameter =
    parameter("_id", ParameterKind::Token, "http://hl7.org/fhir/SearchParameter/Resource-id", "Logical id");
const LAST_UPDATED: Parameter = parameter(
    "_lastUpdated",
    ParameterKind::Date,
    "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated",
    "When this version was written; prefixes eq ne gt lt ge le sa eb",
);
const COUNT: Parameter =
    parameter("_count", ParameterKind::Result, "", "Entries on a page: 50 unless told, at most 1,000");
const TOTAL: Parameter = parameter(
    "_total",
    ParameterKind::Result,
    "",
    "Whether to count everything that matches: none, estimate or accurate; an estimate is accurate here",
);
const SUMMARY: Parameter =
    parameter("_summary", ParameterKind::Result, "", "count: how many match, without entries; false: as if not there");
const ELEMENTS: Parameter = parameter(
    "_elements",
    ParameterKind::Result,
    "",
    "Elements to return, separated by commas; what must be there stays, and the tag SUBSETTED says so",
);

pub(super) const PATIENT: [Parameter; 14] = [
    ID,
    LAST_UPDATED,
    parameter(
        "identifier",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Patient-identifier",
        "An identifier: system|value, value or |value; modifiers not, missing, text",
    ),
    parameter(
        "name",
        ParameterKind::String,
        "http://hl7.org/fhir/SearchParameter/Patient-name",
        "Beginning of any part of a name, without regard to case or accents; modifiers exact, contains, missing",
    ),
    parameter(
        "family",
        ParameterKind::String,
        "http://hl7.org/fhir/SearchParameter/individual-family",
        "Beginning of a family name; modifiers exact, contains, missing",
    ),
    parameter(
        "given",
        ParameterKind::String,
        "http://hl7.org/fhir/SearchParameter/individual-given",
        "Beginning of a given name; modifiers exact, contains, missing",
    ),
    parameter(
        "birthdate",
        ParameterKind::Date,
        "http://hl7.org/fhir/SearchParameter/individual-birthdate",
        "Date of birth; prefixes eq ne gt lt ge le sa eb, modifier missing",
    ),
    parameter(
        "gender",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/individual-gender",
        "male, female, other or unknown; modifiers not, missing",
    ),
    parameter(
        "active",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Patient-active",
        "Whether the record is in use: true or false; modifiers not, missing",
    ),
    COUNT,
    parameter(
        "_sort",
        ParameterKind::Result,
        "",
        "family, birthdate or _lastUpdated, with a minus before it for the other direction",
    ),
    TOTAL,
    SUMMARY,
    ELEMENTS,
];

pub(super) const OBSERVATION: [Parameter; 25] = [
    ID,
    LAST_UPDATED,
    parameter(
        "patient",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/clinical-patient",
        "The patient it is about; modifiers identifier, missing",
    ),
    parameter(
        "subject",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/Observation-subject",
        "Whom or what it is about; modifiers identifier, missing, and a type",
    ),
    parameter(
        "code",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/clinical-code",
        "What was observed: system|code, code or |code; modifiers not, text, missing",
    ),
    parameter(
        "category",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Observation-category",
        "Its category, such as vital-signs; modifiers not, text, missing",
    ),
    parameter(
        "status",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Observation-status",
        "Its status, such as final; modifiers not, missing",
    ),
    parameter(
        "date",
        ParameterKind::Date,
        "http://hl7.org/fhir/SearchParameter/clinical-date",
        "When it was observed; prefixes eq ne gt lt ge le sa eb, modifier missing",
    ),
    parameter(
        "identifier",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/clinical-identifier",
        "An identifier: system|value, value or |value; modifiers not, text, missing",
    ),
    parameter(
        "encounter",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/clinical-encounter",
        "The encounter it was made in; modifiers identifier, missing, and a type",
    ),
    parameter(
        "performer",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/Observation-performer",
        "Who made it; modifiers identifier, missing, and a type",
    ),
    parameter(
        "device",
        ParameterKind::Reference,
        "http://hl7.org/fhir/SearchParameter/Observation-device",
        "What it was measured with; modifiers identifier, missing, and a type",
    ),
    parameter(
        "value-quantity",
        ParameterKind::Quantity,
        "http://hl7.org/fhir/SearchParameter/Observation-value-quantity",
        "Its value: number, number|system|code or number||code, converted between UCUM's units; prefixes eq ne gt lt \
         ge le sa eb, modifier missing",
    ),
    parameter(
        "value-concept",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Observation-value-concept",
        "Its value where that is a code; modifiers not, text, missing",
    ),
    parameter(
        "combo-code",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Observation-combo-code",
        "What was observed, as a whole or in a component; modifiers not, text, missing",
    ),
    parameter(
        "combo-code-value-quantity",
        ParameterKind::Composite,
        "http://hl7.org/fhir/SearchParameter/Observation-combo-code-value-quantity",
        "code$value, both as a whole or both in one component; modifier missing",
    ),
    parameter(
        "component-code",
        ParameterKind::Token,
        "http://hl7.org/fhir/SearchParameter/Observation-component-code",
        "What was observed in a component; modifiers not, text, missing",
    ),
    parameter(
        "component-value-quantity",
        ParameterKind::Quantity,
        "http://hl7.org/fhir/SearchParameter/Observation-component-value-quantity",
        "The value of a component; modifier missing",
    ),
    parameter(
        "component-code-value-quantity",
        ParameterKind::Composite,
        "http://hl7.org/fhir/SearchParameter/Observation-component-code-value-quantity",
        "code$value of one component; modifier missing",
    ),
    parameter(
        "code-value-quantity",
        ParameterKind::Composite,
        "http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity",
        "code$value of the whole; modifier missing",
    ),
    COUNT,
    parameter(
        "_sort",
        ParameterKind::Result,
        "",
        "date or _lastUpdated, with a minus before it for the other direction",
    ),
    TOTAL,
    SUMMARY,
    ELEMENTS,
];
