//! Files whose content is fetched together, and what can only be done once they are in place.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Mode, fchmod, statat};

use super::Job;
use super::file::{PendingFile, Writer};
use super::target::link;
use crate::error::Error;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::index::Location;
use crate::metadata::{Applier, Item};
use crate::parallel;
use crate::pass::Trouble;
use crate::progress::join;
use crate::walk::{Run, decode, locate, runs};

/// How much a batch may hold before it is run: that many files, directories or pieces of content.
const MOST_ITEMS: usize = 16 << 10;
const MOST_PIECES: usize = 64 << 10;

/// Blobs that are nearer to each other than this are fetched together with what lies between them: reading on takes
/// less time than asking anew.
const GAP: u64 = 64 << 10;

/// The first name of a file that has several.
#[derive(Clone)]
pub(super) struct First {
    /// The directory that it is in.
    pub(super) path: Arc<[u8]>,
    pub(super) name: Vec<u8>,
    /// Whether this run has put it in place. Until then that name may be another file's.
    pub(super) in_place: Arc<AtomicBool>,
}

/// A further name of a file.
pub(super) struct Link {
    pub(super) first: First,
    /// The directory that this one is in.
    pub(super) path: Arc<[u8]>,
    pub(super) node: Node,
}

/// What is restored together.
#[derive(Default)]
pub(super) struct Batch {
    files: Vec<PendingFile>,
    pieces: usize,
    pub(super) links: Vec<Link>,
    /// Directories, inner ones first, that nothing more goes into.
    pub(super) directories: Vec<(Arc<[u8]>, Finish)>,
}

/// What a directory gets in the end.
pub(super) enum Finish {
    /// The metadata of the snapshot.
    Node(Node),
    /// The mode that it had.
    Mode(Mode),
}

/// Where a blob goes.
struct Piece {
    location: Location,
    id: BlobId,
    file: usize,
    offset: u64,
}

impl Batch {
    pub(super) fn push(&mut self, file: PendingFile) {
        self.pieces += file.node.content.len();
        self.files.push(file);
    }

    pub(super) fn is_full(&self) -> bool {
        self.files.len() + self.links.len() >= MOST_ITEMS
            || self.directories.len() >= MOST_ITEMS
            || self.pieces >= MOST_PIECES
    }

    /// Restores everything in it. If that ends early, nothing unfinished has a name of its own, and another run goes on with it.
    pub(super) fn run(self, job: &Job<'_>) -> Result<(), Error> {
        let open = AtomicUsize::new(0);
        let mut writer = Writer::new(job, &open);
        let result = self.write_files(job, &open, &mut writer);
        if result.is_err() {
            for file in &self.files {
                file.suspend(&mut writer);
            }
            return result;
        }
        for link in &self.links {
            let path = join(&link.path, &link.node.name);
            match make_link(job, link) {
                Ok(change) => {
                    job.progress.advance(1, link.node.size);
                    job.summary(|summary| {
                        summary.files += u64::from(change != Linked::Kept);
                        summary.unchanged += u64::from(change == Linked::Unchanged);
                        summary.kept += u64::from(change == Linked::Kept);
                        if change == Linked::Replaced {
                            summary.replaced.add(&path);
                        }
                    });
                }
                Err(message) => job.item_error(&path, message),
            }
        }
        let mut applier = Applier::new();
        for (path, finish) in &self.directories {
            let result = job.target.open_directory(path).and_then(|fd| match finish {
                Finish::Mode(mode) => fchmod(fd, *mode).map(|()| Vec::new()),
                Finish::Node(node) if job.options.exact => {
                    Ok(applier.mend(node, Item::Open(fd.as_fd())))
                }
                Finish::Node(node) => Ok(applier.apply(node, Item::Open(fd.as_fd()))),
            });
            match result {
                Ok(problems) => {
                    for problem in problems {
                        job.inexact(path, problem);
                    }
                }
                Err(error) => job.inexact(path, format!("can't set its metadata: {error}")),
            }
        }
        Ok(())
    }

