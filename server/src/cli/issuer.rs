//! `vitals issuer …`: whose tokens a tenant accepts besides its own.

use std::path::Path;

use serde_json::json;
use vitals_access::{claims::ClaimMapping, tenant::TenantName};
use vitals_store::control::{
    directory,
    issuers::{self, IssuerRow, NewIssuer},
};

use super::{
    CommandError, Connection, Exit, Needs, Opened,
    args::{IssuerAddArgs, IssuerCommand, IssuerKeys, IssuerRemoveArgs, TenantCreateArgs},
    print,
    recorded::Recorder,
    tenant::{explained, known, wait_for_servers},
};
use crate::{config::Settings, egress::Egress};

/// Runs the command.
pub async fn run(settings: &Settings, command: IssuerCommand, json: bool) -> Result<Exit, CommandError> {
    let opened = Opened::of(settings, Needs::Admin).await?;
    let done = match command {
        IssuerCommand::Add(args) => add(&opened, &args, json).await,
        IssuerCommand::List(args) => list(&opened, &args.tenant, json).await,
        IssuerCommand::Remove(args) => remove(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

/// The issuer that a tenant is made with, where one is given.
pub(super) fn with_tenant(args: &TenantCreateArgs) -> Result<Option<NewIssuer>, CommandError> {
    let (Some(url), Some(keys)) = (&args.issuer, keys(&args.keys)?) else { return Ok(None) };
    Ok(Some(NewIssuer::new(url, keys)))
}

async fn add(opened: &Opened<'_>, args: &IssuerAddArgs, json: bool) -> Result<(), CommandError> {
    let given = keys(&args.keys)?;
    let mapping = args.mapping.as_deref().map_or_else(|| Ok(ClaimMapping::default()), mapping)?;
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, "issuer.add", &args.tenant).await?;
    let mut record = recorder.of_tenant("issuer.add", &tenant);
    record.issuer = Some(args.issuer.clone());
    let keys = match given {
        Some(keys) => keys,
        None if args.discover => discovered(opened, &args.issuer).await?,
        None => registered(opened, &mut admin, &args.issuer).await?,
    };
    let new = NewIssuer {
        strict: args.strict,
        max_lifetime: args.max_lifetime,
        algorithms: args.algorithms.clone(),
        mapping,
        ..NewIssuer::new(&args.issuer, keys)
    };
    recorder.begin(&record).await?;
    let added = issuers::add(&mut admin, &args.tenant, &new, opened.clock.now()).await;
    let added = recorder.end(record, added.map_err(explained)).await?;
    for warning in &added.warnings {
        print::note(warning);
    }
    // A server that knows the issuer of other tenants would not look again by itself.
    wait_for_servers(opened, added.seq).await?;
    let rows = issuers::list(&mut admin, &args.tenant).await.map_err(explained)?;
    let row = rows.iter().find(|row| row.issuer == args.issuer);
    if json {
        return print::json(&row);
    }
    print::line(&format!("tenant {} accepts tokens of {}", args.tenant, args.issuer))
}

/// The keys on the command line.
fn keys(keys: &IssuerKeys) -> Result<Option<issuers::IssuerKeys>, CommandError> {
    match (&keys.jwks, &keys.jwks_url) {
        (Some(file), _) => Ok(Some(issuers::IssuerKeys::Inline(key_file(file)?))),
        (None, Some(url)) => Ok(Some(issuers::IssuerKeys::Url(url.clone()))),
        (None, None) => Ok(None),
    }
}

fn key_file(path: &Path) -> Result<String, CommandError> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| CommandError::new(format!("cannot read --jwks {}: {error}", path.display())))
}

