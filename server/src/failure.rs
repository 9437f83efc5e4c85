//! Why a request failed, without a word of HTTP. `rest/respond.rs` gives each its status.

use vitals_fhir::{
    outcome::{Issue, IssueCode},
    resource::{Id, Resource, Version},
};
use vitals_store::{StoreError, rows::WriteRefused, tenant::Denied};

/// A kind of failure; CONTRACT section 5 has one row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No credentials were sent.
    NoCredentials,
    /// Credentials that are not good.
    BadCredentials,
    /// A token that came with a DPoP proof and is not good.
    BadBoundCredentials,
    /// A DPoP proof that is not good.
    BadProof,
    /// A DPoP proof that needs a nonce of ours.
    NonceWanted,
    /// Several ways of sending a token, or one that is malformed.
    BadRequestForm,
    /// Good credentials, not enough scope.
    Scope,
    /// Good credentials, for somewhere else.
    Forbidden,
    /// Absent, or out of reach.
    NotFound,
    /// Deleted, and in reach.
    Deleted,
    /// Cannot be understood.
    Malformed,
    /// Understood, and against a rule.
    Unprocessable,
    /// Another version is current, or several matched.
    Precondition,
    /// What it means is several things.
    Ambiguous,
    /// Not offered here; the methods that are.
    NotOffered(&'static str),
    /// The body's media type or coding is not one we read.
    UnsupportedMedia,
    /// No media type we write is acceptable.
    NotAcceptable,
    /// Too large a body.
    TooLarge,
    /// Too long an address.
    TooLong,
    /// Over a limit; the seconds until it is worth another try.
    Throttled {
        /// Whole seconds.
        retry_after: u64,
    },
    /// A dependency is away.
    Unavailable,
    /// The body did not arrive in time.
    TooSlow,
    /// Our own mistake.
    Internal,
}

/// A failed request: its kind, what the client is told, and what only the trail and the log may know.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// What the client is told.
    pub issues: Vec<Issue>,
    /// A short reason for the audit trail.
    pub reason: &'static str,
}

impl Failure {
    /// A failure with one issue.
    pub fn new(kind: Kind, code: IssueCode, reason: &'static str, diagnostics: impl Into<String>) -> Self {
        Self { kind, issues: vec![Issue::error(code, diagnostics)], reason }
    }

    /// A failure of these issues: malformed where one of them is about form, else against a rule.
    pub fn of_body(issues: Vec<Issue>) -> Self {
        let malformed = vitals_fhir::body::issues_are_structural(&issues);
        let kind = if malformed { Kind::Malformed } else { Kind::Unprocessable };
        Self { kind, issues, reason: if malformed { "malformed body" } else { "body breaks a rule" } }
    }

    /// A failure of one issue about the request's form.
    pub fn malformed(issue: Issue) -> Self {
        Self { kind: Kind::Malformed, issues: vec![issue], reason: "malformed request" }
    }

    /// Absent, or out of reach: the answer is the same, but for the id asked for.
    pub fn not_found<R: Resource>(id: &Id<R>) -> Self {
        Self::new(
            Kind::NotFound,
            IssueCode::NotFound,
            "not found or out of reach",
            format!("{}/{id} is not known here.", R::TYPE),
        )
    }

    /// Deleted, and in reach.
    pub fn deleted<R: Resource>(id: &Id<R>) -> Self {
        Self::new(Kind::Deleted, IssueCode::Deleted, "deleted", format!("{}/{id} was deleted.", R::TYPE))
    }

    /// No such address.
    pub fn no_such_address() -> Self {
        Self::new(Kind::NotFound, IssueCode::NotFound, "no such address", "There is nothing at this address.")
    }

    /// A page link that cannot be used.
    pub fn page_link() -> Self {
        Self::new(
            Kind::NotFound,
            IssueCode::NotFound,
            "page link refused",
            "This page link is altered, expired or not yours: start the search again.",
        )
    }

