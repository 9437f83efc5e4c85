//! `metadata`: the CapabilityStatement (<https://hl7.org/fhir/R4/capabilitystatement.html>), made from the catalog
//! alone, so that it cannot say more or less than what the router answers.

use serde_json::{Value, json};
use vitals_fhir::{
    catalog::{
        self, Code, Parameter, ParameterKind,
        audit_event::{AUDIT_EVENT, PARAMETERS},
    },
    resource::ResourceType,
};

use super::discovery::AuthEndpoints;

/// Extension that names the OAuth endpoints; some clients read it instead of the discovery document.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// What a base offers of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// All of it.
    Everything,
    /// Search of one type and read, over several tenants.
    Delegated,
}

impl Offers {
    fn has(self, code: Code) -> bool {
        self == Self::Everything || matches!(code, Code::Read | Code::SearchType | Code::SearchTypePost)
    }
}

/// The statement as JSON. `base_url` is the FHIR base that was asked; `date` is when this software, and so the
/// statement, came to be served (a FHIR dateTime).
pub fn capability_statement(
    base_url: &str,
    endpoints: &AuthEndpoints,
    offers: Offers,
    date: &str,
    software_version: &str,
) -> String {
    let of_all = if offers == Offers::Everything { catalog::SYSTEM.as_slice() } else { &[] };
    let mut rest = json!({
        "mode": "server",
        "security": security(endpoints),
        "resource": ResourceType::ALL.map(|kind| resource(kind, offers)),
    });
    if let (Offers::Everything, Some(resources)) = (offers, rest["resource"].as_array_mut()) {
        resources.push(trail());
        let of_all = of_all.iter().map(|row| json!({ "code": row.code.code(), "documentation": row.summary }));
        rest["interaction"] = of_all.collect();
        rest["compartment"] = json!(["http://hl7.org/fhir/CompartmentDefinition/patient"]);
    }
    let about = match offers {
        Offers::Everything => "Vital signs of many tenants, each with a base of its own",
        Offers::Delegated => {
            "Search and read over the tenants that granted this one access; each entry names its tenant"
        }
    };
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "Vitals", "version": software_version },
        "implementation": { "description": about, "url": base_url },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "rest": [rest],
    })
    .to_string()
}

fn security(endpoints: &AuthEndpoints) -> Value {
    let mut security = json!({
        // For the origins of a tenant's apps; the common base has no tenant to ask about them.
        "cors": endpoints.issuer.is_some(),
        "service": [{
            "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "SMART-on-FHIR",
                "display": "SMART-on-FHIR",
            }],
            "text": "OAuth 2.0 access tokens with SMART scopes (see .well-known/smart-configuration)",
        }],
    });
    // An extension without content is not valid FHIR, so it stands only where there is an endpoint to name.
    let uris: Vec<_> = [
        ("authorize", &endpoints.authorize),
        ("token", &endpoints.token),
        ("register", &endpoints.register),
        ("manage", &endpoints.manage),
        ("introspect", &endpoints.introspect),
        ("revoke", &endpoints.revoke),
    ]
    .into_iter()
    .filter_map(|(name, url)| url.as_ref().map(|url| json!({ "url": name, "valueUri": url })))
    .collect();
    if !uris.is_empty() {
        security["extension"] = json!([{ "url": OAUTH_URIS, "extension": uris }]);
    }
    security
}

fn resource(kind: ResourceType, offered: Offers) -> Value {
    let operations_here = || catalog::operations(kind).iter().filter(|operation| offered.has(operation.code));
    let offers = |code: Code| operations_here().any(|operation| operation.code == code);
    let mut interactions: Vec<&str> = Vec::new();
    let mut operations: Vec<(&str, &str)> = Vec::new();
    for operation in operations_here() {
        if let Some(definition) = operation.code.definition() {
            if !operations.iter().any(|(name, _)| *name == operation.code.fhir()) {
                operations.push((operation.code.fhir(), definition));
            }
        } else if !interactions.contains(&operation.code.fhir()) {
            interactions.push(operation.code.fhir());
        }
    }
    let parameters = listed(catalog::parameters(kind));
    json!({
        "type": kind.name(),
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{kind}"),
        "interaction": interactions.iter().map(|code| json!({ "code": code })).collect::<Vec<_>>(),
        "versioning": if offers(Code::Vread) { "versioned" } else { "no-version" },
        "readHistory": offers(Code::Vread),
        "updateCreate": offers(Code::Update),
        "conditionalCreate": offers(Code::Create),
        "conditionalRead": "full-support",
        "conditionalUpdate": offers(Code::ConditionalUpdate),
        "conditionalDelete": if offers(Code::ConditionalDelete) { "single" } else { "not-supported" },
        "searchParam": parameters,
        "operation": operations
            .iter()
            .map(|(name, definition)| json!({ "name": name, "definition": definition }))
            .collect::<Vec<_>>(),
    })
}

