//! Moving on what dead writers left in outboxes, for a command; a server does the same through its own writer.

use uuid::Uuid;
use vitals_access::{audit::AuditRecord, tenant::TenantRole};

use super::{Appender, AuditError, Claim, Durability, Leftover, OutboxSession, Outcome};
use crate::urls::Urls;

/// Records of one round.
const AT_ONCE: u32 = 500;

/// Whose outboxes to look at.
#[derive(Clone, Copy, Debug)]
pub enum Recover<'a> {
    /// Those of tenants that a dead writer may have left records in.
    OfDeadWriters,
    /// That of one tenant, whoever wrote to it. For a tenant that is about to be deleted, and no longer serves.
    OfTenant(&'a TenantRole),
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that the audit database has on disk now, and that left their outbox.
    pub moved: u64,
    /// Rows that could not be moved: they hold no record, or one that the audit database can never take.
    pub stuck: u64,
}

/// Moves leftovers on. Safe while servers run, and while others do the same. The lists of dead writers stay; a server
/// takes them away.
pub async fn recover(urls: &Urls, what: Recover<'_>, writer: i64) -> Result<Recovered, AuditError> {
    let mut mover = Mover {
        outbox: OutboxSession::open(&urls.app).await?,
        appender: Appender::new(urls, Durability::Strict, writer),
        recovered: Recovered::default(),
    };
    match what {
        Recover::OfTenant(tenant) => mover.empty(tenant, Leftover::Any).await?,
        Recover::OfDeadWriters => {
            let mut claims = Claim::look(&urls.app).await?;
            for unsettled in claims.of_dead().await? {
                mover.empty(&unsettled.tenant, Leftover::Of(unsettled.writer)).await?;
            }
        }
    }
    Ok(mover.recovered)
}

struct Mover {
    outbox: OutboxSession,
    appender: Appender,
    recovered: Recovered,
}

impl Mover {
    async fn empty(&mut self, tenant: &TenantRole, which: Leftover) -> Result<(), AuditError> {
        loop {
            let found = self.outbox.leftovers(tenant, which, AT_ONCE).await?;
            let records: Vec<&AuditRecord> = found.records.iter().collect();
            let outcomes = if records.is_empty() { Vec::new() } else { self.appender.append(&records).await? };
            let written = records.iter().zip(outcomes).filter(|(_, outcome)| *outcome == Outcome::Written);
            let ids: Vec<Uuid> = written.map(|(record, _)| record.id).collect();
            if ids.is_empty() {
                self.recovered.stuck += (records.len() + found.unreadable) as u64;
                return Ok(());
            }
            self.outbox.remove(tenant, &ids).await?;
            self.recovered.moved += ids.len() as u64;
        }
    }
}
