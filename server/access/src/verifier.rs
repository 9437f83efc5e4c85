//! A credential into an [`Access`], or the reason why not (contract, section 3).
//!
//! The signature and what follows from the claims alone are remembered by the token's hash. Everything that may change
//! under a token — time, tenant, registration, key, revocation, proof — is judged again for every request, by the directory
//! the request found.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use moka::sync::Cache;

use crate::{
    access::{Access, Holder, Tier},
    claims::{ClaimMapping, Claims},
    clock::Clock,
    directory::{Directory, Issuer},
    dpop::DpopNonces,
    gate::{self, Presented},
    hash::sha256,
    keys::is_low_s,
    proof::{Circumstances, Credential},
    refusal::{Caller, Claimed, ProofNonce, Refusal, bounded},
    revocations::Revocable,
    scope::{Reach, ScopeSet, User, Who},
    tenant::{Tenant, TenantName, TenantRole, TenantStatus},
};

mod api_key;
mod delegated;
mod prover;

pub use api_key::UsedKey;
use api_key::UsedKeys;
pub(crate) use delegated::Entry;
pub use delegated::{Delegated, Withheld};
use prover::{Proof, Proven, Prover, Unmet};

/// Difference allowed between an issuer's clock and ours, in milliseconds.
const LEEWAY: i64 = 5_000;
/// Memory for remembered tokens: some 5,000 callers at once, and no more however many come.
const MEMORY: u64 = 16 * 1_024 * 1_024;
/// What a remembered token takes beside its own length: scopes as rules, ten predicates, strings.
const OVERHEAD: usize = 2_048;
/// What an entry for another tenant takes.
const ENTRY: usize = 1_024;
/// A token that nobody showed for this long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

/// The base a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// `/t/{tenant}/fhir`: the token must be this tenant's, or one that a grant of this tenant's lets in.
    Fhir(TenantName),
    /// `/t/{tenant}` and what else lies below it: the token must be this tenant's.
    Tenant(TenantName),
    /// `/fhir`: the tenant is the token's.
    Global,
}

/// A token whose signature was found good.
struct Known {
    claims: Claims,
    claimed: Claimed,
    kid: String,
    algorithm: Algorithm,
    fingerprint: [u8; 32],
    says_access_token: bool,
    mapping: Arc<ClaimMapping>,
    /// The tenant that `holder` was made for.
    tenant: TenantRole,
    holder: Arc<Holder>,
    size: usize,
}

/// Verifies credentials and remembers tokens it found good.
pub struct Verifier {
    clock: Arc<dyn Clock>,
    known: Cache<[u8; 32], Arc<Known>>,
    prover: Prover,
    used_keys: UsedKeys,
    figures: VerifierFigures,
}

/// What a verifier did so far, for metrics.
#[derive(Debug, Default)]
pub struct VerifierFigures {
    /// Tokens whose signature was known to be good.
    pub remembered: AtomicU64,
    /// Tokens that were looked at from the beginning.
    pub judged: AtomicU64,
}

impl Verifier {
    /// Makes a verifier that remembers nothing yet. Nonces of proofs are those of every server with this key.
    pub fn new(clock: Arc<dyn Clock>, nonces: DpopNonces) -> Self {
        let known = Cache::builder()
            .max_capacity(MEMORY)
            .weigher(|_, known: &Arc<Known>| u32::try_from(known.size + OVERHEAD).unwrap_or(u32::MAX))
            .time_to_idle(IDLE)
            .build();
        Self {
            clock,
            known,
            prover: Prover::new(nonces),
            used_keys: UsedKeys::default(),
            figures: VerifierFigures::default(),
        }
    }

