//! The rules of the authorization servers: who may become a client, what may be granted, how it ends. No HTTP, no SQL;
//! used by the endpoints (`crate::oauth`), by administration (`crate::admin`) and by commands (`crate::cli`).

pub mod accounts;
pub mod administration;
pub mod api_keys;
pub mod approvals;
pub mod approve;
mod attempts;
pub mod clients;
pub mod context;
pub mod ending;
pub mod grants;
pub mod keys;
pub mod lockdown;
pub mod passwords;
pub mod provider;
pub mod secrets;
pub mod sessions;
mod signers;
pub mod tokens;

use std::sync::Arc;

use vitals_access::{clock::Clock, dpop::DpopNonces, tenant::Tenant};
use vitals_store::{control::poll::DirectoryFeed, pool::TenantPool, seal::MasterKey, urls::Urls};

pub use self::{
    approve::{ApproveError, ApprovedRequest, approve},
    context::{LaunchContext, Patients},
    ending::DeskError,
    signers::Signers,
};

/// What is remembered of people who sign in, while the server runs.
#[derive(Debug)]
pub struct People {
    /// Compares passwords, a few at a time.
    pub passwords: passwords::Passwords,
    /// What outside providers said of themselves.
    pub providers: provider::Providers,
    /// Addresses that failed.
    attempts: attempts::Attempts,
    /// Addresses whose clients failed to prove themselves, or brought codes and tokens that are not good.
    pub clients: attempts::Attempts,
}

impl Default for People {
    fn default() -> Self {
        Self {
            passwords: passwords::Passwords::default(),
            providers: provider::Providers::default(),
            attempts: attempts::Attempts::default(),
            clients: attempts::Attempts::of_clients(),
        }
    }
}

/// What the rules work on.
#[derive(Clone)]
pub struct Desk {
    /// Opens tenants.
    pub pool: TenantPool,
    /// Who there is.
    pub feed: DirectoryFeed,
    /// The databases.
    pub urls: Urls,
    /// The URL clients use, without a slash at the end.
    pub public_url: String,
    /// What secrets at rest are sealed under.
    pub master_key: MasterKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who signs in.
    pub people: Arc<People>,
    /// Opened signing keys.
    pub signers: Signers,
    /// Nonces of DPoP proofs.
    pub nonces: DpopNonces,
}

impl Desk {
    /// The issuer of a tenant's own tokens.
    pub fn issuer(&self, tenant: &Tenant) -> String {
        format!("{}/t/{}/auth", self.public_url, tenant.name)
    }

    /// The FHIR base of a tenant: the audience of its tokens.
    pub fn audience(&self, tenant: &Tenant) -> String {
        format!("{}/t/{}/fhir", self.public_url, tenant.name)
    }
}
