//! Files whose content is fetched together, and what can only be done once they are in place.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Job;
use super::file::{PendingFile, Writer};
use super::target::link;
use crate::error::Error;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::index::Location;
use crate::metadata::{Applier, Item, remove_other_attributes};
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
    pub(super) directories: Vec<(Arc<[u8]>, Node)>,
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

    /// Restores everything in it. If that ends early, nothing unfinished stays behind.
    pub(super) fn run(self, job: &Job<'_>) -> Result<(), Error> {
        let open = AtomicUsize::new(0);
        let mut writer = Writer::new(job, &open);
        let result = self.write_files(job, &open, &mut writer);
        if result.is_err() {
            for file in &self.files {
                file.remove(&mut writer);
            }
            return result;
        }
        for link in &self.links {
            let path = join(&link.path, &link.node.name);
            match make_link(job, link) {
                Ok(()) => {
                    job.progress.advance(1, link.node.size);
                    job.summary(|summary| summary.files += 1);
                }
                Err(message) => job.item_error(&path, message),
            }
        }
        let mut applier = Applier::new();
        for (path, node) in &self.directories {
            match job.target.open_directory(path) {
                Ok(fd) => {
                    let mut problems = match job.exact {
                        true => remove_other_attributes(node, fd.as_fd()),
                        false => Vec::new(),
                    };
                    problems.extend(applier.apply(node, Item::Open(fd.as_fd())));
                    for problem in problems {
                        job.inexact(path, problem);
                    }
                }
                Err(error) => job.inexact(path, format!("can't set its metadata: {error}")),
            }
        }
        Ok(())
    }

    fn write_files(
        &self,
        job: &Job<'_>,
        open: &AtomicUsize,
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
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
        let whole: Vec<_> = self.files.iter().filter(|file| file.is_whole()).collect();
        let next = AtomicUsize::new(0);
        let work = |writer: &mut Writer<'_>| {
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                let result = job.check().and_then(|()| {
                    if let Some(file) = whole.get(task) {
                        file.write_whole(writer).map(|()| true)
                    } else if let Some((run, pieces)) = runs.get(task - whole.len()) {
                        self.write_run(writer, run, pieces).map(|()| true)
                    } else {
                        Ok(false)
                    }
                });
                match result {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(error) => {
                        // The others find nothing more to do.
                        next.store(whole.len() + runs.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        };
        let tasks = whole.len() + runs.len();
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

    /// Where the content of all files lies and goes, in the order in which it is fetched. Files of which a part is missing are
    /// given up.
    fn pieces(&self, job: &Job<'_>, writer: &mut Writer<'_>) -> Result<Vec<Piece>, Error> {
        let mut pieces = Vec::with_capacity(self.pieces);
        for (index, file) in self.files.iter().enumerate() {
            if file.is_whole() {
                continue;
            }
            let start = pieces.len();
            let mut offset = 0_u64;
            for id in &file.node.content {
                match locate(job.repository, id).map_err(Trouble::from) {
                    Ok(location) => {
                        let length = u64::from(location.plaintext_length());
                        pieces.push(Piece {
                            location,
                            id: *id,
                            file: index,
                            offset,
                        });
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

fn make_link(job: &Job<'_>, entry: &Link) -> Result<(), String> {
    if !entry.first.in_place.load(Ordering::Acquire) {
        return Err("the file that it is a hard link to was not restored".to_owned());
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
    )
}
