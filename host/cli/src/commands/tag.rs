//! `copal tag`

use copal_job::{Retagged, TagChange, retag};
use copal_repository::ReadableSnapshots;

use super::select;
use crate::args::{TagArgs, tag};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &TagArgs, session: &Session) -> Outcome {
    let change = match &args.set {
        Some(text) => {
            let tags = text.split(',').filter(|word| !word.is_empty()).map(tag);
            let tags = tags.collect::<Result<_, _>>();
            TagChange::Set(tags.map_err(|problem| Failure::arguments(problem, ""))?)
        }
        None => TagChange::Edit {
            add: args.add.clone(),
            remove: args.remove.clone(),
        },
    };
    let repository = session.repository()?;
    let lock = session.lock_to_change(&repository, args.dry_run, true)?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshots, &args.filter)?;
    let state = &session.context.state;
    let changed = retag(&repository, snapshots, &change, args.dry_run, &lock, state)?;
    if session.global.json {
        output::json(&changed)?;
    } else {
        output::print(&text(&changed, args.dry_run))?;
    }
    Ok(select::complain(&damaged, session))
}

fn text(changed: &[Retagged], dry_run: bool) -> String {
    let mut table = output::table(&["Snapshot", "Now", "Tags"]);
    for Retagged {
        snapshot,
        replaced_by,
        tags,
    } in changed
    {
        let tags = output::printable(&tags.join(", "));
        let now = replaced_by.map(|id| id.short()).unwrap_or_default();
        table.add_row([snapshot.short(), now, tags]);
    }
    let table = match changed {
        [] => String::new(),
        _ => output::table_text(&table),
    };
    let were = if dry_run { "would be" } else { "were" };
    format!("{table}{} snapshots {were} changed", changed.len())
}
