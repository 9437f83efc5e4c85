//! `vitals audit …`: whether the trail holds, what it says, and what becomes of it in the end.
//!
//! Whoever reads records leaves a record of that, before they are shown, in the chain of each tenant whose records they
//! are. But the trail has to be readable when nothing can be written: then that is said, and they are shown all the same.

use std::collections::HashMap;

use vitals_access::{
    audit::AuditRecord,
    tenant::{TenantName, TenantRole},
};
use vitals_store::control::directory;

use super::{
    CommandError, Exit, Needs, Opened,
    args::AuditCommand,
    print,
    recorded::Recorder,
    tenant::{explained, unknown},
};
use crate::{audit::heads, config::Settings};

mod digest;
mod export;
mod seal;
mod tail;
mod verify;

/// Runs the command.
pub async fn run(settings: &Settings, command: AuditCommand, json: bool) -> Result<Exit, CommandError> {
    let needs = if matches!(command, AuditCommand::Seal(_)) { Needs::Admin } else { Needs::Serving };
    let opened = Opened::of(settings, needs).await?;
    let done = match command {
        AuditCommand::Verify(args) => verify::run(&opened, &args, json).await,
        AuditCommand::Tail(args) => tail::run(&opened, &args, json).await,
        AuditCommand::Export(args) => export::run(&opened, &args).await,
        AuditCommand::Digest(args) => digest::run(&opened, &args).await,
        AuditCommand::Seal(args) => seal::run(&opened, &args, json).await,
        AuditCommand::Key => key(&opened),
    };
    let closed = opened.close().await;
    done.and_then(|exit| closed.map(|()| exit))
}

/// `vitals audit key`
fn key(opened: &Opened<'_>) -> Result<Exit, CommandError> {
    let master_key = opened.master_key_if_there().ok_or_else(no_master_key)?;
    print::line(&heads::witness(&master_key).public_jwk())?;
    Ok(Exit::Success)
}

fn no_master_key() -> CommandError {
    CommandError::new("this needs the master key that the server has: give --master-key-file or VITALS_MASTER_KEY")
}

/// Names of tenants by the role that is their chain. Those of deleted tenants are not known any more.
type Names = HashMap<String, String>;

async fn names(opened: &Opened<'_>) -> Result<Names, CommandError> {
    let directory = directory::load(&mut opened.serving().await?, "", opened.clock.now()).await.map_err(explained)?;
    Ok(directory.tenants().map(|tenant| (tenant.role.to_string(), tenant.name.to_string())).collect())
}

/// The chain of a tenant.
fn chain<'n>(names: &'n Names, tenant: &TenantName) -> Result<&'n str, CommandError> {
    let found = names.iter().find(|(_, name)| *name == tenant.as_str());
    found.map(|(role, _)| role.as_str()).ok_or_else(|| unknown(tenant))
}

/// Writes down who reads the trail, as far as anything can be written.
struct Reading<'n> {
    names: &'n Names,
    recorder: Option<Recorder>,
}

impl<'n> Reading<'n> {
    async fn open(opened: &Opened<'_>, names: &'n Names) -> Self {
        match Recorder::open(opened).await {
            Ok(recorder) => Self { names, recorder: Some(recorder) },
            Err(error) => {
                not_recorded(&error.to_string());
                Self { names, recorder: None }
            }
        }
    }

    /// Notes that so many records of each of these chains are about to be shown.
    async fn of(&mut self, action: &str, shown: &[(String, u64)]) {
        let Some(recorder) = &mut self.recorder else { return };
        let record = |(chain, count): &(String, u64)| -> AuditRecord {
            let mut record = recorder.of_server(action);
            // What is no tenant any more has no chain that anybody looks at.
            if let (Some(name), Ok(role)) = (self.names.get(chain), chain.parse::<TenantRole>()) {
                role.as_str().clone_into(&mut record.chain);
                record.tenant = Some(name.clone());
            }
            record.count = Some(*count);
            record
        };
        let records = shown.iter().map(record).collect();
        if let Err(why) = recorder.note(records).await {
            not_recorded(&why);
        }
    }
}

fn not_recorded(why: &str) {
    print::note(&format!("no record of this reading can be written: {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_without_a_chain_is_unknown() {
        let names = HashMap::from([("t_a".to_owned(), "mercy".to_owned())]);
        assert_eq!(chain(&names, &"mercy".parse().unwrap()).unwrap(), "t_a");
        assert!(chain(&names, &"other".parse().unwrap()).is_err());
    }
}
