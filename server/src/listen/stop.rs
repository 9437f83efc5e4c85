//! One signal for the whole process to end gracefully.

use tokio::sync::watch;

/// Gives the signal. Dropping it gives it as well.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears the signal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Makes a signal and its listener.
pub fn stop_signal() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everybody to stop; again has no effect.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when the signal was given.
    pub async fn requested(&mut self) {
        // An error means that the stopper is gone, which is the same request.
        if self.0.wait_for(|stop| *stop).await.is_err() {
            tracing::debug!("stopping because the stopper is gone");
        }
    }

    /// Whether the signal was given.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