/// How an issuer names its claims, as a file says.
fn mapping(path: &Path) -> Result<ClaimMapping, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::new(format!("cannot read --mapping {}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| CommandError::usage(format!("--mapping {} is no mapping: {error}", path.display())))
}

/// The keys of an issuer where it says that they are.
async fn discovered(opened: &Opened<'_>, url: &str) -> Result<issuers::IssuerKeys, CommandError> {
    let egress = Egress::new(opened.settings().egress_allow.clone(), Vec::new());
    let discovered = egress.discover(url).await;
    let discovered = discovered.map_err(|error| CommandError::new(format!("cannot discover {url}: {error}")))?;
    Ok(issuers::IssuerKeys::Url(discovered.jwks_uri))
}

/// The keys that an issuer is registered with for another tenant.
async fn registered(
    opened: &Opened<'_>,
    admin: &mut Connection,
    url: &str,
) -> Result<issuers::IssuerKeys, CommandError> {
    let directory = directory::load(&mut opened.serving().await?, "", opened.clock.now()).await.map_err(explained)?;
    let issuer = directory.outside_issuers().find(|issuer| issuer.url == url);
    let tenant = issuer.and_then(|issuer| issuer.tenants.iter().find_map(|role| directory.tenant_of_role(role)));
    let (Some(issuer), Some(tenant)) = (issuer, tenant) else {
        return Err(CommandError::usage(format!(
            "{url} is not registered for any tenant yet: give its keys with --jwks FILE or --jwks-url URL, or --discover"
        )));
    };
    let rows = issuers::list(admin, &tenant.name).await.map_err(explained)?;
    Ok(match rows.into_iter().find(|row| row.issuer == url).and_then(|row| row.jwks_url) {
        Some(jwks_url) => issuers::IssuerKeys::Url(jwks_url),
        None => issuers::IssuerKeys::Inline(issuer.keys.text().to_owned()),
    })
}

async fn list(opened: &Opened<'_>, tenant: &TenantName, json: bool) -> Result<(), CommandError> {
    let rows = issuers::list(&mut opened.admin().await?, tenant).await.map_err(explained)?;
    if json {
        return print::json(&rows);
    }
    if rows.is_empty() {
        print::note(&format!("tenant {tenant} accepts no tokens but its own"));
    }
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    print::table(&["issuer", "keys", "typ", "lifetime", "tenants"], &cells)
}

fn cells(row: &IssuerRow) -> Vec<String> {
    vec![
        row.issuer.clone(),
        row.jwks_url.clone().unwrap_or_else(|| "inline".to_owned()),
        if row.strict { "at+jwt only" } else { "any" }.to_owned(),
        span(row.max_lifetime),
        row.tenants.join(" "),
    ]
}

/// Seconds in the largest unit that divides them, as options take it.
fn span(seconds: i32) -> String {
    let (unit, name) = [(86_400, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds != 0 && seconds % unit == 0)
        .unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

async fn remove(opened: &Opened<'_>, args: &IssuerRemoveArgs, json: bool) -> Result<(), CommandError> {
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, "issuer.remove", &args.tenant).await?;
    let mut record = recorder.of_tenant("issuer.remove", &tenant);
    record.issuer = Some(args.issuer.clone());
    recorder.begin(&record).await?;
    let removed = issuers::remove(&mut admin, &args.tenant, &args.issuer, opened.clock.now()).await;
    let seq = recorder.end(record, removed.map_err(explained)).await?;
    wait_for_servers(opened, seq).await?;
    if json {
        return print::json(&json!({ "issuer": args.issuer, "tenant": args.tenant.as_str(), "removed": true }));
    }
    print::line(&format!("tenant {} accepts no tokens of {} any more", args.tenant, args.issuer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_their_largest_whole_unit() {
        for (seconds, text) in [(86_400, "1d"), (7_200, "2h"), (5_400, "90m"), (61, "61s"), (0, "0s")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_missing_key_file_is_named() {
        let given = IssuerKeys { jwks: Some("/nowhere/keys.json".into()), jwks_url: None };
        let error = keys(&given).unwrap_err().to_string();
        assert!(error.starts_with("cannot read --jwks /nowhere/keys.json: "), "{error}");
        let error = mapping(Path::new("/nowhere/mapping.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read --mapping /nowhere/mapping.json: "), "{error}");
        assert!(keys(&IssuerKeys { jwks: None, jwks_url: None }).unwrap().is_none());
    }
}
