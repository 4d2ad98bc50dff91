//! A repository's parts as they are stored, for whoever has to look at them one by one.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::{BlobKind, unpacked};
use crate::id::BlobId;
use crate::repository::Repository;

/// A file that holds JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A key, which is not encrypted as a whole: only what it seals is.
    Key,
    /// A snapshot.
    Snapshot,
    /// An index.
    Index,
    /// A lock.
    Lock,
}

impl Repository {
    /// The JSON of the file whose id begins with `id`, fields that this version does not know included.
    ///
    /// # Errors
    /// There is no such file or more than one, it is damaged, or the store fails.
    pub fn document(&self, document: Document, id: &str) -> Result<Vec<u8>, Error> {
        let kind = match document {
            Document::Key => FileKind::Key,
            Document::Snapshot => FileKind::Snapshot,
            Document::Index => FileKind::Index,
            Document::Lock => FileKind::Lock,
        };
        let id = self.backend().find(kind, id)?;
        let bytes = self.backend().read(kind, &id)?;
        match document {
            Document::Key => Ok(bytes.into()),
            _ => unpacked::open(self.key(), &bytes).map_err(Error::damaged(kind.name(&id))),
        }
    }

    /// The JSON of the file `config`.
    ///
    /// # Errors
    /// The store fails.
    pub fn config_document(&self) -> Result<Vec<u8>, Error> {
        let sealed = self.backend().read_config()?;
        let what = || format!("the file `config` of {}", self.location());
        self.key().open(&sealed).map_err(Error::damaged(what()))
    }

    /// The secrets that everything is encrypted with, as the JSON that every key file seals. Whoever has them reads and forges all that the
    /// repository holds, for ever and whatever the passwords are.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn master_key_document(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let json = self.key().secrets().to_json();
        json.map_err(Error::damaged("the repository's key"))
    }

    /// The bytes of the pack whose id begins with `id`, as they are stored.
    ///
    /// # Errors
    /// There is no such pack or more than one, its contents do not fit its name, or the store fails.
    pub fn pack(&self, id: &str) -> Result<Bytes, Error> {
        let id = self.backend().find(FileKind::Pack, id)?;
        self.backend().read(FileKind::Pack, &id)
    }

    /// The plaintext of a blob, whatever its kind.
    ///
    /// # Errors
    /// No index names it, it is damaged, or the store fails.
    pub fn blob(&self, id: &BlobId) -> Result<Bytes, Error> {
        for kind in [BlobKind::Data, BlobKind::Tree] {
            if self.has(kind, id)? {
                return self.load_blob(kind, id);
            }
        }
        Err(Error::NotFound(format!("no index names a blob {id}")))
    }
}
