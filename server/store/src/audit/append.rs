//! Appending records, each exactly once, over connections that may break at any moment.
//!
//! The rule that keeps a chain from forking: rows that were sent and whose fate is not known are *frozen*. Nothing
//! else is added until it is known that they stand, or they have been sent again exactly as they were; `audit.record`
//! takes an id once, so a first attempt that commits late makes the second one fail, and is then found.
//!
//! Under [`Durability::Prompt`] a crash of PostgreSQL may take the last records with it. Those this process wrote are
//! kept in memory until they are on disk ([`Appender::flush`]) and are written again, with the same place and hash,
//! after the connection broke; so only a crash of both loses them (and of writes, not even that: see the outbox).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vitals_access::audit::AuditRecord;

use super::{
    AuditError, AuditReader, Durability, Head,
    read::Places,
    row::{Chains, Row},
    session::{InsertError, WriteSession},
};
use crate::urls::Urls;

/// How often one call tries again because ids turned out to be taken.
const ATTEMPTS: usize = 4;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands, written now or found there.
    Written,
    /// The database can never take it (a time without a partition, for instance), or the end of its chain, which it
    /// has to follow, cannot be read.
    Unfit,
}

/// The one writer of this process.
pub struct Appender {
    write_url: String,
    read_url: String,
    durability: Durability,
    writer: i64,
    chains: Chains,
    session: Option<WriteSession>,
    reader: Option<AuditReader>,
    /// Sent, and not known whether they stand.
    frozen: Vec<Row>,
    /// Frozen once, found to stand since, and not yet said so to the caller.
    landed: HashSet<Uuid>,
    /// Committed, and not known to be on disk.
    recent: Vec<Row>,
    /// Found there, by another writer or an earlier attempt, and not known to be on disk.
    found: Vec<AuditRecord>,
    /// To be looked at again before anything counts as being on disk.
    again: Vec<AuditRecord>,
}

