//! `copal forget`

use std::process::ExitCode;

use copal_job::Group;
use copal_repository::forget::{Decision, RetentionPolicy};
use copal_repository::format::Timestamp;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::prune::PruneStats;
use copal_repository::select::{GroupBy, GroupKey};
use copal_repository::{Error, ErrorKind, ReadableSnapshots, Repository, SnapshotId};
use serde::Serialize;

use super::{pruning, select};
use crate::args::ForgetArgs;
use crate::failure::{Failure, INCOMPLETE};
use crate::session::Session;
use crate::{Outcome, output};

/// A snapshot, in restic's words.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a SnapshotId,
    short_id: String,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
}

/// Why a snapshot stays, in restic's words.
#[derive(Serialize)]
struct Reason<'a> {
    snapshot: Row<'a>,
    matches: &'a [String],
}

/// What becomes of a group, in restic's words and `incomplete`.
#[derive(Serialize)]
struct GroupRow<'a> {
    host: Option<&'a str>,
    paths: Option<&'a [String]>,
    tags: Option<&'a [String]>,
    incomplete: bool,
    keep: Vec<Row<'a>>,
    remove: Vec<Row<'a>>,
    reasons: Vec<Reason<'a>>,
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    groups: Vec<GroupRow<'a>>,
    /// Snapshots that were named.
    named: &'a [SnapshotId],
    /// All that were forgotten, or would be.
    forgotten: &'a [SnapshotId],
    /// Safety snapshots that no rule was applied to.
    safety: usize,
    /// What is wrong with the snapshots that can't be read, to which no rule was applied.
    unreadable: Vec<String>,
    prune: Option<&'a PruneStats>,
}

/// A group with what was decided on its snapshots, newest first.
struct Decided {
    group: Group,
    snapshots: Vec<(SnapshotId, Snapshot)>,
    decisions: Vec<Decision>,
}

impl Decided {
    /// The snapshots with the reasons why they stay; none for those that go.
    fn rows(&self) -> impl Iterator<Item = (&SnapshotId, &Snapshot, &[String])> {
        self.decisions.iter().filter_map(|decision| {
            let mut snapshots = self.snapshots.iter();
            let (id, snapshot) = snapshots.find(|(id, _)| *id == decision.id)?;
            Some((id, snapshot, decision.reasons.as_slice()))
        })
    }

    fn document(&self) -> GroupRow<'_> {
        let key = &self.group.key;
        let row = |id, snapshot| Row {
            id,
            short_id: SnapshotId::short(id),
            snapshot,
        };
        let kept = || self.rows().filter(|(.., reasons)| !reasons.is_empty());
        let gone = self.rows().filter(|(.., reasons)| reasons.is_empty());
        GroupRow {
            host: key.hostname.as_deref(),
            paths: key.paths.as_deref(),
            tags: key.tags.as_deref(),
            incomplete: self.group.incomplete,
            keep: kept().map(|(id, snapshot, _)| row(id, snapshot)).collect(),
            remove: gone.map(|(id, snapshot, _)| row(id, snapshot)).collect(),
            reasons: kept()
                .map(|(id, snapshot, matches)| Reason {
                    snapshot: row(id, snapshot),
                    matches,
                })
                .collect(),
        }
    }
}

