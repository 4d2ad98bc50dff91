//! `copal dump`

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::progress::{ItemError, Silent};
use copal_repository::{LockMode, Repository, tarball, walk};
use serde_json::json;

use super::ls::{find, raw};
use super::select;
use crate::args::{ArchiveArg, DumpArgs};
use crate::failure::{Failure, INCOMPLETE};
use crate::session::Session;
use crate::{Outcome, output};

/// How much is gathered before it is written.
const BUFFER: usize = 1 << 20;

pub(crate) fn run(args: &DumpArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let (id, snapshot) = select::one(&repository, &args.snapshot, &args.filter)?;
    let node = find(&repository, &id, &snapshot.tree, &args.entry)?;
    let errors = match args.target.as_os_str() == "-" {
        true => {
            write(&repository, &node, args, &mut io::stdout().lock()).map_err(Failure::of_output)?
        }
        false => write_file(&repository, &node, args, session)?,
    };
    if session.global.json && args.target.as_os_str() != "-" {
        let lost: Vec<_> = errors.iter().map(ToString::to_string).collect();
        output::json(&json!({"snapshot": id, "target": args.target, "lost": lost}))?;
    }
    for error in &errors {
        output::complain(&format!(
            "lost: {}\n",
            output::printable(&error.to_string())
        ));
    }
    Ok(match errors.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    })
}

/// Writes the file or the archive; gives what had to be left out.
fn write(
    repository: &Repository,
    node: &Node,
    args: &DumpArgs,
    output: &mut dyn Write,
) -> Result<Vec<ItemError>, copal_repository::Error> {
    match (node.kind, args.archive) {
        (NodeKind::Directory, ArchiveArg::Tar) => {
            let path = raw(args.entry.trim_matches('/'));
            let mut output = BufWriter::with_capacity(BUFFER, output);
            let done = tarball::write(repository, node, &path, &mut output, &Silent)?;
            Ok(done.errors)
        }
        _ => {
            walk::dump(repository, node, output)?;
            let flushed = output.flush();
            flushed.map_err(|error| copal_repository::Error::io("the output", error))?;
            Ok(Vec::new())
        }
    }
}

/// What is written until somebody asks the work to end.
struct Interruptible<'a, W>(W, &'a Session);

impl<W: Write> Write for Interruptible<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.1.interrupted() {
            true => Err(io::Error::other("interrupted")),
            false => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes into a file, of which nothing half is left. What is there and no file, such as a pipe or a device, is written to as it is.
fn write_file(
    repository: &Repository,
    node: &Node,
    args: &DumpArgs,
    session: &Session,
) -> Result<Vec<ItemError>, Failure> {
    let target = std::fs::canonicalize(&args.target).unwrap_or_else(|_| args.target.clone());
    let failed = |error: io::Error| {
        let message = format!("can't write {}: {error}", target.display());
        Failure::usage("output", message)
    };
    if target.metadata().is_ok_and(|found| !found.is_file()) {
        let mut file = File::options().write(true).open(&target).map_err(failed)?;
        return write(repository, node, args, &mut file).map_err(Failure::of_output);
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    session.interrupts_end_work();
    // As whatever makes a file would: what the umask leaves of this.
    let file = tempfile::Builder::new()
        .prefix(".copal-dump-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(failed)?;
    let mut output = Interruptible(file.as_file(), session);
    let errors = write(repository, node, args, &mut output).map_err(|error| {
        match session.interrupted() {
            true => copal_repository::Error::Interrupted.into(),
            false => Failure::of_output(error),
        }
    })?;
    // What is there keeps its mode.
    if let Ok(found) = target.metadata() {
        let kept = file.as_file().set_permissions(found.permissions());
        kept.map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(errors)
}
