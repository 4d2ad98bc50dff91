//! What `copal prune` and `copal forget --prune` share.

use copal_repository::prune::{Packs, PruneOptions, PruneStats, prune};
use copal_repository::{Error, LockGuard, LockMode, Repository, SnapshotId};

use crate::args::PruningArgs;
use crate::failure::Failure;
use crate::output;
use crate::output::Console;
use crate::session::Session;

/// A lock to prune under, and whether that is done in two phases: as asked for, or because the storage takes no lock.
pub(super) fn lock(
    args: &PruningArgs,
    dry_run: bool,
    repository: &Repository,
    session: &Session,
) -> Result<(LockGuard, bool), Failure> {
    if dry_run || args.two_phase {
        return Ok((session.lock(repository, LockMode::Read)?, args.two_phase));
    }
    match session.lock(repository, LockMode::Exclusive) {
        Err(Error::Storage(error)) if error.is_denied() => {
            tracing::warn!(
                "the repository can't be locked, so what nothing needs is only marked now, and removed by a later prune ({error})"
            );
            Ok((session.lock(repository, LockMode::Read)?, true))
        }
        lock => Ok((lock?, false)),
    }
}

/// Prunes, and shows people what is about to be done.
pub(super) fn run(
    args: &PruningArgs,
    (lock, two_phase): (&LockGuard, bool),
    dry_run: bool,
    without: Vec<SnapshotId>,
    repository: &Repository,
    session: &Session,
) -> Result<PruneStats, Failure> {
    let options = PruneOptions {
        max_unused: args.max_unused,
        max_repack: args.max_repack_size,
        repack_cacheable_only: args.repack_cacheable_only,
        repack_small: args.repack_small,
        repack_uncompressed: args.repack_uncompressed,
        two_phase: two_phase.then(|| args.grace.duration()),
        dry_run,
        without,
        cancel: session.context.cancel.clone(),
    };
    session.interrupts_end_work();
    let silent = session.global.quiet || session.global.json;
    let console = Console::new(silent).counting("packs");
    let mut printed = Ok(());
    let pruned = prune(repository, &options, lock, &console, &mut |stats| {
        if !silent {
            console.pause(|| printed = output::print(&text(stats)));
        }
    });
    drop(console);
    let stats = pruned?;
    if !silent && !dry_run {
        printed = printed.and_then(|()| output::print("Pruned."));
    }
    match printed {
        Err(failure) if !failure.is_broken_pipe() => Err(failure),
        _ => Ok(stats),
    }
}

/// What is found and about to be done, as a table.
fn text(stats: &PruneStats) -> String {
    let mut table = output::table(&["", "Packs", "Blobs", "Size"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let blobs = |blobs: u64, bytes: u64| [String::new(), blobs.to_string(), output::bytes(bytes)];
    let packs = |packs: Packs| {
        [
            packs.packs.to_string(),
            String::new(),
            output::bytes(packs.bytes),
        ]
    };
    let would = if stats.dry_run { "would" } else { "will" };
    let rows = [
        (
            format!("needed by {} snapshots", stats.snapshots),
            blobs(stats.used.blobs, stats.used.bytes),
        ),
        (
            "not needed".to_owned(),
            blobs(stats.unused.blobs, stats.unused.bytes),
        ),
        (
            "  of these, further copies".to_owned(),
            blobs(stats.duplicate.blobs, stats.duplicate.bytes),
        ),
        ("kept as they are".to_owned(), packs(stats.kept)),
        ("  of these, too young".to_owned(), packs(stats.young)),
        (format!("{would} be written anew"), packs(stats.repacked)),
        ("needed for nothing".to_owned(), packs(stats.unneeded)),
        ("in no index".to_owned(), packs(stats.unindexed)),
        (
            "never written to the end".to_owned(),
            packs(stats.unfinished),
        ),
        (
            "missing, and needed for nothing".to_owned(),
            [stats.absent.to_string(), String::new(), String::new()],
        ),
        (
            "marked before, needed after all".to_owned(),
            packs(stats.recovered),
        ),
        (
            "marked before, still to wait".to_owned(),
            packs(stats.waiting),
        ),
        (
            format!("{would} be marked to be removed"),
            packs(stats.marked),
        ),
        (format!("{would} be removed"), packs(stats.removed)),
    ];
    // The first two and the last always say something; of the others those that there are any of.
    let last = rows.len() - 1;
    for (at, (what, cells)) in rows.into_iter().enumerate() {
        let none = |cell: &String| matches!(cell.as_str(), "" | "0" | "0 B");
        if at < 2 || at == last || !cells.iter().all(none) {
            table.add_row([what].into_iter().chain(cells));
        }
    }
    let left = format!(
        "{} of {} {would} be left; of that, nothing needs {}",
        output::bytes(stats.bytes_after),
        output::bytes(stats.bytes_before),
        output::bytes(stats.unused_after),
    );
    format!("{}{left}", output::table_text(&table))
}
