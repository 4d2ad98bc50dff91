//! The verdicts of a pass, for people and for machines.

use copal_conformance::Decided;
use copal_sandbox::types::{Change, Entry, Finding, Kind, Severity, Verdict};
use serde_json::{Value, json};

use crate::output;

/// The verdicts of each root.
type Roots = [(String, Vec<Decided>)];

/// All verdicts as JSON.
pub(super) fn document(roots: &Roots, findings: &[Finding]) -> Value {
    let mut entries = Vec::new();
    for (root, entry, verdict) in all(roots) {
        let change = match verdict {
            Verdict::Change(change) => json!({
                "name": change.name,
                "mode": change.mode,
                "owner": change.owner,
                "modified": change.modified,
                "filter": change.filter,
            }),
            _ => Value::Null,
        };
        entries.push(json!({
            "root": root,
            "path": entry.path,
            "kind": entry.kind,
            "verdict": word(verdict),
            "change": change,
        }));
    }
    json!({"entries": entries, "summary": Summary::of(roots).document(), "findings": findings})
}

/// All verdicts, one line each, and how many there are of which.
pub(super) fn text(roots: &Roots, findings: &[Finding]) -> String {
    let mut text = String::new();
    for (root, entry, verdict) in all(roots) {
        let slash = if entry.kind == Kind::Directory {
            "/"
        } else {
            ""
        };
        let path = output::printable(&format!("{root}/{}{slash}", entry.path));
        let what = match verdict {
            Verdict::Change(change) => format!("  ({})", changes(change)),
            _ => String::new(),
        };
        text += &format!("{:6} {path}{}\n", word(verdict), output::printable(&what));
    }
    let summary = Summary::of(roots);
    text += &format!(
        "\n{} entries: {} kept, {} left out, {} changed, {} of them filtered\n",
        summary.kept + summary.skipped + summary.changed,
        summary.kept,
        summary.skipped,
        summary.changed,
        summary.filtered,
    );
    text + &output::findings(findings, Severity::Info)
}

fn all(roots: &Roots) -> impl Iterator<Item = (&str, &Entry, &Verdict)> {
    roots.iter().flat_map(|(root, decided)| {
        let entries = decided.iter().flat_map(|directory| &directory.entries);
        entries.map(move |(entry, verdict)| (root.as_str(), entry, verdict))
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Keep => "keep",
        Verdict::Skip => "skip",
        Verdict::Change(_) => "change",
    }
}

fn changes(change: &Change) -> String {
    let name = change.name.as_ref().map(|name| format!("named {name}"));
    let mode = change.mode.map(|mode| format!("mode {mode:04o}"));
    let owner = change
        .owner
        .as_ref()
        .map(|owner| format!("owner {}:{}", owner.uid, owner.gid));
    let modified = change
        .modified
        .map(|time| format!("modified {}", time.seconds));
    let filter = change.filter.then(|| "filtered".to_owned());
    let all: Vec<_> = [name, mode, owner, modified, filter]
        .into_iter()
        .flatten()
        .collect();
    all.join(", ")
}

/// How many verdicts there are of which.
#[derive(Default)]
struct Summary {
    kept: usize,
    skipped: usize,
    changed: usize,
    filtered: usize,
}

impl Summary {
    fn of(roots: &Roots) -> Self {
        let mut summary = Self::default();
        for (_, _, verdict) in all(roots) {
            match verdict {
                Verdict::Keep => summary.kept += 1,
                Verdict::Skip => summary.skipped += 1,
                Verdict::Change(change) => {
                    summary.changed += 1;
                    summary.filtered += usize::from(change.filter);
                }
            }
        }
        summary
    }

    fn document(&self) -> Value {
        json!({
            "kept": self.kept,
            "skipped": self.skipped,
            "changed": self.changed,
            "filtered": self.filtered,
        })
    }
}
