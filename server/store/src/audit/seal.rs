//! Taking a month out of the trail: what it held is written down in signed receipts, and its partition is detached, in
//! one transaction. The chains go on behind the receipts, so that verification still holds.

use std::{
    collections::{BTreeMap, HashSet},
    io,
};

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection, Row as _};
use vitals_access::{audit, witness::Witness};

use super::{AuditError, Month, Receipt, export::Exported, receipt::Run, row::Hash};
use crate::{audit::read::hash_at, migrate::ddl, millis::Millis, setup::statement::Statement};

const IS_ATTACHED: &str = "\
    SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i \
        JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid \
        WHERE i.inhparent = 'audit.record'::regclass AND child.relname::text = $1)";

const HAS_EARLIER: &str = "SELECT EXISTS (SELECT FROM audit.record WHERE time < $1)";

const CHAINS: &str = "SELECT DISTINCT chain FROM audit.record WHERE time >= $1 AND time < $2 ORDER BY chain";

const FIRST: &str = "SELECT previous FROM audit.record WHERE chain = $1 AND sequence = 1";

const RECORDS: &str = "\
    SELECT writer, sequence, time, record, previous, hash FROM audit.record \
    WHERE chain = $1 AND time >= $2 AND time < $3 ORDER BY time, writer, sequence";

/// How long the last step may wait for those who read or write the trail; they wait behind it that long.
const LOCK_MILLISECONDS: u32 = 1_000;

/// What becomes of the table that held a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It lies in the schema `audit_sealed`.
    Keep,
    /// It is dropped.
    Drop,
}

/// Why a month was not sealed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Records may still come for it.
    #[error("{0} cannot be sealed yet: clocks are set back and records arrive late; wait for the end of {1}")]
    TooYoung(Month, Month),
    /// The trail has no such month.
    #[error("the trail has no month {0}: it was sealed already, or never was")]
    NoMonth(Month),
    /// There are records of months before.
    #[error("there are records from before {0}: seal the months before it first")]
    Earlier(Month),
    /// A record does not hold.
    #[error("record {sequence} of writer {writer} in chain {chain} does not hold: see `vitals audit verify`")]
    Broken {
        /// The chain.
        chain: String,
        /// The writer.
        writer: i64,
        /// The number.
        sequence: i64,
    },
    /// The records could not be written elsewhere.
    #[error("the records cannot be exported")]
    Export(#[source] io::Error),
    /// The database said no.
    #[error("cannot {doing}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// What was read made no sense.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl SealError {
    fn doing(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

/// A month that was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many records it held.
    pub records: u64,
    /// The receipts, as signed lines.
    pub receipts: Vec<String>,
}

/// What to seal, and how.
pub struct Seal<'a> {
    /// The month.
    pub month: Month,
    /// Signs the receipts.
    pub witness: &'a Witness,
    /// The time.
    pub now: DateTime<Utc>,
    /// What becomes of the records.
    pub afterwards: Afterwards,
}

/// Where the records of a month go before they are taken out.
pub trait ExportRows {
    /// Takes one.
    fn row(&mut self, row: &Exported) -> io::Result<()>;
    /// There are no more: what it took must be safe when this returns.
    fn end(&mut self) -> io::Result<()>;
}

/// They go nowhere.
#[derive(Clone, Copy, Debug)]
pub struct NoExport;

