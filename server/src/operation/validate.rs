//! `$validate` (<https://hl7.org/fhir/R4/resource-operation-validate.html>): what would stand against a write, without
//! making it. Whatever is found is the answer; only what cannot be judged at all is a failure.

use vitals_access::{access::Access, predicate::Visible};
use vitals_fhir::{
    body::{Body, judge},
    interaction::Letter,
    json,
    outcome::{Issue, IssueCode, Severity},
    resource::Id,
};
use vitals_fhir_profiles::{Nominated, plausibility, validate_as};
use vitals_store::{
    StoreError,
    rows::{Table, Versioned},
    tenant::Denied,
};

use crate::{
    failure::Failure,
    interaction::{Answer, Exchange, read},
};

/// What is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A create of the resource.
    Create,
    /// An update to the resource.
    Update,
    /// A deletion.
    Delete,
    /// Nothing: the resource that stands is held against a profile.
    Profile,
}

/// What is asked.
pub struct Question<'q> {
    /// What is to be tried.
    pub mode: Mode,
    /// The resource, as it was sent.
    pub resource: &'q [u8],
    /// The profile it is held against beside its own.
    pub nominated: Nominated,
    /// The bases under which an absolute reference is one to this tenant.
    pub bases: [&'q str; 2],
}

/// Judges what could become a resource of the type.
pub fn of_type<R: Table>(access: &Access, question: &Question<'_>) -> Answer<Vec<Issue>> {
    findings::<R>(access, question, None).map(concluded::<R>)
}

/// Judges what could become of one resource, which must be in reach.
pub async fn of_instance<R: Table>(cx: &mut Exchange<'_>, id: &Id<R>, question: &Question<'_>) -> Answer<Vec<Issue>> {
    let standing = read::read(cx, id).await?;
    let found = match question.mode {
        Mode::Create | Mode::Update => findings(cx.access, question, Some(id))?,
        Mode::Delete => of_deletion(cx.access, question, &standing)?,
        Mode::Profile => {
            findings::<R>(cx.access, &Question { resource: standing.body.as_bytes(), ..*question }, Some(id))?
        }
    };
    Ok(concluded::<R>(found))
}

fn findings<R: Table>(access: &Access, question: &Question<'_>, id: Option<&Id<R>>) -> Answer<Vec<Issue>> {
    let document = json::parse(question.resource).map_err(|error| Failure::malformed(error.into()))?;
    let mut found = judge(&document, R::TYPE, |root, kind| validate_as(root, kind, question.nominated));
    if question.mode == Mode::Update {
        let own = document.root().get("id").and_then(json::Value::string);
        let must_be = match (id, own) {
            (Some(id), own) if own.as_deref() != Some(id.as_str()) => Some("the id of the address it would be put to"),
            (None, None) => Some("an id, to be put to"),
            _ => None,
        };
        if let Some(must_be) = must_be {
            let issue = Issue::error(IssueCode::Invalid, format!("The resource must carry {must_be}."));
            found.push(issue.at(format!("{}.id", R::TYPE)));
        }
    }
    let letter = match question.mode {
        Mode::Create => Letter::Create,
        Mode::Update => Letter::Update,
        Mode::Delete | Mode::Profile => Letter::Read,
    };
    // What is no such resource has no content that scopes could be held against.
    if let Ok(body) = Body::<R>::parse(question.resource, &question.bases, |_, _| Vec::new()) {
        // A create makes an id of its own.
        let sent = body.id().filter(|_| question.mode != Mode::Create).cloned();
        let id = id.cloned().or(sent).unwrap_or_else(Id::generate);
        if !access.reach(R::TYPE, letter).admits(&R::columns(&id, body.index())) {
            found.extend(out_of_scope::<R>(Failure::not_admitted()));
        }
    }
    found.extend(plausibility(document.root()));
    Ok(found)
}

fn of_deletion<R: Table>(access: &Access, question: &Question<'_>, standing: &Versioned<R>) -> Answer<Vec<Issue>> {
    let reach = access.reach(R::TYPE, Letter::Delete);
    if reach == &Visible::Nothing {
        return Ok(out_of_scope::<R>(Denied { resource: R::TYPE, letter: Letter::Delete }.into()));
    }
    let body = Body::<R>::parse(standing.body.as_bytes(), &question.bases, |_, _| Vec::new())
        .map_err(|_| StoreError::Inconsistent { table: R::TYPE.name(), column: "body" })?;
    let admitted = reach.admits(&R::columns(&standing.id, body.index()));
    Ok(if admitted { Vec::new() } else { out_of_scope::<R>(Failure::not_admitted()) })
}

/// Why a write would be refused for want of scope, as a finding.
fn out_of_scope<R: Table>(failure: Failure) -> Vec<Issue> {
    failure.issues.into_iter().map(|issue| issue.at(R::TYPE.name())).collect()
}

/// Where nothing stands against it, that is said.
fn concluded<R: Table>(mut found: Vec<Issue>) -> Vec<Issue> {
    if !found.iter().any(|issue| issue.severity == Severity::Error) {
        let text = if found.is_empty() { "No issues: this would be done." } else { "This would be done all the same." };
        let issue = Issue { severity: Severity::Information, ..Issue::error(IssueCode::Informational, text) };
        found.push(issue.at(R::TYPE.name()));
    }
    found
}