    /// Who shows this credential in these circumstances, as the directory has it now.
    pub fn verify(
        &self,
        directory: &Directory,
        credential: &Credential<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Access, Refusal> {
        let now = self.clock.now();
        let (own, proven, known) = self.prove(directory, credential, circumstances, now)?;
        let access = check_base(directory, own.clone(), circumstances.base, now)?;
        if let Some(grant) = access.grant() {
            // What the tenant asks of its own callers it asks of others' too.
            let (tenant, grant) = (access.tenant(), Some(grant.id.clone()));
            proven.meets(tenant, circumstances, now).map_err(|unmet| match unmet {
                Unmet::Refused(reason) => delegated::refusal(own, tenant.name.clone(), grant, reason),
                Unmet::Nonce(reason) => Refusal::Proof {
                    reason,
                    nonce: ProofNonce::Wanted,
                    claimed: known.map(|known| Box::new(known.claimed.clone())),
                },
            })?;
        }
        Ok(access)
    }

    /// Who shows this credential at the base of its own tenant, and in which other tenants it may read now.
    pub fn delegated(
        &self,
        directory: &Directory,
        credential: &Credential<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Delegated, Refusal> {
        let now = self.clock.now();
        let (own, proven, _) = self.prove(directory, credential, circumstances, now)?;
        let own = check_base(directory, own, circumstances.base, now)?;
        if let Err(reason) = delegated::says_so(&own) {
            let asked = own.tenant().name.clone();
            return Err(delegated::refusal(own, asked, None, reason));
        }
        let mut withheld = delegated::withheld(directory, &own, now);
        let mut grantors = delegated::all(directory, &own, now);
        grantors.retain(|access| match proven.meets(access.tenant(), circumstances, now) {
            Ok(()) => true,
            Err(Unmet::Refused(reason) | Unmet::Nonce(reason)) => {
                withheld.push(Withheld::unproven(access, reason));
                false
            }
        });
        Ok(Delegated { own, grantors, withheld })
    }

    /// Who shows this credential, in their own tenant, having proven what that asks for.
    fn prove(
        &self,
        directory: &Directory,
        credential: &Credential<'_>,
        circumstances: &Circumstances<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Access, Proven, Option<Arc<Known>>), Refusal> {
        let (token, proof) = match *credential {
            Credential::Bearer(token) => (token, None),
            Credential::Dpop { token, proof } => (token, Some(Proof { proof, token })),
            Credential::ApiKey(text) => {
                let access = api_key::admit(directory, text, circumstances, now)?;
                self.used_keys.note(&access, now);
                return Ok((access, Proven::default(), None));
            }
        };
        let (known, access) = self.admit(directory, token, now)?;
        let proven = self.prover.prove(&access, &known.claimed, proof, circumstances, now)?;
        Ok((access, proven, Some(known)))
    }

    /// What a token says that is good now, whoever shows it: for introspection (RFC 7662), where the party that asks is
    /// not the one that would have to prove anything, and for nothing else.
    pub fn introspect(&self, directory: &Directory, token: &str) -> Result<Access, Refusal> {
        let now = self.clock.now();
        let (_, access) = self.admit(directory, token, now)?;
        check_base(directory, access, &Base::Global, now)
    }

    /// A token that is good in itself.
    fn admit(&self, directory: &Directory, token: &str, now: DateTime<Utc>) -> Result<(Arc<Known>, Access), Refusal> {
        gate::check_length(token)?;
        let hash = sha256(&[token.as_bytes()]);
        if let Some(known) = self.known.get(&hash) {
            if let Some((issuer, tenant)) = known.still_stands(directory) {
                self.figures.remembered.fetch_add(1, Ordering::Relaxed);
                let access = known.admit(directory, issuer, tenant, now)?;
                return Ok((known, access));
            }
            self.known.invalidate(&hash);
        }
        self.figures.judged.fetch_add(1, Ordering::Relaxed);
        let presented = gate::open(token, |issuer| {
            directory.issuer(issuer).map(|issuer| Arc::clone(&issuer.mapping)).unwrap_or_default()
        })?;
        check_signature(directory, &presented)?;
        let known = Arc::new(Known::of(directory, presented, token.len())?);
        let (issuer, tenant) = known
            .still_stands(directory)
            .ok_or_else(|| Refusal::invalid_of("the issuer changed meanwhile", known.claimed.clone()))?;
        let access = known.admit(directory, issuer, tenant, now)?;
        self.known.insert(hash, Arc::clone(&known));
        Ok((known, access))
    }

    /// The nonce that proofs should hold now, for the `DPoP-Nonce` header.
    pub fn nonce(&self) -> String {
        self.prover.nonces.offered(self.clock.now())
    }

    /// API keys that were used since this was last asked, and when: for the registry to note.
    pub fn take_used_keys(&self) -> Vec<UsedKey> {
        self.used_keys.take()
    }

    /// What it did so far.
    pub fn figures(&self) -> &VerifierFigures {
        &self.figures
    }

    /// How many tokens are remembered, about.
    pub fn remembered(&self) -> u64 {
        self.known.entry_count()
    }
}

/// Whether a base is the caller's, or lets it in, and its tenant serves.
fn check_base(directory: &Directory, access: Access, base: &Base, now: DateTime<Utc>) -> Result<Access, Refusal> {
    match base {
        Base::Fhir(name) if *name != access.tenant().name => delegated::admit(directory, access, name, now),
        Base::Tenant(name) if *name != access.tenant().name => Err(Refusal::WrongTenant(Box::new(Caller::new(access)))),
        _ if access.tenant().status == TenantStatus::Suspended => {
            Err(Refusal::Suspended(Box::new(Caller::new(access))))
        }
        _ => Ok(access),
    }
}

fn check_signature(directory: &Directory, presented: &Presented<'_>) -> Result<(), Refusal> {
    let Presented { header, claims, claimed, message, signature, signature_bytes, .. } = presented;
    let invalid = |reason| Err(Refusal::invalid_of(reason, claimed.clone()));
    let Some(issuer) = directory.issuer(&claims.issuer) else {
        return Err(Refusal::UnknownIssuer(bounded(&claims.issuer)));
    };
    if !issuer.algorithms.allow(header.algorithm) {
        return invalid("the issuer does not sign with this algorithm");
    }
    let Some(key) = issuer.keys.find(&header.kid, header.algorithm) else {
        return if issuer.keys.knows(&header.kid) {
            invalid("the key is not for this algorithm")
        } else {
            Err(Refusal::UnknownKey { issuer: issuer.url.clone() })
        };
    };
    if !key.verifies(header.algorithm, message, signature) {
        return invalid("the signature is not good");
    }
    if directory.is_own_issuer(&issuer.url) && header.algorithm == Algorithm::ES256 && !is_low_s(signature_bytes) {
        return invalid("the signature is a second form of a good one");
    }
    Ok(())
}

impl Known {
    /// What is remembered of a token whose signature is good.
    fn of(directory: &Directory, presented: Presented<'_>, size: usize) -> Result<Self, Refusal> {
        let Presented { header, mut claims, mapping, claimed, .. } = presented;
        let issuer = directory.issuer(&claims.issuer).ok_or_else(|| Refusal::UnknownIssuer(bounded(&claims.issuer)))?;
        let Some(key) = issuer.keys.find(&header.kid, header.algorithm) else {
            return Err(Refusal::UnknownKey { issuer: issuer.url.clone() });
        };
        let tenant = match tenant_of(directory, issuer, claims.tenant.as_deref()) {
            Ok(tenant) => tenant,
            Err(reason) => return Err(Refusal::invalid_of(reason, claimed)),
        };
        let scopes = ScopeSet::of(std::mem::take(&mut claims.scopes));
        let user = User::of(claims.fhir_user.as_deref(), directory, tenant);
        let reach = Reach::of(&scopes, Who { patient: claims.patient.as_deref(), user: &user });
        let expires = DateTime::from_timestamp_millis(claims.expires).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let subject = std::mem::take(&mut claims.subject);
        let entries: Vec<Entry> = std::mem::take(&mut claims.delegations).into_iter().map(Entry::of).collect();
        let size = size + entries.len() * ENTRY;
        let holder = Holder {
            client: claims.client.take(),
            patient: claims.patient.take(),
            encounter: claims.encounter.take(),
            fhir_user: claims.fhir_user.take(),
            jti: claims.jti.take(),
            entries,
            tier: claims.tier.take(),
            issued: claims.issued.and_then(DateTime::from_timestamp_millis),
            approval: claims.approval.take(),
            session: claims.session.take(),
            confirmation: claims.confirmation.take(),
            ..Holder::new(claims.issuer.clone(), subject, scopes, reach, expires)
        };
        Ok(Self {
            fingerprint: *key.fingerprint(),
            kid: header.kid,
            algorithm: header.algorithm,
            says_access_token: header.says_access_token,
            mapping,
            tenant: tenant.role.clone(),
            holder: Arc::new(holder),
            claims,
            claimed,
            size,
        })
    }

    /// The issuer and the tenant, if the registration still says about them what it said when this was remembered.
    fn still_stands<'d>(&self, directory: &'d Directory) -> Option<(&'d Issuer, &'d Arc<Tenant>)> {
        let issuer = directory.issuer(&self.claims.issuer)?;
        let key = issuer.keys.find(&self.kid, self.algorithm)?;
        let tenant = tenant_of(directory, issuer, self.claims.tenant.as_deref()).ok()?;
        let same = *key.fingerprint() == self.fingerprint
            && tenant.role == self.tenant
            && issuer.algorithms.allow(self.algorithm)
            && (Arc::ptr_eq(&issuer.mapping, &self.mapping) || issuer.mapping == self.mapping);
        same.then_some((issuer, tenant))
    }

    /// Judges what changes: everything but the signature.
    fn admit(
        &self,
        directory: &Directory,
        issuer: &Issuer,
        tenant: &Arc<Tenant>,
        now: DateTime<Utc>,
    ) -> Result<Access, Refusal> {
        let invalid = |reason| Err(Refusal::invalid_of(reason, self.claimed.clone()));
        if issuer.strict && !self.says_access_token {
            return invalid("the token does not say that it is an access token");
        }
        if !self.claims.audiences.iter().any(|audience| directory.is_audience(audience, tenant)) {
            return invalid("the token is for another audience");
        }
        match check_times(&self.claims, issuer.max_lifetime, now.timestamp_millis()) {
            Ok(()) => {}
            Err(EXPIRED) => return Err(Refusal::expired(EXPIRED, self.claimed.clone())),
            Err(reason) => return invalid(reason),
        }
        // A tenant that was deleted and made again under its name is another one, whoever vouches for its callers.
        if self.claims.issued.is_some_and(|issued| issued / 1_000 < tenant.created.timestamp()) {
            return invalid("the token was issued before its tenant was made");
        }
        let tier = if issuer.may_set_tier { Tier::Claimed } else { Tier::Tenants };
        let access = Access::new(Arc::clone(tenant), Arc::clone(&self.holder), tier);
        if directory.is_revoked(&tenant.role, &revocable(&access)) {
            return invalid("the token was revoked");
        }
        Ok(access)
    }
}

/// What a token can be taken back by.
fn revocable(access: &Access) -> Revocable<'_> {
    Revocable {
        token: access.jti(),
        client: access.client(),
        user: Some(access.subject()),
        approval: access.approval(),
        session: access.session(),
        issued: access.issued().map(|issued| issued.timestamp()),
    }
}