impl ExportRows for NoExport {
    fn row(&mut self, _: &Exported) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Seals a month. The connection is an administrator's, to the audit database; `export` is given every record before
/// anything is changed.
pub async fn seal(
    admin: &mut PgConnection,
    what: &Seal<'_>,
    export: &mut (dyn ExportRows + Send),
) -> Result<Sealed, SealError> {
    // The month before this one must stay: a clock may have been set back.
    let open = Month::of(what.now).before();
    if what.month >= open {
        return Err(SealError::TooYoung(what.month, what.month.next()));
    }
    let mut tx = admin.begin().await.map_err(SealError::doing("begin to seal the month"))?;
    match within(&mut tx, what, export).await {
        Ok(sealed) => tx.commit().await.map(|()| sealed).map_err(SealError::doing("commit")),
        Err(error) => {
            // The locks go at once; where that fails, with the connection.
            drop(tx.rollback().await);
            Err(error)
        }
    }
}

async fn within(
    tx: &mut PgConnection,
    what: &Seal<'_>,
    export: &mut (dyn ExportRows + Send),
) -> Result<Sealed, SealError> {
    let failed = SealError::doing("begin to seal the month");
    ddl::become_owner(&mut *tx).await.map_err(&failed)?;
    let partition = what.month.partition();
    let attached: bool = sqlx::query_scalar(IS_ATTACHED).bind(&partition).fetch_one(&mut *tx).await.map_err(&failed)?;
    if !attached {
        return Err(SealError::NoMonth(what.month));
    }
    let earlier = sqlx::query_scalar(HAS_EARLIER).bind(what.month.begin());
    if earlier.fetch_one(&mut *tx).await.map_err(&failed)? {
        return Err(SealError::Earlier(what.month));
    }
    // From here on nobody adds to this month; the others go on.
    let lock = Statement::new("LOCK TABLE audit.").name(&partition).text(" IN SHARE MODE");
    lock.run(&mut *tx).await.map_err(&failed)?;

    let mut sealed = Sealed::default();
    let chains = sqlx::query_scalar(CHAINS).bind(what.month.begin()).bind(what.month.end());
    let chains: Vec<String> =
        chains.fetch_all(&mut *tx).await.map_err(SealError::doing("list the chains of the month"))?;
    for chain in chains {
        let (records, runs) = read(&mut *tx, what.month, &chain, export).await?;
        sealed.records += records;
        for run in &runs {
            let receipt = Receipt::of(run, &what.month.to_string(), &chain, what.now);
            let put = receipt.put(&mut *tx, run, what.witness).await;
            sealed.receipts.push(put.map_err(SealError::doing("write a receipt"))?);
        }
    }
    export.end().map_err(SealError::Export)?;
    detach(&mut *tx, &partition, what.afterwards)
        .await
        .map_err(SealError::doing("detach the month; somebody reads the trail just now, or writes to it"))?;
    Ok(sealed)
}

async fn detach(tx: &mut PgConnection, partition: &str, afterwards: Afterwards) -> Result<(), sqlx::Error> {
    ddl::bound_locks(tx, LOCK_MILLISECONDS).await?;
    Statement::new("ALTER TABLE audit.record DETACH PARTITION audit.").name(partition).run(tx).await?;
    match afterwards {
        Afterwards::Drop => Statement::new("DROP TABLE audit.").name(partition).run(tx).await,
        Afterwards::Keep => {
            Statement::new("CREATE SCHEMA IF NOT EXISTS audit_sealed").run(tx).await?;
            Statement::new("ALTER TABLE audit.").name(partition).text(" SET SCHEMA audit_sealed").run(tx).await
        }
    }
}

/// Reads what a chain has in the month, every record with its hash looked at, and finds its unbroken stretches.
async fn read(
    tx: &mut PgConnection,
    month: Month,
    chain: &str,
    export: &mut (dyn ExportRows + Send),
) -> Result<(u64, Vec<Run>), SealError> {
    let failed = SealError::doing("read the records of the month");
    let first = sqlx::query(FIRST).bind(chain).fetch_all(&mut *tx).await.map_err(&failed)?;
    let followed: HashSet<Hash> = first.iter().filter_map(|row| hash_at(row, 0, "previous").ok()).collect();
    let mut runs = Runs { chain, followed, open: BTreeMap::new() };
    let mut records = 0;
    let query = sqlx::query(RECORDS).bind(chain).bind(month.begin()).bind(month.end());
    let mut rows = query.fetch(tx);
    while let Some(row) = rows.try_next().await.map_err(&failed)? {
        let place = || -> Result<_, sqlx::Error> { Ok((row.try_get("writer")?, row.try_get("sequence")?)) };
        let (writer, sequence): (i64, i64) = place().map_err(&failed)?;
        let time: Millis = row.try_get("time").map_err(&failed)?;
        let exported = Exported {
            previous: hash_at(&row, 4, "previous")?,
            hash: hash_at(&row, 5, "hash")?,
            record: row.try_get("record").map_err(&failed)?,
        };
        if audit::hash(&exported.previous, &exported.record) != exported.hash {
            return Err(SealError::Broken { chain: chain.to_owned(), writer, sequence });
        }
        export.row(&exported).map_err(SealError::Export)?;
        runs.add(writer, sequence, time.0, &exported);
        records += 1;
    }
    runs.finish().map(|runs| (records, runs))
}

/// Stretches of records in the making.
struct Runs<'c> {
    chain: &'c str,
    /// What first records follow, wherever they are.
    followed: HashSet<Hash>,
    open: BTreeMap<i64, Vec<Run>>,
}

