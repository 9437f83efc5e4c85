use super::*;

fn public(uri: &str) -> NewClient {
    let mut new = NewClient::named("App", Authentication::None, "test");
    new.redirect_uris = vec![uri.to_owned()];
    new
}

fn refusal(new: &NewClient) -> Option<String> {
    check(new, &mut Vec::new()).err().map(|error| error.to_string())
}

#[test]
fn a_redirect_uri_is_one_address_to_the_letter() {
    let good = [
        "https://app.example/callback",
        "https://app.example/callback?from=ehr",
        "http://127.0.0.1:4567/callback",
        "http://[::1]:4567/callback",
        "http://localhost:4567/callback",
        "org.example.app:/callback",
        "org.example.app://callback",
    ];
    for uri in good {
        assert_eq!(refusal(&public(uri)), None, "{uri}");
    }
    let bad = [
        "",
        "/callback",
        "http://app.example/callback",
        "http://127.0.0.1.example/callback",
        "http://localhost.example/callback",
        "https://user@app.example/callback",
        "https://app.example/callback#part",
        "https://*.example/callback",
        "https://app.example/../callback",
        "https://app.example\\callback",
        "https://app.example/a b",
        "https://äpp.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "JAVASCRIPT.X:alert(1)",
        "ftp://app.example/",
        "https:",
        "https://",
    ];
    for uri in bad {
        assert!(refusal(&public(uri)).is_some(), "{uri}");
    }
    let mut confidential = public("org.example.app:/callback");
    confidential.authentication = Authentication::ClientSecret;
    assert!(refusal(&confidential).is_some());
}

#[test]
fn a_client_has_what_its_method_needs_and_nothing_private() {
    let of = |authentication| NewClient::named("Service", authentication, "test");
    assert!(refusal(&of(Authentication::None)).unwrap().contains("redirect"));
    assert!(refusal(&of(Authentication::PrivateKeyJwt)).unwrap().contains("key set"));
    assert!(refusal(&of(Authentication::TlsClientAuth)).unwrap().contains("subject_dn"));
    assert!(refusal(&of(Authentication::SelfSignedTlsClientAuth)).unwrap().contains("x5c"));
    assert_eq!(refusal(&of(Authentication::ClientSecret)), None);

    let mut keyed = of(Authentication::PrivateKeyJwt);
    keyed.jwks = Some(r#"{"keys":[]}"#.to_owned());
    assert!(refusal(&keyed).unwrap().contains("no usable key"));
    keyed.jwks = Some(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}"#.to_owned());
    assert!(refusal(&keyed).unwrap().contains("private"));
    keyed.jwks = None;
    keyed.jwks_url = Some("http://app.example/jwks".to_owned());
    assert!(refusal(&keyed).is_some());
    keyed.jwks_url = Some("https://app.example/jwks".to_owned());
    assert_eq!(refusal(&keyed), None);

    let mut named = of(Authentication::TlsClientAuth);
    for (name, good) in [("subject_dn:CN=a", true), ("san_ip:10.0.0.1", true), ("san_ip:x", false), ("CN=a", false)] {
        named.certificate = Some(name.to_owned());
        assert_eq!(refusal(&named).is_none(), good, "{name}");
    }

    let mut own = of(Authentication::SelfSignedTlsClientAuth);
    own.jwks = Some(r#"{"keys":[{"kty":"EC","x5c":["AQID"]}]}"#.to_owned());
    let thumbprints = check(&own, &mut Vec::new()).unwrap();
    assert_eq!(thumbprints, ["A5BYxvLAy0ksUzsKTRTvd8wPeKvMztUofYShogEc-4E"]);
    assert!(is_registered(own.jwks.as_deref().unwrap(), &thumbprints[0]));
    assert!(!is_registered(own.jwks.as_deref().unwrap(), ""));
}

#[test]
fn scopes_that_are_never_granted_are_warned_of() {
    let mut new = public("https://app.example/callback");
    new.scopes = vec!["patient/*.rs".to_owned(), "patient/Observation.sr".to_owned()];
    let mut warnings = Vec::new();
    check(&new, &mut warnings).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}
