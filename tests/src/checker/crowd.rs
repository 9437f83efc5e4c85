//! Several callers at once, until they are told to stop.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use super::{Caller, Checker, Place};
use crate::poll;

/// The callers.
pub struct Crowd {
    checker: Arc<Checker>,
    /// What was acknowledged before they came.
    before: usize,
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

impl Crowd {
    /// Sends so many callers to work. The name is theirs alone: ids begin with it.
    pub fn of(checker: &Arc<Checker>, place: &Place, callers: usize, name: &str, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut crowd = Self { checker: Arc::clone(checker), before: checker.count().0, stop, callers: JoinSet::new() };
        for number in 0..callers {
            let seed = seed.wrapping_add(number as u64);
            let caller = Caller::new(checker, &place.base, &place.token, &format!("{name}-{number}"), seed);
            crowd.callers.spawn(caller.work(stopped.clone()));
        }
        crowd
    }

    /// Waits until so many requests of theirs were acknowledged.
    pub async fn acknowledged(&self, count: usize) {
        let enough = self.before + count;
        poll::until("the callers are at work", async || self.checker.count().0 >= enough).await;
    }

    /// Lets them finish what they are at.
    pub async fn leave(mut self) {
        self.stop.send_replace(true);
        while let Some(caller) = self.callers.join_next().await {
            caller.expect("a caller ends");
        }
    }
}
