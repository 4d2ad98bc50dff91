//! Files whose content is fetched together, and what can only be done once they are in place.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, Mode, fchmod, linkat, statat};

use super::Job;
use super::exact::{Found, remove_others};
use super::file::{PendingFile, Writer};
use super::target::discard;
use crate::error::Error;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::index::Location;
use crate::metadata::{Applier, Item};
use crate::parallel;
use crate::pass::{LazyPass, Trouble};
use crate::repository::lock;
use crate::walk::{Fetched, Run, locate, runs};

/// How much a batch may hold before it is run: that many files, directories or pieces of content.
const MOST_ITEMS: usize = 16 << 10;
const MOST_PIECES: usize = 64 << 10;

/// Blobs that are nearer to each other than this are fetched together with what lies between them: reading on takes
/// less time than asking anew.
const GAP: u64 = 64 << 10;

/// The first name of a file that has several.
pub(super) struct First {
    /// The path of the directory that it is in, and the name.
    place: Mutex<(Arc<[u8]>, Vec<u8>)>,
    /// Whether this run has put it in place. Until then that name may be another file's.
    in_place: Arc<AtomicBool>,
}

impl First {
    pub(super) fn of(file: &PendingFile) -> Self {
        Self {
            place: Mutex::new((Arc::clone(&file.directory), file.node.name.clone())),
            in_place: Arc::clone(&file.in_place),
        }
    }
}

/// A further name of a file.
pub(super) struct Link {
    pub(super) first: Arc<First>,
    /// The file, should it have to be written under this name.
    pub(super) file: PendingFile,
}

impl Link {
    /// The file, whose first name this one becomes.
    fn into_first(self) -> PendingFile {
        *lock(&self.first.place) = (
            Arc::clone(&self.file.directory),
            self.file.node.name.clone(),
        );
        let mut file = self.file;
        file.in_place = self.first.in_place.clone();
        file
    }
}

/// What is restored together.
#[derive(Default)]
pub(super) struct Batch {
    files: Vec<PendingFile>,
    links: Vec<Link>,
    pieces: usize,
    /// Directories, inner ones first, that nothing more goes into.
    directories: Vec<Finished>,
}

/// A directory that nothing more goes into.
pub(super) struct Finished {
    /// Its path in the snapshot.
    pub(super) source: Vec<u8>,
    /// Its path beneath the target.
    pub(super) path: Arc<[u8]>,
    /// Temporary names of what gave way to directories in it.
    pub(super) asides: Vec<String>,
    /// What is removed from it.
    pub(super) others: Vec<Found>,
    pub(super) finish: Option<Finish>,
}

/// What a directory gets in the end.
pub(super) enum Finish {
    /// The metadata of the snapshot.
    Node(Box<Node>),
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

    pub(super) fn push_link(&mut self, link: Link) {
        self.pieces += link.file.node.content.len();
        self.links.push(link);
    }

    pub(super) fn push_directory(&mut self, directory: Finished) {
        self.directories.push(directory);
    }

    pub(super) fn is_full(&self) -> bool {
        self.files.len() + self.links.len() >= MOST_ITEMS
            || self.directories.len() >= MOST_ITEMS
            || self.pieces >= MOST_PIECES
    }

    /// Restores everything in it, and then removes what is not to stay. If that ends early, nothing unfinished has a name of its own, nothing is
    /// removed, and another run goes on with it.
    pub(super) fn run(self, job: &Job<'_>) -> Result<(), Error> {
        let written = write(job, &self.files);
        let linked = written.and_then(|()| make_links(job, self.links));
        finish(job, self.directories, linked)
    }

    /// Leaves everything in it undone but the metadata of directories.
    pub(super) fn end(self, job: &Job<'_>, result: Result<(), Error>) -> Result<(), Error> {
        finish(job, self.directories, result)
    }
}

