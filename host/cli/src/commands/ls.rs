//! `copal ls`

use std::io::{self, Write as _};
use std::process::ExitCode;

use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::walk::{self, Next};
use copal_repository::{Repository, SnapshotId, TreeId};
use copal_sandbox::name;
use serde::Serialize;

use crate::args::LsArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Row<'a> {
    /// Spelled as in the plugins' contract: bytes that are not UTF-8 read `\xNN`, a backslash `\\`.
    path: &'a str,
    kind: &'a str,
    size: u64,
    mode: String,
    uid: u32,
    gid: u32,
    user: &'a str,
    group: &'a str,
    modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

pub(crate) fn run(args: &LsArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let (id, snapshot) = copal_job::snapshot(&repository, &args.snapshot)?;
    let start = args
        .path
        .as_deref()
        .map(|path| path.trim_matches('/'))
        .filter(|path| !path.is_empty());
    let mut printer = Printer::new(session.global.json, args.long);
    let (tree, prefix) = match start {
        None => (Some(snapshot.tree), String::new()),
        Some(path) => {
            let node = find(&repository, &id, &snapshot.tree, path)?;
            if node.kind != NodeKind::Directory {
                printer.node(path, &node)?;
            }
            (node.subtree, format!("{path}/"))
        }
    };
    if let Some(tree) = tree {
        walk::walk(&repository, &tree, &mut |path, node| {
            let printed = printer.node(&format!("{prefix}{}", name::escape(path)), node);
            printed.map_err(|error| copal_repository::Error::io("standard output", error))?;
            Ok(Next::Continue)
        })
        .map_err(Failure::of_output)?;
    }
    printer.end()?;
    Ok(ExitCode::SUCCESS)
}

/// The node at a path, spelled as `copal ls` spells it.
pub(super) fn find(
    repository: &Repository,
    id: &SnapshotId,
    tree: &TreeId,
    path: &str,
) -> Result<Node, Failure> {
    let trimmed = path.trim_matches('/');
    let absent = || {
        let message = format!("snapshot {} has no `{trimmed}`", id.short());
        Failure::usage("not-found", message).advise("`copal ls` lists what it has.")
    };
    // A path that is not spelled so may still be meant as it stands.
    let raw = name::unescape(trimmed).unwrap_or_else(|_| trimmed.as_bytes().to_vec());
    walk::find(repository, tree, &raw)?.ok_or_else(absent)
}

/// Prints one node after the other, so that a long list needs no memory.
struct Printer {
    json: bool,
    long: bool,
    first: bool,
    out: io::BufWriter<io::Stdout>,
}

impl Printer {
    fn new(json: bool, long: bool) -> Self {
        Self {
            json,
            long,
            first: true,
            out: io::BufWriter::new(io::stdout()),
        }
    }

    fn node(&mut self, path: &str, node: &Node) -> io::Result<()> {
        let modified = node.modified.to_string();
        if self.json {
            let row = Row {
                path,
                kind: node.kind.as_str(),
                size: node.size,
                mode: format!("{:04o}", node.mode),
                uid: node.uid,
                gid: node.gid,
                user: &node.user,
                group: &node.group,
                modified,
                link_target: (node.kind == NodeKind::Symlink)
                    .then(|| name::escape(&node.link_target)),
            };
            write!(self.out, "{}", if self.first { "[\n" } else { ",\n" })?;
            serde_json::to_writer(&mut self.out, &row)?;
        } else if self.long {
            let (kind, owner) = (node.kind.as_str(), format!("{}:{}", node.uid, node.gid));
            let path = output::printable(path);
            writeln!(
                self.out,
                "{kind:8} {:04o} {owner:>11} {:>12} {modified} {path}",
                node.mode, node.size
            )?;
        } else {
            writeln!(self.out, "{}", output::printable(path))?;
        }
        self.first = false;
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        if self.json {
            self.out
                .write_all(if self.first { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()
    }
}