/// The search parameters, but for those that govern the result.
fn listed(parameters: &[Parameter]) -> Vec<Value> {
    parameters
        .iter()
        .filter(|parameter| parameter.kind != ParameterKind::Result)
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "definition": parameter.definition,
                "type": parameter.kind.fhir(),
                "documentation": parameter.documentation,
            })
        })
        .collect()
}

/// The trail, which is read and searched alone.
fn trail() -> Value {
    json!({
        "type": AUDIT_EVENT,
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{AUDIT_EVENT}"),
        "documentation": "Who did what to whom, in the profiles of IHE's Basic Audit Log Patterns where an event meets \
            one. No wildcard scope holds it: it has to be named, or audit:read be granted. An app of a patient sees who \
            looked at that patient's data.",
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "no-version",
        "conditionalRead": "full-support",
        "searchParam": listed(&PARAMETERS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(endpoints: &AuthEndpoints) -> String {
        capability_statement("https://x/t/north/fhir", endpoints, Offers::Everything, "2026-01-02T03:04:05Z", "1.2.3")
    }

    #[test]
    fn the_statement_is_fhir_in_json_and_xml() {
        let endpoints =
            AuthEndpoints { token: Some("https://x/t/north/auth/token".to_owned()), ..AuthEndpoints::default() };
        let json = statement(&endpoints);
        assert_eq!(vitals_fhir_codec::check_elements(&json), Ok(()));
        assert!(vitals_fhir_codec::json_to_xml(&json).unwrap().contains("<fhirVersion value=\"4.0.1\"/>"));
        assert!(json.contains(r#"{"url":"token","valueUri":"https://x/t/north/auth/token"}"#));
    }

    #[test]
    fn the_statement_over_several_tenants_lists_search_and_read() {
        let base = "https://x/t/north/delegated/fhir";
        let text = capability_statement(base, &AuthEndpoints::default(), Offers::Delegated, "2026-01-02", "1.2.3");
        assert_eq!(vitals_fhir_codec::check_elements(&text), Ok(()));
        let found: Value = serde_json::from_str(&text).unwrap();
        assert!(found["rest"][0].get("interaction").is_none() && found["rest"][0].get("compartment").is_none());
        for resource in found["rest"][0]["resource"].as_array().unwrap() {
            assert_eq!(resource["interaction"], json!([{ "code": "read" }, { "code": "search-type" }]));
            assert_eq!(resource["versioning"], "no-version");
            assert!(resource.get("operation").is_none_or(|operations| operations == &json!([])));
        }
    }

    #[test]
    fn the_statement_lists_the_catalog_and_nothing_else() {
        let found: Value = serde_json::from_str(&statement(&AuthEndpoints::default())).unwrap();
        assert!(found["rest"][0]["security"].get("extension").is_none());
        assert_eq!(found["rest"][0]["interaction"][0]["code"], "batch");
        assert_eq!(found["rest"][0]["interaction"][1]["code"], "transaction");
        let resources = found["rest"][0]["resource"].as_array().unwrap();
        assert_eq!(resources[0]["conditionalCreate"], true);
        assert_eq!(resources[0]["conditionalUpdate"], true);
        assert_eq!(resources[0]["conditionalDelete"], "single");
        assert_eq!(resources.len(), ResourceType::ALL.len() + 1);

        let texts = |place: usize, list: &str, name: &str| -> Vec<String> {
            let items = resources[place][list].as_array().unwrap();
            items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(resources[0]["type"], "Patient");
        assert_eq!(texts(2, "interaction", "code"), ["read", "search-type"]);
        let patient = ["_id", "_lastUpdated", "identifier", "name", "family", "given", "birthdate", "gender", "active"];
        assert_eq!(texts(0, "searchParam", "name"), patient);
        assert_eq!(
            texts(1, "interaction", "code"),
            ["read", "vread", "history-instance", "search-type", "history-type", "create", "update", "delete"]
        );
        let observation = texts(1, "searchParam", "name");
        assert_eq!(observation.len(), 20);
        assert!(
            ["combo-code-value-quantity", "value-concept"].iter().all(|name| observation.iter().any(|n| n == name))
        );
    }
}
