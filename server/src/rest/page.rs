//! Page links: everything a page needs, sealed, so that nothing shows in an address and nothing can be changed.
//!
//! A link is good for an hour and for the caller it was made for: same issuer, subject, client, scopes and patient, and for
//! a caller of another tenant the same grant and the same scopes there. It is opened under the tenant's role, so another tenant's link does not open at all. Whoever follows it is
//! authenticated and judged again like anyone else.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use vitals_access::access::Access;
use vitals_fhir::outcome::{Issue, IssueCode};
use vitals_store::{
    audit,
    rows::{Mark, Position},
    seal::MasterKey,
};

use crate::failure::Failure;

/// How long a link is good.
pub(super) const GOOD_FOR_MS: i64 = 60 * 60 * 1000;

/// The purpose the sealing key is derived for.
const PURPOSE: &str = "page";

/// Longest link that is looked at; the longest address we take is 16 kB.
pub(super) const MAX_LENGTH: usize = 15_000;

/// What a page link goes on with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    /// The list it goes on with: `Observation`, `Patient/7/_history`.
    pub list: String,
    /// The query, as it was asked.
    pub query: Vec<(String, String)>,
    /// The last value seen: of the sort key, or a version.
    pub mark: Mark,
    /// The id last seen.
    pub id: String,
}

impl Place {
    /// A place in a list of the trail's records.
    pub fn of_record(list: &str, query: Vec<(String, String)>, at: audit::Position) -> Self {
        let id = format!("{}.{}", at.writer, at.sequence);
        Self { list: list.to_owned(), query, mark: Mark::Number(at.time), id }
    }

    /// The place in a list of the trail's records.
    pub fn record(&self) -> Option<audit::Position> {
        let Mark::Number(time) = self.mark else { return None };
        let (writer, sequence) = self.id.split_once('.')?;
        Some(audit::Position { time, writer: writer.parse().ok()?, sequence: sequence.parse().ok()? })
    }

    /// The position in a search.
    pub fn position(&self) -> Position {
        Position { mark: self.mark.clone(), id: self.id.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    place: Place,
    expires: i64,
    caller: String,
}

/// A link's token for this caller.
pub fn seal(key: &MasterKey, access: &Access, place: Place, now: i64) -> Result<String, Failure> {
    let sealed = Sealed { place, expires: now + GOOD_FOR_MS, caller: caller(access) };
    let failed = |_| Failure::unavailable("page link not made");
    let plain = serde_json::to_vec(&sealed).map_err(|_| Failure::unavailable("page link not made"))?;
    let text = key.seal(PURPOSE, access.tenant().role.as_str().as_bytes(), &plain).map_err(failed)?;
    let token = URL_SAFE_NO_PAD.encode(text);
    if token.len() > MAX_LENGTH {
        return Err(Failure::malformed(Issue::error(
            IssueCode::TooCostly,
            "This search is too long to be paged: ask with fewer values, or for all entries on one page with _count.",
        )));
    }
    Ok(token)
}

/// What a link goes on with, if it is whole, this caller's, and for this list.
pub fn open(key: &MasterKey, access: &Access, list: &str, token: &str, now: i64) -> Result<Place, Failure> {
    let opened = || -> Option<Place> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let text = URL_SAFE_NO_PAD.decode(token).ok()?;
        let plain = key.open(PURPOSE, access.tenant().role.as_str().as_bytes(), &text).ok()?;
        let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
        let good = sealed.expires > now && sealed.caller == caller(access) && sealed.place.list == list;
        good.then_some(sealed.place)
    };
    opened().ok_or_else(Failure::page_link)
}

/// Who a link is for, as one short text.
pub(super) fn caller(access: &Access) -> String {
    let mut scopes: Vec<&str> = access.scopes().texts().iter().map(String::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut elsewhere: Vec<&str> = access.delegated_scopes().iter().map(String::as_str).collect();
    elsewhere.sort_unstable();
    elsewhere.dedup();
    // What is listed first has a known length, so that nothing of one list can stand in another.
    let (count, grant) = (scopes.len().to_string(), access.grant().map_or("", |grant| grant.id.as_str()));
    let mut context = digest::Context::new(&digest::SHA256);
    let parts = [access.issuer(), access.subject(), access.client().unwrap_or_default()];
    let confined = [access.patient().unwrap_or_default(), access.fhir_user().unwrap_or_default()];
    let under = [access.acting().role.as_str(), grant, count.as_str()];
    for part in parts.into_iter().chain(confined).chain(under).chain(scopes).chain(elsewhere) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}
