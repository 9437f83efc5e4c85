//! Many writes of one transaction: what stands is locked at once, new rows go in by one statement, and what is deleted
//! goes out by one. Each write is judged as if it came alone; the audit record is the transaction's.

use std::collections::HashMap;

use vitals_fhir::{
    interaction::{Create, Delete, Update},
    resource::{Id, Version},
};

use super::{
    Bulk, Deleted, Load, Missing, Rows, Versioned, WriteRefused,
    table::{Table, Trail, column},
    update::{Locked, Turn},
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::LONG};

/// Rows in one statement: enough that the round trip does not matter, few enough that the text of all of them need not
/// be in memory a second time.
const AT_ONCE: usize = 1_000;

/// A resource to be put at its id.
#[derive(Debug)]
pub struct Put<'l, R: vitals_fhir::resource::Resource> {
    /// The id and the content.
    pub load: &'l Load<R>,
    /// What must stand at the id.
    pub expected: Expected,
}

/// What must stand at an id for a write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever does, or nothing.
    Anything,
    /// This version.
    Version(Version),
    /// Nothing.
    Nothing,
}

/// Where a write put a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The version.
    pub version: Version,
    /// When, in milliseconds since 1970.
    pub last_updated: i64,
    /// Whether there was no current version before.
    pub created: bool,
}

impl<R: Bulk, I> Rows<'_, R, I> {
    /// Inserts rows at version 1 whose ids must be free: the caller made them, or saw under lock that nothing stands.
    async fn insert_fresh(&mut self, loads: &[&Load<R>], now: i64) -> Result<(), StoreError> {
        for loads in loads.chunks(AT_ONCE) {
            let mut sql = Sql::new("resource.insert_many");
            R::push_bulk(&mut sql, loads, now);
            let rows = self.lease.rows(sql, Commits::No, LONG).await?;
            if rows.len() != loads.len() {
                // Somebody else created one of them since: the whole transaction sees it when it is tried again.
                return Err(StoreError::Collision("resource.insert_many"));
            }
        }
        Ok(())
    }
}

impl<R: Bulk> Rows<'_, R, Create> {
    /// Inserts resources under ids that the server made. What the caller's scopes do not admit is told and left out.
    pub async fn insert_many(
        &mut self,
        loads: &[&Load<R>],
        now: i64,
    ) -> Result<Vec<Result<Placed, WriteRefused>>, StoreError> {
        let admitted = |load: &&&Load<R>| self.visible.admits(&R::columns(&load.id, load.body.index()));
        let (good, answers): (Vec<_>, Vec<_>) = {
            let placed = Placed { version: Version::FIRST, last_updated: now, created: true };
            let answer = |load| if admitted(&load) { Ok(placed) } else { Err(WriteRefused::NotAdmitted) };
            (loads.iter().filter(admitted).copied().collect(), loads.iter().map(answer).collect())
        };
        self.insert_fresh(&good, now).await?;
        Ok(answers)
    }
}

impl<R: Bulk> Rows<'_, R, Update> {
    /// Puts resources at their ids, each of which may come once. What is refused is told and left out.
    pub async fn put_many(
        &mut self,
        puts: &[Put<'_, R>],
        now: i64,
    ) -> Result<Vec<Result<Placed, WriteRefused>>, StoreError> {
        let mut standing = self.lock_many(puts.iter().map(|put| &put.load.id)).await?;
        let is_deleted = |put: &&Put<'_, R>| matches!(standing.get(put.load.id.as_str()), Some(Locked::Deleted { .. }));
        let deleted: Vec<&Id<R>> = puts.iter().filter(is_deleted).map(|put| &put.load.id).collect();
        if !deleted.is_empty() {
            // What is created at an id that never was collides in its statement: see `insert_fresh`.
            self.hold_vacant(&deleted.iter().map(|id| id.as_str()).collect::<Vec<_>>()).await?;
            standing.extend(self.lock_many(deleted.into_iter()).await?);
        }
        let mut answers = Vec::with_capacity(puts.len());
        let mut fresh = Vec::new();
        for Put { load, expected } in puts {
            let stands = standing.get(load.id.as_str()).unwrap_or(&Locked::Never);
            let if_match = if let Expected::Version(version) = expected { Some(*version) } else { None };
            let turn = match (self.judge(stands, &load.id, load.body.index(), if_match, now), stands) {
                (Ok(_), Locked::Current { version, .. }) if *expected == Expected::Nothing => {
                    Err(WriteRefused::VersionDiffers { current: *version })
                }
                (turn, _) => turn,
            };
            if let Ok(turn) = &turn {
                if matches!(stands, Locked::Never) {
                    fresh.push(*load);
                } else {
                    self.replace(load, turn).await?;
                }
            }
            answers.push(turn.map(|Turn { version, last_updated, created }| Placed { version, last_updated, created }));
        }
        self.insert_fresh(&fresh, now).await?;
        Ok(answers)
    }

    async fn replace(&mut self, load: &Load<R>, turn: &Turn) -> Result<(), StoreError> {
        let resource = Versioned {
            id: load.id.clone(),
            version: turn.version,
            last_updated: turn.last_updated,
            patient: None,
            body: load.body.stamped(&load.id, turn.version, turn.last_updated),
        };
        self.write(load.body.index(), &resource, turn.created, Trail::Transaction).await
    }
}

