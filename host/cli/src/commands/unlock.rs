//! `copal unlock`

use std::process::ExitCode;

use copal_repository::{Lock, UnlockOptions, Unlocked};

use crate::args::UnlockArgs;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &UnlockArgs, session: &Session) -> Outcome {
    let options = UnlockOptions {
        all: args.remove_all,
        dry_run: args.dry_run,
    };
    let unlocked = session.repository()?.unlock(options)?;
    if session.global.json {
        output::json(&unlocked)?;
    } else {
        output::print(&text(&unlocked, args))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(unlocked: &Unlocked, args: &UnlockArgs) -> String {
    let mut table = output::table(&["ID", "Since", "Kind", "Host", "User", "Process", ""]);
    let (removed, were) = match args.dry_run {
        true => ("would be removed", "would be"),
        false => ("removed", "were"),
    };
    let rows = unlocked.removed.iter().map(|lock| (lock, removed));
    let left = unlocked.left.iter().map(|lock| (lock, "still held"));
    for (lock, became) in rows.chain(left) {
        table.add_row(row(lock, became));
    }
    let table = match unlocked.removed.len() + unlocked.left.len() {
        0 => String::new(),
        _ => output::table_text(&table),
    };
    let held = match unlocked.left.len() {
        0 => String::new(),
        held => format!("; {held} are still held, and --remove-all removes them all the same"),
    };
    format!(
        "{table}{} locks {were} removed{held}",
        unlocked.removed.len()
    )
}

fn row(lock: &Lock, became: &str) -> Vec<String> {
    let Some(file) = &lock.file else {
        let problem = lock.problem.as_deref().unwrap_or_default();
        let became = format!("{became}: {}", output::printable(problem));
        return [lock.id.short().as_str(), "", "", "", "", "", &became]
            .map(str::to_owned)
            .to_vec();
    };
    let kind = if file.exclusive {
        "exclusive"
    } else {
        "shared"
    };
    vec![
        lock.id.short(),
        output::stored_time(file.time),
        kind.to_owned(),
        output::printable(&file.hostname),
        output::printable(&file.username),
        file.pid.to_string(),
        became.to_owned(),
    ]
}
