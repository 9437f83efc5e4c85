//! Verifying the trail: every record's hash, every link, every column.

mod link;

use std::collections::{BTreeSet, HashMap};

use chrono::DateTime;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use vitals_access::audit;

use self::link::{Fault, Link, Links};
use super::{
    AuditError, AuditReader, Head,
    read::{answer, hash_at},
    row::{Hash, NOTHING},
};
use crate::millis::Millis;

/// Records come in the order of the index, without a sort that would fill the disk.
const RECORDS: &str = "\
    SELECT writer, sequence, id::text, time, record, previous, hash FROM audit.record \
    WHERE chain = $1 ORDER BY time, writer, sequence";

const FIRST: &str = "SELECT writer, previous FROM audit.record WHERE chain = $1 AND sequence = 1";

const EXISTS: &str = "SELECT EXISTS (SELECT FROM audit.record WHERE chain = $1 AND writer = $2 AND sequence = $3)";

/// Records out of the order of their times wait for the one before them. When so many wait (some 6 MB), the database
/// is asked whether there is such a record at all: a clock that was set back is no gap.
const ASK_AFTER: usize = 65_536;

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
}

/// Reads and verifies the trail as it is at this moment.
pub async fn verify(read_url: &str, what: Verify<'_>) -> Result<Verification, AuditError> {
    let mut beside = AuditReader::open(read_url).await?;
    let mut chains: BTreeSet<String> = match what.only {
        Some(chain) => BTreeSet::from([chain.to_owned()]),
        None => beside.chains().await?.into_iter().collect(),
    };
    chains
        .extend(what.heads.iter().map(|head| head.chain.clone()).filter(|chain| what.only.is_none_or(|o| o == chain)));

    let mut reader = AuditReader::open(read_url).await?;
    let mut snapshot = reader.snapshot().await?;
    let mut result = Verification { ok: true, records: 0, first_bad: None, heads: Vec::new() };
    for chain in &chains {
        let mut reading = Chain { name: chain, records: 0, kept: kept(what.heads, chain), beside: &mut beside };
        let (fault, ends) = reading.verify(&mut snapshot).await?;
        result.records += reading.records;
        result.heads.extend(ends.iter().map(|(writer, sequence, hash)| Head::new(chain, *writer, *sequence, hash)));
        if let Some(fault) = fault
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

fn kept<'a>(heads: &'a [Head], chain: &str) -> HashMap<(i64, i64), &'a Head> {
    heads.iter().filter(|head| head.chain == chain).map(|head| ((head.writer, head.sequence), head)).collect()
}

struct Chain<'a> {
    name: &'a str,
    records: u64,
    /// Heads that were kept elsewhere and not met yet.
    kept: HashMap<(i64, i64), &'a Head>,
    /// Answers questions while the records stream.
    beside: &'a mut AuditReader,
}

impl Chain<'_> {
    async fn verify(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(Option<Fault>, Vec<(i64, i64, Hash)>), AuditError> {
        let first = sqlx::query(FIRST).bind(self.name).fetch_all(&mut *connection).await;
        let first = first.map_err(|error| AuditError::of("audit.first", error))?;
        // One that is no hash is named when its record is examined.
        let first = first.iter().filter_map(|row| Some((row, hash_at(row, 1, "previous").ok()?)));
        let first = first.map(|(row, previous)| Ok((column(row, 0, "writer")?, previous)));
        let mut links = Links::new(first.collect::<Result<Vec<_>, AuditError>>()?);

        let mut rows = sqlx::query(RECORDS).bind(self.name).fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(|error| AuditError::of("audit.records", error))? {
            self.records += 1;
            let Some(link) = self.examine(&row, &mut links)? else { continue };
            links.add(link);
            let waiting = links.waiting(link.writer);
            if waiting > 0 && waiting.is_multiple_of(ASK_AFTER) {
                while links.waiting(link.writer) > 0 && !self.exists(link.writer, links.awaited(link.writer)).await? {
                    links.give_up(link.writer);
                }
            }
        }
        for (writer, sequence) in self.kept.keys() {
            links.fault(*writer, *sequence, Reason::Head);
        }
        Ok(links.finish())
    }

    /// Looks at one record by itself, and says where it belongs in this chain, if it does: where its text says, for
    /// the hash holds that together.
    fn examine(&mut self, row: &PgRow, links: &mut Links) -> Result<Option<Link>, AuditError> {
        let (previous, hash) = (hash_at(row, 5, "previous").ok(), hash_at(row, 6, "hash").ok());
        let mut link = Link {
            writer: column(row, 0, "writer")?,
            sequence: column(row, 1, "sequence")?,
            previous: previous.unwrap_or(NOTHING),
            hash: hash.unwrap_or(NOTHING),
        };
        let record: &str = column(row, 4, "record")?;
        if previous.is_none() || hash.is_none() || audit::hash(&link.previous, record) != link.hash {
            links.fault(link.writer, link.sequence, Reason::Changed);
            return Ok(Some(link));
        }
        let Ok(said) = serde_json::from_str::<Said<'_>>(record) else {
            links.fault(link.writer, link.sequence, Reason::Column);
            return Ok(Some(link));
        };
        if said.chain != self.name {
            links.fault(link.writer, link.sequence, Reason::Moved);
            return Ok(None);
        }
        if (said.writer, said.sequence) != (link.writer, link.sequence) {
            (link.writer, link.sequence) = (said.writer, said.sequence);
            links.fault(link.writer, link.sequence, Reason::Moved);
        }
        let id: &str = column(row, 2, "id")?;
        let time: Millis = column(row, 3, "time")?;
        if said.record != id
            || DateTime::parse_from_rfc3339(said.time).map(|time| time.timestamp_millis()) != Ok(time.0)
        {
            links.fault(link.writer, link.sequence, Reason::Column);
        }
        if let Some(head) = self.kept.get(&(link.writer, link.sequence))
            && head.holds(&link.hash)
        {
            self.kept.remove(&(link.writer, link.sequence));
        }
        Ok(Some(link))
    }

    async fn exists(&mut self, writer: i64, sequence: i64) -> Result<bool, AuditError> {
        let query = sqlx::query_scalar(EXISTS).bind(self.name).bind(writer).bind(sequence);
        answer("audit.exists", query.fetch_one(self.beside.connection())).await
    }
}

/// What a record says about its own place. Everything else in it is covered by the hash alone.
#[derive(Deserialize)]
struct Said<'a> {
    writer: i64,
    sequence: i64,
    record: &'a str,
    chain: &'a str,
    time: &'a str,
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    index: usize,
    name: &'static str,
) -> Result<T, AuditError> {
    row.try_get(index).map_err(|_| AuditError::Inconsistent(name))
}

#[cfg(test)]
mod tests;
