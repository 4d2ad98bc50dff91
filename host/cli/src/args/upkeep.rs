//! Keeping a repository in order.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum as _};
use copal_repository::PackId;
use copal_repository::forget::{Period, RetentionPolicy};
use copal_repository::prune::{GRACE_HOURS, MaxUnused, parse_size};

use super::{FilterArgs, GroupByArg, tag};

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// Forget these snapshots: ids or the beginnings of them
    #[arg(value_name = "SNAPSHOT", conflicts_with_all = ["KeepArgs", "unsafe_allow_remove_all", "group_by"])]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// The rules hold for each group of snapshots that share these; '' for one group of all
    #[arg(short, long, value_name = "WHAT", value_parser = group_by, default_value = "host,paths")]
    pub(crate) group_by: Grouping,
    /// Let all snapshots of a group go where no rule keeps any; without rules, all that --host, --tag and --path mean
    #[arg(long)]
    pub(crate) unsafe_allow_remove_all: bool,
    /// Say what would be forgotten, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Then remove what only the forgotten snapshots needed
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) pruning: PruningArgs,
}

/// What snapshots are grouped by.
#[derive(Clone, Debug)]
pub(crate) struct Grouping(pub(crate) Vec<GroupByArg>);

fn group_by(text: &str) -> Result<Grouping, String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    let words = words.map(|word| GroupByArg::from_str(word, true));
    words.collect::<Result<_, _>>().map(Grouping)
}

/// Which snapshots stay.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "KeepArgs", multiple = true)]
pub(crate) struct KeepArgs {
    /// Keep that many of the newest; `unlimited` for all, here and below
    #[arg(short = 'l', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_last: u32,
    /// Keep the newest of that many hours
    #[arg(short = 'H', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_hourly: u32,
    /// Keep the newest of that many days
    #[arg(short = 'd', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_daily: u32,
    /// Keep the newest of that many weeks
    #[arg(short = 'w', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_weekly: u32,
    /// Keep the newest of that many months
    #[arg(short = 'm', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_monthly: u32,
    /// Keep the newest of that many years
    #[arg(short = 'y', long, value_name = "N", default_value = "0", value_parser = count, allow_negative_numbers = true)]
    pub(crate) keep_yearly: u32,
    /// Keep all that are younger than that, counted from the newest, such as 1y6m, 30d or 12h
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within: Option<Period>,
    /// Keep the newest of every hour within that time
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within_hourly: Option<Period>,
    /// Keep the newest of every day within that time
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within_daily: Option<Period>,
    /// Keep the newest of every week within that time
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within_weekly: Option<Period>,
    /// Keep the newest of every month within that time
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within_monthly: Option<Period>,
    /// Keep the newest of every year within that time
    #[arg(long, value_name = "DURATION")]
    pub(crate) keep_within_yearly: Option<Period>,
    /// Keep all with all of these tags, separated by commas, or with '' those without tags; may be given more than once
    #[arg(long, value_name = "TAG[,TAG…]")]
    pub(crate) keep_tag: Vec<String>,
}

/// How many snapshots a rule keeps, as restic says it.
fn count(text: &str) -> Result<u32, String> {
    match text {
        "unlimited" | "-1" => Ok(u32::MAX),
        text => text
            .parse()
            .map_err(|_| format!("`{text}` is neither a number nor `unlimited`")),
    }
}

