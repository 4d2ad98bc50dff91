//! The arguments of `copal find`.

use std::ffi::OsString;

use clap::Args;
use copal_repository::format::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::FilterArgs;

#[derive(Debug, Args)]
pub(crate) struct FindArgs {
    /// Patterns for names or paths, such as '*.sql' or '/home/conf/**/key'; or, with --blob, --tree or --pack, ids or the beginnings of them
    #[arg(value_name = "PATTERN", required = true)]
    pub(crate) patterns: Vec<OsString>,
    /// Take capital and small letters for the same
    #[arg(short, long)]
    pub(crate) ignore_case: bool,
    /// Only what was modified then or later, such as 2026-11-21 or '2026-11-21 18:30:00'
    #[arg(short = 'O', long, value_name = "TIME", value_parser = time)]
    pub(crate) oldest: Option<Timestamp>,
    /// Only what was modified then or earlier
    #[arg(short = 'N', long, value_name = "TIME", value_parser = time)]
    pub(crate) newest: Option<Timestamp>,
    /// Only in this snapshot. May be given more than once
    #[arg(short, long, value_name = "SNAPSHOT")]
    pub(crate) snapshot: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Find the files that hold these blobs
    #[arg(long, conflicts_with_all = ["ignore_case", "oldest", "newest"])]
    pub(crate) blob: bool,
    /// Find the directories of which these are the listings
    #[arg(long, conflicts_with_all = ["ignore_case", "oldest", "newest"])]
    pub(crate) tree: bool,
    /// Find the files and directories that have something in these packs
    #[arg(long, conflicts_with_all = ["ignore_case", "oldest", "newest", "blob", "tree"])]
    pub(crate) pack: bool,
    /// With mode, owner, size and time
    #[arg(short, long)]
    pub(crate) long: bool,
}

/// A point in time: with an offset as it says, else by the local clock.
fn time(text: &str) -> Result<Timestamp, String> {
    let local = || {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::system()).ok()?.timestamp())
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(local);
    let time = time.ok_or("such as 2026-11-21, '2026-11-21 18:30:00' or 2026-11-21T18:30:00Z")?;
    let nanoseconds = time.subsec_nanosecond().rem_euclid(1_000_000_000);
    let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
    Ok(Timestamp::utc(seconds, nanoseconds.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_more_precise() {
        let utc = |text| time(text).unwrap().to_string();
        assert_eq!(utc("1970-01-02T00:00:00+01:00"), "1970-01-01T23:00:00Z");
        assert_eq!(utc("1969-12-31T23:59:59.5Z"), "1969-12-31T23:59:59.5Z");
        for local in ["2026-11-21", "2026-11-21 18:30", "2026-11-21 18:30:07"] {
            assert!(time(local).is_ok(), "{local}");
        }
        for no_time in ["", "yesterday", "2026-13-01", "18:30"] {
            assert!(time(no_time).is_err(), "{no_time}");
        }
    }
}
