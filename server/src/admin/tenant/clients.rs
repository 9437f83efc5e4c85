//! `/admin/clients`: apps and services that may ask for tokens.

use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use vitals_store::authorization::Authentication;

use super::{Call, Problem, created, ended, json, route::What};
use crate::authorization::{
    administration::{self, shown_client},
    clients::{self, NewClient},
};

/// A client to be, with the names of RFC 7591.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    client_id: Option<String>,
    client_name: Option<String>,
    scope: String,
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    launch_uri: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    tls_client_auth_subject_dn: Option<String>,
    #[serde(default)]
    ehr: bool,
    #[serde(default)]
    require_proof: bool,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    match what {
        What::List => {
            let clients = administration::clients(desk, call.tenant).await?;
            json(StatusCode::OK, &json!({ "clients": clients.iter().map(shown_client).collect::<Vec<_>>() }))
        }
        What::Show => match administration::client(desk, call.tenant, id).await? {
            Some(client) => json(StatusCode::OK, &shown_client(&client)),
            None => Err(Problem::no_such("client")),
        },
        What::Create => create(call).await,
        What::Revoke => ended(clients::revoke(desk, call.tenant, id).await?, "client"),
        What::Renew => match clients::replace_secret(desk, call.tenant, id).await? {
            Some(secret) => json(StatusCode::OK, &json!({ "client_id": id, "client_secret": secret })),
            None => Err(Problem::no_such("client with a secret")),
        },
    }
}

async fn create(call: &mut Call<'_>) -> Result<Response, Problem> {
    let wire: Wire = call.body().await?;
    let new = asked(wire, call.by())?;
    call.record.client.clone_from(&new.id);
    let made = clients::register(&call.app.desk, call.tenant, new).await?;
    call.record.resource_id = Some(made.client.id.clone());
    let mut shown = shown_client(&made.client);
    if let Some(secret) = made.secret {
        shown["client_secret"] = Value::from(secret);
    }
    if !made.warnings.is_empty() {
        shown["warnings"] = json!(made.warnings);
    }
    created(call, "clients", &made.client.id, &shown)
}

fn asked(wire: Wire, by: String) -> Result<NewClient, Problem> {
    let authentication = match wire.token_endpoint_auth_method.as_deref() {
        Some("client_secret_basic" | "client_secret_post") => Authentication::ClientSecret,
        Some(name) => Authentication::named(name)
            .ok_or_else(|| Problem::unprocessable(format!("There is no token_endpoint_auth_method {name} here.")))?,
        None if wire.jwks.is_some() || wire.jwks_uri.is_some() => Authentication::PrivateKeyJwt,
        None if wire.tls_client_auth_subject_dn.is_some() => Authentication::TlsClientAuth,
        None => Authentication::None,
    };
    let name = wire.client_name.or_else(|| wire.client_id.clone()).unwrap_or_else(|| "A client".to_owned());
    Ok(NewClient {
        id: wire.client_id,
        name,
        authentication,
        jwks: wire.jwks.map(|jwks| jwks.to_string()),
        jwks_url: wire.jwks_uri,
        certificate: wire.tls_client_auth_subject_dn.map(|subject| format!("subject_dn:{subject}")),
        redirect_uris: wire.redirect_uris,
        launch_uri: wire.launch_uri,
        scopes: wire.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        ehr: wire.ehr,
        require_proof: wire.require_proof,
        metadata: "{}".to_owned(),
        registered_by: by,
    })
}
