//! `vitals client …`: apps and services that may ask a tenant for tokens.

use std::path::Path;

use serde_json::json;
use vitals_store::authorization::{Authentication, Client};

use super::{
    CommandError, Exit, Needs, Opened,
    args::{ClientCommand, ClientCreateArgs, OfTenantArgs, RevokeArgs},
    desk::AtDesk,
    print,
    tenant::wait_for_newest,
};
use crate::{
    authorization::{
        administration::{self, shown_client},
        clients::{self, NewClient, Registered},
    },
    config::Settings,
};

/// Runs the command.
pub async fn run(settings: &Settings, command: ClientCommand, json: bool) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        ClientCommand::Create(args) => create(&opened, &args, json).await,
        ClientCommand::List(args) => list(&opened, &args, json).await,
        ClientCommand::Revoke(args) => revoke(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn create(opened: &Opened<'_>, args: &ClientCreateArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "client.create";
    let new = asked(args)?;
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let mut record = at.record(ACTION, &args.id);
    record.client = Some(args.id.clone());
    at.recorder.begin(&record).await?;
    let made = clients::register(&at.desk, &at.tenant, new).await.map_err(CommandError::from);
    let Registered { client, secret, warnings } = at.recorder.end(record, made).await?;
    for warning in &warnings {
        print::note(warning);
    }
    wait_for_newest(opened).await?;
    if json {
        let mut shown = shown_client(&client);
        if let Some(secret) = &secret {
            shown["client_secret"] = json!(secret);
        }
        return print::json(&shown);
    }
    print::line(&format!("client {} of tenant {} may ask for tokens ({})", client.id, args.tenant, method(&client)))?;
    if let Some(secret) = secret {
        print::line(&format!("its secret, shown this once: {secret}"))?;
    }
    Ok(())
}

fn asked(args: &ClientCreateArgs) -> Result<NewClient, CommandError> {
    let authentication = if args.secret {
        Authentication::ClientSecret
    } else if args.jwks.is_some() || args.jwks_url.is_some() {
        Authentication::PrivateKeyJwt
    } else if args.certificate_subject.is_some() {
        Authentication::TlsClientAuth
    } else if args.certificate.is_some() {
        Authentication::SelfSignedTlsClientAuth
    } else {
        Authentication::None
    };
    let jwks = args.jwks.as_deref().map(|file| read("--jwks", file)).transpose()?;
    let own = args.certificate.as_deref().map(|file| own_certificate(&read("--certificate", file)?)).transpose()?;
    Ok(NewClient {
        id: Some(args.id.clone()),
        name: args.name.clone().unwrap_or_else(|| args.id.clone()),
        authentication,
        jwks: jwks.or(own),
        jwks_url: args.jwks_url.clone(),
        certificate: args.certificate_subject.as_ref().map(|subject| format!("subject_dn:{subject}")),
        redirect_uris: args.redirect_uris.clone(),
        launch_uri: args.launch_uri.clone(),
        scopes: args.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        ehr: args.ehr,
        require_proof: args.require_proof,
        metadata: "{}".to_owned(),
        registered_by: "cli".to_owned(),
    })
}

fn read(option: &str, file: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(file)
        .map_err(|error| CommandError::new(format!("cannot read {option} {}: {error}", file.display())))
}

/// A self-signed certificate as the key set that registers it (RFC 8705, section 2.2.2).
fn own_certificate(pem: &str) -> Result<String, CommandError> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"));
    let Some((body, _)) = body else {
        return Err(CommandError::usage("--certificate is not a certificate in PEM"));
    };
    let der: String = body.split_whitespace().collect();
    Ok(json!({ "keys": [{ "kty": "RSA", "use": "sig", "kid": "certificate", "x5c": [der] }] }).to_string())
}

fn method(client: &Client) -> &'static str {
    match client.authentication {
        Authentication::None => "public: it proves itself by PKCE alone",
        other => other.name(),
    }
}

async fn list(opened: &Opened<'_>, args: &OfTenantArgs, json: bool) -> Result<(), CommandError> {
    let at = AtDesk::open(opened, "client.read", &args.tenant).await?;
    let clients = administration::clients(&at.desk, &at.tenant).await?;
    if json {
        return print::json(&clients.iter().map(shown_client).collect::<Vec<_>>());
    }
    if clients.is_empty() {
        print::note(&format!("tenant {} has no client yet: `vitals client create` makes one", args.tenant));
    }
    let cells: Vec<Vec<String>> = clients
        .iter()
        .map(|client| {
            vec![
                client.id.clone(),
                client.name.clone(),
                client.authentication.name().to_owned(),
                if client.revoked.is_some() { "revoked" } else { "active" }.to_owned(),
                client.scopes.join(" "),
            ]
        })
        .collect();
    print::table(&["id", "name", "authentication", "status", "scopes"], &cells)
}

async fn revoke(opened: &Opened<'_>, args: &RevokeArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "client.revoke";
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let mut record = at.record(ACTION, &args.id);
    record.client = Some(args.id.clone());
    at.recorder.begin(&record).await?;
    let ended = match clients::revoke(&at.desk, &at.tenant, &args.id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::new(format!("tenant {} has no client {} to revoke", args.tenant, args.id))),
        Err(error) => Err(error.into()),
    };
    at.recorder.end(record, ended).await?;
    wait_for_newest(opened).await?;
    if json {
        return print::json(&json!({ "client_id": args.id, "revoked": true }));
    }
    print::line(&format!("client {} and every token it has are of no use any more", args.id))
}
