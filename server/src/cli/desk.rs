//! The rules of the authorization servers, for a command: the same as the endpoints', over the login role that serves.

use std::sync::Arc;

use vitals_access::{
    audit::AuditRecord,
    dpop::DpopNonces,
    tenant::{Tenant, TenantName},
};
use vitals_store::{
    audit::new_writer,
    control::poll::{DirectoryFeed, FeedOptions},
    migrate::SchemaVersions,
    pool::{PoolLimits, ServedVersions, TenantPool},
    urls::LOGINS,
};

use super::{CommandError, Opened, recorded::Recorder, tenant::unknown};
use crate::authorization::{Desk, Signers};

/// The rules, the tenant they are asked about, and who writes down that they were.
pub struct AtDesk {
    /// The rules.
    pub desk: Desk,
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// Writes the command's record.
    pub recorder: Recorder,
}

impl AtDesk {
    /// Opens what a command about a tenant's authorization server needs; that there is no such tenant is recorded.
    pub async fn open(opened: &Opened<'_>, action: &str, name: &TenantName) -> Result<Self, CommandError> {
        let (desk, mut recorder) = tokio::try_join!(desk(opened), Recorder::open(opened))?;
        let directory = desk.feed.current()?;
        if let Some(tenant) = directory.tenant(name).cloned() {
            return Ok(Self { desk, tenant, recorder });
        }
        let record = recorder.of_name(action, name);
        recorder.end(record, Err(unknown(name))).await
    }

    /// A record about the tenant, of something there by this id.
    pub fn record(&self, action: &str, id: &str) -> AuditRecord {
        let mut record = self.recorder.of_tenant(action, &self.tenant);
        record.resource_id = Some(id.to_owned());
        record
    }
}

async fn desk(opened: &Opened<'_>) -> Result<Desk, CommandError> {
    let logins = (0..LOGINS).map(|slot| opened.urls.login(slot)).collect::<Result<Vec<_>, _>>()?;
    let versions = ServedVersions { oldest: SchemaVersions::oldest(), newest: SchemaVersions::newest() };
    let limits = PoolLimits { connections: 2, per_tenant: 2, ..PoolLimits::default() };
    let master_key = opened.master_key()?;
    let public_url = opened.public_url().await?;
    let feed = DirectoryFeed::of_command(FeedOptions {
        database_url: opened.urls.app.clone(),
        public_url: public_url.clone(),
        writer: new_writer(),
        clock: Arc::clone(&opened.clock),
    })
    .await?;
    Ok(Desk {
        pool: TenantPool::new(&logins, limits, versions)?,
        feed,
        urls: opened.urls.clone(),
        public_url,
        nonces: DpopNonces::new(&master_key.derive("dpop-nonce")),
        master_key,
        clock: Arc::clone(&opened.clock),
        people: Arc::default(),
        signers: Signers::default(),
    })
}
