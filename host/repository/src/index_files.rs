//! Writing index files anew, so that packs leave the index or enter it.

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::index::{IndexFile, PackEntry};
use crate::id::IndexId;
use crate::parallel;
use crate::repository::Repository;
use crate::writer::INDEX_BLOBS;

/// Writes index files of a usual size. What it wrote counts beside what is there; whatever it replaces is removed afterwards.
pub(crate) struct IndexWriter<'a> {
    repository: &'a Repository,
    file: IndexFile,
    entries: usize,
}

impl<'a> IndexWriter<'a> {
    pub(crate) fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            file: IndexFile::default(),
            entries: 0,
        }
    }

    /// Adds a pack, or one that is to be removed.
    pub(crate) fn add(&mut self, pack: PackEntry, marked: bool) -> Result<(), Error> {
        // A pack without blobs takes room too.
        self.entries += pack.blobs.len() + 1;
        match marked {
            true => self.file.packs_to_delete.push(pack),
            false => self.file.packs.push(pack),
        }
        match self.entries >= INDEX_BLOBS {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.entries = 0;
        let file = std::mem::take(&mut self.file);
        let written = self.repository.write_index(&file);
        self.repository.runtime().block_on(written).map(drop)
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        match self.entries {
            0 => Ok(()),
            _ => self.write(),
        }
    }
}

/// Hands the packs of these index files to `take`, one after the other, with whether they are to be removed. Few files are in memory at a time.
pub(crate) fn each_pack(
    repository: &Repository,
    files: &[IndexId],
    take: &mut dyn FnMut(PackEntry, bool) -> Result<(), Error>,
) -> Result<(), Error> {
    for files in files.chunks(parallel::threads()) {
        let ids: Vec<_> = files.iter().map(|id| id.0).collect();
        let decode = |id: &[u8; 32], sealed: &[u8]| repository.decode_index(id, sealed);
        for (_, file) in repository
            .backend()
            .read_all(FileKind::Index, &ids, decode)?
        {
            for pack in file.packs {
                take(pack, false)?;
            }
            for pack in file.packs_to_delete {
                take(pack, true)?;
            }
        }
    }
    Ok(())
}
