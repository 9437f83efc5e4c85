//! A running server as its requests see it: who there is, how tenants are opened, where the trail goes. `crate::app`
//! puts it together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::sync::Semaphore;
use vitals_access::{
    audit::{AuditRecord, Queries},
    clock::Clock,
    directory::Directory,
    tenant::TenantName,
    verifier::Verifier,
};
use vitals_store::{
    control::poll::{DirectoryFeed, KeySource, Stale},
    pool::TenantPool,
    seal::MasterKey,
    urls::Urls,
};

use crate::{
    audit::{AuditView, AuditWriter},
    egress::{Cidr, Egress, JwksKeeper},
    limit::Limiter,
    telemetry::metrics::Metrics,
    tls::Trust,
};

/// Documents about the server that do not change while it runs.
#[derive(Clone, Debug)]
pub struct Documents {
    /// `/openapi.json`
    pub openapi: String,
    /// `/openapi.plain.json`
    pub openapi_plain: String,
    /// `/docs`
    pub docs: String,
    /// The Content-Security-Policy of `/docs`.
    pub docs_policy: &'static str,
}

/// A running server, without its listeners.
pub struct App {
    /// The databases.
    pub urls: Urls,
    /// The URL clients use, without a slash at the end.
    pub public_url: String,
    /// When it started, for documents that carry a date.
    pub started: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What secrets and page links are sealed under.
    pub master_key: MasterKey,
    /// Who there is.
    pub feed: DirectoryFeed,
    /// Judges tokens.
    pub verifier: Verifier,
    /// The rules of the authorization servers.
    pub desk: crate::authorization::Desk,
    /// Opens tenants.
    pub pool: TenantPool,
    /// The trail.
    pub audit: AuditWriter,
    /// The trail, to be looked at.
    pub audit_view: AuditView,
    /// What the trail keeps of the criteria of searches.
    pub queries: Queries,
    /// Whose word about client certificates is taken.
    pub trust: Arc<Trust>,
    /// Whose word about clients is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// Decides who comes too often.
    pub limiter: Limiter,
    /// What is counted.
    pub metrics: Metrics,
    /// Documents about the server.
    pub documents: Documents,
    /// Keeps the keys of outside issuers.
    pub keeper: JwksKeeper,
    /// Asks elsewhere.
    pub egress: Egress,
    /// Lets so many large Bundles be read at once.
    pub large_bundles: Semaphore,
    /// Memory for the bodies of requests, in kilobytes.
    pub bodies: Arc<Semaphore>,
    /// How many requests are at work.
    pub working: Arc<AtomicUsize>,
}

/// One request at work; a stopping server waits for it even when its client is gone.
pub struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether the server can do its work, part by part.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// The directory was read within the last three seconds.
    pub database: bool,
    /// Audit records can be written.
    pub audit: bool,
}

impl Readiness {
    /// Whether all of it holds.
    pub const fn is_ready(self) -> bool {
        self.database && self.audit
    }

    /// As the body of `/readyz`. A server does not start unless the schemas it shares are at its version, and nobody
    /// takes migrations back; a tenant that is behind is answered for itself.
    pub fn to_json(self) -> String {
        json!({ "ready": self.is_ready(), "database": self.database, "migrations": true, "audit": self.audit })
            .to_string()
    }
}

impl App {
    /// Who there is now.
    pub fn directory(&self) -> Result<Arc<Directory>, Stale> {
        self.feed.current()
    }

    /// Counts a request as being at work.
    pub fn in_flight(&self) -> InFlight {
        self.working.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(&self.working))
    }

    /// Looks for the keys of an issuer after a token named one that is not known: in the registry, and where the
    /// issuer publishes them.
    pub async fn refresh_keys(&self, issuer: &str) -> Result<(), Stale> {
        self.feed.refresh().await?;
        if let Some(source) = self.key_source(issuer)
            && let Ok(fetched) = self.keeper.keys_after_miss(issuer, &source.jwks_url).await
        {
            self.feed.set_fetched_keys(&source, fetched.keys, fetched.fetched_at);
        }
        Ok(())
    }

    /// Whether an issuer's keys have to be fetched and none can be had: a token of its cannot be judged then.
    pub fn keys_unavailable(&self, issuer: &str) -> bool {
        self.feed.key_sources().iter().any(|(source, fetched)| source.issuer == issuer && fetched.is_none())
    }

    fn key_source(&self, issuer: &str) -> Option<KeySource> {
        self.feed.key_sources().into_iter().map(|(source, _)| source).find(|source| source.issuer == issuer)
    }

    /// The JWK Set a tenant publishes.
    pub fn own_jwks(&self, directory: &Directory, name: &TenantName) -> Option<String> {
        let issuer = directory.issuer(&directory.own_issuer_url(name))?;
        Some(issuer.keys.text().to_owned())
    }

    /// Writes the records of refusals by the address limit. What cannot be written now is told in the log alone: those
    /// who were refused have their answers.
    pub async fn write_floods(&self, records: Vec<AuditRecord>) {
        for record in records {
            let (chain, count) = (record.chain.clone(), record.count);
            if self.audit.record(record).await.is_err() {
                tracing::error!(chain, count, "a record of refusals by the address limit was not written");
            }
        }
    }

    /// Whether the server can do its work.
    pub fn readiness(&self) -> Readiness {
        Readiness { database: self.directory().is_ok(), audit: self.audit.is_writable() }
    }

    /// Lets requests end whose clients are gone, settles the trail and stops the background work.
    pub async fn stop(&self, within: Duration) {
        let end = tokio::time::Instant::now() + within;
        while self.working.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.write_floods(self.limiter.rest()).await;
        self.audit.stop(end.saturating_duration_since(tokio::time::Instant::now())).await;
        self.feed.stop().await;
    }
}
