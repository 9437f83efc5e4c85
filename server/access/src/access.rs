//! A verified caller. Made by [`crate::verifier::Verifier::verify`], or by a job's ticket, and by nothing else: who
//! holds an `Access` need not ask again who calls or for which tenant.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use vitals_fhir::{interaction::Letter, resource::ResourceType};

use crate::{
    claims::{Confirmation, Delegation},
    predicate::Visible,
    scope::{Reach, ScopeSet},
    tenant::Tenant,
};

mod job;

pub use job::{JobTicket, StoredJob};

/// Who calls, for which tenant, and what they may reach of it.
#[derive(Clone)]
pub struct Access {
    tenant: Arc<Tenant>,
    holder: Arc<Holder>,
    tier: Tier,
}

/// Where the limits of a caller come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tier {
    /// The tenant's tier.
    Tenants,
    /// The token's claim.
    Claimed,
}

/// What a credential says about its holder, and what follows from it; shared by every request that shows it.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) reach: Reach,
    pub(crate) patient: Option<String>,
    pub(crate) encounter: Option<String>,
    pub(crate) fhir_user: Option<String>,
    pub(crate) jti: Option<String>,
    pub(crate) expires: DateTime<Utc>,
    pub(crate) delegations: Vec<Delegation>,
    pub(crate) tier: Option<String>,
    pub(crate) issued: Option<DateTime<Utc>>,
    pub(crate) approval: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) confirmation: Option<Confirmation>,
}

impl Holder {
    /// A holder of whom nothing is said but who they are, until when, and what they reach.
    pub(crate) fn new(issuer: String, subject: String, scopes: ScopeSet, reach: Reach, expires: DateTime<Utc>) -> Self {
        Self {
            issuer,
            subject,
            client: None,
            scopes,
            reach,
            patient: None,
            encounter: None,
            fhir_user: None,
            jti: None,
            expires,
            delegations: Vec::new(),
            tier: None,
            issued: None,
            approval: None,
            session: None,
            confirmation: None,
        }
    }
}

impl Access {
    pub(crate) fn new(tenant: Arc<Tenant>, holder: Arc<Holder>, tier: Tier) -> Self {
        Self { tenant, holder, tier }
    }

    /// The caller's tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Who vouches for the caller.
    pub fn issuer(&self) -> &str {
        &self.holder.issuer
    }

    /// The caller (`sub`).
    pub fn subject(&self) -> &str {
        &self.holder.subject
    }

    /// The program the caller uses (`client_id`, else `azp`).
    pub fn client(&self) -> Option<&str> {
        self.holder.client.as_deref()
    }

    /// The scopes as given.
    pub fn scopes(&self) -> &ScopeSet {
        &self.holder.scopes
    }

    /// The patient in context.
    pub fn patient(&self) -> Option<&str> {
        self.holder.patient.as_deref()
    }

    /// The encounter in context.
    pub fn encounter(&self) -> Option<&str> {
        self.holder.encounter.as_deref()
    }

    /// The `fhirUser` claim as given.
    pub fn fhir_user(&self) -> Option<&str> {
        self.holder.fhir_user.as_deref()
    }

    /// The token's own id.
    pub fn jti(&self) -> Option<&str> {
        self.holder.jti.as_deref()
    }

    /// When the credential ends.
    pub fn expires(&self) -> DateTime<Utc> {
        self.holder.expires
    }

    /// When the credential was issued, where it says so.
    pub fn issued(&self) -> Option<DateTime<Utc>> {
        self.holder.issued
    }

    /// The approval under which our own authorization server issued the token.
    pub fn approval(&self) -> Option<&str> {
        self.holder.approval.as_deref()
    }

    /// The session the token belongs to.
    pub fn session(&self) -> Option<&str> {
        self.holder.session.as_deref()
    }

    /// The thumbprint of the certificate that the token is bound to (`x5t#S256`).
    pub fn bound_certificate(&self) -> Option<&[u8; 32]> {
        self.holder.confirmation.as_ref()?.certificate.as_ref()
    }

    /// The thumbprint of the key that the token is bound to (`jkt`).
    pub fn bound_key(&self) -> Option<&[u8; 32]> {
        self.holder.confirmation.as_ref()?.key.as_ref()
    }

    /// What the token says other tenants granted; a grant must say so too.
    pub fn delegated(&self) -> &[Delegation] {
        &self.holder.delegations
    }

    /// The tier the caller's limits come from: the token's where its issuer may set it, else the tenant's.
    pub fn tier(&self) -> &str {
        match (self.tier, &self.holder.tier) {
            (Tier::Claimed, Some(tier)) => tier,
            _ => &self.tenant.tier,
        }
    }

    /// The rows of a type that an interaction of this letter reaches; nothing if no scope covers it.
    pub fn visible(&self, resource: ResourceType, letter: Letter) -> Visible {
        self.reach(resource, letter).clone()
    }

    /// The same as [`Access::visible`], borrowed.
    pub fn reach(&self, resource: ResourceType, letter: Letter) -> &Visible {
        self.holder.reach.visible(resource, letter)
    }

    /// Whether an update may create at an id the caller chose. Only who may update every row may: for anybody else the
    /// answer would tell whether a row out of reach exists.
    pub fn may_create_at_chosen_id(&self, resource: ResourceType) -> bool {
        *self.reach(resource, Letter::Update) == Visible::Everything
    }

    /// The scopes that cover the interaction, as given.
    pub fn used(&self, resource: ResourceType, letter: Letter) -> Vec<String> {
        let texts = self.holder.scopes.texts();
        self.holder.reach.used(resource, letter).iter().filter_map(|place| texts.get(*place).cloned()).collect()
    }

    /// What an interaction of this letter reaches of the trail, as scopes over AuditEvent say: by the patients that
    /// records are about.
    pub fn trail(&self, letter: Letter) -> &Visible {
        self.holder.reach.trail(letter).0
    }

    /// The scopes over AuditEvent that cover the interaction, as given.
    pub fn used_on_trail(&self, letter: Letter) -> Vec<String> {
        let texts = self.holder.scopes.texts();
        self.holder.reach.trail(letter).1.iter().filter_map(|place| texts.get(*place).cloned()).collect()
    }

    /// Whether a plain scope (`org:delegated`, `analytics:read`) is there.
    pub fn has(&self, plain: &str) -> bool {
        self.holder.scopes.has(plain)
    }
}

/// Says no more than the tenant's role, so that no log line holds who somebody is.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("tenant", &self.tenant.role).finish_non_exhaustive()
    }
}