impl KeepArgs {
    pub(crate) fn policy(&self) -> RetentionPolicy {
        let keep = self.clone();
        RetentionPolicy {
            keep_last: keep.keep_last,
            keep_hourly: keep.keep_hourly,
            keep_daily: keep.keep_daily,
            keep_weekly: keep.keep_weekly,
            keep_monthly: keep.keep_monthly,
            keep_yearly: keep.keep_yearly,
            keep_within: keep.keep_within.unwrap_or_default(),
            keep_within_hourly: keep.keep_within_hourly.unwrap_or_default(),
            keep_within_daily: keep.keep_within_daily.unwrap_or_default(),
            keep_within_weekly: keep.keep_within_weekly.unwrap_or_default(),
            keep_within_monthly: keep.keep_within_monthly.unwrap_or_default(),
            keep_within_yearly: keep.keep_within_yearly.unwrap_or_default(),
            keep_tag: keep.keep_tag,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) pruning: PruningArgs,
    /// Say what would be removed, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// How to prune.
#[derive(Clone, Debug, Args)]
pub(crate) struct PruningArgs {
    /// How much that nothing needs may stay in packs that something needs: a share of all, such as 5%, a size, such as 10G, or `unlimited`
    #[arg(long, value_name = "LIMIT", default_value = "5%")]
    pub(crate) max_unused: MaxUnused,
    /// Write at most so much of the packs anew, such as 500M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_repack_size: Option<u64>,
    /// Write no packs anew that hold contents of files
    #[arg(long)]
    pub(crate) repack_cacheable_only: bool,
    /// Write all packs anew that are below 80 % of the usual size; else only those below 4 %
    #[arg(long)]
    pub(crate) repack_small: bool,
    /// Write packs anew in which nothing is compressed, as those of format 1
    #[arg(long)]
    pub(crate) repack_uncompressed: bool,
    /// Prune so that nobody is kept out: only mark what nothing needs, and remove what was marked longer ago than --grace. Chosen where the storage takes no lock
    #[arg(long)]
    pub(crate) two_phase: bool,
    /// Longer than any backup takes, and 12h at least: what is younger is not touched, and what is marked stays for so long
    #[arg(long, value_name = "DURATION", default_value_t = Period::hours(GRACE_HOURS), requires = "two_phase")]
    pub(crate) grace: Period,
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// Make the index fit the packs that are there
    Index(RepairIndexArgs),
    /// Save what can be read of damaged packs, and remove them
    Packs(RepairPacksArgs),
    /// Make snapshots without what is lost out of damaged ones
    Snapshots(RepairSnapshotsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RepairIndexArgs {
    /// Read the headers of all packs, not only of those that the index does not describe
    #[arg(long)]
    pub(crate) read_all_packs: bool,
    /// Say what would be done, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepairPacksArgs {
    /// The damaged packs, as `copal check --read-data` names them
    #[arg(required = true, value_name = "PACK")]
    pub(crate) packs: Vec<PackId>,
    /// Where copies of the damaged packs are left, as pack-ID
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) copies: PathBuf,
    /// Say what could be saved, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepairSnapshotsArgs {
    /// Only these: ids or the beginnings of them
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Remove the damaged snapshots that others were made out of
    #[arg(long)]
    pub(crate) forget: bool,
    /// Say what is lost, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RewriteArgs {
    /// Only these: ids or the beginnings of them
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Leave out what this pattern matches, such as '*.tmp' or /home/cache; may be given more than once
    #[arg(short, long, value_name = "PATTERN", required_unless_present_any = ["iexclude", "exclude_file"])]
    pub(crate) exclude: Vec<OsString>,
    /// The same, with capital and small letters being the same
    #[arg(long, value_name = "PATTERN")]
    pub(crate) iexclude: Vec<OsString>,
    /// Leave out what the patterns in this file match, one on each line
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude_file: Vec<PathBuf>,
    /// Remove the snapshots that were rewritten
    #[arg(long)]
    pub(crate) forget: bool,
    /// Say what would be left out, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").args(["add", "remove", "set"]).required(true).multiple(true)))]
pub(crate) struct TagArgs {
    /// Only these: ids or the beginnings of them
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Add these tags, separated by commas
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    pub(crate) add: Vec<String>,
    /// Take these tags away, separated by commas, also where --add adds them
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    pub(crate) remove: Vec<String>,
    /// Put these tags, separated by commas, in place of all there are but Copal's own; '' for none
    #[arg(long, value_name = "TAG", conflicts_with_all = ["add", "remove"])]
    pub(crate) set: Option<String>,
    /// Say what would be changed, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    /// Remove all locks, also of processes that may still work
    #[arg(long)]
    pub(crate) remove_all: bool,
    /// Show which locks would be removed, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
