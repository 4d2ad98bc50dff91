//! Making the best of a damaged repository: first the index, then packs, then snapshots.

mod index;
mod packs;
mod snapshots;

pub use index::{IndexRepair, IndexRepairOptions, repair_index};
pub use packs::{PackRepair, PackRepairOptions, repair_packs};
pub use snapshots::SnapshotRepair;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::index::BlobEntry;
use crate::format::pack::{self, HeaderEntry, LENGTH_FIELD, header_length};
use crate::format::{Malformed, crypto};
use crate::id::PackId;
use crate::repository::Repository;

/// Bytes from the end of a pack that are read at first: the header of some 400 blobs.
const TAIL: u64 = 16 << 10;

/// What a pack's own header says that it holds. It is proved to account for the whole file.
fn read_header(repository: &Repository, id: &PackId, size: u64) -> Result<Vec<BlobEntry>, Error> {
    let damaged = || Error::damaged(FileKind::Pack.name(&id.0));
    let read = |length: u64| repository.read_pack_range(id, size.saturating_sub(length)..size);
    let mut tail = read(TAIL.min(size))?;
    let length = match tail.split_last_chunk::<LENGTH_FIELD>() {
        Some((_, length)) => u64::from(u32::from_le_bytes(*length)),
        None => return Err(damaged()(Malformed("it is too short for a pack".into()))),
    };
    let whole = length + LENGTH_FIELD as u64;
    if whole > size || length < crypto::OVERHEAD as u64 {
        let reason = "the length of its header leads outside of it";
        return Err(damaged()(Malformed(reason.into())));
    }
    if whole > tail.len() as u64 {
        tail = read(whole)?;
    }
    let start = tail.len() - usize::try_from(whole).unwrap_or(0);
    let sealed = tail
        .get(start..tail.len() - LENGTH_FIELD)
        .unwrap_or_default();
    let entries = repository
        .key()
        .open(sealed)
        .and_then(|header| pack::decode_header(&header))
        .map_err(damaged())?;
    let data: u64 = entries.iter().map(|entry| u64::from(entry.length)).sum();
    let header = header_length(entries.iter().map(|entry| &entry.uncompressed_length));
    match data + header == size && u32::try_from(data).is_ok() {
        true => Ok(entries_to_blobs(&entries)),
        false => {
            let reason = format!("it has {size} bytes, and by its header {}", data + header);
            Err(damaged()(Malformed(reason)))
        }
    }
}

/// Where the blobs of a header lie: one after the other.
fn entries_to_blobs(entries: &[HeaderEntry]) -> Vec<BlobEntry> {
    let mut offset = 0_u32;
    let place = |entry: &HeaderEntry| {
        let blob = BlobEntry {
            id: entry.id,
            kind: entry.kind,
            offset,
            length: entry.length,
            uncompressed_length: entry.uncompressed_length.filter(|&length| length > 0),
        };
        offset = offset.saturating_add(entry.length);
        blob
    };
    entries.iter().map(place).collect()
}
