//! What is registered of an issuer, and whether somebody asks for the same.

use sqlx::{PgConnection, Row as _};
use vitals_access::claims::ClaimMapping;

use super::{IssuerError, IssuerKeys, NewIssuer, seconds};
use crate::control::{ControlError, directory};

/// A row of the registry.
pub(super) struct Registered {
    pub(super) url: String,
    jwks: Option<String>,
    jwks_url: Option<String>,
    strict: bool,
    lifetime: i32,
    algorithms: Vec<String>,
    mapping: ClaimMapping,
}

/// The issuer of this address, in whatever spelling.
pub(super) async fn read(conn: &mut PgConnection, canonical: &str) -> Result<Registered, ControlError> {
    let failed = || ControlError::database("read an issuer");
    let row = sqlx::query(
        "SELECT url, jwks, jwks_url, strict, max_lifetime_s, algorithms, mapping
         FROM control.issuer WHERE canonical = $1",
    )
    .bind(canonical)
    .fetch_one(conn)
    .await
    .map_err(failed())?;
    Ok(Registered {
        url: row.try_get("url").map_err(failed())?,
        jwks: row.try_get("jwks").map_err(failed())?,
        jwks_url: row.try_get("jwks_url").map_err(failed())?,
        strict: row.try_get("strict").map_err(failed())?,
        lifetime: row.try_get("max_lifetime_s").map_err(failed())?,
        algorithms: row.try_get::<Option<_>, _>("algorithms").map_err(failed())?.unwrap_or_default(),
        mapping: directory::mapping(row.try_get("mapping").map_err(failed())?)?,
    })
}

impl Registered {
    /// Whether what is asked for is what is registered. What is not asked for (a lifetime, strictness, algorithms, a
    /// mapping) may be so anyway.
    pub(super) fn agrees(&self, new: &NewIssuer) -> Result<(), IssuerError> {
        if self.url != new.url {
            return Err(IssuerError::SecondSpelling { registered: self.url.clone() });
        }
        let same_keys = match &new.keys {
            IssuerKeys::Url(url) => self.jwks_url.as_ref() == Some(url),
            IssuerKeys::Inline(text) => self.jwks.as_ref().is_some_and(|jwks| same_set(jwks, text)),
        };
        let differs = |what| Err(IssuerError::Differs { url: new.url.clone(), what });
        if !same_keys {
            return differs("set of keys");
        }
        if new.strict && !self.strict {
            return differs("strictness");
        }
        if new.max_lifetime.is_some_and(|asked| seconds(asked) != self.lifetime) {
            return differs("lifetime of tokens");
        }
        if !new.algorithms.is_empty() && new.algorithms != self.algorithms {
            return differs("set of algorithms");
        }
        if new.mapping != ClaimMapping::default() && new.mapping != self.mapping {
            return differs("mapping of claims");
        }
        Ok(())
    }
}

fn same_set(one: &str, other: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    read(one).is_some_and(|one| read(other) == Some(one))
}
