//! Trying again.

use std::fmt::Display;
use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};

/// Some 25 seconds of patience for a service that fails: longer than a restart of a server, shorter than a user's. A request that hung
/// is tried again for as long as its signature holds, which is a quarter of an hour.
pub(crate) const RETRY: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(8),
        base: 2.0,
    },
    max_retries: 8,
    retry_timeout: Duration::from_secs(15 * 60),
};

/// Waits after a failure that may pass, and says so in the log; `false` where it was tried `attempts` times and that is enough.
pub(crate) async fn pause(failure: &impl Display, attempts: u32) -> bool {
    if attempts as usize > RETRY.max_retries {
        return false;
    }
    let backoff = &RETRY.backoff;
    let doublings = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
    let pause = backoff.init_backoff.mul_f64(backoff.base.powi(doublings));
    // Of several that wait, not all at the same time.
    let pause = pause
        .min(backoff.max_backoff)
        .mul_f64(0.5 + rand::random::<f64>() / 2.0);
    tracing::info!(
        "{failure}; trying again in {:.1} s, {attempts} of {}",
        pause.as_secs_f64(),
        RETRY.max_retries
    );
    tokio::time::sleep(pause).await;
    true
}
