//! Keys that tokens are bound to, and their DPoP proofs.

use aws_lc_rs::digest;
use serde_json::{Value, json};

use crate::forge::{Forge, b64};

/// A key of a client, and what it signs.
pub struct ProofKey(Forge);

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The method.
    pub method: &'a str,
    /// The address.
    pub url: &'a str,
    /// The access token it comes with.
    pub token: Option<&'a str>,
    /// When, in seconds since 1970.
    pub now: i64,
}

impl ProofKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(Forge::p256())
    }

    /// Its public part, without an id.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.0.jwk("x");
        jwk.as_object_mut().expect("an object").remove("kid");
        jwk
    }

    /// Its thumbprint (RFC 7638).
    pub fn jkt(&self) -> String {
        let jwk = self.jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        b64(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }

    /// A proof that was never used, with these claims changed; `null` leaves one out.
    pub fn proof(&self, about: About<'_>, changes: &[(&str, Value)]) -> String {
        let mut claims = json!({
            "jti": uuid::Uuid::new_v4().to_string(), "htm": about.method, "htu": about.url, "iat": about.now,
        });
        if let Some(token) = about.token {
            claims["ath"] = json!(b64(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()));
        }
        for (name, value) in changes {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(*name);
            } else {
                claims[*name] = value.clone();
            }
        }
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        self.0.token(&header.to_string(), &claims.to_string())
    }
}
