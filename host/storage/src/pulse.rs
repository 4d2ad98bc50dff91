//! Noticing that nothing moves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// When something last moved.
#[derive(Debug)]
pub(crate) struct Pulse(Mutex<Instant>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Pulse {
    /// Something moved.
    pub(crate) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Comes to an end once nothing has moved for so long, counted from now at the earliest.
    pub(crate) async fn stops(&self, patience: Duration) {
        self.beat();
        loop {
            let due = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + patience;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}
