//! What a caller has to prove beside showing a good token: what the token is bound to, and what the tenant asks of
//! everybody. Judged with every request, for remembered tokens as well.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::{DateTime, Utc};

use crate::{
    access::Access,
    dpop::{self, DpopError, DpopExpected, DpopNonces, SeenProofs, SeenRefused},
    proof::{Circumstances, RequestOrigin},
    refusal::{Claimed, ProofNonce, Refusal},
};

/// Judges proofs, and remembers those it took.
#[derive(Debug)]
pub(super) struct Prover {
    pub(super) nonces: DpopNonces,
    seen: SeenProofs,
}

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
    ) -> Result<(), Refusal> {
        let invalid = |reason| Err(Refusal::invalid_of(reason, claimed.clone()));
        if let Err(reason) = check_certificate_demanded(access, circumstances, now) {
            return invalid(reason);
        }
        let bound = access.bound_certificate().is_some() || access.bound_key().is_some();
        if access.tenant().settings.require_proof && !bound && circumstances.origin == RequestOrigin::Network {
            return invalid("this tenant takes only tokens that are bound to a key or a certificate");
        }
        if let Some(thumbprint) = access.bound_certificate() {
            let shown = circumstances.certificate.map(crate::proof::ClientCertificate::thumbprint);
            if shown.is_none_or(|shown| verify_slices_are_equal(shown, thumbprint).is_err()) {
                return invalid("the token is bound to a certificate that did not come with it");
            }
        }
        match (access.bound_key(), proof) {
            (None, None) => Ok(()),
            (Some(_), None) => invalid("the token is bound to a key: send it as Authorization: DPoP, with a proof"),
            (None, Some(_)) => invalid("the token is not bound to a key: send it as Authorization: Bearer"),
            (Some(jkt), Some(proof)) => self
                .check(access, jkt, proof, circumstances, now)
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
    ) -> Result<(), (&'static str, ProofNonce)> {
        let wanted = access.tenant().settings.require_proof;
        let nonce = |nonce: &str| if nonce.is_empty() { !wanted } else { self.nonces.accepts(nonce, now) };
        let expected = DpopExpected {
            method: circumstances.method,
            url: circumstances.url,
            now,
            access_token: Some(token),
            nonce: &nonce,
        };
        let proof = dpop::check(proof, &expected).map_err(|error| match error {
            DpopError::Invalid(reason) => (reason, ProofNonce::Passed),
            DpopError::UseNonce => ("the proof needs a nonce of this server", ProofNonce::Wanted),
        })?;
        if !proof.is_by(jkt) {
            return Err(("the proof is by another key than the token is bound to", ProofNonce::Passed));
        }
        self.seen.take(&access.tenant().role, &proof, now).map_err(|refused| match refused {
            SeenRefused::Again => ("the proof was shown before", ProofNonce::Passed),
            SeenRefused::TooMany => ("more proofs came than can be remembered", ProofNonce::Passed),
        })
    }
}

/// Whether the client certificate came that the tenant may ask of every request.
pub(super) fn check_certificate_demanded(
    access: &Access,
    circumstances: &Circumstances<'_>,
    now: DateTime<Utc>,
) -> Result<(), &'static str> {
    let tenant = access.tenant();
    let good = circumstances
        .certificate
        .is_some_and(|certificate| certificate.is_vouched_for(&tenant.role) && certificate.is_valid_at(now));
    if good || !tenant.settings.require_certificate || circumstances.origin == RequestOrigin::Inside {
        Ok(())
    } else {
        Err("this tenant asks for a client certificate that one of its authorities vouches for")
    }
}
