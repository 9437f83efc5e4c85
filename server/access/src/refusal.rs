//! Why a caller was not let in, in words for the audit trail. Only the REST layer makes answers of it.

use std::{fmt, sync::Arc};

use vitals_fhir::json::Value;

use crate::{
    access::Access,
    tenant::{Tenant, TenantName},
};

/// Longest text kept of a claim that was never verified.
const MAX_CLAIMED: usize = 200;

/// A request without a usable credential.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// No token came with the request.
    #[error("no credentials")]
    NoCredentials,
    /// The token came in a way that is not allowed.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The token is not good.
    #[error("{reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
        /// Whether it was good once.
        expired: bool,
        /// What it claimed, as far as it could be read; nobody vouches for it.
        claimed: Option<Box<Claimed>>,
    },
    /// The token may be good; the proof that came with it is not (RFC 9449, section 7.1).
    #[error("{reason}")]
    Proof {
        /// What is wrong with it.
        reason: &'static str,
        /// Whether it is good but for the nonce, so that it is worth another try.
        nonce: ProofNonce,
        /// What the token claimed.
        claimed: Option<Box<Claimed>>,
    },
    /// No API key of this tenant or any has this text.
    #[error("the API key is not known")]
    UnknownApiKey,
    /// Nobody registered the issuer (its name, unverified and cut short).
    #[error("the issuer is not registered")]
    UnknownIssuer(String),
    /// The issuer is registered, the key is not known.
    #[error("the issuer has no such key")]
    UnknownKey {
        /// The registered issuer.
        issuer: String,
    },
    /// A good token at the FHIR base of another tenant, existing or not, that does not let this caller in.
    #[error("{}", .0.reason)]
    NotDelegated(Box<NotDelegated>),
    /// A good token at an address of another tenant, existing or not, that is for that tenant's own callers alone.
    #[error("the token is for another tenant")]
    WrongTenant(Box<Caller>),
    /// A good token of a suspended tenant.
    #[error("the tenant is suspended")]
    Suspended(Box<Caller>),
}

/// A caller who asked for another tenant's data in vain. Only audit records hold what of this was the matter: to the caller
/// all of it looks the same.
#[derive(Clone, Debug)]
pub struct NotDelegated {
    /// Who asked.
    pub caller: Caller,
    /// For whose data, existing or not.
    pub asked: TenantName,
    /// The grant that stands, or the last that did.
    pub grant: Option<String>,
    /// Why that did not do.
    pub reason: &'static str,
}

impl Refusal {
    /// A bad token of which nothing could be read.
    pub fn invalid(reason: &'static str) -> Self {
        Self::Invalid { reason, expired: false, claimed: None }
    }

    pub(crate) fn invalid_of(reason: &'static str, claimed: Claimed) -> Self {
        Self::Invalid { reason, expired: false, claimed: Some(Box::new(claimed)) }
    }

    /// A proof that is missing, or sent in a wrong way.
    pub fn proof(reason: &'static str) -> Self {
        Self::Proof { reason, nonce: ProofNonce::Passed, claimed: None }
    }

    pub(crate) fn expired(reason: &'static str, claimed: Claimed) -> Self {
        Self::Invalid { reason, expired: true, claimed: Some(Box::new(claimed)) }
    }
}

/// Whether a proof failed for its nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofNonce {
    /// It failed for something else.
    Passed,
    /// It has to hold a nonce of this server (RFC 9449, section 9).
    Wanted,
}

/// Who a refused token said it was: unverified, bounded, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// `iss`
    pub issuer: Option<String>,
    /// `sub`
    pub subject: Option<String>,
    /// `client_id`
    pub client: Option<String>,
    /// `tenant_id`
    pub tenant: Option<String>,
}

impl Claimed {
    pub(crate) fn of(claims: Value<'_>) -> Self {
        let text = |name| claims.get(name).and_then(Value::string).map(|text| bounded(&text));
        Self { issuer: text("iss"), subject: text("sub"), client: text("client_id"), tenant: text("tenant_id") }
    }
}

/// At most 200 characters of `text`, control characters replaced.
pub(crate) fn bounded(text: &str) -> String {
    text.chars()
        .take(MAX_CLAIMED)
        .map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
        .collect()
}

/// Who a verified caller is that was refused all the same: for the audit record, without any right.
#[derive(Clone)]
pub struct Caller(Access);

impl Caller {
    pub(crate) fn new(access: Access) -> Self {
        Self(access)
    }

    /// The token's tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        self.0.tenant()
    }

    /// The token's issuer.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// The token's subject.
    pub fn subject(&self) -> &str {
        self.0.subject()
    }

    /// The token's client.
    pub fn client(&self) -> Option<&str> {
        self.0.client()
    }

    /// The token's scopes, as given.
    pub fn scopes(&self) -> &[String] {
        self.0.scopes().texts()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("tenant", &self.tenant().role).finish_non_exhaustive()
    }
}
