//! The documents for everybody: they say what is offered, and it is (section 5 of the contract).

mod openapi;

use reqwest::Method;
use serde_json::json;
use vitals_fhir::{catalog, resource::ResourceType};
use vitals_tests::{Answer, Tenant, ask::content, ask::method, tenant::client};

#[tokio::test]
async fn metadata_says_what_works_and_nothing_else() {
    let tenant = Tenant::fresh().await;
    let all = tenant.token("system/*.cruds audit:read").sign();
    for base in [tenant.base(), format!("{}/fhir", tenant.server.url)] {
        let public = Answer::of(client().get(format!("{base}/metadata"))).await.expect(200);
        let statement = public.json();
        assert_eq!(statement["resourceType"], "CapabilityStatement");
        assert_eq!(statement["implementation"]["url"], base);
        assert_eq!(public.header("content-type"), "application/fhir+json; charset=utf-8");
        assert_eq!(public.header("access-control-allow-origin"), "*");
        let xml = Answer::of(client().get(format!("{base}/metadata?_format=xml"))).await.expect(200);
        assert!(xml.body.contains("?><CapabilityStatement xmlns"), "{}", xml.body);

        let resources = statement["rest"][0]["resource"].as_array().expect("resources");
        let kinds: Vec<&str> = resources.iter().map(|resource| resource["type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["Patient", "Observation", "AuditEvent"]);
        for (kind, resource) in ResourceType::ALL.into_iter().zip(resources) {
            let body = content(kind, "a", "x").to_string();
            tenant.put(&format!("{kind}/a"), &all, &body).await.sound();
            // Each search parameter is understood, however strict the caller is.
            for parameter in resource["searchParam"].as_array().expect("parameters") {
                let name = parameter["name"].as_str().expect("a name");
                let value = match (name, parameter["type"].as_str()) {
                    ("active", _) => "true",
                    (_, Some("date")) => "2026-03-01",
                    (_, Some("quantity")) => "5",
                    (_, Some("composite")) => "a$5",
                    _ => "a",
                };
                let address = format!("{base}/{kind}?{name}={value}");
                let request = client().get(&address).bearer_auth(&all).header("prefer", "handling=strict");
                let found = Answer::of(request).await.expect(200);
                assert_eq!(found.link("self"), Some(address), "{name} is applied");
                assert!(parameter["definition"].as_str().is_some_and(|url| url.starts_with("http://hl7.org/fhir/")));
            }
            let listed: Vec<&str> = resource["interaction"]
                .as_array()
                .expect("interactions")
                .iter()
                .map(|interaction| interaction["code"].as_str().expect("a code"))
                .collect();
            // Each interaction of R4 is either listed and offered, or neither.
            let every = [
                ("read", Method::GET, "a"),
                ("vread", Method::GET, "a/_history/1"),
                ("history-instance", Method::GET, "a/_history"),
                ("search-type", Method::GET, ""),
                ("search-type", Method::POST, "_search"),
                ("create", Method::POST, ""),
                ("update", Method::PUT, "a"),
                ("patch", Method::PATCH, "a"),
                ("history-type", Method::GET, "_history"),
                ("delete", Method::DELETE, "a"),
            ];
            for (code, method, path) in every {
                let address = format!("{base}/{kind}/{path}");
                let request = client().request(method.clone(), address.trim_end_matches('/')).bearer_auth(&all);
                let status = Answer::of(request).await.sound().status;
                assert_eq!(status != 405, listed.contains(&code), "{method} {address}: {code} is listed: {listed:?}");
            }
        }
        // Of the whole system, Bundles are taken, and nothing else is listed.
        let offered = statement["rest"][0]["interaction"].as_array().expect("interactions");
        let mut codes: Vec<&str> = offered.iter().map(|one| one["code"].as_str().expect("a code")).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["batch", "transaction"]);
        for code in codes {
            let bundle = format!(r#"{{"resourceType":"Bundle","type":"{code}"}}"#);
            let request = client().post(&base).bearer_auth(&all).header("content-type", "application/fhir+json");
            let answer = Answer::of(request.body(bundle)).await.expect(200);
            assert_eq!(answer.json()["type"], format!("{code}-response"));
        }
    }
    let nobody = Answer::of(client().get(format!("{}/t/nobody-here/fhir/metadata", tenant.server.url))).await;
    nobody.expect_outcome(404, "not-found");
}

#[tokio::test]
async fn discovery_lists_what_is_there() {
    let tenant = Tenant::fresh().await;
    let address = format!("{}/.well-known/smart-configuration", tenant.base());
    let found = Answer::of(client().get(&address)).await.expect(200);
    assert_eq!(found.header("content-type"), "application/json");
    assert_eq!(found.header("access-control-allow-origin"), "*");
    let configuration = found.json();
    assert_eq!(configuration["issuer"], format!("{}/t/{}/auth", tenant.server.url, tenant.name));

    // There is something at every address in it; the keys are public.
    for (name, value) in configuration.as_object().expect("an object") {
        if name.ends_with("_uri") || name.ends_with("_endpoint") {
            let answer = Answer::of(client().post(value.as_str().expect("an address"))).await.sound();
            assert_ne!(answer.status, 404, "{name}");
        }
    }
    let keys = Answer::of(client().get(configuration["jwks_uri"].as_str().expect("an address"))).await.json();
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
    assert!(key.get("d").is_none(), "a private key is nobody's business");

    // Every scope in it is understood.
    for scope in configuration["scopes_supported"].as_array().expect("scopes") {
        let scope = scope.as_str().expect("a scope");
        assert!(vitals_access::scope::is_known(scope), "{scope}");
    }
    for path in ["/fhir/.well-known/smart-configuration", "/t/nobody-here/fhir/.well-known/smart-configuration"] {
        Answer::of(client().get(format!("{}{path}", tenant.server.url))).await.expect(404);
    }
}

#[tokio::test]
async fn public_documents_are_for_every_origin_and_nothing_else_is() {
    let tenant = Tenant::fresh().await;
    let (url, name) = (&tenant.server.url, &tenant.name);
    for path in [
        format!("/t/{name}/fhir/metadata"),
        "/fhir/metadata".to_owned(),
        format!("/t/{name}/fhir/.well-known/smart-configuration"),
        format!("/t/{name}/auth/jwks"),
    ] {
        let request = client().get(format!("{url}{path}")).header("origin", "https://app.example");
        assert_eq!(Answer::of(request).await.expect(200).header("access-control-allow-origin"), "*", "{path}");
        let preflight = client()
            .request(Method::OPTIONS, format!("{url}{path}"))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "GET");
        let preflight = Answer::of(preflight).await.expect(204);
        assert_eq!(preflight.header("access-control-allow-origin"), "*", "{path}");
        assert!(preflight.header("access-control-allow-methods").contains("GET"), "{path}");
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
        let head = Answer::of(client().head(format!("{url}{path}"))).await.expect(200);
        assert_eq!(head.body, "");
    }
    for path in ["Patient", "Patient/a"] {
        let request = tenant.request(Method::GET, path, &tenant.all()).header("origin", "https://app.example");
        let answer = Answer::of(request).await.sound();
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}: no client of this tenant is registered");
    }
}

