//! `/admin/users`: people who sign in.

use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Problem, created, gone, json, route::What};
use crate::authorization::{
    accounts::{self, NewAccount},
    administration::{self, shown_user},
};

/// Somebody to be added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    username: String,
    name: Option<String>,
    password: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    #[serde(rename = "fhirUser")]
    fhir_user: Option<String>,
    #[serde(default)]
    patients: Vec<String>,
    scope: Option<String>,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    match what {
        What::List => {
            let users = administration::users(desk, call.tenant).await?;
            json(StatusCode::OK, &json!({ "users": users.iter().map(shown_user).collect::<Vec<_>>() }))
        }
        What::Show => match administration::user(desk, call.tenant, id).await? {
            Some(account) => json(StatusCode::OK, &shown_user(&account)),
            None => Err(Problem::no_such("user")),
        },
        What::Create => create(call).await,
        What::Revoke => {
            accounts::end(desk, call.tenant, id).await?;
            Ok(gone())
        }
        What::Renew => {
            let password = administration::renew_password(desk, call.tenant, id).await?;
            json(StatusCode::OK, &json!({ "id": id, "password": password }))
        }
    }
}

async fn create(call: &mut Call<'_>) -> Result<Response, Problem> {
    let wire: Wire = call.body().await?;
    if wire.issuer.is_some() != wire.subject.is_some() || (wire.issuer.is_some() && wire.password.is_some()) {
        return Err(Problem::unprocessable(
            "Give a password, or issuer and subject of an OpenID provider, or none of them: then a password is made.",
        ));
    }
    let new = NewAccount {
        name: wire.name.unwrap_or_else(|| wire.username.clone()),
        username: wire.username,
        password: wire.password,
        provider: wire.issuer.zip(wire.subject),
        fhir_user: wire.fhir_user,
        patients: wire.patients,
        scopes: wire
            .scope
            .map(|scope| scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default(),
    };
    let made = accounts::create(&call.app.desk, call.tenant, new).await?;
    call.record.resource_id = Some(made.account.id.clone());
    let mut shown = shown_user(&made.account);
    if let Some(password) = made.password {
        shown["password"] = Value::from(password);
    }
    created(call, "users", &made.account.id, &shown)
}