/// Removes from directories what is not to stay, if all went well that comes before, and gives them their metadata in any case.
fn finish(
    job: &Job<'_>,
    directories: Vec<Finished>,
    mut result: Result<(), Error>,
) -> Result<(), Error> {
    let mut pass = LazyPass::new(job.passes);
    let mut applier = Applier::new();
    for directory in directories {
        let path = &directory.path;
        if result.is_ok() && !directory.others.is_empty() {
            result = job.check().and_then(|()| {
                remove_others(job, &mut pass, &directory.source, path, directory.others)
            });
        }
        if job.options.dry_run || (directory.finish.is_none() && directory.asides.is_empty()) {
            continue;
        }
        let fd = match job.target.open_directory(path) {
            Ok(fd) => fd,
            Err(error) => {
                job.inexact(path, format!("can't set its metadata: {error}"));
                continue;
            }
        };
        if result.is_ok() {
            for aside in &directory.asides {
                discard(fd.as_fd(), aside);
            }
        }
        let problems = match &directory.finish {
            None => Vec::new(),
            Some(Finish::Mode(mode)) => fchmod(&fd, *mode)
                .err()
                .map(|error| format!("can't set its mode: {error}"))
                .into_iter()
                .collect(),
            Some(Finish::Node(node)) if job.options.exact => {
                applier.mend(node, Item::Open(fd.as_fd()))
            }
            Some(Finish::Node(node)) => applier.apply(node, Item::Open(fd.as_fd())),
        };
        for problem in problems {
            job.inexact(path, problem);
        }
    }
    result
}

/// Writes files.
fn write(job: &Job<'_>, files: &[PendingFile]) -> Result<(), Error> {
    let open = AtomicUsize::new(0);
    let mut writer = Writer::new(job, &open);
    let result = write_files(job, &open, &mut writer, files);
    if result.is_err() {
        for file in files {
            file.suspend(&mut writer);
        }
    }
    result
}

fn write_files<'a>(
    job: &'a Job<'a>,
    open: &'a AtomicUsize,
    writer: &mut Writer<'a>,
    files: &[PendingFile],
) -> Result<(), Error> {
    let looked_at: Vec<_> = files
        .iter()
        .filter(|file| file.may_exist || job.options.dry_run)
        .collect();
    spread(job, open, writer, looked_at.len(), |writer, task| {
        looked_at
            .get(task)
            .map_or(Ok(()), |file| file.survey(writer))
    })?;
    let mut whole: Vec<_> = files
        .iter()
        .filter(|file| file.is_whole() && !file.is_over())
        .collect();
    let mut cursor = Cursor::default();
    loop {
        let pieces = cursor.pieces(files, writer)?;
        if pieces.is_empty() && whole.is_empty() {
            return Ok(());
        }
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
        let tasks = whole.len() + runs.len();
        spread(job, open, writer, tasks, |writer, task| {
            match (whole.get(task), runs.get(task.wrapping_sub(whole.len()))) {
                (Some(file), _) => file.write_whole(writer),
                (None, Some((run, pieces))) => write_run(writer, files, run, pieces),
                (None, None) => Ok(()),
            }
        })?;
        whole.clear();
    }
}

/// How far the content of files has been gone through.
#[derive(Default)]
struct Cursor {
    file: usize,
    piece: usize,
    offset: u64,
}

impl Cursor {
    /// Where the next part of the content of all files lies and goes, in the order in which it is fetched; nothing once that was all. Files of which
    /// a part is missing are given up.
    fn pieces(
        &mut self,
        files: &[PendingFile],
        writer: &mut Writer<'_>,
    ) -> Result<Vec<Piece>, Error> {
        let mut pieces: Vec<Piece> = Vec::new();
        while let Some(file) = files.get(self.file)
            && pieces.len() < MOST_PIECES
        {
            let id = match file.is_whole() || file.is_over() {
                true => None,
                false => file.node.content.get(self.piece),
            };
            let Some(id) = id else {
                *self = Self {
                    file: self.file + 1,
                    ..Self::default()
                };
                continue;
            };
            match locate(writer.job.repository, id).map_err(Trouble::from) {
                Ok(location) => {
                    let length = u64::from(location.plaintext_length());
                    if !file.has_piece(self.piece) {
                        pieces.push(Piece {
                            location,
                            id: *id,
                            file: self.file,
                            offset: self.offset,
                        });
                    }
                    self.piece += 1;
                    self.offset += length;
                }
                Err(Trouble::End(error)) => return Err(error),
                Err(Trouble::Item(message)) => {
                    while pieces.pop_if(|piece| piece.file == self.file).is_some() {}
                    file.fail(writer, message);
                }
            }
        }
        pieces.sort_unstable_by_key(|piece| (piece.location.pack, piece.location.offset, piece.id));
        Ok(pieces)
    }
}

