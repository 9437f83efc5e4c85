//! The records of one chain, one after the other, with what somebody else needs to verify them.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use vitals_access::witness::hexadecimal;

use super::{AuditError, AuditReader, read::hash_at, row::Hash};

const RECORDS: &str = "\
    SELECT record, previous, hash FROM audit.record \
    WHERE chain = $1 AND time >= $2 AND time < $3 ORDER BY time, writer, sequence";

/// A record with its links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The hash of the record before it.
    pub previous: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// Its text.
    pub record: String,
}

impl Exported {
    /// As a line of NDJSON, without its end. The text of the record stands in it byte by byte, from behind
    /// `"record":` to the last brace but one.
    pub fn line(&self) -> String {
        let (previous, hash) = (hexadecimal(&self.previous), hexadecimal(&self.hash));
        format!(r#"{{"previous":"{previous}","hash":"{hash}","record":{}}}"#, self.record)
    }
}

/// Gives every record of a chain from one time to another to `take`, in the order of their times; stops when that
/// says no. Says how many there were.
pub async fn export<E>(
    read_url: &str,
    chain: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    mut take: impl FnMut(&Exported) -> Result<(), E>,
) -> Result<Result<u64, E>, AuditError> {
    let mut reader = AuditReader::open(read_url).await?;
    let query = sqlx::query(RECORDS).bind(chain).bind(from).bind(to);
    let mut rows = query.fetch(reader.connection());
    let mut records = 0;
    while let Some(row) = rows.try_next().await.map_err(|error| AuditError::of("audit.export", error))? {
        let exported = Exported {
            previous: hash_at(&row, 1, "previous")?,
            hash: hash_at(&row, 2, "hash")?,
            record: row.try_get("record").map_err(|_| AuditError::Inconsistent("record"))?,
        };
        if let Err(stop) = take(&exported) {
            return Ok(Err(stop));
        }
        records += 1;
    }
    Ok(Ok(records))
}