    /// The resource's current version is another one.
    pub fn version_differs(current: Version) -> Self {
        let mut failure = Self::new(
            Kind::Precondition,
            IssueCode::Conflict,
            "version differs",
            format!(
                "If-Match names another version than the current one, {current}: read it again and repeat the change."
            ),
        );
        failure.issues[0].expression = Some("http.if-match".to_owned());
        failure
    }

    /// Criteria that should mean one resource mean several.
    pub fn several_matches() -> Self {
        Self::new(
            Kind::Precondition,
            IssueCode::MultipleMatches,
            "several matches",
            "Several resources meet the criteria: make them mean one, or name it by its id.",
        )
    }

    /// What criteria mean cannot be changed by this caller, which is the same as that there is none.
    pub fn no_match() -> Self {
        Self::new(Kind::NotFound, IssueCode::NotFound, "not found or out of reach", "Nothing here meets the criteria.")
    }

    /// The request goes against something that stands.
    pub fn conflict(issue: Issue) -> Self {
        Self { kind: Kind::Precondition, issues: vec![issue], reason: "conflict" }
    }

    /// A dependency is away.
    pub fn unavailable(reason: &'static str) -> Self {
        Self::new(
            Kind::Unavailable,
            IssueCode::Transient,
            reason,
            "The server cannot do this right now. Nothing is wrong with the request: try again shortly.",
        )
    }

    /// A change that may or may not stand.
    pub fn outcome_unknown(reason: &'static str) -> Self {
        Self::new(
            Kind::Unavailable,
            IssueCode::Transient,
            reason,
            "The server cannot say how this ended: the change may or may not stand. Read before you repeat it.",
        )
    }

    /// The new content is outside what the caller may write.
    pub fn not_admitted() -> Self {
        Self::new(
            Kind::Scope,
            IssueCode::Forbidden,
            "content outside of scope",
            "The scopes of this token do not reach a resource with this content (patient, code, category, status or \
             security label).",
        )
    }

    /// Why a write was not made, for the resource it was about.
    pub fn of_refused<R: Resource>(refused: WriteRefused, id: &Id<R>) -> Self {
        match refused {
            WriteRefused::NotFound => Self::not_found(id),
            WriteRefused::NotAdmitted => Self::not_admitted(),
            WriteRefused::VersionDiffers { current } => Self::version_differs(current),
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let letter = match denied.letter {
            vitals_fhir::interaction::Letter::Create => "c",
            vitals_fhir::interaction::Letter::Read => "r",
            vitals_fhir::interaction::Letter::Update => "u",
            vitals_fhir::interaction::Letter::Delete => "d",
            vitals_fhir::interaction::Letter::Search => "s",
        };
        Self::new(
            Kind::Scope,
            IssueCode::Forbidden,
            "insufficient scope",
            format!("No scope of this token grants '{letter}' on {}.", denied.resource),
        )
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::Away(_) => "database away",
            StoreError::Busy => "no connection free",
            StoreError::TooSlow(_) => "statement timeout",
            StoreError::Full(_) => "database full",
            StoreError::SchemaVersion { .. } => "tenant schema not served",
            StoreError::Collision(_) => "collision",
            StoreError::UnknownOutcome(_) => "outcome unknown",
            StoreError::ForeignRow(_) => "row of another tenant",
            StoreError::Inconsistent { .. } => "inconsistent row",
            StoreError::Database { .. } => "database error",
        };
        match error {
            StoreError::ForeignRow(_) | StoreError::Inconsistent { .. } | StoreError::Database { .. } => {
                tracing::error!(error = %error, "a statement on tenant data failed");
                Self::new(
                    Kind::Internal,
                    IssueCode::Exception,
                    reason,
                    "The server failed to do this. The request id names the entry in its log.",
                )
            }
            StoreError::UnknownOutcome(_) => {
                tracing::warn!(error = %error, "the outcome of a write is not known");
                Self::outcome_unknown(reason)
            }
            _ => {
                tracing::warn!(error = %error, "a unit of work on tenant data was not done");
                Self::unavailable(reason)
            }
        }
    }
}
