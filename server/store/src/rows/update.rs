//! Update, and create at a chosen id: lock, judge what stands, judge what shall stand, write.

use vitals_fhir::{
    body::Body,
    interaction::Update,
    resource::{Id, Version},
};

use super::{
    Outbox, Rows, Versioned, predicate,
    table::{Judged, NewRow, Standing, Table, Trail, alias, column, push_trail},
};
use crate::{StoreError, error::Commits, millis::Millis, sql::Sql, tenant::WORK};

/// Why a write was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefused {
    /// Nothing there that the caller may reach, and not allowed to create it.
    NotFound,
    /// The caller's scopes do not admit the new content.
    NotAdmitted,
    /// Another version is current than the one named.
    VersionDiffers {
        /// The current one.
        current: Version,
    },
}

/// What an update did.
#[derive(Clone, Debug)]
pub struct Updated<R: vitals_fhir::resource::Resource> {
    /// The new version.
    pub resource: Versioned<R>,
    /// Whether there was no current version before.
    pub created: bool,
}

/// What a write that was judged makes of a row.
pub(super) struct Turn {
    pub(super) version: Version,
    pub(super) last_updated: i64,
    pub(super) created: bool,
}

/// What stands at an id, locked.
pub(super) enum Locked {
    Current { version: Version, last_updated: i64, judged: Judged },
    Deleted { version: Version, last_updated: i64 },
    Never,
}

impl<R: Table, I> Rows<'_, R, I> {
    /// Locks what stands at an id and is in reach. What is not is not locked either: nobody waits for it, and it takes
    /// the time of what never was.
    pub(super) async fn lock_current(&mut self, id: &Id<R>) -> Result<Option<Locked>, StoreError> {
        let table = R::TEXTS.table;
        let wrong = StoreError::Inconsistent { table, column: "version" };
        let mut sql = Sql::new("resource.lock");
        sql.push("SELECT x.tenant, x.version, x.last_updated, ").push(R::TEXTS.judged).push(R::TEXTS.from);
        sql.push(" WHERE x.id = ").bind(id.as_str()).push(" AND ");
        predicate::push(&mut sql, alias::<R>("x"), &self.visible);
        sql.push(" FOR UPDATE");
        match self.lease.rows(sql, Commits::No, WORK).await?.first() {
            None => Ok(None),
            Some(row) => Ok(Some(Locked::Current {
                version: Version::new(column(row, table, "version")?).ok_or(wrong)?,
                last_updated: column::<Millis>(row, table, "last_updated")?.0,
                judged: R::judged(row)?,
            })),
        }
    }

    /// What the history says of an id where nothing stands.
    async fn last_version(&mut self, id: &Id<R>) -> Result<Locked, StoreError> {
        let table = R::TEXTS.table;
        let wrong = StoreError::Inconsistent { table, column: "version" };
        let mut sql = Sql::new("resource.last_version");
        sql.push("SELECT h.tenant, h.version, h.last_updated").push(R::TEXTS.from_history);
        sql.push(" WHERE h.id = ").bind(id.as_str()).push(" ORDER BY h.version DESC LIMIT 1");
        match self.lease.rows(sql, Commits::No, WORK).await?.first() {
            None => Ok(Locked::Never),
            Some(row) => Ok(Locked::Deleted {
                version: Version::new(column(row, table, "version")?).ok_or(wrong)?,
                last_updated: column::<Millis>(row, table, "last_updated")?.0,
            }),
        }
    }
}

impl<R: Table, I> Rows<'_, R, I> {
    /// Lets creations at ids where nothing stands through one after the other, until this transaction ends. There is no
    /// row they could wait for each other at, and two of them that count on from the same last version would both be
    /// that version as soon as the first is deleted again. What was seen of the ids before this must be looked at again.
    pub(super) async fn hold_vacant(&mut self, ids: &[&str]) -> Result<(), StoreError> {
        // Behind the places of criteria (see `TenantTx::serialise`), and as few of them: they are in shared memory.
        let first = 256 * (1 + i64::from(R::TYPE as u8));
        let number = self.access.tenant().number;
        let mut places: Vec<i64> = ids.iter().map(|id| first + place(id)).collect();
        places.sort_unstable();
        places.dedup();
        let keys: Vec<i64> = places.iter().map(|place| i64::from(number) << 32 | place).collect();
        let mut sql = Sql::new("resource.hold_vacant");
        sql.push("SELECT ").bind(number).push("::int AS tenant, pg_advisory_xact_lock(k.key) FROM unnest(");
        sql.bind(keys).push("::bigint[]) WITH ORDINALITY AS k (key, place)");
        self.lease.rows(sql, Commits::No, WORK).await.map(drop)
    }
}

