//! What a caller has to prove beside showing a good token: what the token is bound to, and what the tenant asks of
//! everybody. Judged with every request, for remembered tokens as well.

use std::cell::Cell;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::{DateTime, Utc};

use crate::{
    access::Access,
    dpop::{self, DpopError, DpopExpected, DpopNonces, SeenProofs, SeenRefused},
    proof::{Circumstances, RequestOrigin},
    refusal::{Claimed, ProofNonce, Refusal},
    tenant::Tenant,
};

/// Judges proofs, and remembers those it took.
#[derive(Debug)]
pub(super) struct Prover {
    pub(super) nonces: DpopNonces,
    seen: SeenProofs,
}

/// What a caller has proven beside showing a good token.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proven {
    /// Whether the token is bound to something.
    bound: bool,
    nonce: NonceShown,
}

/// The nonce of a proof.
#[derive(Clone, Copy, Debug, Default)]
enum NonceShown {
    /// There was no proof to hold one.
    #[default]
    None,
    /// The proof held none.
    Missing,
    /// It held one of ours.
    Good,
}

/// What another tenant asks for that was not proven.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unmet {
    /// Nothing more will do.
    Refused(&'static str),
    /// A proof with a nonce of ours would do.
    Nonce(&'static str),
}

const NEEDS_PROOF: &str = "this tenant takes only tokens that are bound to a key or a certificate";
const NEEDS_NONCE: &str = "the proof needs a nonce of this server";

/// A proof, and the token it came with.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) proof: &'a str,
    pub(super) token: &'a str,
}

impl Prover {
    pub(super) fn new(nonces: DpopNonces) -> Self {
        Self { nonces, seen: SeenProofs::default() }
    }

    /// Whether everything that has to be proven is.
    pub(super) fn prove(
        &self,
        access: &Access,
        claimed: &Claimed,
        proof: Option<Proof<'_>>,
        circumstances: &Circumstances<'_>,
        now: DateTime<Utc>,
    ) -> Result<Proven, Refusal> {
        let invalid = |reason| Err(Refusal::invalid_of(reason, claimed.clone()));
        if let Err(reason) = check_certificate_demanded(access, circumstances, now) {
            return invalid(reason);
        }
        let bound = access.bound_certificate().is_some() || access.bound_key().is_some();
        if access.tenant().settings.require_proof && !bound && circumstances.origin == RequestOrigin::Network {
            return invalid(NEEDS_PROOF);
        }
        if let Some(thumbprint) = access.bound_certificate() {
            let shown = circumstances.certificate.map(crate::proof::ClientCertificate::thumbprint);
            if shown.is_none_or(|shown| verify_slices_are_equal(shown, thumbprint).is_err()) {
                return invalid("the token is bound to a certificate that did not come with it");
            }
        }
        match (access.bound_key(), proof) {
            (None, None) => Ok(Proven { bound, nonce: NonceShown::None }),
            (Some(_), None) => invalid("the token is bound to a key: send it as Authorization: DPoP, with a proof"),
            (None, Some(_)) => invalid("the token is not bound to a key: send it as Authorization: Bearer"),
            (Some(jkt), Some(proof)) => self
                .check(access, jkt, proof, circumstances, now)
                .map(|nonce| Proven { bound, nonce })
                .map_err(|(reason, nonce)| Refusal::Proof { reason, nonce, claimed: Some(Box::new(claimed.clone())) }),
        }
    }

    fn check(
        &self,
        access: &Access,
        jkt: &[u8; 32],
        Proof { proof, token }: Proof<'_>,
        circumstances: &Circumstances<'_>,
        now: DateTime<Utc>,
    ) -> Result<NonceShown, (&'static str, ProofNonce)> {
        let wanted = access.tenant().settings.require_proof;
        let shown = Cell::new(NonceShown::Missing);
        let nonce = |nonce: &str| {
            if nonce.is_empty() {
                return !wanted;
            }
            shown.set(NonceShown::Good);
            self.nonces.accepts(nonce, now)
        };
        let expected = DpopExpected {
            method: circumstances.method,
            url: circumstances.url,
            now,
            access_token: Some(token),
            nonce: &nonce,
        };
        let proof = dpop::check(proof, &expected).map_err(|error| match error {
            DpopError::Invalid(reason) => (reason, ProofNonce::Passed),
            DpopError::UseNonce => (NEEDS_NONCE, ProofNonce::Wanted),
        })?;
        if !proof.is_by(jkt) {
            return Err(("the proof is by another key than the token is bound to", ProofNonce::Passed));
        }
        self.seen.take(&access.tenant().role, &proof, now).map_err(|refused| match refused {
            SeenRefused::Again => ("the proof was shown before", ProofNonce::Passed),
            SeenRefused::TooMany => ("more proofs came than can be remembered", ProofNonce::Passed),
        })?;
        Ok(shown.get())
    }
}

impl Proven {
    /// Whether that is also what another tenant asks of everybody who calls.
    pub(super) fn meets(
        self,
        tenant: &Tenant,
        circumstances: &Circumstances<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Unmet> {
        check_certificate_of(tenant, circumstances, now).map_err(Unmet::Refused)?;
        if !tenant.settings.require_proof || circumstances.origin == RequestOrigin::Inside {
            return Ok(());
        }
        match (self.bound, self.nonce) {
            (false, _) => Err(Unmet::Refused(NEEDS_PROOF)),
            (true, NonceShown::Missing) => Err(Unmet::Nonce(NEEDS_NONCE)),
            (true, NonceShown::Good | NonceShown::None) => Ok(()),
        }
    }
}

/// Whether the client certificate came that the tenant may ask of every request.
pub(super) fn check_certificate_demanded(
    access: &Access,
    circumstances: &Circumstances<'_>,
    now: DateTime<Utc>,
) -> Result<(), &'static str> {
    check_certificate_of(access.tenant(), circumstances, now)
}

fn check_certificate_of(
    tenant: &Tenant,
    circumstances: &Circumstances<'_>,
    now: DateTime<Utc>,
) -> Result<(), &'static str> {
    let good = circumstances
        .certificate
        .is_some_and(|certificate| certificate.is_vouched_for(&tenant.role) && certificate.is_valid_at(now));
    if good || !tenant.settings.require_certificate || circumstances.origin == RequestOrigin::Inside {
        Ok(())
    } else {
        Err("this tenant asks for a client certificate that one of its authorities vouches for")
    }
}
