//! Who asks: from a request to a verified caller, or to the failure that its answer tells. Who shows nothing good is
//! counted by address.

use std::sync::Arc;

use vitals_access::{
    access::Access,
    audit::AuditRecord,
    refusal::{ProofNonce, Refusal},
    verifier::Base,
};
use vitals_fhir::outcome::{Issue, IssueCode};

use super::{
    credentials::{self, Unverified},
    limits,
    public::known,
    request::Incoming,
    router::FhirBase,
    trail,
};
use crate::{
    failure::{Failure, Kind},
    state::App,
};

/// The verified caller of a request, of the tenant itself alone; who is refused is noted in the record.
pub(crate) async fn caller(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &FhirBase,
    record: &mut AuditRecord,
) -> Result<Arc<Access>, Failure> {
    admitted(app, incoming, query, base, &base.for_verifier(), record).await
}

/// The verified caller of a request to a FHIR base, of the tenant itself or of another that has its grant.
pub(super) async fn fhir_caller(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &FhirBase,
    record: &mut AuditRecord,
) -> Result<Arc<Access>, Failure> {
    admitted(app, incoming, query, base, &base.for_delegates(), record).await
}

async fn admitted(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &FhirBase,
    judged: &Base,
    record: &mut AuditRecord,
) -> Result<Arc<Access>, Failure> {
    if !incoming.has_credentials() {
        limits::count_address(app, incoming)?;
    }
    match credentials::caller(app, incoming, query, judged).await {
        Ok(access) => Ok(access),
        Err(unverified) => Err(turned_away(app, incoming, base, record, &unverified).await),
    }
}

/// Why a caller is turned away, which its record notes.
pub(super) async fn turned_away(
    app: &App,
    incoming: &Incoming,
    base: &FhirBase,
    record: &mut AuditRecord,
    unverified: &Unverified,
) -> Failure {
    let refusal = match unverified {
        Unverified::Unavailable => return Failure::unavailable("token cannot be judged"),
        Unverified::Refused(refusal) => refusal,
    };
    trail::refused(record, refusal);
    if incoming.has_credentials()
        && let Err(limited) = limits::count_address(app, incoming)
    {
        return limited;
    }
    if let (Refusal::NoCredentials, Some(name)) = (refusal, base.tenant()) {
        // Only who shows no token learns that there is no such tenant.
        if let Err(unknown) = known(app, name).await {
            return unknown;
        }
    }
    let mut failure = of_refusal(refusal);
    if failure.kind == Kind::BadCredentials && credentials::uses_proof(&incoming.headers) {
        failure.kind = Kind::BadBoundCredentials;
    }
    failure
}

fn of_refusal(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::NoCredentials => Failure::new(
            Kind::NoCredentials,
            IssueCode::Login,
            "no credentials",
            "This needs a token: send it as Authorization: Bearer.",
        ),
        Refusal::BadRequest(what) => {
            let mut issue = Issue::error(IssueCode::Invalid, format!("Send the credential otherwise: {what}."));
            issue.expression = Some("http.authorization".to_owned());
            Failure { kind: Kind::BadRequestForm, issues: vec![issue], reason: what }
        }
        Refusal::Invalid { reason, expired: true, .. } => {
            Failure::new(Kind::BadCredentials, IssueCode::Expired, reason, "The token has expired: get a new one.")
        }
        Refusal::Invalid { reason, .. } => bad_token(reason),
        Refusal::Proof { reason, nonce, .. } => {
            let kind = match nonce {
                ProofNonce::Passed => Kind::BadProof,
                ProofNonce::Wanted => Kind::NonceWanted,
            };
            Failure::new(kind, IssueCode::Login, reason, format!("The proof is not good here: {reason}."))
        }
        Refusal::UnknownApiKey => bad_token("API key not known"),
        Refusal::UnknownIssuer(_) => bad_token("issuer not registered"),
        Refusal::UnknownKey { .. } => bad_token("key not known"),
        // One text for all of it, whether the other tenant exists or not: what was the matter stands in the record.
        Refusal::NotDelegated(refused) => Failure::new(
            Kind::Forbidden,
            IssueCode::Forbidden,
            refused.reason,
            "This token is not for this address. Data of another organisation needs a grant of its own, the scope \
             org:delegated, and an entry for it in the token's delegated_access.",
        ),
        Refusal::WrongTenant(_) => Failure::new(
            Kind::Forbidden,
            IssueCode::Forbidden,
            "base of another tenant",
            "This token is not for this address.",
        ),
        Refusal::Suspended(_) => Failure::new(
            Kind::Forbidden,
            IssueCode::Forbidden,
            "tenant suspended",
            "This organisation is suspended on this server.",
        ),
    }
}

/// The reasons are fixed sentences about the form and the claims, and say nothing of this server's tenants.
fn bad_token(reason: &'static str) -> Failure {
    Failure::new(Kind::BadCredentials, IssueCode::Login, reason, format!("The token is not good here: {reason}."))
}
