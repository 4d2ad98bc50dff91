//! Blobs on their way out: from a pack's bytes to plaintext whose id is proved.

use std::ops::Range;

use bytes::Bytes;

use crate::backend::FileKind;
use crate::compression::decompress;
use crate::error::Error;
use crate::format::Malformed;
use crate::format::pack::BlobKind;
use crate::format::tree::Tree;
use crate::id::{BlobId, PackId, TreeId};
use crate::index::Location;
use crate::repository::Repository;

/// A blob whose id is proved.
pub(crate) struct Proved {
    pub(crate) id: BlobId,
    pub(crate) plaintext: Vec<u8>,
    /// The same compressed by zstd, if it is stored so.
    pub(crate) compressed: Option<Vec<u8>>,
}

impl Repository {
    /// A part of a pack's stored bytes.
    ///
    /// # Errors
    /// The store fails, or the pack is shorter.
    pub fn read_pack_range(&self, pack: &PackId, range: Range<u64>) -> Result<Bytes, Error> {
        self.backend().read_range(FileKind::Pack, &pack.0, range)
    }

    /// The plaintext of the blob whose stored bytes `sealed` are. Its id and its length are proved.
    ///
    /// # Errors
    /// The bytes are damaged or those of another blob.
    pub fn decode_blob(
        &self,
        sealed: &[u8],
        location: &Location,
        id: &BlobId,
    ) -> Result<Bytes, Error> {
        Ok(self.prove_blob(sealed, location, id)?.plaintext.into())
    }

    /// As [`Self::decode_blob`], with the compressed bytes besides.
    pub(crate) fn prove_blob(
        &self,
        sealed: &[u8],
        location: &Location,
        id: &BlobId,
    ) -> Result<Proved, Error> {
        self.key()
            .open(sealed)
            .and_then(|opened| {
                Ok(match location.uncompressed_length {
                    Some(length) => (decompress(&opened, length)?, Some(opened)),
                    None => (opened, None),
                })
            })
            .and_then(|(plaintext, compressed)| {
                if BlobId::of(&plaintext) != *id {
                    Err(Malformed("its contents do not fit its id".into()))
                } else if plaintext.len() as u64 != u64::from(location.plaintext_length()) {
                    Err(Malformed("the index gives it another length".into()))
                } else {
                    Ok(Proved {
                        id: *id,
                        plaintext,
                        compressed,
                    })
                }
            })
            .map_err(Error::damaged(format!(
                "blob {id} in pack {}",
                location.pack
            )))
    }

    /// The blob's plaintext, its id proved. Where a copy of it is damaged or missing, another one will do.
    ///
    /// # Errors
    /// It is in no index, the store fails, or every copy is damaged or missing.
    pub fn load_blob(&self, kind: BlobKind, id: &BlobId) -> Result<Bytes, Error> {
        Ok(self.load_proved(kind, id)?.plaintext.into())
    }

    /// As [`Self::load_blob`], with the compressed bytes besides.
    pub(crate) fn load_proved(&self, kind: BlobKind, id: &BlobId) -> Result<Proved, Error> {
        let read = |location: &Location| {
            let sealed = self.read_pack_range(&location.pack, location.range())?;
            self.prove_blob(&sealed, location, id)
        };
        let first = self.with_index(|index| index.locate(kind, id))?;
        let missing = || {
            Error::corrupt(
                format!("{kind} blob {id}"),
                "it is missing: no index names a pack with it",
            )
        };
        let first = first.ok_or_else(missing)?;
        let lost = match read(&first) {
            Err(error) if error.is_loss() => error,
            read => return read,
        };
        let others = self.with_index(|index| index.locations(kind, id).collect::<Vec<_>>())?;
        // The first one again in the end: it may have been damaged on its way, and whoever takes it for lost may give it up.
        let others = others.iter().filter(|location| **location != first);
        for location in others.chain([&first]) {
            match read(location) {
                Err(error) if error.is_loss() => {}
                read => return read,
            }
        }
        Err(lost)
    }

    /// A directory's listing.
    ///
    /// # Errors
    /// Those of [`Self::load_blob`], or the blob is no tree.
    pub fn load_tree(&self, id: &TreeId) -> Result<Tree, Error> {
        let json = self.load_blob(BlobKind::Tree, &(*id).into())?;
        Tree::decode(&json).map_err(Error::damaged(format!("tree {id}")))
    }
}
