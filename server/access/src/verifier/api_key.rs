//! API keys, for tenants that take them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use super::prover::check_certificate_demanded;
use crate::{
    access::{Access, Tier},
    api_key,
    directory::Directory,
    proof::Circumstances,
    refusal::{Claimed, Refusal},
    revocations::Revocable,
    tenant::TenantRole,
};

/// Keys whose use is remembered; what comes beyond them shows no last use, and works.
const MOST: usize = 10_000;

/// Who holds this key, if its tenant takes keys.
pub(super) fn admit(
    directory: &Directory,
    text: &str,
    circumstances: &Circumstances<'_>,
    now: DateTime<Utc>,
) -> Result<Access, Refusal> {
    let hash = api_key::hash_of(text).ok_or_else(|| Refusal::invalid("this is no API key"))?;
    let key = directory.api_key(&hash).ok_or(Refusal::UnknownApiKey)?;
    let tenant = directory.tenant_of_role(&key.tenant).ok_or(Refusal::UnknownApiKey)?;
    let claimed = || Claimed {
        issuer: Some(api_key::ISSUER.to_owned()),
        subject: Some(key.id.clone()),
        client: key.holder.client.clone(),
        tenant: Some(tenant.name.to_string()),
    };
    let invalid = |reason| Refusal::invalid_of(reason, claimed());
    if !tenant.settings.takes_api_keys() {
        return Err(invalid("this tenant takes no API keys"));
    }
    if tenant.settings.require_proof {
        return Err(invalid("this tenant takes only tokens that are bound to a key or a certificate"));
    }
    if now >= key.expires {
        return Err(Refusal::expired("the API key has expired", claimed()));
    }
    // Everything of the tenant may have been ended at once.
    let asked = Revocable { issued: Some(key.created.timestamp()), ..Revocable::default() };
    if directory.is_revoked(&tenant.role, &asked) {
        return Err(invalid("the API key was revoked"));
    }
    let access = Access::new(Arc::clone(tenant), Arc::clone(&key.holder), Tier::Tenants);
    check_certificate_demanded(&access, circumstances, now).map_err(invalid)?;
    Ok(access)
}

/// A key that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedKey {
    /// Whose it is.
    pub tenant: TenantRole,
    /// Its id.
    pub id: String,
    /// When, the last time.
    pub at: DateTime<Utc>,
}

/// Keys that were used and not noted in the registry yet.
#[derive(Debug, Default)]
pub(super) struct UsedKeys(Mutex<HashMap<(TenantRole, String), DateTime<Utc>>>);

impl UsedKeys {
    pub(super) fn note(&self, access: &Access, at: DateTime<Utc>) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (access.tenant().role.clone(), access.subject().to_owned());
        if used.len() < MOST || used.contains_key(&key) {
            used.insert(key, at);
        }
    }

    pub(super) fn take(&self) -> Vec<UsedKey> {
        let used = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        used.into_iter().map(|((tenant, id), at)| UsedKey { tenant, id, at }).collect()
    }
}
