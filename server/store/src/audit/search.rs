//! Searching a chain: who did what to whom, page by page.
//!
//! A search goes from month to month, each a partition, and asks the index of keys in each; what has no key is judged
//! on the record itself, for so many records at most, and the page ends there with the place to go on from. So no
//! search is long, however little it finds.

use chrono::{DateTime, Datelike as _, Months, NaiveTime};
use sqlx::{Executor as _, Row as _};
use uuid::Uuid;
use vitals_access::audit::AuditRecord;

use super::{
    AuditError, AuditReader, Mention,
    read::{Direction, Position, answer, stored},
};
use crate::{millis::Millis, sql::Sql};

/// Records that are looked at for one page at most.
const MOST_LOOKED_AT: usize = 20_000;
/// Records that one statement returns at least, where there are so many.
const LEAST: usize = 200;

/// A time that is looked through month by month without asking first where the chain begins and ends: a year, in
/// milliseconds.
const TAKEN_AS_IT_IS: i64 = 366 * 24 * 60 * 60 * 1_000;

/// Each search is planned with its own values: how rare a key is decides how it is best looked for.
const SETTINGS: &str = "SET plan_cache_mode TO force_custom_plan; SET statement_timeout TO '3s'";

const EXTENT: &str = "\
    SELECT (SELECT time FROM audit.record WHERE chain = $1 ORDER BY time LIMIT 1) AS oldest, \
        (SELECT time FROM audit.record WHERE chain = $1 ORDER BY time DESC LIMIT 1) AS newest";

const BY_ID: &str = "\
    SELECT time, writer, sequence, hash, record FROM audit.record WHERE id = $1::text::uuid AND chain = $2";

/// What is looked for in a chain.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// From this moment on, in milliseconds since 1970.
    pub from: Option<i64>,
    /// Before this moment.
    pub to: Option<i64>,
    /// Of each list, one holds.
    pub mentions: Vec<Vec<Mention>>,
    /// In which order.
    pub direction: Direction,
    /// Behind this place.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: usize,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The records with their places.
    pub records: Vec<(Position, AuditRecord)>,
    /// Behind which place the search goes on, unless it is at its end.
    pub next: Option<Position>,
    /// How many rows hold what is no record.
    pub unreadable: usize,
}

impl AuditReader {
    /// Opens a session for searches.
    pub async fn open_for_searches(read_url: &str) -> Result<Self, AuditError> {
        let mut reader = Self::open(read_url).await?;
        let set = reader.connection().execute(SETTINGS).await;
        set.map_err(|error| AuditError::of("audit.settings", error))?;
        Ok(reader)
    }

    /// The record with this id, if it is in this chain.
    pub async fn record(&mut self, chain: &str, id: &Uuid) -> Result<Option<(Position, AuditRecord)>, AuditError> {
        let query = sqlx::query(BY_ID).bind(id.to_string()).bind(chain).fetch_optional(self.connection());
        let Some(row) = answer("audit.record", query).await? else { return Ok(None) };
        let row = stored(&row)?;
        let record = serde_json::from_str(&row.record).map_err(|_| AuditError::Inconsistent("record"))?;
        Ok(Some((row.position, record)))
    }