    fn write_files<'a>(
        &self,
        job: &'a Job<'a>,
        open: &'a AtomicUsize,
        writer: &mut Writer<'a>,
    ) -> Result<(), Error> {
        let looked_at: Vec<_> = self
            .files
            .iter()
            .filter(|file| file.may_exist || job.options.dry_run)
            .collect();
        spread(job, open, writer, looked_at.len(), |writer, task| {
            looked_at
                .get(task)
                .map_or(Ok(()), |file| file.survey(writer))
        })?;
        let pieces = self.pieces(job, writer)?;
        let runs = runs(pieces.iter().map(|piece| &piece.location), GAP);
        let mut rest = &pieces[..];
        let runs: Vec<_> = runs
            .into_iter()
            .map(|run| {
                let (pieces, after) = rest.split_at(run.count);
                rest = after;
                (run, pieces)
            })
            .collect();
        let whole: Vec<_> = self
            .files
            .iter()
            .filter(|file| file.is_whole() && !file.is_over())
            .collect();
        let tasks = whole.len() + runs.len();
        spread(job, open, writer, tasks, |writer, task| {
            match (whole.get(task), runs.get(task.wrapping_sub(whole.len()))) {
                (Some(file), _) => file.write_whole(writer),
                (None, Some((run, pieces))) => self.write_run(writer, run, pieces),
                (None, None) => Ok(()),
            }
        })
    }

    /// Where the content of all files lies and goes, in the order in which it is fetched. Files of which a part is missing are
    /// given up.
    fn pieces(&self, job: &Job<'_>, writer: &mut Writer<'_>) -> Result<Vec<Piece>, Error> {
        let mut pieces = Vec::with_capacity(self.pieces);
        for (index, file) in self.files.iter().enumerate() {
            if file.is_whole() || file.is_over() {
                continue;
            }
            let start = pieces.len();
            let mut offset = 0_u64;
            for (number, id) in file.node.content.iter().enumerate() {
                match locate(job.repository, id).map_err(Trouble::from) {
                    Ok(location) => {
                        let length = u64::from(location.plaintext_length());
                        if !file.has_piece(number) {
                            pieces.push(Piece {
                                location,
                                id: *id,
                                file: index,
                                offset,
                            });
                        }
                        offset += length;
                    }
                    Err(Trouble::End(error)) => return Err(error),
                    Err(Trouble::Item(message)) => {
                        pieces.truncate(start);
                        file.fail(writer, message);
                        break;
                    }
                }
            }
        }
        pieces.sort_unstable_by_key(|piece| (piece.location.pack, piece.location.offset, piece.id));
        Ok(pieces)
    }

    /// Fetches a run and writes each blob to all places that it goes to.
    fn write_run(&self, writer: &mut Writer<'_>, run: &Run, pieces: &[Piece]) -> Result<(), Error> {
        let repository = writer.job.repository;
        let bytes = repository.read_pack_range(&run.pack, run.range.clone());
        let bytes = match bytes.map_err(Trouble::from) {
            Ok(bytes) => bytes,
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(message)) => {
                self.fail(writer, pieces, &message);
                return Ok(());
            }
        };
        for same in pieces.chunk_by(|a, b| a.id == b.id) {
            let Some(Piece { location, id, .. }) = same.first() else {
                continue;
            };
            match decode(repository, &bytes, run, location, id).map_err(Trouble::from) {
                Ok(blob) => {
                    for piece in same {
                        if let Some(file) = self.files.get(piece.file) {
                            file.write_piece(writer, &blob, piece.offset);
                        }
                    }
                }
                Err(Trouble::End(error)) => return Err(error),
                Err(Trouble::Item(message)) => self.fail(writer, same, &message),
            }
        }
        Ok(())
    }

    fn fail(&self, writer: &mut Writer<'_>, pieces: &[Piece], message: &str) {
        for file in pieces.iter().filter_map(|piece| self.files.get(piece.file)) {
            file.fail(writer, message.to_owned());
        }
    }
}

/// Does so many tasks on several threads, of which this is one. The first failure ends all.
fn spread<'a>(
    job: &'a Job<'a>,
    open: &'a AtomicUsize,
    writer: &mut Writer<'a>,
    tasks: usize,
    work: impl Fn(&mut Writer<'a>, usize) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let work = |writer: &mut Writer<'a>| {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return Ok(());
            }
            if let Err(error) = job.check().and_then(|()| work(writer, task)) {
                // The others find nothing more to do.
                next.store(tasks, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..parallel::threads().min(tasks))
            .map(|_| scope.spawn(|| work(&mut Writer::new(job, open))))
            .collect();
        let mut result = work(writer);
        for other in others {
            match other.join() {
                Ok(other) => result = result.and(other),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    })
}

/// What became of a further name of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    New,
    Replaced,
    /// It was one already.
    Unchanged,
    /// Something else is there and must stay.
    Kept,
}

fn make_link(job: &Job<'_>, entry: &Link) -> Result<Linked, String> {
    let look = |path: &[u8], name: &[u8]| {
        let directory = job.target.open_directory(path)?;
        statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
    };
    let found = look(&entry.path, &entry.node.name);
    let change = match &found {
        Ok(found) if !job.options.overwrite.allows(&entry.node, found) => return Ok(Linked::Kept),
        Ok(found) => match look(&entry.first.path, &entry.first.name) {
            Ok(first) if (first.st_dev, first.st_ino) == (found.st_dev, found.st_ino) => {
                Linked::Unchanged
            }
            _ => Linked::Replaced,
        },
        Err(_) => Linked::New,
    };
    if job.options.dry_run {
        return Ok(change);
    }
    if !entry.first.in_place.load(Ordering::Acquire) {
        return Err("the file that it is a hard link to was not restored".to_owned());
    }
    if change == Linked::Unchanged {
        return Ok(change);
    }
    let open = |path: &[u8]| {
        let fd = job.target.open_directory(path);
        fd.map_err(|error| format!("can't open the directory: {error}"))
    };
    link(
        open(&entry.first.path)?.as_fd(),
        &entry.first.name,
        open(&entry.path)?.as_fd(),
        &job.target.temporary_name(),
        &entry.node.name,
    )?;
    Ok(change)
}
