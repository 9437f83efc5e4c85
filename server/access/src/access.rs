//! A verified caller. Made by [`crate::verifier::Verifier::verify`], or by a job's ticket, and by nothing else: who
//! holds an `Access` need not ask again who calls or for which tenant.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use vitals_fhir::{interaction::Letter, resource::ResourceType};

use crate::{
    claims::{Confirmation, Delegation},
    grant::Grant,
    predicate::Visible,
    scope::{Reach, ScopeSet},
    tenant::Tenant,
    verifier::Entry,
};

mod job;

pub use job::{JobTicket, StoredJob};

/// Who calls, for which tenant, and what they may reach of it.
#[derive(Clone)]
pub struct Access {
    tenant: Arc<Tenant>,
    holder: Arc<Holder>,
    tier: Tier,
    under: Option<UnderGrant>,
}

/// How a caller of another tenant got in.
#[derive(Clone)]
struct UnderGrant {
    under: Arc<Under>,
    /// The place of the grant that this request is made under.
    chosen: usize,
}

/// What lets a caller of another tenant in.
#[derive(Debug)]
pub(crate) struct Under {
    /// The caller's own tenant.
    pub(crate) acting: Arc<Tenant>,
    /// The scopes that the token has for this tenant, as given.
    pub(crate) texts: Vec<String>,
    /// The grants it may use, the newest first, and what the token and each of them both reach. Never empty.
    pub(crate) granted: Vec<(Arc<Grant>, Reach)>,
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
    pub(crate) entries: Vec<Entry>,
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
            entries: Vec::new(),
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
        Self { tenant, holder, tier, under: None }
    }

    /// The same caller in another tenant.
    pub(crate) fn in_tenant(&self, tenant: Arc<Tenant>, under: Under) -> Self {
        let under = Some(UnderGrant { under: Arc::new(under), chosen: 0 });
        Self { tenant, holder: Arc::clone(&self.holder), tier: self.tier, under }
    }

    /// The tenant whose data is opened: the caller's own, or the one whose grant lets the caller in.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The caller's own tenant. What callers use up is theirs, so limits are counted on it.
    pub fn acting(&self) -> &Arc<Tenant> {
        self.under.as_ref().map_or(&self.tenant, |by| &by.under.acting)
    }

    /// The grant that lets a caller of another tenant in.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.granted().map(|(grant, _)| grant)
    }

    /// The same caller as it asks for this. One request is made under one grant: where several stand, the newest that
    /// reaches what is asked for.
    #[must_use]
    pub fn asking(&self, resource: ResourceType, letter: Letter) -> Self {
        let mut asking = self.clone();
        if let Some(by) = &mut asking.under {
            let reaches = |(_, reach): &(_, Reach)| *reach.visible(resource, letter) != Visible::Nothing;
            by.chosen = by.under.granted.iter().position(reaches).unwrap_or(0);
        }
        asking
    }

    /// The scopes that the token has for this tenant, as given, where it is another than the caller's own.
    pub fn delegated_scopes(&self) -> &[String] {
        self.under.as_ref().map_or(&[], |by| &by.under.texts)
    }

    fn granted(&self) -> Option<&(Arc<Grant>, Reach)> {
        self.under.as_ref().and_then(|by| by.under.granted.get(by.chosen))
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

    /// The encounter in context; there is none in another tenant.
    pub fn encounter(&self) -> Option<&str> {
        self.holder.encounter.as_deref().filter(|_| self.under.is_none())
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
    pub fn delegated(&self) -> impl Iterator<Item = &Delegation> {
        self.holder.entries.iter().map(|entry| &entry.delegation)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.holder.entries
    }

    /// The tier the caller's limits come from: the token's where its issuer may set it, else the tenant's.
    pub fn tier(&self) -> &str {
        match (self.tier, &self.holder.tier) {
            (Tier::Claimed, Some(tier)) => tier,
            _ => &self.acting().tier,
        }
    }

    /// The rows of a type that an interaction of this letter reaches; nothing if no scope covers it.
    pub fn visible(&self, resource: ResourceType, letter: Letter) -> Visible {
        self.reach(resource, letter).clone()
    }

    /// The same as [`Access::visible`], borrowed.
    pub fn reach(&self, resource: ResourceType, letter: Letter) -> &Visible {
        self.granted().map_or(&self.holder.reach, |(_, reach)| reach).visible(resource, letter)
    }

    /// Whether an update may create at an id the caller chose. Only who may update every row may: for anybody else the
    /// answer would tell whether a row out of reach exists.
    pub fn may_create_at_chosen_id(&self, resource: ResourceType) -> bool {
        *self.reach(resource, Letter::Update) == Visible::Everything
    }

    /// The scopes that cover the interaction, as given.
    pub fn used(&self, resource: ResourceType, letter: Letter) -> Vec<String> {
        let (texts, reach) = match (&self.under, self.granted()) {
            (Some(by), Some((_, reach))) => (by.under.texts.as_slice(), reach),
            _ => (self.holder.scopes.texts(), &self.holder.reach),
        };
        reach.used(resource, letter).iter().filter_map(|place| texts.get(*place).cloned()).collect()
    }

    /// What an interaction of this letter reaches of the trail, as scopes over AuditEvent say: by the patients that
    /// records are about. Nothing in another tenant: what is granted is data.
    pub fn trail(&self, letter: Letter) -> &Visible {
        self.granted().map_or(&self.holder.reach, |(_, reach)| reach).trail(letter).0
    }

    /// The scopes over AuditEvent that cover the interaction, as given.
    pub fn used_on_trail(&self, letter: Letter) -> Vec<String> {
        if self.under.is_some() {
            return Vec::new();
        }
        let texts = self.holder.scopes.texts();
        self.holder.reach.trail(letter).1.iter().filter_map(|place| texts.get(*place).cloned()).collect()
    }

    /// Whether a plain scope (`org:delegated`, `analytics:read`) is there. It is about the caller's own tenant: in
    /// another, none is.
    pub fn has(&self, plain: &str) -> bool {
        self.under.is_none() && self.holder.scopes.has(plain)
    }
}

/// Says no more than the tenant's role, so that no log line holds who somebody is.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("tenant", &self.tenant.role).finish_non_exhaustive()
    }
}
