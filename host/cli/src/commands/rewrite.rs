//! `copal rewrite`

use copal_job::{RewriteOptions, RewrittenSnapshot, rewrite_snapshots};
use copal_repository::ReadableSnapshots;

use super::{choice, select};
use crate::args::RewriteArgs;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

/// How many paths of a snapshot are listed one by one; with `--json` all are.
const LINES: usize = 20;

pub(crate) fn run(args: &RewriteArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let options = RewriteOptions {
        exclude: choice::patterns(&args.exclude, &args.iexclude, &args.exclude_file)?,
        forget: args.forget,
        dry_run: args.dry_run,
        named: match session.global.json {
            true => usize::MAX,
            false => LINES,
        },
    };
    let lock = session.lock_to_change(&repository, args.dry_run, args.forget)?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshots, &args.filter)?;
    let looked = snapshots.len();
    let console = Console::new(session.global.quiet || session.global.json);
    let state = &session.context.state;
    let rewritten = rewrite_snapshots(&repository, snapshots, &options, &lock, state, &console)?;
    drop(console);
    if session.global.json {
        output::json(&rewritten)?;
    } else {
        output::print(&text(&rewritten, looked, args))?;
    }
    Ok(select::complain(&damaged, session))
}

fn text(rewritten: &[RewrittenSnapshot], looked: usize, args: &RewriteArgs) -> String {
    let mut lines = Vec::new();
    for snapshot in rewritten {
        let id = snapshot.snapshot.short();
        let count = snapshot.excluded_entries;
        let bytes = output::bytes(snapshot.excluded_bytes);
        lines.push(match &snapshot.replaced_by {
            Some(new) => format!(
                "snapshot {id}: {count} entries left out ({bytes}); it is {} now",
                new.short()
            ),
            None => format!("snapshot {id}: {count} entries to leave out ({bytes})"),
        });
        let excluded = snapshot.excluded.iter();
        lines.extend(excluded.map(|path| format!("  {path}")));
        if let more @ 1.. = count.saturating_sub(snapshot.excluded.len() as u64) {
            lines.push(format!("  and {more} more"));
        }
        let spared = snapshot.spared.iter();
        lines.extend(spared.map(|path| {
            format!(
                "  {path} stays: it is Copal's own, and only a pattern such as `/{path}` means it"
            )
        }));
        let means = snapshot.consequences.iter();
        lines.extend(means.map(|means| format!("  NOTE: {means}")));
    }
    let changed = rewritten
        .iter()
        .filter(|snapshot| snapshot.excluded_entries > 0)
        .count();
    lines.push(match (args.dry_run, args.forget) {
        (true, _) => format!("{changed} of {looked} snapshots would be rewritten"),
        (false, true) => format!("{changed} of {looked} snapshots were rewritten"),
        (false, false) if changed > 0 => format!(
            "{changed} of {looked} snapshots were rewritten, and those as they were are still there: --forget removes them"
        ),
        (false, false) => format!("0 of {looked} snapshots were rewritten"),
    });
    output::printable_lines(&lines.join("\n"))
}
