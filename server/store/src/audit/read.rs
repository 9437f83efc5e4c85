//! Reading the trail: pages for people and tenants, and what a writer must know before it writes.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, postgres::PgRow};
use tokio::time::timeout;

use super::{
    AuditError,
    row::{Hash, NOTHING, Row},
};
use crate::{millis::Millis, urls};

/// How long a page or a head may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

const SETTINGS: &str = "SET default_transaction_read_only TO on";

/// Records arrive slightly out of the order of their times, so the end of the previous writer is looked for among
/// as many as the writer's queue can hold.
const FOLLOWED: &str = "\
    WITH latest AS (\
        SELECT writer, sequence, hash FROM audit.record WHERE chain = $1 AND writer <> $2 \
        ORDER BY time DESC, writer DESC, sequence DESC LIMIT 4096) \
    SELECT hash FROM latest WHERE writer = (SELECT writer FROM latest LIMIT 1) ORDER BY sequence DESC LIMIT 1";

/// Where all records of a chain are in months that were sealed, its end is that of the latest receipt.
const FOLLOWED_SEALED: &str = "\
    SELECT hash FROM audit.receipt WHERE chain = $1 ORDER BY latest DESC, writer DESC, first DESC LIMIT 1";

const PLACES: &str = "\
    SELECT id::text AS id, chain, writer, sequence FROM audit.record \
    WHERE time BETWEEN $1 AND $2 AND id = ANY($3::text[]::uuid[])";

const NEWEST: &str = "\
    SELECT time, writer, sequence, hash, record FROM audit.record \
    WHERE chain = $1 AND time <= $2 AND (time, writer, sequence) < ($2, $3, $4) \
    ORDER BY time DESC, writer DESC, sequence DESC LIMIT $5";

const OLDEST: &str = "\
    SELECT time, writer, sequence, hash, record FROM audit.record \
    WHERE chain = $1 AND time >= $2 AND (time, writer, sequence) > ($2, $3, $4) \
    ORDER BY time, writer, sequence LIMIT $5";

/// Walks the index from chain to chain instead of reading all of it.
const CHAINS: &str = "\
    WITH RECURSIVE step AS (\
        SELECT MIN(chain) AS chain FROM audit.record \
        UNION ALL \
        SELECT (SELECT MIN(record.chain) FROM audit.record WHERE record.chain > step.chain) \
        FROM step WHERE step.chain IS NOT NULL) \
    SELECT chain FROM step WHERE chain IS NOT NULL";

/// Where a record stands among those of its chain, by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Its time, in milliseconds since 1970.
    pub time: i64,
    /// Its writer.
    pub writer: i64,
    /// Its number with that writer.
    pub sequence: i64,
}

impl Position {
    /// Before every record: 4713 BC, the beginning of PostgreSQL's time.
    const FIRST: Self = Self { time: -210_866_803_200_000, writer: 0, sequence: 0 };
    /// Behind every record: the year 12000.
    const LAST: Self = Self { time: 316_516_147_200_000, writer: i64::MAX, sequence: i64::MAX };
}

/// Which way to read a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the latest record back.
    NewestFirst,
    /// From the first record on.
    OldestFirst,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub position: Position,
    /// Its hash.
    pub hash: [u8; 32],
    /// The record: JSON, in its canonical form.
    pub record: String,
}

/// Where an id was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chain: String,
    pub(crate) writer: i64,
    pub(crate) sequence: i64,
}

/// Where ids were found.
pub(crate) type Places = HashMap<String, Place>;

impl Place {
    /// Whether this is where the writer meant to put the row.
    pub(crate) fn is_of(&self, writer: i64, row: &Row) -> bool {
        self.writer == writer && self.sequence == row.sequence && self.chain == row.chain
    }
}

/// A session as `vitals_audit_read`. After an error it must be dropped.
pub struct AuditReader {
    connection: PgConnection,
}

impl AuditReader {
    /// Opens a session.
    pub async fn open(read_url: &str) -> Result<Self, AuditError> {
        let mut connection = urls::connect(read_url).await?;
        connection.execute(SETTINGS).await.map_err(|error| AuditError::of("audit.settings", error))?;
        Ok(Self { connection })
    }

