//! How fast bytes may move.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What may be sent at once after a pause. Timers are no more exact than some milliseconds.
const CREDIT: Duration = Duration::from_millis(50);

/// A rate that all who take from it keep together: a token bucket.
#[derive(Debug)]
pub(crate) struct Limit {
    bytes_per_second: NonZeroU64,
    /// When all that was taken so far will have passed.
    passed: Mutex<Instant>,
}

impl Limit {
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            passed: Mutex::new(Instant::now()),
        }
    }

    /// How many bytes to take at a time, so that nothing waits for long: those of a tenth of a second, and 64 KiB at most.
    pub(crate) fn slice(&self) -> usize {
        let tenth = (self.bytes_per_second.get() / 10).clamp(1 << 10, 64 << 10);
        usize::try_from(tenth).unwrap_or(64 << 10)
    }

    /// Waits until `bytes` more may have passed.
    pub(crate) async fn take(&self, bytes: usize) {
        let due = {
            let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = now
                .checked_sub(CREDIT)
                .map_or(*passed, |credit| credit.max(*passed));
            let seconds = bytes as f64 / self.bytes_per_second.get() as f64;
            *passed = start + Duration::from_secs_f64(seconds);
            *passed
        };
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn all_who_take_share_one_rate_and_a_pause_earns_little() {
        let limit = Arc::new(Limit::new(NonZeroU64::new(100_000).unwrap()));
        assert_eq!(limit.slice(), 10_000);
        let start = Instant::now();
        let takers = (0..4).map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move {
                for _ in 0..2 {
                    limit.take(10_000).await;
                }
            })
        });
        for taker in takers.collect::<Vec<_>>() {
            taker.await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(700));

        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        limit.take(50_000).await;
        assert!(start.elapsed() >= Duration::from_millis(400));
    }
}
