//! `/admin/issuers`: outside issuers whose tokens the tenant accepts besides its own.

use std::time::Duration;

use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use vitals_access::claims::ClaimMapping;
use vitals_store::{
    control::issuers::{self, IssuerKeys, NewIssuer},
    urls,
};

use super::{Call, Problem, created, gone, json, route::What};

/// An issuer to be added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    issuer: String,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    #[serde(default)]
    strict: bool,
    max_lifetime: Option<u64>,
    #[serde(default)]
    algorithms: Vec<String>,
    #[serde(default)]
    mapping: ClaimMapping,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    let mut conn = urls::connect(&desk.urls.app).await?;
    match what {
        What::Create => {
            let wire: Wire = call.body().await?;
            call.record.resource_id = Some(wire.issuer.clone());
            let new = asked(call, wire).await?;
            let added = issuers::add_by_tenant(&mut conn, call.tenant, &new, desk.clock.now()).await?;
            call.app.feed.catch_up().await?;
            let shown = json!({ "issuer": new.url, "warnings": added.warnings });
            created(call, "issuers", "", &shown)
        }
        What::Revoke => {
            issuers::remove_by_tenant(&mut conn, call.tenant, id, desk.clock.now()).await?;
            call.app.feed.catch_up().await?;
            Ok(gone())
        }
        _ => json(StatusCode::OK, &json!({ "issuers": issuers::list_of_tenant(&mut conn, call.tenant).await? })),
    }
}

async fn asked(call: &Call<'_>, wire: Wire) -> Result<NewIssuer, Problem> {
    let keys = match (wire.jwks, wire.jwks_uri) {
        (Some(jwks), None) => IssuerKeys::Inline(jwks.to_string()),
        (None, Some(url)) => IssuerKeys::Url(url),
        (None, None) => {
            let discovered = call.app.keeper.egress().discover(&wire.issuer).await;
            IssuerKeys::Url(discovered.map_err(|error| Problem::unprocessable(format!("{error}.")))?.jwks_uri)
        }
        _ => return Err(Problem::unprocessable("Give jwks or jwks_uri, or none of them: then they are discovered.")),
    };
    Ok(NewIssuer {
        strict: wire.strict,
        max_lifetime: wire.max_lifetime.map(Duration::from_secs),
        algorithms: wire.algorithms,
        mapping: wire.mapping,
        ..NewIssuer::new(wire.issuer, keys)
    })
}
