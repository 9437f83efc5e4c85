//! Waiting for what other tasks bring about: asked again and again until it is so, never for a fixed time.

use std::time::{Duration, Instant};

/// How long anything may take that no requirement bounds more tightly; busy machines are slow.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until something is so.
///
/// # Panics
/// When it is not so within 15 seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl FnMut() -> F) {
    within(DEADLINE, what, is_so).await;
}

/// Waits until something is so, for this long at most.
///
/// # Panics
/// When it is not.
pub async fn within<F: Future<Output = bool>>(deadline: Duration, what: &str, mut is_so: impl FnMut() -> F) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks for this long, and again and again, whether something stays so.
///
/// # Panics
/// When it does not.
pub async fn stays<F: Future<Output = bool>>(period: Duration, what: &str, mut is_so: impl FnMut() -> F) {
    let began = Instant::now();
    while began.elapsed() < period {
        assert!(is_so().await, "not for {period:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
