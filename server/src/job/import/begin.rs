//! The beginning of an import: anew, or where one of the same files was broken off.

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;
use vitals_store::{
    Connection, StoreError,
    control::jobs,
    imports::{Import as Row, Tally},
};

use super::{Done, Import, ImportError, files::Files, progress::Progress};
use crate::job::load::Loader;

/// After this long an import that was broken off is forgotten. Nobody waits as long to go on with one; and who does, begins
/// anew and doubles nothing, because resources without ids get the same ones again.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(30);
/// How often it is looked again for an import of the same files that somebody else begins or ends at this moment.
const TRIES: usize = 5;

/// Where an import begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Where one of the same files was broken off, if one was.
    WhereItStopped,
    /// At the beginning.
    TheBeginning,
}

/// What an import found when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// One of the same files that was broken off, at which it goes on.
    Unfinished {
        /// When that began, in milliseconds since 1970.
        started: i64,
        /// What it has done.
        done: Tally,
    },
    /// One of files that have changed since; it begins anew.
    OtherContent,
}

impl Import {
    /// Begins an import, as the loader's job.
    pub async fn begin(
        loader: Arc<Loader>,
        connection: &mut Connection,
        files: Files,
        from: From,
    ) -> Result<(Self, Found), ImportError> {
        let (paths, stamps) = (files.paths(), files.stamps());
        let now = loader.clock.now();
        let mut found = Found::Nothing;
        for _ in 0..TRIES {
            let unfinished = find(&loader, &paths).await?;
            let new = Row {
                id: Uuid::now_v7(),
                started: now.timestamp_millis(),
                files: paths.clone(),
                stamps: stamps.clone(),
            };
            let hold = unfinished.as_ref().unwrap_or(&new).id;
            if !jobs::hold(connection, loader.access.tenant(), hold).await? {
                return Err(ImportError::Running);
            }
            if let Some(row) = unfinished {
                // It may have ended before it was ours to go on with.
                if find(&loader, &paths).await?.map(|row| row.id) != Some(row.id) {
                    continue;
                }
                if row.stamps == stamps && from == From::WhereItStopped {
                    return go_on(loader, files, row).await;
                }
                if row.stamps != stamps {
                    found = Found::OtherContent;
                }
                let mut tx = loader.pool.begin_long(&loader.access).await?;
                tx.imports().forget(row.id).await?;
                tx.commit().await?;
                if !jobs::hold(connection, loader.access.tenant(), new.id).await? {
                    continue;
                }
            }
            let mut tx = loader.pool.begin_long(&loader.access).await?;
            if !tx.imports().begin(&new).await? {
                tx.rollback().await?;
                continue;
            }
            tx.imports().forget_before((now - FORGOTTEN_AFTER).timestamp_millis(), new.id).await?;
            tx.commit().await?;
            return Ok((Self::new(loader, files, new.id, Done::new()), found));
        }
        Err(ImportError::Running)
    }

    fn new(loader: Arc<Loader>, files: Files, id: Uuid, done: Done) -> Self {
        Self { loader, files: Arc::new(files), id, done, progress: Arc::new(Progress::default()) }
    }
}

async fn find(loader: &Loader, paths: &str) -> Result<Option<Row>, StoreError> {
    let mut tx = loader.pool.begin_long(&loader.access).await?;
    let found = tx.imports().find(paths).await?;
    tx.rollback().await?;
    Ok(found)
}

async fn go_on(loader: Arc<Loader>, files: Files, row: Row) -> Result<(Import, Found), ImportError> {
    let mut tx = loader.pool.begin_long(&loader.access).await?;
    let batches = tx.imports().done(row.id).await?;
    tx.rollback().await?;
    let mut done = Tally::default();
    let mut places = Done::new();
    for (place, tally) in batches {
        done.add(tally);
        places.entry((place.file, place.chunk)).or_default().push(place);
    }
    let import = Import::new(loader, files, row.id, places);
    import.progress.begin(done.read);
    Ok((import, Found::Unfinished { started: row.started, done }))
}