/// The tenant a token speaks for: the one its issuer is registered for, or the one it names among several.
fn tenant_of<'d>(
    directory: &'d Directory,
    issuer: &'d Issuer,
    claim: Option<&str>,
) -> Result<&'d Arc<Tenant>, &'static str> {
    let mut tenants = directory.tenants_of(issuer);
    match claim {
        Some(name) => {
            tenants.find(|tenant| tenant.name.as_str() == name).ok_or("the issuer is not registered for this tenant")
        }
        None => match (tenants.next(), tenants.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err("the issuer is registered for no tenant"),
            (Some(_), Some(_)) => Err("the issuer serves several tenants and the token names none"),
        },
    }
}

const EXPIRED: &str = "the token has expired";

/// Times, with a leeway of 5 s; a life over the cap is refused, counted from `iat`, else from now.
fn check_times(claims: &Claims, max_lifetime: Duration, now: i64) -> Result<(), &'static str> {
    let cap = i64::try_from(max_lifetime.as_millis()).unwrap_or(i64::MAX);
    if now >= claims.expires.saturating_add(LEEWAY) {
        return Err(EXPIRED);
    }
    if claims.not_before.is_some_and(|not_before| not_before > now.saturating_add(LEEWAY)) {
        return Err("the token is not good yet");
    }
    if claims.issued.is_some_and(|issued| issued > now.saturating_add(LEEWAY)) {
        return Err("the token was issued in the future");
    }
    let begin = claims.issued.unwrap_or(now.saturating_add(LEEWAY));
    if claims.expires.saturating_sub(begin) > cap {
        return Err("the token lives longer than its issuer may make it");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
