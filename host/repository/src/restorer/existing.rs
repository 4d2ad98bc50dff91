//! What is in a file's place already: left as it is, mended, gone on with, or a source of content that need not be fetched.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::file::{PendingFile, Writer};
use super::target::adopt;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::metadata::{Applier, Item};
use crate::pass::Trouble;

impl PendingFile {
    /// Looks at what is in its place, and settles the file if nothing of it has to be fetched, or if nothing may be changed.
    pub(super) fn survey(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let surveyed = self.look(writer).and_then(|existing| {
            if writer.job.options.dry_run && !self.is_over() {
                self.set_in_place();
                self.settle_untouched(writer, |summary| {
                    summary.files += 1;
                    summary.bytes = summary.bytes.saturating_add(self.node.size);
                });
            }
            self.reuse(writer, existing)
        });
        match surveyed {
            Ok(()) => Ok(()),
            Err(Trouble::Item(message)) => {
                self.fail(writer, message);
                Ok(())
            }
            Err(Trouble::End(error)) => Err(error),
        }
    }

    /// Settles the file if what is in its place is the same or must stay. Gives that if its content is another.
    fn look(&self, writer: &mut Writer<'_>) -> Result<Option<File>, Trouble> {
        let job = writer.job;
        let Ok(directory) = writer.directory(&self.directory) else {
            // Where nothing is there yet, a dry run has none; anyone else is told as soon as it writes.
            return Ok(None);
        };
        let name = self.node.name.as_slice();
        let found = match self.displaces {
            true => return Ok(None),
            false => statat(directory, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        let Ok(found) = found else {
            return Ok(None);
        };
        if !job.options.overwrite.allows(&self.node, &found) {
            self.settle_untouched(writer, |summary| summary.kept += 1);
            return Ok(None);
        }
        self.replaces.store(true, Ordering::Relaxed);
        let existing = match self.is_filtered() {
            true => None,
            false => open_regular(directory, name),
        };
        let Some((file, stat)) = existing else {
            self.note_replaced(writer);
            return Ok(None);
        };
        let wanted = u64::try_from(stat.st_size).is_ok_and(|size| size == self.node.size);
        let same = wanted
            && may_stay(
                &self.node,
                Item::Open(file.as_fd()),
                &stat,
                &mut writer.applier,
            )
            && (job.options.overwrite.believes(&self.node, &stat)
                || self.is_content(writer, &file)?);
        if !same {
            self.note_replaced(writer);
            return Ok(Some(file));
        }
        let mended = self.mend(writer, &file, &stat);
        self.settle_untouched(writer, |summary| {
            summary.files += 1;
            summary.unchanged += 1;
            summary.mended += u64::from(mended);
        });
        self.set_in_place();
        Ok(None)
    }

    /// In a dry run, what is not written is told here.
    fn note_replaced(&self, writer: &Writer<'_>) {
        if writer.job.options.dry_run {
            let path = self.path();
            writer.job.summary(|summary| summary.replaced.add(&path));
        }
    }

    /// Whether the file holds the content and nothing else, which its size says already.
    fn is_content(&self, writer: &Writer<'_>, file: &File) -> Result<bool, Trouble> {
        let (mut buffer, mut offset) = (Vec::new(), 0);
        for id in &self.node.content {
            writer.job.check()?;
            let Some(size) = writer.job.repository.blob_size(BlobKind::Data, id)? else {
                return Ok(false);
            };
            if !holds(file, offset, size, id, &mut buffer) {
                return Ok(false);
            }
            offset += u64::from(size);
        }
        Ok(offset == self.node.size)
    }

    /// Sets the metadata if any of it differs; tells whether it did.
    fn mend(&self, writer: &mut Writer<'_>, file: &File, stat: &Stat) -> bool {
        let item = Item::Open(file.as_fd());
        if !writer.applier.differs(&self.node, item, stat) {
            return false;
        }
        if !writer.job.options.dry_run {
            for problem in writer.applier.mend(&self.node, item) {
                writer.job.inexact(&self.path(), problem);
            }
        }
        true
    }

    /// Takes what it can of the content from what an earlier run left of this file, or else from `existing`.
    fn reuse(&self, writer: &mut Writer<'_>, existing: Option<File>) -> Result<(), Trouble> {
        if self.is_over() || self.is_whole() {
            return Ok(());
        }
        if let Some(name) = &self.left_over {
            let directory = writer.directory(&self.directory).map_err(Trouble::Item)?;
            match adopt(directory, name) {
                Some(file) => {
                    self.adopt(writer, file, name.clone());
                    return self.take_over(writer, None);
                }
                None => super::target::discard(directory, name),
            }
        }
        match existing {
            Some(file) => self.take_over(writer, Some(&file)),
            None => Ok(()),
        }
    }

    /// Finds out which pieces `source` has where they belong, and writes them; without one, which the file has itself.
    fn take_over(&self, writer: &mut Writer<'_>, source: Option<&File>) -> Result<(), Trouble> {
        let (mut buffer, mut offset) = (Vec::new(), 0);
        let mut present = Vec::with_capacity(self.node.content.len());
        for id in &self.node.content {
            writer.job.check()?;
            let Some(size) = writer.job.repository.blob_size(BlobKind::Data, id)? else {
                // Whoever fetches it says so.
                return Ok(());
            };
            let own = match source {
                Some(_) => None,
                None => self.open(writer).map_err(Trouble::Item)?,
            };
            let file = source.or(own.as_deref());
            let has = file.is_some_and(|file| holds(file, offset, size, id, &mut buffer));
            if has {
                match source {
                    Some(_) => self.put(writer, &buffer, offset).map_err(Trouble::Item)?,
                    None => self.note_size(offset + u64::from(size)),
                }
                writer.job.progress.advance(0, size.into());
            }
            present.push(has);
            offset += u64::from(size);
        }
        self.close_if_many(writer);
        self.note_present(writer, present);
        Ok(())
    }
}

/// The file of that name, if it is a regular one that can be read.
fn open_regular(directory: BorrowedFd<'_>, name: &[u8]) -> Option<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(directory, name, flags, Mode::empty()).ok()?;
    let stat = fstat(&fd).ok()?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    regular.then(|| (File::from(fd), stat))
}

/// Whether what was found may become `node` by its metadata alone. Something that has names elsewhere would change there too, so it may only be what
/// it is already.
#[expect(
    clippy::unnecessary_cast,
    reason = "the types differ between platforms"
)]
pub(super) fn may_stay(node: &Node, item: Item<'_>, found: &Stat, applier: &mut Applier) -> bool {
    let names = found.st_nlink as u64;
    names == 1 || names <= node.links && !applier.differs(node, item, found)
}

/// Whether the piece lies there; then `buffer` holds it.
fn holds(file: &File, offset: u64, size: u32, id: &BlobId, buffer: &mut Vec<u8>) -> bool {
    let read = |buffer: &mut Vec<u8>| {
        // The size is what the index claims.
        if offset + u64::from(size) > file.metadata()?.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.resize(size as usize, 0);
        file.read_exact_at(buffer, offset)
    };
    read(buffer).is_ok() && BlobId::of(buffer) == *id
}
