//! Monthly partitions of the audit trail, made ahead: an insert without one would fail, and so would every request.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::{MigrateError, Scope, ddl};

/// How many months ahead partitions exist after `setup` or `migrate up`.
pub const MONTHS_AHEAD: u32 = 24;

/// Makes the partitions that are missing, from the month before `now` (a clock may have been set back).
pub(super) async fn prepare(admin: &mut PgConnection, now: DateTime<Utc>) -> Result<(), MigrateError> {
    let failed = || MigrateError::database("make the partitions of the audit trail");
    let months = months(now);
    let there = there(admin).await.map_err(failed())?;
    if months.iter().all(|month| there.contains(&ddl::partition(*month))) {
        return Ok(());
    }
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    Scope::Audit.lock(&mut tx).await.map_err(failed())?;
    let there = self::there(&mut tx).await.map_err(failed())?;
    for month in months {
        if !there.contains(&ddl::partition(month)) {
            ddl::create_partition(&mut tx, month).await.map_err(failed())?;
        }
    }
    tx.commit().await.map_err(failed())
}

/// How many of the months that begin with this one have a partition, without one missing between.
pub async fn months_ahead(reader: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let there = there(reader).await?;
    Ok(months(now).into_iter().skip(1).take_while(|month| there.contains(&ddl::partition(*month))).count())
}

/// The partitions that hang in the trail.
async fn there(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT child.relname::text
         FROM pg_catalog.pg_inherits AS i
         JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid
         JOIN pg_catalog.pg_class AS trail ON trail.oid = i.inhparent
         JOIN pg_catalog.pg_namespace AS n ON n.oid = trail.relnamespace
         WHERE n.nspname = 'audit' AND trail.relname = 'record'",
    )
    .fetch_all(conn)
    .await
}

/// The first instants of the months that need a partition.
fn months(now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let first = NaiveDate::from_ymd_opt(now.year(), now.month(), 1).unwrap_or_default();
    (0..MONTHS_AHEAD + 2)
        .filter_map(|offset| first.checked_add_months(Months::new(offset))?.checked_sub_months(Months::new(1)))
        .map(|month| month.and_time(NaiveTime::MIN).and_utc())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_from_the_month_before_to_two_years_ahead() {
        let months = months("2026-12-31T23:59:59Z".parse().unwrap());
        assert_eq!(months.len(), 26);
        assert_eq!(months[0].to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!(months[1].to_rfc3339(), "2026-12-01T00:00:00+00:00");
        assert_eq!(months[25].to_rfc3339(), "2028-12-01T00:00:00+00:00");
    }
}