impl Appender {
    /// A writer that has no connection yet.
    pub fn new(urls: &Urls, durability: Durability, writer: i64) -> Self {
        Self {
            write_url: urls.audit_write.clone(),
            read_url: urls.audit_read.clone(),
            durability,
            writer,
            chains: Chains::new(writer),
            session: None,
            reader: None,
            frozen: Vec::new(),
            landed: HashSet::new(),
            recent: Vec::new(),
            found: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Its number.
    pub const fn writer(&self) -> i64 {
        self.writer
    }

    /// How many records are committed and not known to be on disk.
    pub fn unflushed(&self) -> usize {
        self.recent.len() + self.found.len() + self.again.len()
    }

    /// Whether there are heads to be kept outside the database that nobody has taken yet.
    pub fn has_heads(&self) -> bool {
        self.chains.have_moved()
    }

    /// Where the chains end that grew since the last time this was asked, if all of that is on disk: a head that a
    /// crash could take back would accuse the trail of it. Otherwise nothing; [`Appender::flush`] comes first.
    pub fn take_heads(&mut self) -> Vec<Head> {
        let settled = self.unflushed() == 0 && self.frozen.is_empty();
        if settled { self.chains.take_heads() } else { Vec::new() }
    }

    /// Appends the records in this order; says what became of each. After an error some may stand: call again with
    /// those that still matter, before all others.
    pub async fn append(&mut self, records: &[&AuditRecord]) -> Result<Vec<Outcome>, AuditError> {
        self.connect().await?;
        let again: Vec<AuditRecord> = std::mem::take(&mut self.again);
        let mut seen = HashSet::new();
        let wanted = again.iter().chain(records.iter().copied());
        let todo: Vec<&AuditRecord> =
            wanted.filter(|record| !self.landed.contains(&record.id) && seen.insert(record.id)).collect();
        let unfit = match self.push(todo).await {
            Ok(unfit) => unfit,
            Err(error) => {
                self.again.extend(again);
                return Err(error);
            }
        };
        if self.durability == Durability::Strict && !self.found.is_empty() {
            // Nothing has waited for the disk on behalf of what was found.
            self.sync().await?;
        }
        self.landed.clear();
        let outcome =
            |record: &&AuditRecord| if unfit.contains(&record.id) { Outcome::Unfit } else { Outcome::Written };
        Ok(records.iter().map(outcome).collect())
    }

    /// Has everything that was appended on disk when it returns.
    pub async fn flush(&mut self) -> Result<(), AuditError> {
        if self.session.is_none() || !self.again.is_empty() {
            self.append(&[]).await?;
        }
        self.sync().await
    }

    async fn sync(&mut self) -> Result<(), AuditError> {
        if self.unflushed() > 0
            && let Some(session) = &mut self.session
        {
            // In the same session that wrote or found them, or that wrote them again after an earlier session broke:
            // PostgreSQL has not crashed in between.
            if let Err(error) = session.flush().await {
                self.session = None;
                return Err(error);
            }
            self.recent.clear();
            self.found.clear();
        }
        Ok(())
    }

    /// Asks the database for a sign of life, and connects when there is no connection.
    pub async fn check(&mut self) -> Result<(), AuditError> {
        match &mut self.session {
            None => self.append(&[]).await.map(drop),
            Some(session) => {
                let answer = session.ping().await;
                if answer.is_err() {
                    self.session = None;
                }
                answer
            }
        }
    }

    /// Finds out whether the database takes records, after it did not: inserts one and takes that back.
    pub async fn probe(&mut self, now: DateTime<Utc>) -> Result<(), AuditError> {
        if self.session.is_none() {
            self.append(&[]).await?;
        }
        match &mut self.session {
            None => Ok(()),
            Some(session) => {
                let answer = session.probe(now).await;
                if answer.is_err() {
                    self.session = None;
                }
                answer
            }
        }
    }

    /// Writes the records that are not there yet. Returns the ids of those that cannot be.
    async fn push(&mut self, mut todo: Vec<&AuditRecord>) -> Result<HashSet<Uuid>, AuditError> {
        let mut unfit = self.begin_chains(&todo).await?;
        todo.retain(|record| !unfit.contains(&record.id));
        for _ in 0..ATTEMPTS {
            if todo.is_empty() {
                return Ok(unfit);
            }
            let rows = self.chains.draft(&todo);
            let Some(session) = &mut self.session else { break };
            match session.insert(self.writer, &rows.iter().collect::<Vec<_>>()).await {
                Ok(()) => {
                    self.keep(rows);
                    return Ok(unfit);
                }
                Err(InsertError::Taken) => {
                    let places = self.places(&rows).await?;
                    let (there, missing): (Vec<_>, Vec<_>) =
                        todo.into_iter().partition(|record| places.contains_key(&record.id.to_string()));
                    // None of them there: whoever holds an id has not committed yet, and is waited for by the insert.
                    self.found.extend(there.into_iter().cloned());
                    todo = missing;
                }
                Err(InsertError::Unfit(error)) => {
                    unfit.extend(self.push_one_by_one(&todo, &error).await?);
                    return Ok(unfit);
                }
                Err(InsertError::Refused(error)) => return Err(error),
                Err(InsertError::Unknown(error)) => {
                    self.frozen = rows;
                    self.session = None;
                    return Err(error);
                }
            }
        }
        Err(AuditError::Refused { statement: "audit.append", code: "23505".to_owned() })
    }

    /// Writes what of the records can be written: one that cannot must not keep the others out.
    async fn push_one_by_one(
        &mut self,
        records: &[&AuditRecord],
        error: &AuditError,
    ) -> Result<HashSet<Uuid>, AuditError> {
        if let [record] = records {
            tracing::error!(error = %error, record = %record.id, "an audit record cannot be stored");
            return Ok(HashSet::from([record.id]));
        }
        let mut unfit = HashSet::new();
        for record in records {
            // What was written before an error here is taken when the caller comes again.
            unfit.extend(Box::pin(self.push(vec![record])).await?);
        }
        Ok(unfit)
    }

    fn keep(&mut self, rows: Vec<Row>) {
        self.chains.advance(&rows);
        if self.durability == Durability::Prompt {
            self.recent.extend(rows);
        }
    }

    /// Begins the chains of these records. Returns the ids of those whose chain ends in something that is no hash:
    /// they must not keep the others out.
    async fn begin_chains(&mut self, records: &[&AuditRecord]) -> Result<HashSet<Uuid>, AuditError> {
        let mut headless: HashSet<&str> = HashSet::new();
        let mut unfit = HashSet::new();
        for record in records {
            if !self.chains.has_begun(&record.chain) && !headless.contains(record.chain.as_str()) {
                let writer = self.writer;
                let answer = self.reader().await?.followed(&record.chain, writer).await;
                match self.noting_reader(answer) {
                    Ok(follows) => self.chains.begin(&record.chain, follows),
                    // Damage in the rows of this chain; what ails the whole database has other codes.
                    Err(error) if error.is_damage() => {
                        tracing::error!(error = %error, chain = record.chain, "the end of an audit chain cannot be read");
                        headless.insert(&record.chain);
                    }
                    Err(error) => return Err(error),
                }
            }
            if headless.contains(record.chain.as_str()) {
                unfit.insert(record.id);
            }
        }
        Ok(unfit)
    }

    async fn places(&mut self, rows: &[Row]) -> Result<Places, AuditError> {
        let answer = self.reader().await?.places(rows).await;
        self.noting_reader(answer)
    }

    async fn reader(&mut self) -> Result<&mut AuditReader, AuditError> {
        if self.reader.is_none() {
            self.reader = Some(AuditReader::open(&self.read_url).await?);
        }
        self.reader.as_mut().ok_or(AuditError::Inconsistent("reader"))
    }

    /// Drops the reading session after an error.
    fn noting_reader<T>(&mut self, answer: Result<T, AuditError>) -> Result<T, AuditError> {
        if answer.is_err() {
            self.reader = None;
        }
        answer
    }

    /// Connects, and makes sure of everything that the previous session may have left in doubt.
    async fn connect(&mut self) -> Result<(), AuditError> {
        if self.session.is_none() {
            let mut session = WriteSession::open(&self.write_url, self.durability).await?;
            self.again.append(&mut self.found);
            self.make_sure(&mut session).await?;
            self.session = Some(session);
        }
        Ok(())
    }

    async fn make_sure(&mut self, session: &mut WriteSession) -> Result<(), AuditError> {
        for _ in 0..ATTEMPTS {
            let doubtful: Vec<Row> = self.recent.iter().chain(&self.frozen).cloned().collect();
            if doubtful.is_empty() {
                return Ok(());
            }
            let places = self.places(&doubtful).await?;
            let missing: Vec<&Row> = doubtful.iter().filter(|row| !places.contains_key(&row.id)).collect();
            let elsewhere =
                doubtful.iter().any(|row| places.get(&row.id).is_some_and(|place| !place.is_of(self.writer, row)));
            if elsewhere {
                self.give_up_places(&doubtful, &places);
                return Ok(());
            }
            if !missing.is_empty() {
                match session.insert(self.writer, &missing).await {
                    Ok(()) => {}
                    Err(InsertError::Taken) => continue,
                    Err(InsertError::Unfit(error)) => {
                        // Never stood and never will: the caller's next attempt finds out which of them it is.
                        tracing::error!(error = %error, "audit records cannot be stored again");
                        self.give_up_places(&doubtful, &places);
                        return Ok(());
                    }
                    Err(InsertError::Refused(error) | InsertError::Unknown(error)) => return Err(error),
                }
            }
            if self.durability == Durability::Strict {
                // They may have been found rather than written, and then nothing has waited for the disk.
                session.flush().await?;
            }
            let frozen = std::mem::take(&mut self.frozen);
            self.stand(frozen);
            return Ok(());
        }
        Err(AuditError::Refused { statement: "audit.append", code: "23505".to_owned() })
    }

    /// Frozen rows turned out to stand.
    fn stand(&mut self, frozen: Vec<Row>) {
        self.landed.extend(frozen.iter().filter_map(|row| Uuid::parse_str(&row.id).ok()));
        self.keep(frozen);
    }

    /// Somebody else moved one of our records on while we were away (it stood in an outbox as well), so the rows that
    /// are not there cannot go where they were meant to go: they get new places behind those that are there. No
    /// earlier attempt can bring one of them back: it would have had to bring all, and one id is taken.
    fn give_up_places(&mut self, doubtful: &[Row], places: &Places) {
        let writer = self.writer;
        let ours = |row: &Row| places.get(&row.id).is_some_and(|place| place.is_of(writer, row));
        let lost: Vec<&Row> = doubtful.iter().filter(|row| !ours(row)).collect();
        // Frozen rows never moved the end of their chain; recent ones did.
        let moved: Vec<&Row> = self.recent.iter().filter(|row| !ours(row)).collect();
        self.chains.retreat(&moved);
        for row in &lost {
            if let Ok(record) = serde_json::from_str::<AuditRecord>(&row.record) {
                self.again.push(record);
            } else {
                tracing::error!(record = %row.id, "an audit record of our own cannot be read back");
            }
        }
        self.recent.retain(ours);
        let mut standing = std::mem::take(&mut self.frozen);
        standing.retain(ours);
        self.stand(standing);
    }
}
