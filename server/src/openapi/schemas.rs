//! The document's components: security schemes, parameters, headers, answers and schemas.

use serde_json::{Map, Value, json};

use super::{fhir::entry_types, reference};

/// Everything that operations refer to.
pub fn components() -> Value {
    json!({
        "securitySchemes": {
            "accessToken": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "An access token of an issuer that is registered for the tenant, with SMART scopes",
            },
            "operatorToken": {
                "type": "http",
                "scheme": "bearer",
                "description": "The operator token, made at first start",
            },
        },
        "parameters": parameters(),
        "headers": {
            "ETag": { "description": "The version, as `W/\"n\"`", "schema": { "type": "string" } },
            "Last-Modified": { "description": "When this version was written", "schema": { "type": "string" } },
            "Location": { "description": "The address of the version that was created", "schema": { "type": "string" } },
            "WWW-Authenticate": { "description": "The challenge of RFC 6750", "schema": { "type": "string" } },
            "Retry-After": { "description": "Seconds to wait", "schema": { "type": "integer" } },
        },
        "responses": responses(),
        "schemas": schemas(),
    })
}

fn parameters() -> Value {
    let path = |name: &str, description: &str, pattern: &str| {
        json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": { "type": "string", "pattern": pattern },
        })
    };
    let other = |name: &str, place: &str, description: &str, schema: Value| json!({ "name": name, "in": place, "description": description, "schema": schema });
    let text = || json!({ "type": "string" });
    json!({
        "tenant": path("tenant", "Name of the tenant", "^[a-z][a-z0-9-]{1,38}[a-z0-9]$"),
        "id": path("id", "Logical id", "^[A-Za-z0-9.-]{1,64}$"),
        "vid": path("vid", "Version id", "^[1-9][0-9]*$"),
        "count": other("_count", "query", "Entries on a page", json!({ "type": "integer", "minimum": 0, "maximum": 1000, "default": 50 })),
        "page": other("_page", "query", "A page, as in the `next` link of the page before; nothing else may stand beside it", text()),
        "format": other("_format", "query", "The representation, instead of `Accept`", json!({ "type": "string", "enum": ["json", "xml"] })),
        "ifMatch": other("If-Match", "header", "The version that must be current, as `W/\"n\"`", text()),
        "ifNoneExist": other("If-None-Exist", "header", "Search parameters: nothing is created where a resource meets them", text()),
        "ifNoneMatch": other("If-None-Match", "header", "A version the caller has, as `W/\"n\"`: 304 if it is current", text()),
        "ifModifiedSince": other("If-Modified-Since", "header", "304 if nothing was written after this HTTP date", text()),
        "preferReturn": other("Prefer", "header", "What a write answers", json!({
            "type": "string", "enum": ["return=representation", "return=minimal", "return=OperationOutcome"],
        })),
        "preferHandling": other("Prefer", "header", "Whether unknown parameters are refused", json!({
            "type": "string", "enum": ["handling=lenient", "handling=strict"],
        })),
    })
}

fn responses() -> Value {
    let outcome = |description: &str| {
        json!({
            "description": description,
            "content": {
                "application/fhir+json": { "schema": reference("schemas", "OperationOutcome") },
                "application/fhir+xml": { "schema": { "type": "string" } },
            },
        })
    };
    let with = |mut response: Value, header: &str| {
        response["headers"] = json!({ header: reference("headers", header) });
        response
    };
    json!({
        "BadRequest": outcome("Malformed, or not supported"),
        "Unauthorized": with(outcome("No credentials, or bad ones"), "WWW-Authenticate"),
        "Forbidden": with(outcome("No scope covers this, or it is another tenant's"), "WWW-Authenticate"),
        "NotFound": outcome("Absent, or out of the caller's reach"),
        "NotAcceptable": outcome("No representation that is acceptable"),
        "Gone": outcome("Deleted"),
        "PreconditionFailed": outcome("Another version is current, or several resources meet the criteria"),
        "TooLarge": outcome("Over 5 MB; a Bundle: over 50 MB or 5,000 entries"),
        "UnsupportedMediaType": outcome("Neither FHIR JSON nor FHIR XML"),
        "Unprocessable": outcome("A required element is missing, or a rule is broken"),
        "Unavailable": with(outcome("A dependency is away; try again"), "Retry-After"),
        "Problem": {
            "description": "What went wrong (RFC 9457)",
            "content": { "application/problem+json": { "schema": reference("schemas", "Problem") } },
        },
    })
}

fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let mut schemas = Map::new();
    let mut put = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    for name in ["Patient", "Observation", "CapabilityStatement"] {
        put(name, resource(name, &[("id", text())]));
    }
    put(
        "Bundle",
        resource(
            "Bundle",
            &[
                ("type", text()),
                ("total", json!({ "type": "integer" })),
                ("link", list(&object(&[("relation", text()), ("url", text())], &[]))),
                ("entry", list(&reference("schemas", "BundleEntry"))),
            ],
        ),
    );
    put("BundleEntry", bundle_entry());
    put("OperationOutcome", resource("OperationOutcome", &[("issue", list(&reference("schemas", "Issue")))]));
    put(
        "Issue",
        object(
            &[
                ("severity", json!({ "type": "string", "enum": ["fatal", "error", "warning", "information"] })),
                ("code", text()),
                ("diagnostics", text()),
                ("expression", list(&text())),
            ],
            &["severity", "code"],
        ),
    );
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
    Value::Object(schemas)
}

fn bundle_entry() -> Value {
    let text = || json!({ "type": "string" });
    object(
        &[
            ("fullUrl", text()),
            ("resource", json!({ "oneOf": entry_types() })),
            (
                "request",
                object(
                    &[
                        ("method", json!({ "type": "string", "enum": ["GET", "POST", "PUT", "DELETE"] })),
                        ("url", text()),
                        ("ifMatch", text()),
                        ("ifNoneExist", text()),
                    ],
                    &["method", "url"],
                ),
            ),
            (
                "response",
                object(
                    &[
                        ("status", text()),
                        ("location", text()),
                        ("etag", text()),
                        ("lastModified", text()),
                        ("outcome", reference("schemas", "OperationOutcome")),
                    ],
                    &["status"],
                ),
            ),
        ],
        &[],
    )
}

fn resource(name: &str, properties: &[(&str, Value)]) -> Value {
    let own = [("resourceType", json!({ "type": "string", "enum": [name] }))];
    let all: Vec<_> = own.into_iter().chain(properties.iter().cloned()).collect();
    object(&all, &[])
}

/// An object that may have other members as well.
fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
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

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}
