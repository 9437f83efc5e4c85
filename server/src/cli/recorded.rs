//! The audit record of a command. Every command that changes or opens something leaves one, with origin `cli`, in the
//! chain of the tenant it is about as long as that is there, or else in the server's own; it is on disk before the
//! command says that it is done. What changes something is also noted as begun before it is touched, so that a command
//! that was killed half way leaves a trace.
//!
//! A server's [`AuditWriter`](crate::audit::AuditWriter) is for many records at once. A command writes one, and waits.

use std::{process::Stdio, sync::Arc};

use tokio::process::Command;
use uuid::Uuid;
use vitals_access::{
    audit::{AuditRecord, Decision, Origin},
    clock::Clock,
    tenant::{Tenant, TenantName},
};
use vitals_store::audit::{Appender, Durability, Outcome, new_writer};

use super::{CommandError, Opened, print};
use crate::audit::heads::{Keeper, Of};

/// The reason of a record that tells of an intention, as the operator's listener writes it too.
const BEGUN: &str = "begun";
/// Longest reason that goes into a record; the sentence on the screen has all of it.
const MAX_REASON: usize = 200;
/// Longest name of a user that goes into a record.
const MAX_USER: usize = 64;

/// Writes the record of one command.
pub struct Recorder {
    appender: Appender,
    heads: Option<Keeper>,
    clock: Arc<dyn Clock>,
    user: String,
}

impl Recorder {
    /// Connects to the audit store. To be called before anything is changed: what cannot be recorded is not done.
    pub async fn open(opened: &Opened<'_>) -> Result<Self, CommandError> {
        let mut appender = Appender::new(&opened.urls, Durability::Strict, new_writer());
        let (checked, user) = tokio::join!(appender.check(), user());
        checked.map_err(|error| not_done(&CommandError::from(error).to_string()))?;
        let heads = opened.heads_if_keyed().map(|options| Keeper::new(options, Of::Commands));
        Ok(Self { appender, heads, clock: Arc::clone(&opened.clock), user })
    }

    /// A record of a command about the whole installation.
    pub fn of_server(&self, action: &str) -> AuditRecord {
        let mut record = AuditRecord::new(Origin::Cli, action, self.clock.now());
        record.subject = Some(self.user.clone());
        record
    }

    /// A record of a command about a tenant.
    pub fn of_tenant(&self, action: &str, tenant: &Tenant) -> AuditRecord {
        let mut record = self.of_name(action, &tenant.name);
        tenant.role.as_str().clone_into(&mut record.chain);
        record
    }

    /// A record of a command about the name of a tenant that is not there, or not known to be.
    pub fn of_name(&self, action: &str, name: &TenantName) -> AuditRecord {
        let mut record = self.of_server(action);
        record.tenant = Some(name.to_string());
        record
    }

    /// Writes that the change begins, or the sentence why it must not.
    pub async fn begin(&mut self, record: &AuditRecord) -> Result<(), CommandError> {
        let mut intention = record.clone();
        intention.id = Uuid::now_v7();
        intention.decision = Decision::Unknown;
        intention.reason = Some(BEGUN.to_owned());
        self.write(&intention).await.map_err(|why| not_done(&why))
    }

    /// Writes how the command ended, and hands that on; without the record, it did not end well.
    pub async fn end<T>(
        &mut self,
        mut record: AuditRecord,
        outcome: Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        match &outcome {
            Ok(_) => record.decision = Decision::Allowed,
            Err(error) => {
                record.decision = Decision::Denied;
                record.reason = Some(shortened(&error.to_string(), MAX_REASON));
            }
        }
        let Err(why) = self.write(&record).await else { return outcome };
        Err(CommandError::new(match outcome {
            Ok(_) => format!("it was done, but its audit record could not be written: {why}"),
            Err(error) => format!("{error}; and the audit record of this could not be written: {why}"),
        }))
    }

    /// Writes that these things are done, or says why it cannot.
    pub async fn note(&mut self, mut records: Vec<AuditRecord>) -> Result<(), String> {
        for record in &mut records {
            record.decision = Decision::Allowed;
        }
        self.write_all(&records.iter().collect::<Vec<_>>()).await
    }

    async fn write(&mut self, record: &AuditRecord) -> Result<(), String> {
        self.write_all(&[record]).await
    }

    async fn write_all(&mut self, records: &[&AuditRecord]) -> Result<(), String> {
        match self.appender.append(records).await {
            Ok(outcomes) if outcomes.iter().all(|outcome| *outcome == Outcome::Written) => {
                self.keep_heads().await;
                Ok(())
            }
            Ok(_) => Err("the audit store cannot take it".to_owned()),
            Err(error) => Err(CommandError::from(error).to_string()),
        }
    }
}

impl Recorder {
    /// Keeps where the chains end now. A command that cannot has done its work all the same.
    async fn keep_heads(&mut self) {
        let Some(keeper) = &mut self.heads else { return };
        if let Err(error) = keeper.keep(self.appender.take_heads(), &*self.clock).await {
            print::note(&format!("the head of the audit chain cannot be kept outside of the database: {error}"));
        }
    }
}

fn not_done(why: &str) -> CommandError {
    CommandError::new(format!("nothing was done, because no audit record of it can be written: {why}"))
}

/// The user of the operating system that gave the command: by name, else by number.
async fn user() -> String {
    // The standard library does not say, and the call that does is unsafe.
    for flag in ["-un", "-u"] {
        let asked = Command::new("id").arg(flag).stdin(Stdio::null()).stderr(Stdio::null()).output().await;
        let name = asked.ok().filter(|output| output.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
        if let Some(name) = name.map(|name| name.trim().to_owned())
            && !name.is_empty()
            && !name.chars().any(char::is_control)
        {
            return shortened(&name, MAX_USER);
        }
    }
    "unknown".to_owned()
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("", 0), "");
    }

    #[tokio::test]
    async fn the_user_has_a_name() {
        let name = user().await;
        assert!(!name.is_empty() && name != "unknown");
    }
}
