//! The searchset over several tenants: each entry under its tenant's own base and with its tenant's name, each tenant
//! counted by itself, and what one of them did not answer as an entry of its own.

use vitals_fhir::{
    label::labelled,
    outcome::{self, Issue, push_string},
    resource::Resource,
    search::Shown,
    subset::subset,
};
use vitals_store::rows::Versioned;

use crate::{failure::Failure, rest::bundle::Links};

/// The extension of `Bundle.total` that tells how many of one tenant's there are.
const TENANT_TOTAL: &str = "urn:vitals:tenant-total";

/// One match.
pub(super) struct Match<'a, R: Resource> {
    /// The name of its tenant.
    pub(super) tenant: &'a str,
    /// The base URL of its tenant.
    pub(super) base: &'a str,
    /// The resource.
    pub(super) resource: &'a Versioned<R>,
}

/// What is told beside the matches.
pub(super) struct Aside<'a> {
    /// What was ignored of the query.
    pub(super) warnings: &'a [Issue],
    /// What tenants did not answer, and why.
    pub(super) silent: &'a [(String, Issue)],
    /// How many matches each tenant has on all pages.
    pub(super) totals: &'a [(String, u64)],
}

/// The searchset.
pub(super) fn searchset<R: Resource>(
    matches: &[Match<'_, R>],
    aside: &Aside<'_>,
    links: &Links,
    shown: &Shown,
) -> Result<String, Failure> {
    let size: usize = matches.iter().map(|found| found.resource.body.len() + 300).sum();
    let mut out = String::with_capacity(size + 1_024);
    out.push_str(r#"{"resourceType":"Bundle","type":"searchset""#);
    push_totals(&mut out, aside);
    links.push(&mut out);
    let mut separator = r#","entry":["#;
    for found in matches {
        out.push_str(separator);
        separator = ",";
        out.push_str(r#"{"fullUrl":"#);
        push_string(&mut out, &format!("{}/{}/{}", found.base, R::TYPE, found.resource.id));
        out.push_str(r#","resource":"#);
        out.push_str(&shown_as::<R>(found, shown)?);
        out.push_str(r#","search":{"mode":"match"}}"#);
    }
    if !aside.warnings.is_empty() {
        push_outcome(&mut out, &mut separator, &outcome::to_json(aside.warnings));
    }
    for (tenant, issue) in aside.silent {
        push_outcome(&mut out, &mut separator, &of_tenant(tenant, issue));
    }
    out.push_str(if separator == "," { "]}" } else { "}" });
    Ok(out)
}

/// A resource as it is shown, with its tenant's label.
fn shown_as<R: Resource>(found: &Match<'_, R>, shown: &Shown) -> Result<String, Failure> {
    let body = &found.resource.body;
    let part = match shown {
        Shown::Elements(elements) => subset(body, R::TYPE, elements),
        Shown::Whole | Shown::Count => None,
    };
    label(part.as_deref().unwrap_or(body), found.tenant)
}

/// A text with its tenant's label: without one nothing is answered here.
pub(super) fn label(body: &str, tenant: &str) -> Result<String, Failure> {
    labelled(body, tenant)
        .ok_or_else(|| Failure::from(vitals_store::StoreError::Inconsistent { table: "resource", column: "body" }))
}

/// An OperationOutcome that a tenant's label stands in.
fn of_tenant(tenant: &str, issue: &Issue) -> String {
    let mut out = String::from(r#"{"resourceType":"OperationOutcome","meta":{},"issue":"#);
    outcome::push_issues(&mut out, std::slice::from_ref(issue));
    out.push('}');
    labelled(&out, tenant).unwrap_or(out)
}

fn push_outcome(out: &mut String, separator: &mut &str, outcome: &str) {
    out.push_str(separator);
    *separator = ",";
    out.push_str(r#"{"resource":"#);
    out.push_str(outcome);
    out.push_str(r#","search":{"mode":"outcome"}}"#);
}

/// The sum, where every tenant was counted, and each tenant's own count beside it.
fn push_totals(out: &mut String, aside: &Aside<'_>) {
    if aside.totals.is_empty() {
        return;
    }
    if aside.silent.is_empty() {
        let sum: u64 = aside.totals.iter().map(|(_, total)| total).sum();
        out.push_str(r#","total":"#);
        out.push_str(&sum.to_string());
    }
    out.push_str(r#","_total":{"extension":["#);
    for (place, (tenant, total)) in aside.totals.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(r#"{"extension":[{"url":"tenant","valueCode":"#);
        push_string(out, tenant);
        out.push_str(r#"},{"url":"total","valueUnsignedInt":"#);
        out.push_str(&total.to_string());
        out.push_str(r#"}],"url":"#);
        push_string(out, TENANT_TOTAL);
        out.push('}');
    }
    out.push_str("]}");
}