pub(crate) fn run(args: &ForgetArgs, session: &Session) -> Outcome {
    let policy = args.keep.policy();
    check(args, &policy)?;
    let repository = session.repository()?;
    let lock = session.lock_to_change(&repository, args.dry_run, true)?;
    let named = named(args, &repository)?;
    let Decisions {
        groups: decided,
        safety,
        damaged,
    } = match args.snapshots.is_empty() {
        true => decide(args, &policy, &repository)?,
        false => Decisions::default(),
    };
    let gone = decided.iter().flat_map(|decided| &decided.decisions);
    let gone = gone.filter(|decision| !decision.is_kept());
    let gone = gone
        .map(|decision| decision.id)
        .chain(named.iter().copied());
    let forgotten: Vec<_> = gone.collect();
    if !session.global.json && (!decided.is_empty() || safety > 0) {
        output::print(&text(&decided, safety))?;
    }
    if !args.dry_run {
        repository.forget(&forgotten, &lock)?;
    }
    if !session.global.json {
        let would = if args.dry_run { " would be" } else { "" };
        let which = match named.is_empty() {
            true => String::new(),
            false => format!(
                ": {}",
                named
                    .iter()
                    .map(SnapshotId::short)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        output::print(&format!(
            "{} snapshots{would} forgotten{which}",
            forgotten.len()
        ))?;
    }
    let prune = args.prune && !forgotten.is_empty();
    let pruned = prune.then(|| {
        let without = forgotten.clone();
        let how = (&lock, args.pruning.two_phase);
        pruning::run(
            &args.pruning,
            how,
            args.dry_run,
            without,
            &repository,
            session,
        )
    });
    // What is forgotten is so, whatever becomes of the rest.
    let (pruned, failed) = match pruned.transpose() {
        Ok(pruned) => (pruned, None),
        Err(failure) => (None, Some(failure)),
    };
    if session.global.json {
        output::json(&Document {
            dry_run: args.dry_run,
            groups: decided.iter().map(Decided::document).collect(),
            named: &named,
            forgotten: &forgotten,
            safety,
            unreadable: damaged.iter().map(ToString::to_string).collect(),
            prune: pruned.as_ref(),
        })?;
    }
    let code = match (damaged.is_empty(), session.global.json) {
        (true, _) => ExitCode::SUCCESS,
        // The document names them.
        (false, true) => ExitCode::from(INCOMPLETE),
        (false, false) => {
            let code = select::complain(&damaged, session);
            output::complain(
                "hint: no rule was applied to what can't be read; `copal forget` with the whole id gives such a snapshot up\n",
            );
            code
        }
    };
    failed.map_or(Ok(code), Err)
}

/// Refuses to keep nothing where nobody said so.
fn check(args: &ForgetArgs, policy: &RetentionPolicy) -> Result<(), Failure> {
    if !args.snapshots.is_empty() {
        return match args.filter.filter().is_empty() {
            true => Ok(()),
            false => Err(Failure::arguments(
                "snapshots are named, so --host, --tag and --path mean nothing",
                "Give either those or the snapshots.",
            )),
        };
    }
    if !policy.is_empty() {
        return Ok(());
    }
    match (
        args.unsafe_allow_remove_all,
        args.filter.filter().is_empty(),
    ) {
        (true, false) => Ok(()),
        (true, true) => Err(Failure::arguments(
            "all snapshots of the repository would go",
            "Say which ones are meant, with --host, --tag or --path.",
        )),
        (false, _) => Err(Failure::arguments(
            "nothing says which snapshots stay",
            "Give rules such as --keep-daily 7, or name the snapshots that are to go.",
        )),
    }
}

/// The snapshots that are named. One that is damaged can be forgotten by its whole id.
fn named(args: &ForgetArgs, repository: &Repository) -> Result<Vec<SnapshotId>, Failure> {
    let named = args
        .snapshots
        .iter()
        .map(|text| match copal_job::snapshot(repository, text) {
            Err(copal_job::Error::Repository(error)) if error.kind() == ErrorKind::Corrupt => {
                text.parse().map_err(|_| error.into())
            }
            found => Ok(found?.0),
        });
    let mut named = named.collect::<Result<Vec<_>, Failure>>()?;
    named.sort_unstable();
    named.dedup();
    Ok(named)
}

/// What the rules decide.
#[derive(Default)]
struct Decisions {
    groups: Vec<Decided>,
    /// How many safety snapshots they leave out.
    safety: usize,
    /// What is wrong with the snapshots that can't be read.
    damaged: Vec<Error>,
}

/// What the rules decide on the snapshots that are meant. Safety snapshots are left out unless `--tag` asks for them: they are no backups, and take
/// no place of one.
fn decide(
    args: &ForgetArgs,
    policy: &RetentionPolicy,
    repository: &Repository,
) -> Result<Decisions, Failure> {
    let filter = args.filter.filter();
    let ReadableSnapshots {
        mut snapshots,
        damaged,
    } = select::filtered(repository, &filter)?;
    let asked = filter.tags.into_iter().flatten();
    let mut safety = 0;
    if !asked.into_iter().any(|tag| tag == copal_job::SAFETY_TAG) {
        let all = snapshots.len();
        snapshots.retain(|(_, snapshot)| !copal_job::is_safety(snapshot));
        safety = all - snapshots.len();
    }
    let by: Vec<_> = args.group_by.0.iter().copied().map(GroupBy::from).collect();
    let now = Timestamp::now();
    let groups = copal_job::groups(snapshots, &by).into_iter();
    let decided = groups.map(|(group, snapshots)| Decided {
        decisions: match args.unsafe_allow_remove_all {
            true => policy.apply_to_the_letter(&snapshots, now),
            false => policy.apply(&snapshots, now),
        },
        group,
        snapshots,
    });
    Ok(Decisions {
        groups: decided.collect(),
        safety,
        damaged,
    })
}

/// What was decided.
fn text(decided: &[Decided], safety: usize) -> String {
    let mut text = String::new();
    for decided in decided {
        let mut table = output::table(&["ID", "Time", "Host", "Tags", "Kept as"]);
        for (id, snapshot, reasons) in decided.rows() {
            let reasons = match reasons {
                [] => "- forgotten".to_owned(),
                reasons => reasons.join(", "),
            };
            table.add_row([
                id.short(),
                output::stored_time(snapshot.time),
                output::printable(&snapshot.hostname),
                output::printable(&snapshot.tags.join(", ")),
                output::printable(&reasons),
            ]);
        }
        let shared = shared(&decided.group.key);
        let incomplete = match decided.group.incomplete {
            true => "incomplete snapshots",
            false => "snapshots",
        };
        text += &format!("{incomplete}{shared}:\n{}\n", output::table_text(&table));
    }
    if safety > 0 {
        text += &format!(
            "{safety} safety snapshots are left out; name them, or give --tag {}\n",
            copal_job::SAFETY_TAG
        );
    }
    text
}

/// What the snapshots of a group share.
fn shared(key: &GroupKey) -> String {
    let list = |word: &str, list: &Option<Vec<String>>| {
        let list = list.as_ref()?;
        Some(format!(" {word} {}", list.join(", ")))
    };
    let host = key.hostname.as_ref().map(|host| format!(" of {host}"));
    let parts = [host, list("at", &key.paths), list("tagged", &key.tags)];
    output::printable(&parts.into_iter().flatten().collect::<String>())
}
