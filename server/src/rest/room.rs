//! Memory for the bodies of requests: all that are being read and worked on share one sum, and who finds it used up is
//! sent away (503) before memory is. Room is taken as bytes arrive, so that who announces much and sends little holds
//! little.

use std::sync::Arc;

use futures_util::StreamExt as _;
use poem::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is taken in steps of so many kilobytes.
const STEP: usize = 64;

/// A body of more than this is a large one of its kind. It gets as much address space as it may have at once: to grow by
/// doubling would hold it twice while it is copied, and what is not written to takes no memory.
const LARGE: usize = 1 << 20;
/// Where it may have no more than this; larger ones grow.
const AT_ONCE: usize = 8 << 20;

/// The room that one request takes; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is larger than it may be.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// It did not come to its end.
    BrokenOff,
}

impl Room {
    /// None yet.
    pub(super) fn of(all: &Arc<Semaphore>) -> Self {
        Self { all: Arc::clone(all), taken: None }
    }

    /// What was taken; nothing stays here.
    pub(super) fn take(&mut self) -> Self {
        Self { all: Arc::clone(&self.all), taken: self.taken.take() }
    }

    /// Reads a body of at most so many bytes.
    pub(super) async fn read(&mut self, body: Body, limit: usize) -> Result<Vec<u8>, Unread> {
        let mut chunks = std::pin::pin!(body.into_bytes_stream());
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Unread::BrokenOff)?;
            if bytes.len() + chunk.len() > limit {
                return Err(Unread::TooLarge);
            }
            self.hold(bytes.len() + chunk.len())?;
            if bytes.len() >= LARGE && bytes.capacity() < limit && limit <= AT_ONCE {
                bytes.reserve_exact(limit - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Takes room for so many bytes, all in all.
    fn hold(&mut self, bytes: usize) -> Result<(), Unread> {
        let wanted = bytes.div_ceil(1024).next_multiple_of(STEP);
        let held = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(held).filter(|more| *more > 0) else { return Ok(()) };
        let more = u32::try_from(more).map_err(|_| Unread::NoRoom)?;
        let permit = Arc::clone(&self.all).try_acquire_many_owned(more).map_err(|_| Unread::NoRoom)?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_one_sum_and_give_it_back() {
        let all = Arc::new(Semaphore::new(1024));
        let body = || Body::from(vec![b'x'; 600 * 1024]);
        let (mut one, mut two) = (Room::of(&all), Room::of(&all));
        assert_eq!(one.read(body(), 1024 * 1024).await.unwrap().len(), 600 * 1024);
        assert_eq!(two.read(body(), 1024 * 1024).await, Err(Unread::NoRoom));
        drop((one.take(), two));
        assert_eq!(all.available_permits(), 1024);
        assert_eq!(one.read(body(), 1024 * 1024).await.unwrap().len(), 600 * 1024);
        assert_eq!(one.read(body(), 599 * 1024).await, Err(Unread::TooLarge));
    }
}