impl Runs<'_> {
    fn add(&mut self, writer: i64, sequence: i64, time: i64, row: &Exported) {
        let runs = self.open.entry(writer).or_default();
        let found = runs.iter().position(|run| run.last + 1 == sequence && run.hash == row.previous);
        let at = found.unwrap_or(runs.len());
        if found.is_none() {
            let (previous, hash) = (row.previous, row.hash);
            let (first, last, followed) = (sequence, sequence, Vec::new());
            runs.push(Run { writer, first, last, previous, hash, followed, latest: time });
        }
        let run = &mut runs[at];
        run.last = sequence;
        run.hash = row.hash;
        run.latest = run.latest.max(time);
        if self.followed.contains(&row.hash) {
            run.followed.push(row.hash);
        }
    }

    /// The stretches, each as long as it can be. Records come in the order of their times, which is almost that of
    /// their numbers, so that some stretches were begun in their middle.
    fn finish(self) -> Result<Vec<Run>, SealError> {
        let mut all = Vec::new();
        for mut runs in self.open.into_values() {
            runs.sort_by_key(|run| run.first);
            let mut joined: Vec<Run> = Vec::new();
            for run in runs {
                match joined.last_mut() {
                    Some(before) if run.first <= before.last => {
                        let (writer, sequence) = (run.writer, run.first);
                        return Err(SealError::Broken { chain: self.chain.to_owned(), writer, sequence });
                    }
                    Some(before) if run.first == before.last + 1 && run.previous == before.hash => {
                        before.last = run.last;
                        before.hash = run.hash;
                        before.latest = before.latest.max(run.latest);
                        before.followed.extend(run.followed);
                    }
                    _ => joined.push(run),
                }
            }
            all.extend(joined);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: u8) -> Exported {
        Exported { previous: [sequence - 1; 32], hash: [sequence; 32], record: String::new() }
    }

    fn stretches(order: &[u8]) -> Vec<(i64, i64, i64)> {
        let mut runs = Runs { chain: "t_a", followed: HashSet::from([[3; 32]]), open: BTreeMap::new() };
        for (time, sequence) in (0..).zip(order) {
            runs.add(1, i64::from(*sequence), time, &row(*sequence));
        }
        let found = runs.finish().unwrap();
        assert!(found.iter().all(|run| run.hash == [u8::try_from(run.last).unwrap(); 32]));
        assert_eq!(found.iter().map(|run| run.followed.len()).sum::<usize>(), usize::from(order.contains(&3)));
        found.iter().map(|run| (run.first, run.last, run.latest)).collect()
    }

    #[test]
    fn stretches_are_as_long_as_they_can_be_in_any_order_of_times() {
        assert_eq!(stretches(&[1, 2, 3, 4]), [(1, 4, 3)]);
        assert_eq!(stretches(&[2, 1, 4, 3]), [(1, 4, 3)]);
        assert_eq!(stretches(&[4, 3, 2, 1]), [(1, 4, 3)]);
        // The third lies in another month.
        assert_eq!(stretches(&[1, 2, 4, 5]), [(1, 2, 1), (4, 5, 3)]);
    }

    #[test]
    fn two_records_at_one_place_are_no_stretch() {
        let mut runs = Runs { chain: "t_a", followed: HashSet::new(), open: BTreeMap::new() };
        for sequence in [1, 2, 2] {
            runs.add(1, sequence, 0, &row(u8::try_from(sequence).unwrap()));
        }
        assert!(matches!(runs.finish(), Err(SealError::Broken { writer: 1, sequence: 2, .. })));
    }
}
