//! Receipts: what stands for the records of a month that was taken out of the trail. A receipt is a signed line about a
//! stretch of one writer's records in one chain, and says how the rest of the chain goes on behind it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};
use vitals_access::witness::{self, Witness, WitnessKeys};

use super::{
    AuditError,
    row::{Hash, parse_hash},
};
use crate::millis::Millis;

/// The word that tells a receipt from other signed statements.
const RECEIPT: &str = "receipt";

const OF_CHAIN: &str = "\
    SELECT writer, first, latest, hash, line FROM audit.receipt WHERE chain = $1 ORDER BY writer, first";

const CHAINS: &str = "SELECT DISTINCT chain FROM audit.receipt";

const INSERT: &str = "\
    INSERT INTO audit.receipt (month, chain, writer, first, latest, hash, line) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Records of one writer in one chain, numbered without a gap, that are in the trail no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    statement: String,
    /// The month whose partition held them: `2026-09`.
    pub month: String,
    /// The chain.
    pub chain: String,
    /// The writer.
    pub writer: i64,
    /// The number of the first of them.
    pub first: i64,
    /// The number of the last.
    pub last: i64,
    /// The hash that the first follows, in hexadecimal digits.
    pub previous: String,
    /// The hash of the last.
    pub hash: String,
    /// The hashes of those among them that other writers began behind.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub followed: Vec<String>,
    /// The latest time of any of them.
    pub latest: String,
    /// When they were taken out.
    pub time: String,
}

/// A receipt whose signature was looked at, in bytes.
pub(super) struct Stretch {
    pub(super) writer: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    pub(super) followed: Vec<Hash>,
    /// Whether it is signed with a key of ours, and its row says the same as its text.
    pub(super) is_good: bool,
}

/// A stretch in the making.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) writer: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    pub(super) followed: Vec<Hash>,
    pub(super) latest: i64,
}

impl Receipt {
    pub(super) fn of(run: &Run, month: &str, chain: &str, now: DateTime<Utc>) -> Self {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            statement: RECEIPT.to_owned(),
            month: month.to_owned(),
            chain: chain.to_owned(),
            writer: run.writer,
            first: run.first,
            last: run.last,
            previous: witness::hexadecimal(&run.previous),
            hash: witness::hexadecimal(&run.hash),
            followed: run.followed.iter().map(|hash| witness::hexadecimal(hash)).collect(),
            latest: DateTime::from_timestamp_millis(run.latest).map(text).unwrap_or_default(),
            time: text(now),
        }
    }

    /// Signs it and puts it where verification looks for it; returns the line.
    pub(super) async fn put(
        &self,
        connection: &mut PgConnection,
        run: &Run,
        witness: &Witness,
    ) -> Result<String, sqlx::Error> {
        let line = witness.sign(self);
        sqlx::query(INSERT)
            .bind(&self.month)
            .bind(&self.chain)
            .bind(self.writer)
            .bind(self.first)
            .bind(Millis(run.latest))
            .bind(run.hash.as_slice())
            .bind(&line)
            .execute(connection)
            .await?;
        Ok(line)
    }
}

/// The receipts of a chain. Without keys none is good.
pub(super) async fn of_chain(
    connection: &mut PgConnection,
    chain: &str,
    keys: Option<&WitnessKeys>,
) -> Result<Vec<Stretch>, AuditError> {
    let rows = sqlx::query(OF_CHAIN).bind(chain).fetch_all(connection).await;
    let rows = rows.map_err(|error| AuditError::of("audit.receipts", error))?;
    rows.iter()
        .map(|row| {
            let read = || -> Result<_, sqlx::Error> {
                let latest: Millis = row.try_get("latest")?;
                Ok((
                    row.try_get("writer")?,
                    row.try_get("first")?,
                    latest.0,
                    row.try_get("hash")?,
                    row.try_get("line")?,
                ))
            };
            let (writer, first, latest, hash, line): (i64, i64, i64, &[u8], &str) =
                read().map_err(|_| AuditError::Inconsistent("receipt"))?;
            Ok(judged(Columns { chain, writer, first, latest, hash }, line, keys))
        })
        .collect()
}

