//! How a place is talked to.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How a place is talked to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Variables that go before those of the environment, such as `AWS_ACCESS_KEY_ID`.
    pub variables: Vec<(String, String)>,
    /// Bytes a second that are sent at most, over all connections.
    pub limit_upload: Option<NonZeroU64>,
    /// Bytes a second that are received at most, over all connections.
    pub limit_download: Option<NonZeroU64>,
    /// How long a request waits while nothing moves.
    pub timeout: Duration,
    /// Set once the work is to end: then a request to a place that is far away is given up, unless it is quick.
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl Options {
    /// A request is given up after so long without a byte moved; restic waits as long.
    pub const TIMEOUT: Duration = Duration::from_secs(300);
}

impl Default for Options {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            limit_upload: None,
            limit_download: None,
            timeout: Self::TIMEOUT,
            interrupt: None,
        }
    }
}
