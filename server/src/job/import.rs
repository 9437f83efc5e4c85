//! Loading files into a tenant: read on one thread, judged on all, written in few transactions at a time.
//!
//! Files are divided into batches in the same places whenever they are read, and a batch is committed together with a row
//! that says so. So an import that was broken off goes on with the batches that have no row, and none is done twice. Two
//! batches are written at the same time only if no resource is in both: what comes later in the files stays.

mod begin;
mod chunks;
mod files;
mod judge;
mod progress;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    num::NonZero,
    sync::Arc,
    thread::available_parallelism,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinError, JoinHandle, spawn_blocking},
};
use uuid::Uuid;
use vitals_store::{
    StoreError,
    control::ControlError,
    imports::{Mark, Place, Tally},
};

pub use self::{
    begin::{Found, From},
    files::{Files, Source},
    progress::{Progress, Seen},
};
use self::{
    chunks::{Chunk, Chunks},
    judge::{Judge, Judged},
};
use super::load::Loader;
use crate::failure::Failure;

/// Batches written at a time: while one waits for the disk or its audit record, the database works on another.
const AT_ONCE: usize = 3;
/// Text in memory at a time, in kilobytes: two of the largest Bundles, of which a resource takes about three times its
/// text until it is written.
const MOST_KILOBYTES: u32 = 100 * 1024;
/// Lines of errors that are read at a time, in batches.
const ERRORS_AT_ONCE: u32 = 50;

