//! `copal ls`

use std::io::{self, Write as _};

use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::walk::{self, Next};
use copal_repository::{LockMode, Repository, SnapshotId, TreeId};
use copal_sandbox::name;

use super::entries::{Row, line, place};
use super::select;
use crate::Outcome;
use crate::args::LsArgs;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) fn run(args: &LsArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let (id, snapshot) = select::one(&repository, &args.snapshot, &args.filter)?;
    // Without it all would count as lost.
    repository.load_index()?;
    let mut printer = Printer::new(session.global.json, args.long);
    let deeper = match args.recursive {
        true => Next::Continue,
        false => Next::Pass,
    };
    if args.paths.is_empty() {
        printer.list(&repository, &snapshot.tree, "", Next::Continue)?;
    }
    // All are looked up before the first is shown.
    let nodes = args.paths.iter().map(|path| {
        let path = path.trim_matches('/');
        find(&repository, &id, &snapshot.tree, path).map(|node| (path, node))
    });
    for (path, node) in nodes.collect::<Result<Vec<_>, _>>()? {
        let prefix = match path {
            "" => String::new(),
            path => format!("{path}/"),
        };
        match (node.kind, &node.subtree) {
            (NodeKind::Directory, Some(tree)) => {
                printer.list(&repository, tree, &prefix, deeper)?;
            }
            _ => printer.node(path, &node)?,
        }
    }
    let unreadable = printer.end()?;
    Ok(select::complain(&unreadable, session))
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
    walk::find(repository, tree, &raw(trimmed))?.ok_or_else(absent)
}

/// The bytes of a path, spelled as `copal ls` spells it.
pub(super) fn raw(path: &str) -> Vec<u8> {
    // A path that is not spelled so may still be meant as it stands.
    name::unescape(path).unwrap_or_else(|_| path.as_bytes().to_vec())
}

/// Prints one node after the other, so that a long list needs no memory.
struct Printer {
    json: bool,
    long: bool,
    first: bool,
    out: io::BufWriter<io::Stdout>,
    /// Directories whose listing is lost.
    unreadable: Vec<String>,
}

impl Printer {
    fn new(json: bool, long: bool) -> Self {
        Self {
            json,
            long,
            first: true,
            out: io::BufWriter::new(io::stdout()),
            unreadable: Vec::new(),
        }
    }

    /// Prints what lies in a directory; what lies deeper, too, where `deeper` goes on.
    fn list(
        &mut self,
        repository: &Repository,
        tree: &TreeId,
        prefix: &str,
        deeper: Next,
    ) -> Result<(), Failure> {
        let mut unreadable = Vec::new();
        let path = |path: &[u8]| format!("{prefix}{}", name::escape(path));
        let visit = &mut |at: &[u8], node: &Node| {
            let printed = self.node(&path(at), node);
            printed.map_err(|error| copal_repository::Error::io("standard output", error))?;
            Ok(deeper)
        };
        let lost = &mut |at: &[u8], error| {
            unreadable.push(format!("{}: {error}", place(&path(at))));
            Ok(())
        };
        let walked = walk::walk_on(repository, tree, visit, lost);
        walked.map_err(Failure::of_output)?;
        self.unreadable.append(&mut unreadable);
        Ok(())
    }

    fn node(&mut self, path: &str, node: &Node) -> io::Result<()> {
        if self.json {
            write!(self.out, "{}", if self.first { "[\n" } else { ",\n" })?;
            serde_json::to_writer(&mut self.out, &Row::new(path, node))?;
        } else {
            writeln!(self.out, "{}", line(path, node, self.long))?;
        }
        self.first = false;
        Ok(())
    }

    /// Gives what could not be read.
    fn end(mut self) -> io::Result<Vec<String>> {
        if self.json {
            self.out
                .write_all(if self.first { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()?;
        Ok(self.unreadable)
    }
}
