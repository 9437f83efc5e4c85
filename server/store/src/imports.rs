//! How far imports of a tenant have come: what an import that was broken off goes on from.
//!
//! The row of a batch is written in the transaction of its resources, so that no batch is done twice, whatever dies when,
//! and whoever does it: of two that try, the second waits for the first at the row's key and finds it there.

use uuid::Uuid;

use crate::{
    StoreError,
    error::Commits,
    millis::Millis,
    pool::Lease,
    rows::Outbox,
    sql::Sql,
    tenant::{LONG, WORK},
};

/// An import that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: Uuid,
    /// When it began, in milliseconds since 1970.
    pub started: i64,
    /// A hash of its files' paths.
    pub files: String,
    /// A hash of what tells its files from later ones under the same paths.
    pub stamps: String,
}

/// Where in the files of an import a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The number of the file.
    pub file: i32,
    /// The number of the chunk in the file.
    pub chunk: i32,
    /// The number of the part of the chunk.
    pub part: i32,
    /// How many parts the chunk has.
    pub parts: i32,
}

/// What became of the resources of a batch, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were.
    pub read: u64,
    /// How many stand now as they were read.
    pub loaded: u64,
    /// How many were refused.
    pub refused: u64,
}

impl Tally {
    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.loaded += other.loaded;
        self.refused += other.refused;
    }
}

/// What a batch became, as it is kept until the import ends.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'m> {
    /// The import.
    pub import: Uuid,
    /// Which batch.
    pub place: Place,
    /// What became of its resources.
    pub tally: Tally,
    /// What was refused, as lines; empty where nothing was.
    pub errors: &'m str,
}

/// The imports of a tenant, within a transaction.
pub struct Imports<'t> {
    pub(crate) lease: &'t mut Lease,
}

impl Imports<'_> {
    /// The import of files with these paths, if there is one that has not ended.
    pub async fn find(&mut self, files: &str) -> Result<Option<Import>, StoreError> {
        let mut sql = Sql::new("import.find");
        sql.push("SELECT i.tenant, i.id, i.started, i.files, i.stamps FROM import i WHERE i.files = ");
        sql.bind(files);
        let rows = self.lease.rows(sql, Commits::No, WORK).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Import {
            id: get(row, "id")?,
            started: get::<Millis>(row, "started")?.0,
            files: get(row, "files")?,
            stamps: get(row, "stamps")?,
        }))
    }

    /// Writes down that an import begins; false if there is one of the same files.
    pub async fn begin(&mut self, import: &Import) -> Result<bool, StoreError> {
        let mut sql = Sql::new("import.begin");
        sql.push("INSERT INTO import AS i (id, started, files, stamps) VALUES (").bind(import.id);
        sql.push(", ").bind(Millis(import.started)).push(", ").bind(import.files.as_str());
        sql.push(", ").bind(import.stamps.as_str()).push(") ON CONFLICT (files) DO NOTHING RETURNING i.tenant");
        Ok(!self.lease.rows(sql, Commits::No, WORK).await?.is_empty())
    }

    /// Forgets an import, because it has ended or begins anew.
    pub async fn forget(&mut self, import: Uuid) -> Result<(), StoreError> {
        let mut sql = Sql::new("import.forget");
        sql.push("DELETE FROM import WHERE id = ").bind(import);
        self.lease.rows(sql, Commits::No, LONG).await.map(drop)
    }

    /// Forgets imports that began before a time, but for one: nobody will go on with them.
    pub async fn forget_before(&mut self, time: i64, but: Uuid) -> Result<(), StoreError> {
        let mut sql = Sql::new("import.forget_before");
        sql.push("DELETE FROM import WHERE started < ").bind(Millis(time)).push(" AND id <> ").bind(but);
        self.lease.rows(sql, Commits::No, LONG).await.map(drop)
    }

    /// Which batches are done, and what became of each.
    pub async fn done(&mut self, import: Uuid) -> Result<Vec<(Place, Tally)>, StoreError> {
        let mut sql = Sql::new("import.done");
        sql.push(
            "SELECT b.tenant, b.file, b.chunk, b.part, b.parts, b.read, b.loaded, b.refused FROM import_batch b \
             WHERE b.import = ",
        );
        sql.bind(import);
        let rows = self.lease.rows(sql, Commits::No, LONG).await?;
        let batch = |row| {
            let place = Place {
                file: get(row, "file")?,
                chunk: get(row, "chunk")?,
                part: get(row, "part")?,
                parts: get(row, "parts")?,
            };
            let tally =
                Tally { read: count(row, "read")?, loaded: count(row, "loaded")?, refused: count(row, "refused")? };
            Ok((place, tally))
        };
        rows.iter().map(batch).collect()
    }

    /// What was refused, in the order of the files: the lines of at most so many batches behind a place, and the place of
    /// the last of them.
    pub async fn errors(
        &mut self,
        import: Uuid,
        behind: Option<Place>,
        batches: u32,
    ) -> Result<Vec<(Place, String)>, StoreError> {
        let behind = behind.unwrap_or(Place { file: -1, chunk: 0, part: 0, parts: 0 });
        let mut sql = Sql::new("import.errors");
        sql.push("SELECT b.tenant, b.file, b.chunk, b.part, b.parts, b.errors FROM import_batch b WHERE b.import = ");
        sql.bind(import).push(" AND b.errors IS NOT NULL AND (b.file, b.chunk, b.part) > (").bind(behind.file);
        sql.push(", ").bind(behind.chunk).push(", ").bind(behind.part);
        sql.push(") ORDER BY b.file, b.chunk, b.part LIMIT ").bind(i64::from(batches));
        let rows = self.lease.rows(sql, Commits::No, LONG).await?;
        let batch = |row| {
            let place = Place {
                file: get(row, "file")?,
                chunk: get(row, "chunk")?,
                part: get(row, "part")?,
                parts: get(row, "parts")?,
            };
            Ok((place, get(row, "errors")?))
        };
        rows.iter().map(batch).collect()
    }

    /// Writes down what a batch became, and its audit record where it wrote anything. False if it was done before: the
    /// transaction must be given up.
    pub async fn note(&mut self, mark: &Mark<'_>, outbox: Option<&Outbox>) -> Result<bool, StoreError> {
        let Mark { import, place, tally, errors } = mark;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let mut sql = Sql::new("import.note");
        if let Some(outbox) = outbox {
            crate::rows::push_outbox(&mut sql, outbox);
            sql.push(" ");
        }
        sql.push(
            "INSERT INTO import_batch AS b (import, file, chunk, part, parts, read, loaded, refused, errors) VALUES (",
        );
        sql.bind(*import).push(", ").bind(place.file).push(", ").bind(place.chunk).push(", ").bind(place.part);
        sql.push(", ").bind(place.parts).push(", ").bind(number(tally.read)).push(", ").bind(number(tally.loaded));
        sql.push(", ").bind(number(tally.refused)).push(", ").bind(Some(*errors).filter(|errors| !errors.is_empty()));
        sql.push(") ON CONFLICT (import, file, chunk, part) DO NOTHING RETURNING b.tenant");
        Ok(!self.lease.rows(sql, Commits::No, WORK).await?.is_empty())
    }
}

fn get<'r, T>(row: &'r sqlx::postgres::PgRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::Row::try_get(row, column).map_err(|_| StoreError::Inconsistent { table: "import", column })
}

fn count(row: &sqlx::postgres::PgRow, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| StoreError::Inconsistent { table: "import_batch", column })
}
