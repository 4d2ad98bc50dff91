//! `copal diff`

use std::io::{self, Write as _};
use std::process::ExitCode;

use copal_repository::differ::{Amount, Change, Summary, What, diff};
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
    let mut printer = Printer::new(session.global.json, [first, second]);
    let mut show = |change| {
        let shown = printer.change(&change);
        shown.map_err(|error| copal_repository::Error::io("standard output", error))
    };
    let summary = diff(
        &repository,
        before.tree,
        after.tree,
        args.metadata,
        &mut show,
    )
    .map_err(Failure::of_output)?;
    printer.end(&summary)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one change after the other, so that many need no memory; nothing before the first is known.
struct Printer {
    json: bool,
    snapshots: [SnapshotId; 2],
    begun: bool,
    out: io::BufWriter<io::Stdout>,
}

impl Printer {
    fn new(json: bool, snapshots: [SnapshotId; 2]) -> Self {
        Self {
            json,
            snapshots,
            begun: false,
            out: io::BufWriter::new(io::stdout()),
        }
    }

    /// Prints what stands before the first change. Tells whether that is next.
    fn begin(&mut self) -> io::Result<bool> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(false);
        }
        let [first, second] = self.snapshots;
        match self.json {
            true => write!(
                self.out,
                r#"{{"first": "{first}", "second": "{second}", "changes": ["#
            )?,
            false => writeln!(
                self.out,
                "From snapshot {} to {}:",
                first.short(),
                second.short()
            )?,
        }
        Ok(true)
    }

    fn change(&mut self, change: &Change) -> io::Result<()> {
        let is_first = self.begin()?;
        if self.json {
            self.out.write_all(if is_first { b"\n" } else { b",\n" })?;
            return Ok(serde_json::to_writer(&mut self.out, &document(change))?);
        }
        writeln!(self.out, "{}", output::printable(&line(change)))
    }

    fn end(mut self, summary: &Summary) -> Result<(), Failure> {
        self.begin()?;
        if self.json {
            write!(self.out, "\n], \"summary\": ")?;
            serde_json::to_writer(&mut self.out, summary)?;
            writeln!(self.out, "}}")?;
        } else {
            self.out.write_all(text(summary).as_bytes())?;
        }
        Ok(self.out.flush()?)
    }
}

fn document(change: &Change) -> Value {
    let mut document = json!({
        "change": word(&change.what),
        "kind": change.kind.as_str(),
        "path": name::escape(&change.path),
    });
    if let (What::Moved { from }, Some(fields)) = (&change.what, document.as_object_mut()) {
        fields.insert("from".to_owned(), json!(name::escape(from)));
    }
    document
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

fn line(change: &Change) -> String {
    let slash = match change.kind {
        NodeKind::Directory => "/",
        _ => "",
    };
    let path = name::escape(&change.path) + slash;
    match &change.what {
        What::Added => format!("+  {path}"),
        What::Removed => format!("-  {path}"),
        What::Content => format!("M  {path}"),
        What::Kind => format!("T  {path}"),
        What::Metadata => format!("U  {path}"),
        What::Moved { from } => format!(">  {} -> {path}", name::escape(from)),
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!(
        "\nfiles: {} new, {} removed, {} changed; {} of the new and removed were moved\n",
        summary.added.files, summary.removed.files, summary.changed_files, summary.moved_files
    );
    let pair = |what: fn(&Amount) -> u64| (what(&summary.added), what(&summary.removed));
    for (label, (new, removed)) in [
        ("directories", pair(|amount| amount.dirs)),
        ("others", pair(|amount| amount.others)),
        ("data blobs", pair(|amount| amount.data_blobs)),
        ("tree blobs", pair(|amount| amount.tree_blobs)),
    ] {
        text += &format!("{label}: {new} new, {removed} removed\n");
    }
    let bytes = |amount: &Amount| output::bytes(amount.bytes);
    let (added, removed) = (bytes(&summary.added), bytes(&summary.removed));
    text + &format!("{added} added, {removed} removed\n")
}
