//! Verifying the trail: every record's hash, every link, every column.

mod examine;
mod kept;
mod link;
mod said;

use std::collections::{BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, postgres::PgRow};
use tokio::sync::mpsc;
use vitals_access::witness::WitnessKeys;

use self::{
    examine::{Examiner, RECORDS, column},
    link::{Fault, Link, Links},
};
use super::{
    AuditError, AuditReader, Head, HeadFault,
    read::hash_at,
    receipt::{self, Stretch},
    row::Hash,
};

const FIRST: &str = "SELECT writer, previous FROM audit.record WHERE chain = $1 AND sequence = 1";

/// Records that are handed on at once; some two megabytes.
const BATCH: usize = 2_048;
/// Batches that may wait for the one who looks at them.
const BATCHES: usize = 4;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Its hash is not that of its text and the one before.
    #[serde(rename = "the record was changed: its hash does not match")]
    Changed,
    /// Its place is not the one its text says.
    #[serde(rename = "the record was moved: its text names another writer or sequence")]
    Moved,
    /// Another column disagrees with its text.
    #[serde(rename = "a column disagrees with the text of the record")]
    Column,
    /// A record before it is not there.
    #[serde(rename = "the record is missing")]
    Gap,
    /// It does not carry the hash of the record before it.
    #[serde(rename = "the record does not follow the one before it")]
    Link,
    /// The first record of a writer follows one that is not there.
    #[serde(rename = "the first record of this writer follows a record that is not there")]
    Beginning,
    /// There is another record at its place.
    #[serde(rename = "there are two records at this place")]
    Duplicate,
    /// The heads that were kept elsewhere name another record at this place, or one that is gone.
    #[serde(rename = "the record is not the one that the kept heads name")]
    Head,
    /// The heads that were kept elsewhere name it, or one behind it, and it is gone.
    #[serde(rename = "the record is missing: the kept heads name it or one behind it")]
    Removed,
    /// The head that names it is not signed by us.
    #[serde(rename = "the kept head that names this record is not signed by us, or was changed")]
    HeadSignature,
    /// The head that its writer signed before the one that names this record is gone.
    #[serde(rename = "the head that was kept before the one that names this record is gone, or was changed")]
    HeadBefore,
    /// What stands for the records of a sealed month from here on is not signed by us.
    #[serde(rename = "the receipt for the records from here on is not signed by us, or was changed")]
    Receipt,
}

/// The first bad record: by chain, writer and sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstBad {
    /// The tenant's name, or its role where no tenant of that role is known; `server` for the server's own chain.
    pub tenant: String,
    /// The writer.
    pub writer: i64,
    /// The number of the record.
    pub sequence: i64,
    /// What is wrong.
    pub reason: Reason,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether every record holds.
    pub ok: bool,
    /// How many records were read.
    pub records: u64,
    /// How many more stood in months that were sealed, by their receipts.
    #[serde(skip)]
    pub sealed: u64,
    /// The first that does not hold.
    pub first_bad: Option<FirstBad>,
    /// Where each part of each chain ends; to be kept elsewhere.
    #[serde(skip)]
    pub heads: Vec<Head>,
}

/// What to verify.
#[derive(Clone, Copy, Debug)]
pub struct Verify<'a> {
    /// One chain alone, or all.
    pub only: Option<&'a str>,
    /// Names of tenants by role.
    pub names: &'a HashMap<String, String>,
    /// Heads that were kept elsewhere.
    pub heads: &'a [Head],
    /// Heads that were kept elsewhere and are not to be believed.
    pub head_faults: &'a [(Head, HeadFault)],
    /// What receipts are checked with. Without any, no receipt is believed.
    pub keys: Option<&'a WitnessKeys>,
}

impl<'a> Verify<'a> {
    /// Everything, with nothing to hold against it.
    pub fn everything(names: &'a HashMap<String, String>) -> Self {
        Self { only: None, names, heads: &[], head_faults: &[], keys: None }
    }
}