    /// The records of a chain that meet a query, and for which `admits` says yes.
    pub async fn search(
        &mut self,
        chain: &str,
        query: &AuditQuery,
        admits: impl Fn(&AuditRecord) -> bool,
    ) -> Result<Found, AuditError> {
        let mut found = Found::default();
        let bounds = match (query.from, query.to) {
            // Asking where the chain begins and ends means planning for every month there is.
            (Some(from), Some(to)) if to.saturating_sub(from) <= TAKEN_AS_IT_IS => Some((from, to.saturating_sub(1))),
            _ => self.extent(chain).await?,
        };
        let Some((oldest, newest)) = bounds else { return Ok(found) };
        let (mut low, mut high) = (oldest.max(query.from.unwrap_or(oldest)), newest.saturating_add(1));
        high = high.min(query.to.unwrap_or(high));
        match (query.direction, query.after) {
            (_, None) => {}
            (Direction::NewestFirst, Some(after)) => high = high.min(after.time.saturating_add(1)),
            (Direction::OldestFirst, Some(after)) => low = low.max(after.time),
        }
        let (mut after, mut looked_at) = (query.after, 0);
        while low < high {
            let window = match query.direction {
                Direction::NewestFirst => Window { low: low.max(month_of(high - 1).0), high, after },
                Direction::OldestFirst => Window { low, high: high.min(month_of(low).1), after },
            };
            let wanted = (query.limit + 1 - found.records.len()).max(LEAST);
            let rows = self.window(chain, query, window, wanted).await?;
            let at_end = rows.len() < wanted;
            looked_at += rows.len();
            for row in rows {
                after = Some(row.position);
                let Ok(record) = serde_json::from_str::<AuditRecord>(&row.record) else {
                    found.unreadable += 1;
                    continue;
                };
                let said = query.mentions.iter().all(|any| any.iter().any(|mention| mention.is_in(&record)));
                if !said || !admits(&record) {
                    continue;
                }
                if found.records.len() == query.limit {
                    found.next = found.records.last().map(|(position, _)| *position).or(query.after);
                    return Ok(found);
                }
                found.records.push((row.position, record));
            }
            if at_end {
                match query.direction {
                    Direction::NewestFirst => high = window.low,
                    Direction::OldestFirst => low = window.high,
                }
            }
            if looked_at >= MOST_LOOKED_AT && low < high {
                found.next = after;
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// The times of the first and the last record of a chain.
    async fn extent(&mut self, chain: &str) -> Result<Option<(i64, i64)>, AuditError> {
        let row = answer("audit.extent", sqlx::query(EXTENT).bind(chain).fetch_one(self.connection())).await?;
        let read = |name| row.try_get::<Option<Millis>, _>(name).map_err(|_| AuditError::Inconsistent("time"));
        Ok(read("oldest")?.zip(read("newest")?).map(|(oldest, newest)| (oldest.0, newest.0)))
    }

    async fn window(
        &mut self,
        chain: &str,
        query: &AuditQuery,
        window: Window,
        limit: usize,
    ) -> Result<Vec<super::Stored>, AuditError> {
        let mut sql = Sql::new("audit.search");
        sql.push("SELECT time, writer, sequence, hash, record FROM audit.record WHERE chain = ").bind(chain.to_owned());
        sql.push(" AND time >= ").bind(Millis(window.low)).push(" AND time < ").bind(Millis(window.high));
        for any in &query.mentions {
            // Where one alternative has no key, the keys of the others say nothing.
            if let Some(keys) = any.iter().map(|mention| mention.key(chain)).collect::<Option<Vec<i64>>>() {
                sql.push(" AND keys && ").bind(keys);
            }
        }
        if let Some(after) = window.after {
            sql.push(match query.direction {
                Direction::NewestFirst => " AND (time, writer, sequence) < (",
                Direction::OldestFirst => " AND (time, writer, sequence) > (",
            });
            sql.bind(Millis(after.time)).push(", ").bind(after.writer).push(", ").bind(after.sequence).push(")");
        }
        sql.push(match query.direction {
            Direction::NewestFirst => " ORDER BY time DESC, writer DESC, sequence DESC LIMIT ",
            Direction::OldestFirst => " ORDER BY time, writer, sequence LIMIT ",
        });
        sql.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = sql.into_query().ok_or(AuditError::Inconsistent("query"))?;
        answer("audit.search", query.fetch_all(self.connection())).await?.iter().map(stored).collect()
    }
}

/// A stretch of time within one month, and the place in it that is behind us.
#[derive(Clone, Copy)]
struct Window {
    low: i64,
    high: i64,
    after: Option<Position>,
}

/// The first moment of the month around a moment, and of the next.
fn month_of(millis: i64) -> (i64, i64) {
    let bounds = || {
        let first = DateTime::from_timestamp_millis(millis)?.date_naive().with_day(1)?;
        let next = first.checked_add_months(Months::new(1))?;
        let millis = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        Some((millis(first), millis(next)))
    };
    bounds().unwrap_or((i64::MIN, i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_meet_at_their_first_moment() {
        let at = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis();
        let november = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        for within in ["2026-11-01T00:00:00Z", "2026-11-15T12:00:00Z", "2026-11-30T23:59:59.999Z"] {
            assert_eq!(month_of(at(within)), november, "{within}");
        }
        assert_eq!(month_of(november.1), (november.1, at("2027-01-01T00:00:00Z")));
    }
}
