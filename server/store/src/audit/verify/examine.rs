//! Looking at records one by one: the hash, the columns, the place in the chain.

use chrono::DateTime;
use sqlx::{Row as _, postgres::PgRow};
use tokio::{runtime::Handle, sync::mpsc};
use uuid::Uuid;
use vitals_access::audit;

use super::{
    Found, Reason,
    kept::Kept,
    link::{Fault, Link, Links},
    said::Said,
};
use crate::{
    audit::{
        AuditError, AuditReader, Derived,
        derived::KnownKeys,
        read::{answer, hash_at},
        row::NOTHING,
    },
    millis::Millis,
};

/// Records come in the order of the index, without a sort that would fill the disk.
pub(super) const RECORDS: &str = "\
    SELECT writer, sequence, id, time, record, previous, hash, keys FROM audit.record \
    WHERE chain = $1 ORDER BY time, writer, sequence";

const EXISTS: &str = "SELECT EXISTS (SELECT FROM audit.record WHERE chain = $1 AND writer = $2 AND sequence = $3)";

/// Records out of the order of their times wait for the one before them. When so many wait (some 6 MB), the database
/// is asked whether there is such a record at all: a clock that was set back is no gap.
const ASK_AFTER: usize = 65_536;

/// Looks at the records of one chain.
pub(super) struct Examiner {
    chain: String,
    records: u64,
    links: Links,
    kept: Kept,
    keys: KnownKeys,
    /// Answers questions while the records stream.
    beside: AuditReader,
}

impl Examiner {
    pub(super) fn new(chain: &str, links: Links, kept: Kept, beside: AuditReader) -> Self {
        Self { chain: chain.to_owned(), records: 0, links, kept, keys: KnownKeys::default(), beside }
    }

    /// Looks at all batches, on a thread where it keeps nobody waiting.
    pub(super) fn run(mut self, mut batches: mpsc::Receiver<Vec<PgRow>>) -> (Self, Result<(), AuditError>) {
        while let Some(batch) = batches.blocking_recv() {
            for row in &batch {
                if let Err(error) = self.take(row) {
                    return (self, Err(error));
                }
            }
        }
        (self, Ok(()))
    }

    /// All records have come: what the chain turned out to be, and the reader for the next one.
    pub(super) fn finish(mut self, sealed: u64) -> (Found, AuditReader) {
        let (fault, ends) = self.links.finish();
        let missed = fault.into_iter().chain(self.kept.missed(&ends));
        let fault = missed.reduce(Fault::earlier);
        (Found { records: self.records, sealed, fault, ends }, self.beside)
    }

    fn take(&mut self, row: &PgRow) -> Result<(), AuditError> {
        self.records += 1;
        let Some(link) = self.examine(row)? else { return Ok(()) };
        self.links.add(link);
        let waiting = self.links.waiting(link.writer);
        if waiting > 0 && waiting.is_multiple_of(ASK_AFTER) {
            while self.links.waiting(link.writer) > 0 && !self.exists(link.writer, self.links.awaited(link.writer))? {
                self.links.give_up(link.writer);
            }
        }
        Ok(())
    }

    /// Looks at one record by itself, and says where it belongs in this chain, if it does: where its text says, for
    /// the hash holds that together.
    fn examine(&mut self, row: &PgRow) -> Result<Option<Link>, AuditError> {
        let (previous, hash) = (hash_at(row, 5, "previous").ok(), hash_at(row, 6, "hash").ok());
        let sequence = column(row, 1, "sequence")?;
        let mut link = Link {
            writer: column(row, 0, "writer")?,
            sequence,
            through: sequence,
            previous: previous.unwrap_or(NOTHING),
            hash: hash.unwrap_or(NOTHING),
        };
        let record: &str = column(row, 4, "record")?;
        if previous.is_none() || hash.is_none() || audit::hash(&link.previous, record) != link.hash {
            self.links.fault(link.writer, link.sequence, Reason::Changed);
            return Ok(Some(link));
        }
        let Some(said) = Said::read(record) else {
            self.links.fault(link.writer, link.sequence, Reason::Column);
            return Ok(Some(link));
        };
        if said.chain != self.chain {
            self.links.fault(link.writer, link.sequence, Reason::Moved);
            return Ok(None);
        }
        if (said.writer, said.sequence) != (link.writer, link.sequence) {
            (link.writer, link.sequence, link.through) = (said.writer, said.sequence, said.sequence);
            self.links.fault(link.writer, link.sequence, Reason::Moved);
        }
        let id: Uuid = column(row, 2, "id")?;
        let time: Millis = column(row, 3, "time")?;
        let keys: Option<Vec<i64>> = column(row, 7, "keys")?;
        if Uuid::try_parse(said.record) != Ok(id)
            || keys != serde_json::from_str(record).ok().map(|record| Derived::known(&record, &mut self.keys).keys)
            || DateTime::parse_from_rfc3339(said.time).map(|time| time.timestamp_millis()) != Ok(time.0)
        {
            self.links.fault(link.writer, link.sequence, Reason::Column);
        }
        self.kept.meet(link.writer, link.sequence, &link.hash);
        Ok(Some(link))
    }

    fn exists(&mut self, writer: i64, sequence: i64) -> Result<bool, AuditError> {
        let query = sqlx::query_scalar(EXISTS).bind(&self.chain).bind(writer).bind(sequence);
        Handle::current().block_on(answer("audit.exists", query.fetch_one(self.beside.connection())))
    }
}

pub(super) fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    index: usize,
    name: &'static str,
) -> Result<T, AuditError> {
    row.try_get(index).map_err(|_| AuditError::Inconsistent(name))
}