/// Fetches a run and writes each blob to all places that it goes to.
fn write_run(
    writer: &mut Writer<'_>,
    files: &[PendingFile],
    run: &Run,
    pieces: &[Piece],
) -> Result<(), Error> {
    let fetched = Fetched::fetch(writer.job.repository, run)?;
    for same in pieces.chunk_by(|a, b| a.id == b.id) {
        let Some(Piece { location, id, .. }) = same.first() else {
            continue;
        };
        let places = same
            .iter()
            .filter_map(|piece| Some((files.get(piece.file)?, piece.offset)));
        match fetched.blob(location, id).map_err(Trouble::from) {
            Ok(blob) => {
                for (file, offset) in places {
                    file.write_piece(writer, &blob, offset);
                }
            }
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(message)) => {
                for (file, _) in places {
                    file.fail(writer, message.clone());
                }
            }
        }
    }
    Ok(())
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
        let threads = parallel::fetch_threads(job.repository.backend());
        let others: Vec<_> = (1..threads.min(tasks))
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

/// Makes the further names of files. Where the first one is not in place, because it had to stay as it is or was lost, another becomes the first.
fn make_links(job: &Job<'_>, mut links: Vec<Link>) -> Result<(), Error> {
    while !links.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) = links
            .into_iter()
            .partition(|link| link.first.in_place.load(Ordering::Acquire));
        for link in &ready {
            note_link(job, link);
        }
        let mut firsts = HashSet::new();
        let (next, later) = waiting
            .into_iter()
            .partition::<Vec<_>, _>(|link| firsts.insert(Arc::as_ptr(&link.first)));
        let files: Vec<_> = next.into_iter().map(Link::into_first).collect();
        write(job, &files)?;
        links = later;
    }
    Ok(())
}

fn note_link(job: &Job<'_>, link: &Link) {
    let path = link.file.path();
    match make_link(job, link) {
        Ok(change) => {
            job.progress.advance(1, link.file.node.size);
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

fn make_link(job: &Job<'_>, link: &Link) -> Result<Linked, String> {
    let look = |path: &[u8], name: &[u8]| {
        let directory = job.target.open_directory(path)?;
        statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
    };
    let PendingFile {
        directory, node, ..
    } = &link.file;
    let (first_directory, first_name) = lock(&link.first.place).clone();
    let change = match look(directory, &node.name) {
        _ if link.file.displaces => Linked::New,
        Ok(found) if !job.options.overwrite.allows(node, &found) => return Ok(Linked::Kept),
        Ok(found) => match look(&first_directory, &first_name) {
            Ok(first) if (first.st_dev, first.st_ino) == (found.st_dev, found.st_ino) => {
                Linked::Unchanged
            }
            _ => Linked::Replaced,
        },
        Err(_) => Linked::New,
    };
    if job.options.dry_run || change == Linked::Unchanged {
        return Ok(change);
    }
    let open = |path: &[u8]| {
        let fd = job.target.open_directory(path);
        fd.map_err(|error| format!("can't open the directory: {error}"))
    };
    let (first_directory, directory) = (open(&first_directory)?, open(directory)?);
    let temporary = job.target.temporary_name();
    linkat(
        &first_directory,
        &*first_name,
        &directory,
        &*temporary,
        AtFlags::empty(),
    )
    .map_err(|error| format!("can't make the hard link: {error}"))?;
    let path = link.file.path();
    let place = (&*path, &*node.name);
    job.put_in_place(directory.as_fd(), &temporary, place, link.file.displaces)?;
    // Renaming a link over another one of the same file does nothing at all.
    discard(directory.as_fd(), &temporary);
    Ok(change)
}