/// The chains that have receipts; they may have nothing else.
pub(super) async fn chains(connection: &mut PgConnection) -> Result<Vec<String>, AuditError> {
    let chains = sqlx::query_scalar(CHAINS).fetch_all(connection).await;
    chains.map_err(|error| AuditError::of("audit.receipts", error))
}

#[derive(Clone, Copy)]
struct Columns<'a> {
    chain: &'a str,
    writer: i64,
    first: i64,
    latest: i64,
    hash: &'a [u8],
}

fn judged(columns: Columns<'_>, line: &str, keys: Option<&WitnessKeys>) -> Stretch {
    let bad = Stretch {
        writer: columns.writer,
        first: columns.first,
        last: columns.first,
        previous: Hash::default(),
        hash: Hash::default(),
        followed: Vec::new(),
        is_good: false,
    };
    let Some(said) = witness::read::<Receipt>(line).filter(|said| said.statement == RECEIPT) else { return bad };
    let latest = DateTime::parse_from_rfc3339(&said.latest).map(|time| time.timestamp_millis());
    let agrees = (said.chain.as_str(), said.writer, said.first) == (columns.chain, columns.writer, columns.first)
        && latest == Ok(columns.latest);
    let followed: Option<Vec<Hash>> = said.followed.iter().map(|hash| parse_hash(hash)).collect();
    let (Some(previous), Some(hash), Some(followed)) = (parse_hash(&said.previous), parse_hash(&said.hash), followed)
    else {
        return bad;
    };
    let is_signed = keys.is_some_and(|keys| keys.judge(line).is_ok());
    let is_good = is_signed && agrees && hash == columns.hash && said.first <= said.last;
    Stretch { last: said.last, previous, hash, followed, is_good, ..bad }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_good_as_it_was_signed_in_the_row_it_was_put_in() {
        let witness = Witness::derived(&[7; 32]).unwrap();
        let run = Run {
            writer: 5,
            first: 2,
            last: 9,
            previous: [1; 32],
            hash: [9; 32],
            followed: vec![[4; 32]],
            latest: 1_800_000_000_123,
        };
        let receipt = Receipt::of(&run, "2027-01", "t_a", DateTime::from_timestamp_millis(1_900_000_000_000).unwrap());
        let line = witness.sign(&receipt);
        let keys = witness.keys();
        let columns = || Columns { chain: "t_a", writer: 5, first: 2, latest: run.latest, hash: &[9; 32] };

        let good = judged(columns(), &line, Some(&keys));
        assert!(good.is_good);
        assert_eq!((good.first, good.last, good.previous, good.hash), (2, 9, [1; 32], [9; 32]));
        assert_eq!(good.followed, [[4; 32]]);

        let other = Witness::derived(&[8; 32]).unwrap();
        for (columns, line, keys) in [
            (columns(), line.clone(), None),
            (columns(), other.sign(&receipt), Some(&keys)),
            (columns(), line.replace(r#""last":9"#, r#""last":99"#), Some(&keys)),
            (Columns { writer: 6, ..columns() }, line.clone(), Some(&keys)),
            (Columns { chain: "t_b", ..columns() }, line.clone(), Some(&keys)),
            (Columns { first: 1, ..columns() }, line.clone(), Some(&keys)),
            (Columns { latest: 0, ..columns() }, line.clone(), Some(&keys)),
            (Columns { hash: &[8; 32], ..columns() }, line.clone(), Some(&keys)),
            (columns(), "{}".to_owned(), Some(&keys)),
        ] {
            assert!(!judged(columns, &line, keys).is_good, "{line}");
        }
    }
}