#[tokio::test]
async fn the_openapi_document_describes_what_answers() {
    let tenant = Tenant::fresh().await;
    let all = tenant.token("system/*.cruds audit:read").sign();
    let over_all = tenant.token("org:self org:delegated system/*.rs").sign();
    let server = tenant.server;
    for kind in ResourceType::ALL {
        tenant.put(&format!("{kind}/a"), &all, &content(kind, "a", "x").to_string()).await.expect(201);
    }
    let event = tenant.get("AuditEvent?_count=1", &all).await.expect(200).ids().remove(0);
    let document = Answer::of(client().get(format!("{}/openapi.json", server.url))).await.expect(200).json();
    let plain = Answer::of(client().get(format!("{}/openapi.plain.json", server.url))).await.expect(200);
    assert!(!plain.body.contains("\"application/fhir+json\":"), "the plain copy knows application/json alone");
    Answer::of(client().get(format!("{}/docs", server.url))).await.expect(200);

    let mut described = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        let operator = item.get("servers").is_some();
        for (name, operation) in item.as_object().expect("an item") {
            let Ok(method) = name.to_uppercase().parse::<Method>() else { continue };
            if !["get", "post", "put", "delete"].contains(&name.as_str()) {
                continue;
            }
            described.push(format!("{method} {template}"));
            if operator && method != Method::GET {
                continue;
            }
            let id = if template.contains("/AuditEvent/") { event.as_str() } else { "a" };
            let path = template.replace("{tenant}", tenant.name.as_str()).replace("{id}", id).replace("{vid}", "1");
            let (url, token) =
                if operator { (&server.operator_url, &server.operator_token) } else { (&server.url, &all) };
            // Conditional writes say by criteria what they mean.
            let criteria = match method {
                Method::PUT if !template.ends_with("{id}") => "?_id=a",
                Method::DELETE if !template.ends_with("{id}") => "?_id=nobody",
                _ => "",
            };
            let token = if operation["tags"][0] == "Delegated" { &over_all } else { token };
            let mut request = client().request(method.clone(), format!("{url}{path}{criteria}")).bearer_auth(token);
            if method == Method::POST && path.ends_with("_search") {
                request = request.header("content-type", "application/x-www-form-urlencoded").body("_id=a");
            } else if path.ends_with("/fhir") {
                request = request.header("content-type", "application/fhir+json");
                request = request.body(r#"{"resourceType":"Bundle","type":"batch"}"#);
            } else if matches!(method, Method::POST | Method::PUT) {
                let kind = if path.contains("/Patient") { ResourceType::Patient } else { ResourceType::Observation };
                request =
                    request.header("content-type", "application/fhir+json").body(content(kind, "a", "y").to_string());
            }
            let of_access = ["Authorization", "Administration"].iter().any(|tag| operation["tags"][0] == *tag);
            if of_access {
                let form = operation["requestBody"]["content"].get("application/x-www-form-urlencoded").is_some();
                let (media, body) =
                    if form { ("application/x-www-form-urlencoded", "x=y") } else { ("application/json", "{}") };
                request = client().request(method.clone(), format!("{url}{path}")).header("content-type", media);
                request = request.bearer_auth(tenant.administrator());
                request = if method == Method::POST { request.body(body) } else { request };
            }
            let answer = Answer::of(request).await.sound();
            let responses = operation["responses"].as_object().expect("responses");
            assert!(
                responses.contains_key(&answer.status.to_string()),
                "{method} {path}: {} is not described",
                answer.status
            );
            if of_access {
                continue;
            }
            // What was deleted at one base is gone at the next.
            let elsewhere = ["/fhir/", "/t/{tenant}/delegated/"].iter().any(|base| template.starts_with(base));
            let gone = elsewhere && matches!(answer.status, 404 | 410);
            assert!(answer.status < 400 || gone, "{method} {path}: {} {}", answer.status, answer.body);
            if !answer.body.is_empty() && answer.status < 300 {
                let media = answer.header("content-type").split(';').next().expect("a media type").to_owned();
                let content = &responses[&answer.status.to_string()]["content"];
                assert!(content.get(&media).is_some(), "{method} {path}: {media} is not described");
            }
        }
    }
    for operation in catalog::all() {
        let path = operation.path.replace(":id", "{id}").replace(":vid", "{vid}");
        for base in ["/t/{tenant}/fhir", "/fhir"] {
            let line = format!("{} {base}/{path}", method(operation.method));
            assert!(described.contains(&line), "{line} is not described");
        }
    }
}
