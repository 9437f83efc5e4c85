//! Running servers: where they are reached, and how far each has read the change log.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::ControlError;

/// A server not seen for this long is gone; one that is merely cut off answers 503 by then.
const SEEN_WITHIN: TimeDelta = TimeDelta::seconds(3);
/// How long a command waits for servers to have read a change: they poll every 250 ms.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(4);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The number its audit records carry.
    pub writer: i64,
    /// The address it is reached under.
    pub public_url: String,
    /// The newest change it has read.
    pub change_seq: i64,
}

/// What a server says of itself with each heartbeat.
pub(crate) struct Heartbeat<'a> {
    pub(crate) writer: i64,
    pub(crate) public_url: &'a str,
    pub(crate) started: DateTime<Utc>,
    pub(crate) seen: DateTime<Utc>,
    pub(crate) change_seq: i64,
}

/// Writes a heartbeat.
pub(crate) async fn beat(conn: &mut PgConnection, heartbeat: &Heartbeat<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO control.server (writer, public_url, started, seen, change_seq) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (writer) DO UPDATE SET seen = EXCLUDED.seen, change_seq = EXCLUDED.change_seq",
    )
    .bind(heartbeat.writer)
    .bind(heartbeat.public_url)
    .bind(heartbeat.started)
    .bind(heartbeat.seen)
    .bind(heartbeat.change_seq)
    .execute(conn)
    .await
    .map(drop)
}

/// Takes a server off the list when it stops.
pub(crate) async fn leave(conn: &mut PgConnection, writer: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM control.server WHERE writer = $1").bind(writer).execute(conn).await.map(drop)
}

/// The servers that run, the last one started first. Over a serving login's connection.
pub async fn running(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Server>, ControlError> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT writer, public_url, change_seq FROM control.server WHERE seen > $1 ORDER BY started DESC, writer",
    )
    .bind(now - SEEN_WITHIN)
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read which servers run"))?;
    Ok(rows.into_iter().map(|(writer, public_url, change_seq)| Server { writer, public_url, change_seq }).collect())
}

/// How many servers run.
pub(crate) async fn count(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM control.server WHERE seen > $1")
        .bind(now - SEEN_WITHIN)
        .fetch_one(conn)
        .await?;
    Ok(usize::try_from(count).unwrap_or(1))
}

/// The number of the newest change there is. Over a serving login's connection, or as the owner.
pub async fn newest_change(conn: &mut PgConnection) -> Result<i64, ControlError> {
    super::change::newest(conn).await.map_err(ControlError::database("read the newest change"))
}

/// Waits until every running server has read the change of this number. The answer is whether all did in time; those
/// that did not are cut off, and refuse to serve on their own. Over a serving login's connection, or as the owner.
pub async fn caught_up(conn: &mut PgConnection, seq: i64, now: DateTime<Utc>) -> Result<bool, ControlError> {
    let began = Instant::now();
    loop {
        let passed = TimeDelta::from_std(began.elapsed()).unwrap_or(TimeDelta::MAX);
        if running(conn, now + passed).await?.iter().all(|server| server.change_seq >= seq) {
            return Ok(true);
        }
        if began.elapsed() > CAUGHT_UP_WITHIN {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
