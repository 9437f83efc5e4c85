//! What a tenant has switched on. The operator sets it (`vitals tenant set`); it stands as JSON in the registry, where a
//! member that is not there means what [`Settings::default`] says.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// The switches of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Whether the tenant's own authorization server answers. Its keys are published either way.
    pub authorization_server: bool,
    /// Whether API keys are taken, for development.
    pub api_keys: bool,
    /// Whether the tenant's data is real: API keys are never taken then.
    pub production: bool,
    /// Whether programs may register themselves, with an initial access token (RFC 7591).
    pub registration: bool,
    /// Whether every request needs a client certificate.
    pub require_certificate: bool,
    /// Whether every access token must be bound to a key or a certificate (RFC 9449, RFC 8705).
    pub require_proof: bool,
    /// The tenant's own CA of client certificates, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// The colour of its pages, as `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// Minutes after which somebody who does nothing is logged off.
    pub idle_minutes: u32,
    /// Origins whose pages may read its answers, beside those of its registered apps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// The OpenID provider that its people sign in at, beside its own table of accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<Upstream>,
    /// Quotas in place of its tier's, by category.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// An OpenID provider of a tenant's people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its issuer, where it is discovered.
    pub issuer: String,
    /// The tenant's client there.
    pub client_id: String,
    /// The secret of that client, sealed under the master key, in base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sealed_secret: Option<String>,
    /// What is asked of it.
    #[serde(default = "openid")]
    pub scope: String,
}

fn openid() -> String {
    "openid profile email".to_owned()
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authorization_server: true,
            api_keys: false,
            production: false,
            registration: false,
            require_certificate: false,
            require_proof: false,
            client_ca: None,
            colour: None,
            // 45 CFR 164.312(a)(2)(iii) asks for a limit and names none; fifteen minutes is what hospitals use.
            idle_minutes: 15,
            origins: Vec::new(),
            sign_in: None,
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Whether API keys are taken.
    pub const fn takes_api_keys(&self) -> bool {
        self.api_keys && !self.production
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_it_was_before_it_could_be() {
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        let text = serde_json::to_string(&Settings { api_keys: true, ..Settings::default() }).unwrap();
        assert!(serde_json::from_str::<Settings>(&text).unwrap().takes_api_keys());
        assert!(serde_json::from_str::<Settings>(r#"{"apikeys":true}"#).is_err());
    }

    #[test]
    fn a_provider_is_asked_who_somebody_is_unless_more_or_less_is_said() {
        let text = r#"{"issuer":"https://idp.example","client_id":"vitals"}"#;
        assert_eq!(serde_json::from_str::<Upstream>(text).unwrap().scope, "openid profile email");
    }

    #[test]
    fn a_tenant_with_real_data_takes_no_api_keys() {
        let both = Settings { api_keys: true, production: true, ..Settings::default() };
        assert!(!both.takes_api_keys());
        assert!(!Settings::default().takes_api_keys());
    }
}