    /// At most `limit` records of a chain, beginning behind a position, or at the end that the direction starts from.
    pub async fn page(
        &mut self,
        chain: &str,
        direction: Direction,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Stored>, AuditError> {
        let (text, start) = match direction {
            Direction::NewestFirst => (NEWEST, Position::LAST),
            Direction::OldestFirst => (OLDEST, Position::FIRST),
        };
        let after = after.unwrap_or(start);
        let query = sqlx::query(text)
            .bind(chain)
            .bind(Millis(after.time))
            .bind(after.writer)
            .bind(after.sequence)
            .bind(i64::from(limit))
            .fetch_all(&mut self.connection);
        answer("audit.page", query).await?.iter().map(stored).collect()
    }

    /// All chains: the roles of tenants, and `server`.
    pub async fn chains(&mut self) -> Result<Vec<String>, AuditError> {
        let rows = answer("audit.chains", sqlx::query(CHAINS).fetch_all(&mut self.connection)).await?;
        rows.iter().map(|row| row.try_get("chain").map_err(|_| AuditError::Inconsistent("chain"))).collect()
    }

    /// The hash that the first record of this writer follows in a chain.
    pub(crate) async fn followed(&mut self, chain: &str, writer: i64) -> Result<Hash, AuditError> {
        let query = sqlx::query(FOLLOWED).bind(chain).bind(writer).fetch_optional(&mut self.connection);
        if let Some(row) = answer("audit.followed", query).await? {
            return hash_at(&row, 0, "hash");
        }
        let query = sqlx::query(FOLLOWED_SEALED).bind(chain).fetch_optional(&mut self.connection);
        answer("audit.followed", query).await?.map_or(Ok(NOTHING), |row| hash_at(&row, 0, "hash"))
    }

    /// Which of these rows' ids the database has, and where.
    pub(crate) async fn places(&mut self, rows: &[Row]) -> Result<Places, AuditError> {
        let times = || rows.iter().map(|row| row.time);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(Places::new()) };
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let query = sqlx::query(PLACES).bind(from).bind(to).bind(ids).fetch_all(&mut self.connection);
        answer("audit.places", query).await?.iter().map(place).collect()
    }

    /// A snapshot in which everything is read as of one moment.
    pub(crate) async fn snapshot(&mut self) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, AuditError> {
        let begin = self.connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        answer("audit.snapshot", begin).await
    }

    /// The connection itself, for statements of this module.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// A column that holds a hash.
pub(crate) fn hash_at(row: &PgRow, index: usize, column: &'static str) -> Result<Hash, AuditError> {
    row.try_get::<&[u8], _>(index).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(AuditError::Inconsistent(column))
}

fn place(row: &PgRow) -> Result<(String, Place), AuditError> {
    let read = || -> Result<_, sqlx::Error> {
        let place =
            Place { chain: row.try_get("chain")?, writer: row.try_get("writer")?, sequence: row.try_get("sequence")? };
        Ok((row.try_get("id")?, place))
    };
    read().map_err(|_| AuditError::Inconsistent("id"))
}

pub(crate) fn stored(row: &PgRow) -> Result<Stored, AuditError> {
    let position = || -> Result<_, sqlx::Error> {
        Ok(Position {
            time: row.try_get::<Millis, _>("time")?.0,
            writer: row.try_get("writer")?,
            sequence: row.try_get("sequence")?,
        })
    };
    Ok(Stored {
        position: position().map_err(|_| AuditError::Inconsistent("sequence"))?,
        hash: hash_at(row, 3, "hash")?,
        record: row.try_get("record").map_err(|_| AuditError::Inconsistent("record"))?,
    })
}

/// Waits for an answer, but not for ever.
pub(crate) async fn answer<T>(
    statement: &'static str,
    waiting: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, AuditError> {
    match timeout(ANSWER_WITHIN, waiting).await {
        Ok(answer) => answer.map_err(|error| AuditError::of(statement, error)),
        Err(_) => Err(AuditError::TooSlow(statement)),
    }
}