impl<R: Table> Rows<'_, R, Delete> {
    /// Deletes resources, each id of which may come once. What is refused is told and left.
    pub async fn remove_many(
        &mut self,
        removals: &[(Id<R>, Option<Version>)],
        now: i64,
    ) -> Result<Vec<Result<Deleted<R>, WriteRefused>>, StoreError> {
        let standing = self.lock_many(removals.iter().map(|(id, _)| id)).await?;
        let mut answers = Vec::with_capacity(removals.len());
        let mut gone = Vec::new();
        for (id, if_match) in removals {
            let answer = match standing.get(id.as_str()) {
                Some(Locked::Current { version, judged, .. }) => {
                    let columns = judged.columns();
                    if !self.visible.admits(&columns) {
                        Err(WriteRefused::NotFound)
                    } else if if_match.is_some_and(|wanted| wanted != *version) {
                        Err(WriteRefused::VersionDiffers { current: *version })
                    } else {
                        gone.push(id.as_str());
                        let patient = columns.patient.map(str::to_owned);
                        Ok(Deleted::Now { id: id.clone(), version: version.next(), patient })
                    }
                }
                Some(Locked::Deleted { .. }) => match self.missing(id).await? {
                    Missing::Deleted => Ok(Deleted::Before),
                    Missing::Never => Err(WriteRefused::NotFound),
                },
                Some(Locked::Never) | None => Err(WriteRefused::NotFound),
            };
            answers.push(answer);
        }
        if !gone.is_empty() {
            self.bury(&gone, now).await?;
        }
        Ok(answers)
    }

    async fn bury(&mut self, ids: &[&str], now: i64) -> Result<(), StoreError> {
        let mut sql = Sql::new("resource.delete_many");
        sql.push("WITH archived AS (").push(R::TEXTS.archive).push("ANY(").bind(ids.to_vec());
        sql.push(")), tombstone AS (").push(R::TEXTS.tombstone).push("x.version + 1, GREATEST(").bind(Millis(now));
        sql.push("::timestamptz, x.last_updated + interval '1 millisecond')").push(R::TEXTS.from);
        sql.push(" WHERE x.id = ANY(").bind(ids.to_vec()).push(")) ").push(R::TEXTS.delete).push("ANY(");
        sql.bind(ids.to_vec()).push(") RETURNING x.tenant");
        let rows = self.lease.rows(sql, Commits::No, LONG).await?;
        if rows.len() == ids.len() {
            Ok(())
        } else {
            Err(StoreError::Inconsistent { table: R::TEXTS.table, column: "id" })
        }
    }
}

impl<R: Table, I> Rows<'_, R, I> {
    /// Locks what stands at many ids, in the order of the ids so that two transactions do not wait for each other.
    /// Without the predicate, as for one.
    async fn lock_many(&mut self, ids: impl Iterator<Item = &Id<R>>) -> Result<HashMap<String, Locked>, StoreError> {
        let table = R::TEXTS.table;
        let wrong = || StoreError::Inconsistent { table, column: "version" };
        let mut absent: Vec<String> = ids.map(|id| id.as_str().to_owned()).collect();
        let mut standing = HashMap::with_capacity(absent.len());
        if absent.is_empty() {
            return Ok(standing);
        }
        let mut sql = Sql::new("resource.lock_many");
        sql.push("SELECT x.tenant, x.id AS locked, x.version, x.last_updated, ").push(R::TEXTS.judged);
        sql.push(R::TEXTS.from).push(" WHERE x.id = ANY(").bind(absent.clone()).push(") ORDER BY x.id FOR UPDATE");
        for row in &self.lease.rows(sql, Commits::No, LONG).await? {
            let locked = Locked::Current {
                version: Version::new(column(row, table, "version")?).ok_or_else(wrong)?,
                last_updated: column::<Millis>(row, table, "last_updated")?.0,
                judged: R::judged(row)?,
            };
            standing.insert(column::<String>(row, table, "locked")?, locked);
        }
        absent.retain(|id| !standing.contains_key(id));
        if absent.is_empty() {
            return Ok(standing);
        }
        let mut sql = Sql::new("resource.last_versions");
        sql.push("SELECT DISTINCT ON (h.id) h.tenant, h.id, h.version, h.last_updated").push(R::TEXTS.from_history);
        sql.push(" WHERE h.id = ANY(").bind(absent).push(") ORDER BY h.id, h.version DESC");
        for row in &self.lease.rows(sql, Commits::No, LONG).await? {
            let locked = Locked::Deleted {
                version: Version::new(column(row, table, "version")?).ok_or_else(wrong)?,
                last_updated: column::<Millis>(row, table, "last_updated")?.0,
            };
            standing.insert(column::<String>(row, table, "id")?, locked);
        }
        Ok(standing)
    }
}