/// FNV-1a of an id: nothing hangs on collisions but who waits for whom.
fn place(id: &str) -> i64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    i64::from(u8::try_from(id.bytes().fold(0xcbf2_9ce4_8422_2325, hash) % 251).unwrap_or(0))
}

impl<R: Table> Rows<'_, R, Update> {
    /// Replaces the resource, or creates it where the caller's scopes reach the whole type.
    pub async fn put(
        &mut self,
        id: &Id<R>,
        body: &Body<R>,
        if_match: Option<Version>,
        now: i64,
        outbox: impl FnOnce(&Versioned<R>, bool) -> Outbox + Send,
    ) -> Result<Result<Updated<R>, WriteRefused>, StoreError> {
        let standing = match self.lock_current(id).await? {
            Some(current) => current,
            None if !self.access.may_create_at_chosen_id(R::TYPE) => return Ok(Err(WriteRefused::NotFound)),
            None => {
                self.hold_vacant(&[id.as_str()]).await?;
                match self.lock_current(id).await? {
                    Some(current) => current,
                    None => self.last_version(id).await?,
                }
            }
        };
        let index = body.index();
        let Turn { version, last_updated, created } = match self.judge(&standing, id, index, if_match, now) {
            Ok(turn) => turn,
            Err(refused) => return Ok(Err(refused)),
        };
        let resource = Versioned {
            id: id.clone(),
            version,
            last_updated,
            patient: R::compartment(id, index).map(str::to_owned),
            body: body.stamped(id, version, last_updated),
        };
        let outbox = outbox(&resource, created);
        self.write(index, &resource, created, Trail::Outbox(&outbox)).await?;
        Ok(Ok(Updated { resource, created }))
    }

    /// Whether the caller may put this content in the place of what stands, and as which version.
    pub(super) fn judge(
        &self,
        standing: &Locked,
        id: &Id<R>,
        index: &R::Index,
        if_match: Option<Version>,
        now: i64,
    ) -> Result<Turn, WriteRefused> {
        let turn = match standing {
            Locked::Current { version, last_updated, judged } => {
                if !self.visible.admits(&judged.columns()) {
                    return Err(WriteRefused::NotFound);
                }
                if if_match.is_some_and(|wanted| wanted != *version) {
                    return Err(WriteRefused::VersionDiffers { current: *version });
                }
                Turn { version: version.next(), last_updated: now.max(last_updated + 1), created: false }
            }
            _ if !self.access.may_create_at_chosen_id(R::TYPE) => return Err(WriteRefused::NotFound),
            Locked::Deleted { version, .. } if if_match.is_some() => {
                return Err(WriteRefused::VersionDiffers { current: *version });
            }
            Locked::Never if if_match.is_some() => return Err(WriteRefused::NotFound),
            Locked::Deleted { version, last_updated } => {
                Turn { version: version.next(), last_updated: now.max(last_updated + 1), created: true }
            }
            Locked::Never => Turn { version: Version::FIRST, last_updated: now, created: true },
        };
        if self.visible.admits(&R::columns(id, index)) { Ok(turn) } else { Err(WriteRefused::NotAdmitted) }
    }

    /// Writes one row that was judged.
    pub(super) async fn write(
        &mut self,
        index: &R::Index,
        resource: &Versioned<R>,
        created: bool,
        trail: Trail<'_>,
    ) -> Result<(), StoreError> {
        let id = &resource.id;
        let row =
            NewRow { id, version: resource.version, last_updated: resource.last_updated, index, body: &resource.body };
        let mut sql = Sql::new("resource.update");
        push_trail(&mut sql, trail);
        let commits = if created {
            R::below(&mut sql, &row, Standing::Fresh);
            sql.push(" ");
            R::insert(&mut sql, &row);
            Commits::InsertsAtChosenId
        } else {
            sql.push(", archived AS (").push(R::TEXTS.archive).bind(id.as_str()).push(")");
            R::below(&mut sql, &row, Standing::Replaced);
            sql.push(" ");
            R::update(&mut sql, &row);
            sql.push(" WHERE x.id = ").bind(id.as_str());
            Commits::No
        };
        sql.push(" RETURNING x.tenant");
        let rows = self.lease.rows(sql, commits, WORK).await?;
        if rows.len() == 1 { Ok(()) } else { Err(StoreError::Inconsistent { table: R::TEXTS.table, column: "id" }) }
    }
}
