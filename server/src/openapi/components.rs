//! The document's components: security schemes, headers and the answers that operations share.

use serde_json::{Map, Value, json};

use super::{examples, parameters, reference, schemas};

/// The answers to requests that are refused: name, status, what it means, and a header that comes with it.
const REFUSALS: [(&str, &str, &str, Option<&str>); 13] = [
    ("BadRequest", "400", "Malformed, or a search parameter, modifier or prefix that is not supported", None),
    ("Unauthorized", "401", "No credentials, or bad ones", Some("WWW-Authenticate")),
    ("Forbidden", "403", "No scope covers this, or it is another tenant's", Some("WWW-Authenticate")),
    ("NotFound", "404", "Absent, or out of the caller's reach, which cannot be told apart", None),
    ("NotAcceptable", "406", "No representation that is acceptable", None),
    ("Gone", "410", "Deleted", None),
    ("PreconditionFailed", "412", "Another version is current, or several resources meet the criteria", None),
    ("TooLarge", "413", "A body over 5 MB; a Bundle over 50 MB or 5,000 entries", None),
    ("AddressTooLong", "414", "An address over 16 kB", None),
    ("UnsupportedMediaType", "415", "Neither FHIR JSON nor FHIR XML", None),
    (
        "Unprocessable",
        "422",
        "A rule of R4 or of a vital-signs profile is broken; each issue names its element in `expression`",
        None,
    ),
    (
        "TooManyRequests",
        "429",
        "Over a limit of the tenant, the client or the address; `diagnostics` names it, and `RateLimit` says what is left",
        Some("Retry-After"),
    ),
    ("Unavailable", "503", "A dependency is away; try again", Some("Retry-After")),
];

/// The refusals of these statuses, as an operation lists them.
pub fn refusals(statuses: &[&str]) -> impl Iterator<Item = (String, Value)> {
    let known = REFUSALS.iter().filter(|(_, status, ..)| statuses.contains(status));
    known.map(|(name, status, ..)| ((*status).to_owned(), reference("responses", name)))
}

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
            "clientSecret": {
                "type": "http",
                "scheme": "basic",
                "description": "A client's id and secret; clients with keys or certificates prove themselves by these",
            },
            "operatorToken": {
                "type": "http",
                "scheme": "bearer",
                "description": "The operator token, made at first start",
            },
        },
        "parameters": parameters::components(),
        "headers": {
            "ETag": { "description": "The version, as `W/\"n\"`", "schema": { "type": "string" } },
            "Last-Modified": { "description": "When this version was written", "schema": { "type": "string" } },
            "Location": { "description": "The address of the version that was created", "schema": { "type": "string" } },
            "WWW-Authenticate": { "description": "The challenge of RFC 6750", "schema": { "type": "string" } },
            "Retry-After": { "description": "Seconds to wait", "schema": { "type": "integer" } },
        },
        "responses": responses(),
        "examples": examples::components(),
        "schemas": schemas::schemas(),
    })
}

fn responses() -> Value {
    let mut responses = Map::new();
    for (name, _, description, header) in REFUSALS {
        let mut response = json!({
            "description": description,
            "content": resource_content("OperationOutcome", &examples::of_refusal(name)),
        });
        if let Some(header) = header {
            response["headers"] = json!({ header: reference("headers", header) });
        }
        responses.insert(name.to_owned(), response);
    }
    responses.insert(
        "Problem".to_owned(),
        json!({
            "description": "What went wrong (RFC 9457)",
            "content": { "application/problem+json": { "schema": reference("schemas", "Problem") } },
        }),
    );
    responses.insert(
        "AuthorizationError".to_owned(),
        json!({
            "description": "Why not (RFC 6749, section 5.2)",
            "content": { "application/json": { "schema": reference("schemas", "AuthorizationError") } },
        }),
    );
    Value::Object(responses)
}

/// A body that is a resource, in both representations, with the examples of these names.
pub fn resource_content<N: AsRef<str>>(name: &str, examples: &[N]) -> Value {
    let mut json = json!({ "schema": reference("schemas", name) });
    if !examples.is_empty() {
        json["examples"] = examples::named(examples);
    }
    json!({ "application/fhir+json": json, "application/fhir+xml": { "schema": { "type": "string" } } })
}
