//! What a list of the trail is asked for: each filter once, each narrowing what the others leave.

use vitals_access::audit::{AuditRecord, Decision};
use vitals_fhir::{search::MOST_COUNT, temporal};
use vitals_store::audit::{AuditQuery, Direction, Mention, Position};

use crate::admin::problem::Problem;

/// The filters by their names.
pub(super) const FILTERS: [&str; 12] = [
    "from",
    "to",
    "subject",
    "client",
    "patient",
    "decision",
    "action",
    "grant",
    "type",
    "id",
    "address",
    "acting_tenant",
];
/// Records on a page unless told.
const DEFAULT_COUNT: usize = 50;
/// Types that records name; an id alone is looked for with each of them, and without one.
const TYPES: [&str; 4] = ["", "Patient", "Observation", "AuditEvent"];

/// What was asked for.
pub(super) struct Filters {
    /// What the store looks for.
    pub(super) query: AuditQuery,
    /// The patient asked about.
    pub(super) patient: Option<String>,
    resource_type: Option<String>,
    acting_tenant: Option<String>,
}

impl Filters {
    /// Reads the parameters. What is not known is refused: whoever wrote it believes that it narrows.
    pub(super) fn read(pairs: &[(String, String)], after: Option<Position>) -> Result<Self, Problem> {
        let mut filters = Self {
            query: AuditQuery {
                from: None,
                to: None,
                mentions: Vec::new(),
                direction: Direction::NewestFirst,
                after,
                limit: DEFAULT_COUNT,
            },
            patient: None,
            resource_type: None,
            acting_tenant: None,
        };
        let mut id = None;
        for (place, (name, value)) in pairs.iter().enumerate() {
            if pairs[..place].iter().any(|(before, _)| before == name) {
                return Err(Problem::malformed(format!("The parameter {} stands there twice.", short(name))));
            }
            if value.is_empty() {
                return Err(Problem::malformed(format!("The parameter {} has no value.", short(name))));
            }
            let text = value.clone();
            let mention = match name.as_str() {
                "from" => {
                    filters.query.from = Some(date(name, value)?.low);
                    continue;
                }
                "to" => {
                    filters.query.to = Some(date(name, value)?.high.saturating_add(1));
                    continue;
                }
                "_count" => {
                    filters.query.limit = count(value)?;
                    continue;
                }
                "type" => {
                    filters.resource_type = Some(text);
                    continue;
                }
                "id" => {
                    id = Some(text);
                    continue;
                }
                "acting_tenant" => {
                    filters.acting_tenant = Some(text);
                    continue;
                }
                "subject" => Mention::Subject(text),
                "client" => Mention::Client(text),
                "patient" => {
                    filters.patient = vitals_fhir::resource::is_id(value).then(|| text.clone());
                    Mention::Patient(text)
                }
                "decision" => Mention::Decision(decision(value)?),
                "action" => Mention::Action(text),
                "grant" => Mention::Grant(text),
                "address" => Mention::Address(text),
                _ => {
                    let known = FILTERS.join(", ");
                    let detail = format!("There is no filter {}; there are {known} and _count.", short(name));
                    return Err(Problem::malformed(detail));
                }
            };
            filters.query.mentions.push(vec![mention]);
        }
        if let Some(id) = id {
            let kinds = filters.resource_type.as_deref().map_or_else(|| TYPES.to_vec(), |kind| vec![kind]);
            let any = kinds.into_iter().map(|kind| Mention::Resource(kind.to_owned(), id.clone()));
            filters.query.mentions.push(any.collect());
        }
        Ok(filters)
    }

    /// Whether a record meets what the store does not look for.
    pub(super) fn admits(&self, record: &AuditRecord) -> bool {
        let is_of_type = |kind: &String| {
            let entries = record.entries.iter().filter_map(|entry| entry.resource_type.as_ref());
            record.resource_type.iter().chain(entries).any(|known| known == kind)
        };
        self.resource_type.as_ref().is_none_or(is_of_type)
            && self.acting_tenant.as_ref().is_none_or(|name| record.acting_tenant.as_ref() == Some(name))
    }
}

fn date(name: &str, value: &str) -> Result<temporal::Range, Problem> {
    temporal::search_date(value).ok_or_else(|| {
        let detail = "is a date or a time: 2026-11, 2026-11-26 or 2026-11-26T08:00:00Z.";
        Problem::malformed(format!("The parameter {name} {detail}"))
    })
}

fn count(value: &str) -> Result<usize, Problem> {
    let count: u32 = value
        .parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Problem::malformed("The parameter _count is a number from 1 to 1000."))?;
    Ok(count.min(MOST_COUNT) as usize)
}

fn decision(value: &str) -> Result<Decision, Problem> {
    match value {
        "allowed" => Ok(Decision::Allowed),
        "denied" => Ok(Decision::Denied),
        "unknown" => Ok(Decision::Unknown),
        _ => Err(Problem::malformed("The parameter decision is allowed, denied or unknown.")),
    }
}

/// A name as it is told back.
fn short(name: &str) -> String {
    name.chars().filter(|sign| !sign.is_control()).take(64).collect()
}
