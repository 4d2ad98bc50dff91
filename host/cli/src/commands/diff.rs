//! `copal diff`

use std::io::{self, Write as _};
use std::process::ExitCode;

use copal_repository::differ::{Amount, Change, Difference, What, diff};
use copal_repository::format::tree::NodeKind;
use copal_repository::{LockMode, SnapshotId};
use copal_sandbox::name;
use serde_json::{Value, json};

use super::select;
use crate::args::DiffArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &DiffArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let (first, before) = select::one(&repository, &args.first, &args.filter)?;
    let (second, after) = select::one(&repository, &args.second, &args.filter)?;
    let found = diff(&repository, before.tree, after.tree, args.metadata)?;
    match session.global.json {
        true => output::json(&document(&first, &second, &found))?,
        false => print(&first, &second, &found)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn document(first: &SnapshotId, second: &SnapshotId, found: &Difference) -> Value {
    let change = |change: &Change| {
        let mut document = json!({
            "change": word(&change.what),
            "kind": change.kind.as_str(),
            "path": name::escape(&change.path),
        });
        if let (What::Moved { from }, Some(fields)) = (&change.what, document.as_object_mut()) {
            fields.insert("from".to_owned(), json!(name::escape(from)));
        }
        document
    };
    let changes: Vec<_> = found.changes.iter().map(change).collect();
    json!({"first": first, "second": second, "changes": changes, "summary": found.summary})
}

fn word(what: &What) -> &'static str {
    match what {
        What::Added => "added",
        What::Removed => "removed",
        What::Content => "content",
        What::Kind => "kind",
        What::Metadata => "metadata",
        What::Moved { .. } => "moved",
    }
}

fn print(first: &SnapshotId, second: &SnapshotId, found: &Difference) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(
        out,
        "From snapshot {} to {}:",
        first.short(),
        second.short()
    )?;
    for change in &found.changes {
        let slash = match change.kind {
            NodeKind::Directory => "/",
            _ => "",
        };
        let path = name::escape(&change.path) + slash;
        let line = match &change.what {
            What::Added => format!("+  {path}"),
            What::Removed => format!("-  {path}"),
            What::Content => format!("M  {path}"),
            What::Kind => format!("T  {path}"),
            What::Metadata => format!("U  {path}"),
            What::Moved { from } => format!(">  {} -> {path}", name::escape(from)),
        };
        writeln!(out, "{}", output::printable(&line))?;
    }
    let summary = &found.summary;
    writeln!(
        out,
        "\nfiles: {} new, {} removed, {} changed; {} of the new and removed were moved",
        summary.added.files, summary.removed.files, summary.changed_files, summary.moved_files
    )?;
    let pair = |what: fn(&Amount) -> u64| (what(&summary.added), what(&summary.removed));
    for (label, (new, removed)) in [
        ("directories", pair(|amount| amount.dirs)),
        ("others", pair(|amount| amount.others)),
        ("data blobs", pair(|amount| amount.data_blobs)),
        ("tree blobs", pair(|amount| amount.tree_blobs)),
    ] {
        writeln!(out, "{label}: {new} new, {removed} removed")?;
    }
    writeln!(
        out,
        "{} added, {} removed",
        output::bytes(summary.added.bytes),
        output::bytes(summary.removed.bytes)
    )?;
    Ok(out.flush()?)
}
