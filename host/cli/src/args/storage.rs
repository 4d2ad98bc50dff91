//! What can be said of the repository's storage.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Args;
use copal_storage::Options;

/// How the repository's storage is talked to. What is said here goes before the job.
#[derive(Debug, Args)]
pub(crate) struct StorageArgs {
    /// Send no more than this to the repository's storage, over all connections
    #[arg(long, global = true, value_name = "KiB/s", value_parser = rate)]
    limit_upload: Option<NonZeroU32>,
    /// Receive no more than this from the repository's storage, over all connections
    #[arg(long, global = true, value_name = "KiB/s", value_parser = rate)]
    limit_download: Option<NonZeroU32>,
    /// How long a request to the repository's storage may stand still before it is given up [default: 300]
    #[arg(
        long,
        global = true,
        env = "COPAL_STORAGE_TIMEOUT",
        value_name = "SECONDS"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    storage_timeout: Option<u32>,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no rate: give a whole number of KiB/s, from 1 on"))
}

/// The same, as a job says it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) upload: Option<NonZeroU32>,
    pub(crate) download: Option<NonZeroU32>,
    pub(crate) timeout: Option<u32>,
}

impl StorageArgs {
    /// With what the job says, and the variables of its storage service.
    pub(crate) fn options(&self, job: Limits, variables: Vec<(String, String)>) -> Options {
        let kib = NonZeroU64::MIN.saturating_add(1023);
        let bytes = |limit: Option<NonZeroU32>| {
            limit.map(|limit| NonZeroU64::from(limit).saturating_mul(kib))
        };
        let timeout = self.storage_timeout.or(job.timeout);
        Options {
            variables,
            limit_upload: bytes(self.limit_upload.or(job.upload)),
            limit_download: bytes(self.limit_download.or(job.download)),
            timeout: timeout.map_or(Options::TIMEOUT, |seconds| {
                Duration::from_secs(seconds.into())
            }),
            interrupt: None,
        }
    }
}
