//! The document's schemas: those of FHIR from its tables, and the few that are no FHIR.

use serde_json::{Map, Value, json};

mod access;
mod limits;

use super::{reference, types};

/// Every schema by its name.
pub fn schemas() -> Value {
    let mut schemas = types::schemas();
    schemas.extend(own());
    schemas.extend(access::schemas());
    schemas.extend(limits::schemas());
    schemas.extend(super::delegated::schemas());
    Value::Object(schemas)
}

/// Discovery, keys, tenants and migrations.
fn own() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let mut schemas = Map::new();
    let mut put = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    put(
        "SmartConfiguration",
        object(
            &[
                ("issuer", text()),
                ("jwks_uri", text()),
                ("grant_types_supported", list(&text())),
                ("code_challenge_methods_supported", list(&text())),
                ("scopes_supported", list(&text())),
                ("capabilities", list(&text())),
            ],
            &["capabilities"],
        ),
    );
    put("KeySet", object(&[("keys", list(&object(&[], &[])))], &["keys"]));
    put(
        "Tenant",
        object(
            &[
                ("id", text()),
                ("name", text()),
                ("status", json!({ "type": "string", "enum": ["active", "suspended"] })),
                ("isolation", text()),
                ("tier", text()),
                ("version", json!({ "type": "integer" })),
                ("created", json!({ "type": "string", "format": "date-time" })),
            ],
            &["id", "status"],
        ),
    );
    put(
        "NewTenant",
        object(
            &[
                ("id", text()),
                ("name", text()),
                ("issuer", text()),
                ("jwks", reference("schemas", "KeySet")),
                ("isolation", json!({ "type": "string", "enum": ["schema"] })),
                ("tier", text()),
            ],
            &["id"],
        ),
    );
    put(
        "Migration",
        object(
            &[
                ("tenant", text()),
                ("version", json!({ "type": "integer" })),
                ("target", json!({ "type": "integer" })),
                ("state", json!({ "type": "string", "enum": ["current", "pending", "failed"] })),
                ("error", json!({ "type": "string", "nullable": true })),
                ("duration_ms", json!({ "type": "integer", "nullable": true })),
            ],
            &["tenant", "state"],
        ),
    );
    put(
        "Problem",
        object(
            &[("type", text()), ("title", text()), ("status", json!({ "type": "integer" })), ("detail", text())],
            &[],
        ),
    );
    schemas
}

/// An object that may have other members as well.
pub(super) fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<_, _> = properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let mut schema = json!({ "type": "object" });
    if !properties.is_empty() {
        schema["properties"] = Value::Object(properties);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = Value::Bool(true);
    schema
}

pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}
