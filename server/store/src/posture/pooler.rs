//! Finding a pooler that gives one server process to several sessions in turn (PgBouncer in transaction or statement
//! mode).
//!
//! The tenant of a statement is a state of its session: `SET ROLE`. Where statements of two sessions reach one server
//! process, one tenant's statement would run as the other. A session of ours must have a process to itself.

use sqlx::PgConnection;

use crate::setup::statement::backend;
use crate::urls::{ConnectError, connect};

/// Sessions held open at once. A pooler hands the process that was given back last to the next who asks, so two
/// would do on a quiet one.
const SESSIONS: usize = 3;

/// Rounds of questions. More than one, for a pooler that takes its processes in turn.
const ROUNDS: usize = 3;

/// A pooler that cannot be used, or that could not be looked for.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// It mixes sessions.
    #[error(
        "a connection pooler gives one server process to several sessions: set PgBouncer to session mode, or connect \
         to PostgreSQL itself"
    )]
    Mixes,
    /// No session could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A session broke.
    #[error("cannot look for a connection pooler")]
    Database(#[source] sqlx::Error),
}

/// Refuses a pooler that mixes sessions.
pub(super) async fn refuse(url: &str) -> Result<(), PoolerError> {
    let mut sessions: Vec<PgConnection> = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        sessions.push(connect(url).await?);
    }
    let mut seen = vec![Vec::new(); SESSIONS];
    for _ in 0..ROUNDS {
        for (session, seen) in sessions.iter_mut().zip(&mut seen) {
            seen.push(backend(session).await.map_err(PoolerError::Database)?);
        }
    }
    if mixes(&seen) { Err(PoolerError::Mixes) } else { Ok(()) }
}

/// Whether a session moved between processes, or two sessions, open at the same time, met in one.
fn mixes(seen: &[Vec<i32>]) -> bool {
    let moved = seen.iter().any(|processes| processes.windows(2).any(|pair| pair[0] != pair[1]));
    let mut first: Vec<i32> = seen.iter().filter_map(|processes| processes.first().copied()).collect();
    first.sort_unstable();
    moved || first.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_with_a_process_each_are_fine() {
        assert!(!mixes(&[vec![1, 1, 1], vec![2, 2, 2], vec![3, 3, 3]]));
    }

    #[test]
    fn quiet_pooler_in_transaction_mode_is_found() {
        assert!(mixes(&[vec![1, 1, 1], vec![1, 1, 1], vec![1, 1, 1]]));
    }

    #[test]
    fn pooler_that_takes_turns_is_found() {
        assert!(mixes(&[vec![1, 4, 3], vec![2, 1, 4], vec![3, 2, 1]]));
    }
}
