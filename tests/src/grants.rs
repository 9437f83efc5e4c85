//! Grants between tenants, made as their administrators would, and tokens that use them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use vitals_access::{clock::Clock as _, tenant::TenantRole};
use vitals_store::control::grants::{self, GrantRow, NewGrant};

use crate::{Server, Tenant, Token};

/// How soon a change of grants has to bite, on every server.
pub const BITES_WITHIN: Duration = Duration::from_secs(1);

/// A grant about to be made.
pub struct Offer<'t> {
    from: &'t Tenant,
    to: &'t Tenant,
    scopes: Vec<String>,
    not_before: DateTime<Utc>,
    expires: DateTime<Utc>,
}

impl Tenant {
    /// A grant of these scopes (separated by spaces) to another tenant, from now on for an hour.
    pub fn offer<'t>(&'t self, to: &'t Self, scope: &str) -> Offer<'t> {
        let now = self.server.clock.now();
        let scopes = scope.split(' ').map(str::to_owned).collect();
        Offer { from: self, to, scopes, not_before: now, expires: now + TimeDelta::hours(1) }
    }

    /// The same, made.
    pub async fn grant(&self, to: &Self, scope: &str) -> GrantRow {
        self.offer(to, scope).make().await
    }

    /// Ends a grant that this tenant made. Its server knows at once, others by themselves.
    pub async fn ungrant(&self, id: &str) {
        let role = known(self.server, self).await;
        let mut conn = self.server.cluster.serving().await;
        let ended = grants::revoke(&mut conn, &role, id, "tester", self.server.clock.now()).await.expect("an answer");
        assert!(ended, "a grant ends once");
        self.server.app.feed.refresh().await.expect("the directory is read");
    }

    /// A token that says `org:delegated`, with entries for other tenants' data: their names and scopes, separated by
    /// spaces.
    pub fn delegate(&self, entries: &[(&Self, &str)]) -> Token<'_> {
        let entries: Vec<Value> = entries.iter().map(|(tenant, scope)| self.entry(tenant, scope, 600)).collect();
        self.token("org:delegated").with("delegated_access", entries)
    }

    /// An entry of `delegated_access` that ends in so many seconds.
    pub fn entry(&self, tenant: &Self, scope: &str, seconds: i64) -> Value {
        let scopes: Vec<&str> = scope.split(' ').collect();
        let expires = self.server.clock.now().timestamp() + seconds;
        json!({ "tenant_id": tenant.name.as_str(), "scopes": scopes, "expires": expires })
    }
}

impl Offer<'_> {
    /// From so many seconds from now on, until so many.
    #[must_use]
    pub fn between(mut self, begins: i64, ends: i64) -> Self {
        let now = self.from.server.clock.now();
        (self.not_before, self.expires) = (now + TimeDelta::seconds(begins), now + TimeDelta::seconds(ends));
        self
    }

    /// Makes it. The grantor's server knows at once, others by themselves.
    pub async fn make(self) -> GrantRow {
        let server = self.from.server;
        let new = NewGrant {
            grantor: known(server, self.from).await,
            grantee: known(server, self.to).await,
            scopes: self.scopes,
            purpose: "HRESCH".to_owned(),
            note: None,
            not_before: self.not_before,
            expires: self.expires,
            created_by: "tester".to_owned(),
        };
        let mut conn = server.cluster.serving().await;
        let row = grants::create(&mut conn, &new, server.clock.now()).await.expect("a grant");
        server.app.feed.refresh().await.expect("the directory is read");
        row
    }
}

/// The role of a tenant that may be younger than what the server knows.
async fn known(server: &Server, tenant: &Tenant) -> TenantRole {
    let directory = server.app.feed.refresh().await.expect("the directory is read");
    directory.tenant(&tenant.name).expect("the server knows the tenant").role.clone()
}