/// Reads and verifies the trail as it is at this moment.
pub async fn verify(read_url: &str, what: Verify<'_>) -> Result<Verification, AuditError> {
    let mut beside = AuditReader::open(read_url).await?;
    let mut chains: BTreeSet<String> = what.only.into_iter().map(str::to_owned).collect();
    if what.only.is_none() {
        chains.extend(beside.chains().await?);
        chains.extend(receipt::chains(beside.connection()).await?);
    }
    let named = what.heads.iter().chain(what.head_faults.iter().map(|(head, _)| head)).map(|head| &head.chain);
    chains.extend(named.filter(|chain| what.only.is_none_or(|only| only == *chain)).cloned());

    let mut reader = AuditReader::open(read_url).await?;
    let mut snapshot = reader.snapshot().await?;
    let mut result = Verification { ok: true, records: 0, sealed: 0, first_bad: None, heads: Vec::new() };
    for chain in &chains {
        let reading = Chain { name: chain, what: &what };
        let (found, back) = reading.verify(&mut snapshot, beside).await?;
        beside = back;
        result.records += found.records;
        result.sealed += found.sealed;
        let ends = found.ends.iter();
        result.heads.extend(ends.map(|(writer, sequence, hash)| Head::new(chain, *writer, *sequence, hash)));
        if let Some(fault) = found.fault
            && result.first_bad.is_none()
        {
            let tenant = what.names.get(chain).unwrap_or(chain).clone();
            let Fault { writer, sequence, reason } = fault;
            result.first_bad = Some(FirstBad { tenant, writer, sequence, reason });
            result.ok = false;
        }
    }
    result.heads.sort_by(|a, b| (&a.chain, a.writer).cmp(&(&b.chain, b.writer)));
    Ok(result)
}

/// What a chain turned out to be.
struct Found {
    records: u64,
    sealed: u64,
    fault: Option<Fault>,
    ends: Vec<(i64, i64, Hash)>,
}

struct Chain<'a> {
    name: &'a str,
    what: &'a Verify<'a>,
}

impl Chain<'_> {
    /// Two work at once: one asks the database for records, the other looks at them.
    async fn verify(
        &self,
        connection: &mut PgConnection,
        beside: AuditReader,
    ) -> Result<(Found, AuditReader), AuditError> {
        let stretches = receipt::of_chain(&mut *connection, self.name, self.what.keys).await?;
        let sealed = stretches.iter().map(|stretch| stretch.last.abs_diff(stretch.first) + 1).sum();
        let mut links = Links::new(first_records(&mut *connection, self.name).await?);
        take_receipts(&mut links, &stretches);
        let kept = kept::Kept::of(self.what.heads, self.name, &stretches);
        for (head, fault) in self.what.head_faults.iter().filter(|(head, _)| head.chain == self.name) {
            let reason = match fault {
                HeadFault::Signature => Reason::HeadSignature,
                HeadFault::Previous => Reason::HeadBefore,
            };
            links.fault(head.writer, head.sequence, reason);
        }

        let examiner = Examiner::new(self.name, links, kept, beside);
        let (batches, waiting) = mpsc::channel(BATCHES);
        let looking = tokio::task::spawn_blocking(move || examiner.run(waiting));
        let fetched = fetch(connection, self.name, batches).await;
        // A panic there is one here.
        let (examiner, looked) = looking.await.map_err(|_| AuditError::Inconsistent("record"))?;
        fetched?;
        looked?;
        Ok(examiner.finish(sealed))
    }
}

/// Sends the records of a chain on, in batches.
async fn fetch(
    connection: &mut PgConnection,
    chain: &str,
    batches: mpsc::Sender<Vec<PgRow>>,
) -> Result<(), AuditError> {
    let mut rows = sqlx::query(RECORDS).bind(chain).fetch(connection);
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.try_next().await.map_err(|error| AuditError::of("audit.records", error))? {
        batch.push(row);
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.send(full).await.is_err() {
                // Who looks at them has given up, and says why.
                return Ok(());
            }
        }
    }
    // The same holds for the last of them.
    drop(batches.send(batch).await);
    Ok(())
}

/// What the first records of writers follow. One that is no hash is named when its record is examined.
async fn first_records(connection: &mut PgConnection, chain: &str) -> Result<Vec<(i64, Hash)>, AuditError> {
    let first = sqlx::query(FIRST).bind(chain).fetch_all(connection).await;
    let first = first.map_err(|error| AuditError::of("audit.first", error))?;
    let first = first.iter().filter_map(|row| Some((row, hash_at(row, 1, "previous").ok()?)));
    first.map(|(row, previous)| Ok((column(row, 0, "writer")?, previous))).collect()
}

/// Receipts stand for the records that are gone.
fn take_receipts(links: &mut Links, stretches: &[Stretch]) {
    for stretch in stretches {
        if !stretch.is_good {
            links.fault(stretch.writer, stretch.first, Reason::Receipt);
            continue;
        }
        for hash in &stretch.followed {
            links.stood(stretch.writer, hash);
        }
        links.add(Link {
            writer: stretch.writer,
            sequence: stretch.first,
            through: stretch.last,
            previous: stretch.previous,
            hash: stretch.hash,
        });
    }
}

#[cfg(test)]
mod tests;
