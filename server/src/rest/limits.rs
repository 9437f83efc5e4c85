//! Limits as answers tell them: who is over one, in which words, and what is left to the others. Decisions are those of
//! `crate::limit`.

use poem::{
    Response,
    http::{HeaderName, HeaderValue},
};
use vitals_access::{access::Access, limits::Category};
use vitals_fhir::outcome::{Issue, IssueCode};

use super::request::Incoming;
use crate::{
    failure::{Failure, Kind},
    limit::{ADDRESS_LIMIT, Admitted, Charge, Denied, Network},
    state::App,
};

/// draft-ietf-httpapi-ratelimit-headers-10, section 3.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The same, section 4.
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Admits the request of a verified caller; what was seen goes to `shown` either way, for the headers of the answer.
pub(crate) async fn admit(
    app: &App,
    access: &Access,
    charge: Charge,
    shown: &mut Option<Admitted>,
) -> Result<(), Failure> {
    let decided = app.limiter.admit(access, charge, app.clock.now().timestamp_millis()).await;
    sort(decided, shown)
}

/// The same for a decision that was made.
pub(crate) fn sort(decided: Result<Admitted, Denied>, shown: &mut Option<Admitted>) -> Result<(), Failure> {
    match decided {
        Ok(admitted) => {
            *shown = Some(admitted);
            Ok(())
        }
        Err(Denied::Away) => Err(Failure::unavailable("limits cannot be judged")),
        Err(Denied::Limited(limited)) => {
            let text = format!(
                "Too many requests: the limit {} is reached. Come again in {} s.",
                limited.name, limited.retry_after
            );
            let failure = throttled("over a limit", limited.retry_after, text);
            *shown = Some(limited.seen);
            Err(failure)
        }
    }
}

/// Admits what the entries of a Bundle cost beyond the Bundle itself, category by category.
pub(crate) async fn admit_entries(
    app: &App,
    access: &Access,
    charges: impl Iterator<Item = Charge>,
) -> Result<(), Failure> {
    let mut sums = [0_u64; 6];
    for charge in charges {
        let sum = &mut sums[charge.category as usize];
        *sum = sum.saturating_add(charge.units);
    }
    for (category, units) in Category::ALL.into_iter().zip(sums).filter(|(_, units)| *units > 0) {
        admit(app, access, Charge { category, units }, &mut None).await?;
    }
    Ok(())
}

/// Counts a request without good credentials by its address.
pub(crate) fn count_address(app: &App, incoming: &Incoming) -> Result<(), Failure> {
    let from = Network::of(incoming.address);
    let counted = app.limiter.count_address(from, app.clock.now().timestamp_millis());
    counted.map_err(|many| {
        let text = format!(
            "Too many requests without good credentials came from your address: the limit address:{} is reached. Come \
             again in {} s.",
            many.span.name(),
            many.retry_after
        );
        throttled(ADDRESS_LIMIT, many.retry_after, text)
    })
}

/// Too much of something; when it is worth another try.
fn throttled(reason: &'static str, retry_after: u64, text: String) -> Failure {
    let issues = vec![Issue::error(IssueCode::Throttled, text)];
    Failure { kind: Kind::Throttled { retry_after }, issues, reason }
}

/// Says in an answer what is left of the caller's quotas.
pub(crate) fn tell(response: &mut Response, shown: Option<&Admitted>) {
    let Some((policy, state)) = shown.and_then(Admitted::fields) else { return };
    for (name, value) in [(POLICY, policy), (STATE, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}
