//! One authorization server taken for another (O26, RFC 9207): each says exactly who it is, in its metadata and in every
//! answer it sends through a browser.

use reqwest::Url;
use vitals_store::authorization::Authentication;
use vitals_tests::{Answer, Tenant, oauth::app, tenant::client};

/// The verifier's challenge of RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::test]
async fn o26_each_server_says_exactly_who_it_is() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    for tenant in [&this, &other] {
        let (url, name) = (&tenant.server.url, &tenant.name);
        let issuer = format!("{url}/t/{name}/auth");
        for place in [
            format!("{issuer}/.well-known/openid-configuration"),
            format!("{url}/.well-known/oauth-authorization-server/t/{name}/auth"),
            format!("{url}/.well-known/openid-configuration/t/{name}/auth"),
            format!("{}/.well-known/smart-configuration", tenant.base()),
        ] {
            let said = Answer::of(client().get(&place)).await.expect(200).json();
            assert_eq!(said["issuer"], issuer.as_str(), "{place}");
            let endpoints = said.as_object().expect("an object").iter().filter(|(name, _)| name.ends_with("_endpoint"));
            for (endpoint, address) in endpoints {
                let address = address.as_str().expect("an address");
                assert!(address.starts_with(&format!("{issuer}/")), "{place}: {endpoint} {address}");
            }
        }
        let asked = app(Authentication::None, "patient/*.rs");
        let registered = tenant.register(asked).await.client;
        let redirect = registered.redirect_uris[0].clone();
        // Something that is refused only once it is known where to.
        let query = [
            ("response_type", "token"),
            ("client_id", &registered.id),
            ("redirect_uri", &redirect),
            ("scope", "patient/*.rs"),
            ("aud", &tenant.base()),
            ("state", "kept"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let address = Url::parse_with_params(&format!("{issuer}/authorize"), query).expect("an address");
        let sent = Answer::of(client().get(address)).await;
        let back = Url::parse(sent.header("location")).unwrap_or_else(|_| panic!("{} {}", sent.status, sent.body));
        let of = |name: &str| back.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        assert!(back.as_str().starts_with(&redirect), "{back}");
        assert_eq!(of("iss").as_deref(), Some(issuer.as_str()), "{back}");
        assert_eq!((of("state").as_deref(), of("error").as_deref()), (Some("kept"), Some("unsupported_response_type")));
    }
}
