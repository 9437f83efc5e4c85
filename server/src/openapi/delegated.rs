//! What one tenant grants another: its administration, and the base over every tenant that granted something.

use serde_json::{Map, Value, json};
use vitals_fhir::catalog::Code;

use super::{
    access::{AdminRow, Content},
    components::resource_content,
    fhir, reference,
    schemas::{list, object},
};

const PLACE: &str = "Over every tenant that granted the tenant in the path access, with `org:self` also over its own data. \
    Needs `org:delegated`, a live grant of each tenant and an entry for it in the token's `delegated_access`. Each entry \
    carries `meta.tag` `urn:vitals:tenant|NAME` and its tenant's own base in `fullUrl`; a tenant that cannot answer is an \
    OperationOutcome entry with its name.";

/// What is there beside the scopes of the data.
const DELEGATED: &str = "org:delegated";

pub(super) const GRANTS: &[AdminRow] = &[
    (
        "GET",
        "/grants",
        "listGrants",
        "Grants that this tenant made or received, the newest first; those that ended are among them",
        Content::None,
        "200",
        Content::Json("Grants"),
    ),
    (
        "POST",
        "/grants",
        "createGrant",
        "Let another tenant read what these scopes reach here, for a purpose and until a time within five years",
        Content::Json("NewGrant"),
        "201",
        Content::Json("Grant"),
    ),
    (
        "POST",
        "/grants/preview",
        "previewScopes",
        "What scopes would open, as counts of patients and of Observations by code",
        Content::Json("GrantScopes"),
        "200",
        Content::Json("GrantPreview"),
    ),
    ("GET", "/grants/{id}", "readGrant", "One grant, to either side", Content::None, "200", Content::Json("Grant")),
    (
        "DELETE",
        "/grants/{id}",
        "revokeGrant",
        "End a grant that this tenant made: within a second no server answers by it",
        Content::None,
        "204",
        Content::None,
    ),
    (
        "GET",
        "/grants/{id}/preview",
        "previewGrant",
        "What a grant of this tenant opens, as counts",
        Content::None,
        "200",
        Content::Json("GrantPreview"),
    ),
];

/// Adds search and read over several tenants.
pub fn add(paths: &mut Map<String, Value>) {
    let offered = |code: Code| matches!(code, Code::Read | Code::SearchType | Code::SearchTypePost);
    fhir::add_at(
        paths,
        ("/t/{tenant}/delegated/fhir", "delegated", PLACE),
        |operation| offered(operation.code),
        |operation, value| {
            value["tags"] = json!(["Delegated"]);
            if let Some(scopes) = value["x-scopes"].as_array_mut() {
                // In its own data; in a grantor's, the grant and the token's entry have them.
                scopes.retain(|scope| scope.as_str().is_some_and(|text| !text.starts_with("patient/")));
                scopes.insert(0, json!(DELEGATED));
            }
            if operation.code == Code::Read {
                value["responses"]["409"] = json!({
                    "description": "Several tenants have a resource of this id; the diagnostics name their bases",
                    "content": several(),
                });
                if let Some(responses) = value["responses"].as_object_mut() {
                    responses.sort_keys();
                }
            }
        },
    );
}

/// What is said where several tenants have the id.
fn several() -> Value {
    let mut content = resource_content::<&str>("OperationOutcome", &[]);
    let diagnostics = "Several organisations have a resource of this id: read it at one of \
                       https://fhir.example/t/north/fhir/Observation/1, https://fhir.example/t/south/fhir/Observation/1.";
    content["application/fhir+json"]["examples"] = json!({ "severalTenants": {
        "summary": "Two hospitals have it",
        "value": {
            "resourceType": "OperationOutcome",
            "issue": [{ "severity": "error", "code": "multiple-matches", "diagnostics": diagnostics }],
        },
    } });
    content
}

pub(super) fn schemas() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer" });
    let mut schemas = Map::new();
    let mut put = |name: &str, properties: &[(&str, Value)], required: &[&str]| {
        schemas.insert(name.to_owned(), object(properties, required));
    };
    put(
        "Grant",
        &[
            ("id", text()),
            ("direction", json!({ "type": "string", "enum": ["given", "received"] })),
            ("grantor", text()),
            ("grantee", text()),
            ("scopes", list(&text())),
            ("purpose", text()),
            ("not_before", text()),
            ("expires", text()),
            ("created", text()),
            ("created_by", text()),
            ("status", json!({ "type": "string", "enum": ["future", "active", "expired", "revoked"] })),
            ("note", text()),
            ("revoked", text()),
            ("revoked_by", text()),
        ],
        &["id", "direction", "grantor", "grantee", "scopes", "purpose", "not_before", "expires", "status"],
    );
    put("Grants", &[("grants", list(&reference("schemas", "Grant")))], &["grants"]);
    put(
        "NewGrant",
        &[
            ("grantee", text()),
            ("scopes", list(&text())),
            ("purpose", text()),
            ("not_before", text()),
            ("expires", text()),
            ("note", text()),
        ],
        &["grantee", "scopes", "purpose", "expires"],
    );
    put("GrantScopes", &[("scopes", list(&text()))], &["scopes"]);
    let code = object(
        &[
            ("system", json!({ "type": "string", "nullable": true })),
            ("code", json!({ "type": "string", "nullable": true })),
            ("count", number()),
            ("patients", number()),
        ],
        &["count", "patients"],
    );
    put(
        "GrantPreview",
        &[
            ("patients", number()),
            ("observations", number()),
            ("by_code", list(&code)),
            ("more_codes", json!({ "type": "boolean" })),
        ],
        &["patients", "observations", "by_code"],
    );
    schemas
}
