//! `vitals user …`: people who sign in at a tenant.

use serde_json::json;

use super::{
    CommandError, Exit, Needs, Opened,
    args::{OfTenantArgs, RevokeArgs, UserCommand, UserCreateArgs},
    desk::AtDesk,
    print,
    tenant::wait_for_newest,
};
use crate::{
    authorization::{
        accounts::{self, NewAccount},
        administration::{self, shown_user},
    },
    config::Settings,
};

/// Runs the command.
pub async fn run(settings: &Settings, command: UserCommand, json: bool) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        UserCommand::Create(args) => create(&opened, &args, json).await,
        UserCommand::List(args) => list(&opened, &args, json).await,
        UserCommand::Revoke(args) => revoke(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn create(opened: &Opened<'_>, args: &UserCreateArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "user.create";
    let new = asked(args)?;
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let record = at.record(ACTION, &args.username);
    at.recorder.begin(&record).await?;
    let made = accounts::create(&at.desk, &at.tenant, new).await.map_err(CommandError::from);
    let made = at.recorder.end(record, made).await?;
    if json {
        let mut shown = shown_user(&made.account);
        if let Some(password) = &made.password {
            shown["password"] = json!(password);
        }
        return print::json(&shown);
    }
    print::line(&format!("{} may sign in at tenant {}", made.account.username, args.tenant))?;
    if let Some(password) = &made.password {
        print::line(&format!("the password, shown this once: {password}"))?;
    }
    Ok(())
}

fn asked(args: &UserCreateArgs) -> Result<NewAccount, CommandError> {
    let password = match &args.password_file {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                CommandError::new(format!("cannot read --password-file {}: {error}", file.display()))
            })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(NewAccount {
        username: args.username.clone(),
        name: args.name.clone().unwrap_or_else(|| args.username.clone()),
        password,
        provider: args.issuer.clone().zip(args.subject.clone()),
        fhir_user: args.fhir_user.clone(),
        patients: args.patients.clone(),
        scopes: args
            .scope
            .as_ref()
            .map(|scope| scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

async fn list(opened: &Opened<'_>, args: &OfTenantArgs, json: bool) -> Result<(), CommandError> {
    let at = AtDesk::open(opened, "user.read", &args.tenant).await?;
    let accounts = administration::users(&at.desk, &at.tenant).await?;
    if json {
        return print::json(&accounts.iter().map(shown_user).collect::<Vec<_>>());
    }
    if accounts.is_empty() {
        print::note(&format!("nobody can sign in at tenant {} yet: `vitals user create` adds somebody", args.tenant));
    }
    let cells: Vec<Vec<String>> = accounts
        .iter()
        .map(|account| {
            vec![
                account.id.clone(),
                account.username.clone(),
                account.name.clone(),
                account.fhir_user.clone().unwrap_or_else(|| "-".to_owned()),
                if account.revoked.is_some() { "revoked" } else { "active" }.to_owned(),
            ]
        })
        .collect();
    print::table(&["id", "username", "name", "fhirUser", "status"], &cells)
}

async fn revoke(opened: &Opened<'_>, args: &RevokeArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "user.revoke";
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let record = at.record(ACTION, &args.id);
    at.recorder.begin(&record).await?;
    let ended = match administration::user(&at.desk, &at.tenant, &args.id).await? {
        Some(account) => accounts::end(&at.desk, &at.tenant, &account.id).await.map_err(CommandError::from),
        None => Err(CommandError::new(format!("tenant {} has no user {} to revoke", args.tenant, args.id))),
    };
    at.recorder.end(record, ended).await?;
    wait_for_newest(opened).await?;
    if json {
        return print::json(&json!({ "id": args.id, "revoked": true }));
    }
    print::line(&format!("{} cannot sign in any more; sessions and tokens are ended", args.id))
}
