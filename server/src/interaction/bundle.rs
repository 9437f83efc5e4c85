//! batch and transaction (<https://hl7.org/fhir/R4/http.html#transaction>): many interactions in one transaction of the
//! database, each judged as if it came alone, in the order DELETE, POST, PUT, GET. Of a batch, what is refused is left
//! out; of a transaction, what is refused undoes everything.

mod bodies;
mod look;
mod matches;
mod run;
mod trail;
mod typed;
mod write;

use vitals_fhir::{
    bundle::{Bundle, BundleKind},
    catalog::Operation,
    outcome::Issue,
    resource::Version,
};

use self::run::Run;
pub use self::typed::{Bundled, Condition, Listed, Listing, Search};
use super::{Answer, Exchange, Stopped, TRIES, read::Seen};
use crate::failure::Failure;

/// Most bytes of resources in one answer.
pub const MOST_ANSWERED: usize = 50 * 1024 * 1024;

/// A Bundle whose entries are understood.
pub struct Plan {
    /// The Bundle.
    pub bundle: Bundle,
    /// What each entry asks for, or why it does not.
    pub steps: Vec<Result<Step, Failure>>,
    /// The bases under which an absolute reference is one to this tenant.
    pub bases: [String; 2],
    /// Whether the answer repeats what was written.
    pub echo: Echo,
    /// The status of a failure, for the trail.
    pub status: fn(&Failure) -> u16,
}

/// Whether the answer repeats what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Written,
    /// It says what is improbable about it.
    Doubts,
    /// It does not.
    Nothing,
}

/// One entry.
pub struct Step {
    /// The interaction it asks for.
    pub operation: &'static Operation,
    /// On what.
    pub what: What,
    /// For a list: how it is asked for again.
    pub list: Option<List>,
    /// Its criteria, as the trail keeps them.
    pub criteria: Option<String>,
}

/// A list, as the links that lead on from it name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its path below the base: `Observation`, `Patient/7/Observation`, `Patient/7/_history`.
    pub path: String,
    /// The parameters it was asked for with.
    pub pairs: Vec<(String, String)>,
}

/// What an entry is about.
pub enum What {
    /// A new resource, unless one meets the condition.
    Create(Option<Condition>),
    /// The resource of this id.
    Update(String, Option<Version>),
    /// The resource that meets the condition.
    UpdateMatching(Condition, Option<Version>),
    /// The resource of this id.
    Delete(String, Option<Version>),
    /// The resource that meets the condition.
    DeleteMatching(Condition, Option<Version>),
    /// The resource of this id, unless the caller has it already.
    Read(String, Seen),
    /// A version of the resource of this id.
    Vread(String, Version),
    /// What a search finds, of a whole type or of one patient's compartment.
    Search(Search),
    /// Versions, at most so many.
    History(Whose, u32),
}

/// Whose versions a history lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of the resource of this id.
    One(String),
    /// Those of every resource of the type.
    Every,
}

/// How an entry went.
pub type Outcome = Result<Done, Failure>;

/// An entry that was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Its status.
    pub status: u16,
    /// The resource's id.
    pub id: Option<String>,
    /// The version that stands now, or was read.
    pub version: Option<Version>,
    /// Since when, in milliseconds since 1970.
    pub last_updated: Option<i64>,
    /// The patient it is about.
    pub patient: Option<String>,
    /// The resource, where the answer has it.
    pub body: Option<String>,
    /// What is improbable about what was written, where the answer has it.
    pub doubts: Vec<Issue>,
    /// What a search or a history found.
    pub listed: Option<Listed>,
    /// Whether anything was written.
    pub wrote: bool,
}

/// Does what the entries ask for. A transaction that is refused is the failure of one of its entries.
pub async fn bundle(cx: &mut Exchange<'_>, plan: &Plan) -> Answer<Vec<Outcome>> {
    if plan.steps.iter().flatten().any(|step| step.what.writes()) {
        cx.prepare_write().await?;
    }
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, plan).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    if outcome.is_err() && cx.record.entries.is_empty() {
        cx.record.entries = trail::asked(plan);
    }
    match cx.settle(outcome.map(Ok))? {
        Ok(outcomes) => outcomes,
        Err(_) => Err(Failure::unavailable("collision")),
    }
}

async fn attempt(cx: &mut Exchange<'_>, plan: &Plan) -> Result<Answer<Vec<Outcome>>, Stopped> {
    cx.boxed = false;
    let mut run = Run::new(cx.access, plan, cx.now());
    if !plan.looks_up() {
        // Nothing hangs on what stands: everything is judged before there is a connection.
        run.check_identities();
        run.read_bodies();
    }
    if let Some(failure) = run.refused() {
        return Ok(Err(refuse(cx, &run, failure)));
    }
    let mut tx = cx.pool.begin_long(cx.access).await?;
    run.all(&mut tx).await?;
    if let Some(failure) = run.refused() {
        tx.rollback().await?;
        return Ok(Err(refuse(cx, &run, failure)));
    }
    let wrote = run.wrote();
    run.fill(cx);
    let outcomes = run.into_outcomes();
    if wrote {
        tx.note(&cx.outbox_of_bundle()).await?;
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(Ok(outcomes))
}

/// The failure of a transaction: that of its first entry that was refused, which is named.
fn refuse(cx: &mut Exchange<'_>, run: &Run<'_>, (place, mut failure): (usize, Failure)) -> Failure {
    cx.record.entries = run.entries();
    for entry in &mut cx.record.entries {
        // Whatever was done is undone.
        entry.decision = vitals_access::audit::Decision::Denied;
    }
    for issue in &mut failure.issues {
        let inside = match issue.expression.as_deref() {
            Some(expression) if expression.starts_with("Bundle") => continue,
            Some(expression) => within(expression),
            None => String::new(),
        };
        issue.expression = Some(format!("Bundle.entry[{place}]{inside}"));
    }
    failure
}

/// An expression of an entry's request or resource, as it goes on from the entry.
fn within(expression: &str) -> String {
    match expression {
        "http.if-match" => ".request.ifMatch".to_owned(),
        "http.if-none-exist" => ".request.ifNoneExist".to_owned(),
        _ => match expression.split_once('.') {
            Some((kind, rest)) if kind.starts_with(|first: char| first.is_ascii_uppercase()) => {
                format!(".resource.{rest}")
            }
            _ if expression.starts_with(|first: char| first.is_ascii_uppercase()) => ".resource".to_owned(),
            _ => ".request.url".to_owned(),
        },
    }
}

impl Plan {
    /// Whether something must be looked up before it is known what is written where.
    fn looks_up(&self) -> bool {
        let conditional = |step: &Step| {
            matches!(step.what, What::Create(Some(_)) | What::UpdateMatching(..) | What::DeleteMatching(..))
        };
        let refers =
            |place| self.bundle.named(place).any(|named| matches!(named, vitals_fhir::bundle::Named::Match { .. }));
        self.steps.iter().flatten().any(conditional) || (0..self.steps.len()).any(refers)
    }

    fn is_transaction(&self) -> bool {
        self.bundle.kind() == BundleKind::Transaction
    }
}

impl What {
    const fn writes(&self) -> bool {
        !matches!(self, Self::Read(..) | Self::Vread(..) | Self::Search(_) | Self::History(..))
    }

    /// The condition it hangs on.
    const fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Create(Some(condition)) | Self::UpdateMatching(condition, _) | Self::DeleteMatching(condition, _) => {
                Some(condition)
            }
            _ => None,
        }
    }
}