/// Why an import did not come to its end. What it has loaded stays, and it can be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("cannot read {name}")]
    Unreadable {
        /// How it was called.
        name: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Another process is at it.
    #[error("another process is importing these files into this tenant: let it end, or stop it")]
    Running,
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// A batch was not written.
    #[error("the import stopped: {0}")]
    Unwritten(&'static str),
    /// A task ended in a panic.
    #[error("the import stopped: a batch ended in a panic")]
    Panicked(#[from] JoinError),
    /// Its place in the files could not be read or written.
    #[error("how far the import is could not be read or written")]
    Store(#[from] StoreError),
    /// The row of the job could not be read or written.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl std::convert::From<Failure> for ImportError {
    fn from(failure: Failure) -> Self {
        Self::Unwritten(failure.reason)
    }
}

/// An import on its way.
pub struct Import {
    loader: Arc<Loader>,
    files: Arc<Files>,
    id: Uuid,
    done: Done,
    progress: Arc<Progress>,
}

/// What an earlier run has done: of each chunk, by file and number, its parts.
type Done = HashMap<(i32, i32), Vec<Place>>;

/// A chunk on its way to be judged.
struct Read {
    chunk: Chunk,
    file: usize,
    /// The bytes of all files up to its end.
    end: u64,
}

/// The batches of a chunk.
struct Ready {
    batches: Vec<Judged>,
    end: u64,
    memory: Arc<OwnedSemaphorePermit>,
}

/// A batch that is being written.
struct Writing {
    judged: Arc<Judged>,
    task: JoinHandle<Result<(), Failure>>,
    end: u64,
    _memory: Arc<OwnedSemaphorePermit>,
}

impl Import {
    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// How far it is.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Loads what is not loaded yet.
    pub async fn run(&self) -> Result<(), ImportError> {
        let whole = |(chunk, parts): (&(i32, i32), &Vec<Place>)| {
            parts.iter().all(|place| usize::try_from(place.parts) == Ok(parts.len())).then_some(*chunk)
        };
        let done: HashSet<(i32, i32)> = self.done.iter().filter_map(whole).collect();
        let (files, progress) = (Arc::clone(&self.files), Arc::clone(&self.progress));
        let (read, chunks) = mpsc::channel(1);
        let (judging, judged) = mpsc::channel(available_parallelism().map_or(1, NonZero::get));
        let reading = spawn_blocking(move || read_all(&files, &done, &progress, &read));
        let passing = tokio::spawn(judge_all(Arc::clone(&self.loader), Arc::clone(&self.files), chunks, judging));
        let written = self.write_all(judged).await;
        // They end when nobody takes what they make any more.
        passing.await?;
        let read = reading.await?;
        written.and(read)
    }

    async fn write_all(&self, mut judged: mpsc::Receiver<JoinHandle<Ready>>) -> Result<(), ImportError> {
        let mut writing = VecDeque::with_capacity(AT_ONCE);
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(ready) = judged.recv().await
        {
            outcome = self.write(ready.await?, &mut writing).await;
        }
        for first in writing {
            let settled = self.settle(first).await;
            outcome = outcome.and(settled);
        }
        outcome
    }

    async fn write(&self, ready: Ready, writing: &mut VecDeque<Writing>) -> Result<(), ImportError> {
        let Ready { batches, end, memory } = ready;
        for judged in batches {
            if self.done.get(&(judged.place.file, judged.place.chunk)).is_some_and(|done| done.contains(&judged.place))
            {
                continue;
            }
            let apart = |other: &Writing| other.judged.batch.is_disjoint(&judged.batch);
            while writing.len() >= AT_ONCE || !writing.iter().all(apart) {
                let Some(first) = writing.pop_front() else { break };
                self.settle(first).await?;
            }
            let (judged, loader, import) = (Arc::new(judged), Arc::clone(&self.loader), self.id);
            let task = tokio::spawn({
                let judged = Arc::clone(&judged);
                async move {
                    let Judged { place, batch, tally, errors } = &*judged;
                    let mark = Mark { import, place: *place, tally: *tally, errors };
                    loader.write(batch, Some(&mark)).await
                }
            });
            writing.push_back(Writing { judged, task, end, _memory: Arc::clone(&memory) });
        }
        Ok(())
    }

    async fn settle(&self, writing: Writing) -> Result<(), ImportError> {
        writing.task.await??;
        self.progress.done(writing.end, writing.judged.tally.read);
        Ok(())
    }

    /// What became of everything, earlier runs included.
    pub async fn tally(&self) -> Result<Tally, ImportError> {
        let mut tx = self.loader.pool.begin_long(&self.loader.access).await?;
        let done = tx.imports().done(self.id).await?;
        tx.rollback().await?;
        let mut all = Tally::default();
        for (_, tally) in done {
            all.add(tally);
        }
        Ok(all)
    }

    /// The next lines that tell what was refused, in the order of the files, and the place behind which to ask for more;
    /// none where there are no more.
    pub async fn errors(&self, behind: Option<Place>) -> Result<Option<(Place, String)>, ImportError> {
        let mut tx = self.loader.pool.begin_long(&self.loader.access).await?;
        let found = tx.imports().errors(self.id, behind, ERRORS_AT_ONCE).await?;
        tx.rollback().await?;
        let Some((last, _)) = found.last() else { return Ok(None) };
        let last = *last;
        Ok(Some((last, found.into_iter().map(|(_, lines)| lines).collect())))
    }

    /// Ends the import: nobody can go on with it any more.
    pub async fn end(self) -> Result<(), ImportError> {
        let mut tx = self.loader.pool.begin_long(&self.loader.access).await?;
        tx.imports().forget(self.id).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Reads the files and sends their chunks but for those that are done.
fn read_all(
    files: &Files,
    done: &HashSet<(i32, i32)>,
    progress: &Progress,
    chunks: &mpsc::Sender<Read>,
) -> Result<(), ImportError> {
    let mut before = 0;
    for (number, file) in files.iter().enumerate() {
        let unreadable = |error| ImportError::Unreadable { name: file.name.clone(), error };
        let mut open = Chunks::open(file).map_err(unreadable)?;
        while let Some(chunk) = open.next().map_err(unreadable)? {
            if progress.is_stopping() {
                return Err(ImportError::Stopped);
            }
            let end = before + chunk.end;
            if done.contains(&(as_number(number), chunk.number)) {
                progress.skip(end);
            } else if chunks.blocking_send(Read { chunk, file: number, end }).is_err() {
                // Whoever writes has stopped, and says why.
                return Ok(());
            }
        }
        before += file.size.unwrap_or_default();
    }
    Ok(())
}

/// Has every chunk judged on a thread of its own, as many at a time as there are processors, and passes them on in order.
async fn judge_all(
    loader: Arc<Loader>,
    files: Arc<Files>,
    mut chunks: mpsc::Receiver<Read>,
    judging: mpsc::Sender<JoinHandle<Ready>>,
) {
    let memory = Arc::new(Semaphore::new(MOST_KILOBYTES as usize));
    while let Some(Read { chunk, file, end }) = chunks.recv().await {
        let kilobytes = u32::try_from(chunk.len() / 1024).unwrap_or(u32::MAX).clamp(1, MOST_KILOBYTES);
        let Ok(memory) = Arc::clone(&memory).acquire_many_owned(kilobytes).await else { return };
        let (loader, files) = (Arc::clone(&loader), Arc::clone(&files));
        let task = spawn_blocking(move || {
            let source = files.get(file);
            let namer = source.namer(&loader.access.tenant().role);
            let judge = Judge { bases: &loader.bases, name: &source.name, file: as_number(file), namer };
            Ready { batches: judge.chunk(&chunk), end, memory: Arc::new(memory) }
        });
        if judging.send(task).await.is_err() {
            return;
        }
    }
}

/// Nobody can name as many files.
fn as_number(file: usize) -> i32 {
    i32::try_from(file).unwrap_or(i32::MAX)
}
