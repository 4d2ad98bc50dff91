//! Packs: sealed blobs, then a sealed header that lists them, then the header's length.

use serde::{Deserialize, Serialize};

use super::{Malformed, crypto};
use crate::id::BlobId;

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobKind {
    /// A piece of a file.
    Data,
    /// A directory's listing.
    Tree,
}

impl std::fmt::Display for BlobKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Tree => "tree",
        })
    }
}

/// A blob as its pack's header lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderEntry {
    /// What it holds.
    pub kind: BlobKind,
    /// Its name.
    pub id: BlobId,
    /// Bytes in the pack, encryption's overhead included.
    pub length: u32,
    /// Bytes of the plaintext, if it is compressed.
    pub uncompressed_length: Option<u32>,
}

/// Bytes of a pack behind the header: its length, little-endian.
pub const LENGTH_FIELD: usize = 4;

const PLAIN_ENTRY: usize = 37;
const COMPRESSED_ENTRY: usize = 41;

/// Bytes that the sealed header and its length take for these entries.
pub fn header_length<'a>(entries: impl IntoIterator<Item = &'a Option<u32>>) -> u64 {
    let entry = |uncompressed: &Option<u32>| {
        if uncompressed.is_some() {
            COMPRESSED_ENTRY
        } else {
            PLAIN_ENTRY
        }
    };
    let entries: u64 = entries
        .into_iter()
        .map(|uncompressed| entry(uncompressed) as u64)
        .sum();
    entries + (crypto::OVERHEAD + LENGTH_FIELD) as u64
}

/// Bytes of a blob's plaintext: `uncompressed` if it is compressed, else what the sealing has not added to `length`.
pub(crate) fn plaintext_length(length: u32, uncompressed: Option<u32>) -> u32 {
    uncompressed.unwrap_or(length.saturating_sub(crypto::OVERHEAD as u32))
}

/// The header's plaintext.
pub fn encode_header(entries: &[HeaderEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * COMPRESSED_ENTRY);
    for entry in entries {
        let kind = matches!(entry.kind, BlobKind::Tree) as u8;
        out.push(kind + 2 * entry.uncompressed_length.is_some() as u8);
        out.extend_from_slice(&entry.length.to_le_bytes());
        if let Some(length) = entry.uncompressed_length {
            out.extend_from_slice(&length.to_le_bytes());
        }
        out.extend_from_slice(&entry.id.0);
    }
    out
}

/// The blobs that a header's plaintext lists, in the order in which they lie in the pack.
///
/// # Errors
/// The bytes are not a header.
pub fn decode_header(mut header: &[u8]) -> Result<Vec<HeaderEntry>, Malformed> {
    fn take<const N: usize>(header: &mut &[u8]) -> Result<[u8; N], Malformed> {
        let (taken, rest) = header
            .split_first_chunk()
            .ok_or_else(|| Malformed("the pack's header ends within an entry".into()))?;
        *header = rest;
        Ok(*taken)
    }
    let mut entries = Vec::with_capacity(header.len() / PLAIN_ENTRY);
    while !header.is_empty() {
        let [kind] = take(&mut header)?;
        if kind > 3 {
            return Err(Malformed(format!(
                "unknown blob type {kind} in the pack's header"
            )));
        }
        entries.push(HeaderEntry {
            kind: if kind & 1 == 0 {
                BlobKind::Data
            } else {
                BlobKind::Tree
            },
            length: u32::from_le_bytes(take(&mut header)?),
            uncompressed_length: match kind {
                2 | 3 => Some(u32::from_le_bytes(take(&mut header)?)),
                _ => None,
            },
            id: BlobId(take(&mut header)?),
        });
    }
    Ok(entries)
}

/// Splits a pack into its blobs' bytes and its sealed header.
///
/// # Errors
/// The length field leads outside the pack.
pub fn split(pack: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let wrong = || Malformed("the length of the pack's header leads outside the pack".into());
    let (rest, length) = pack.split_last_chunk::<LENGTH_FIELD>().ok_or_else(wrong)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| wrong())?;
    rest.len()
        .checked_sub(length)
        .map(|at| rest.split_at(at))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn entries()(tree: bool, id: [u8; 32], length: u32, uncompressed_length: Option<u32>) -> HeaderEntry {
            let kind = if tree { BlobKind::Tree } else { BlobKind::Data };
            HeaderEntry { kind, id: BlobId(id), length, uncompressed_length }
        }
    }

    proptest! {
        #[test]
        fn every_header_survives(entries in prop::collection::vec(entries(), 0..20)) {
            let header = encode_header(&entries);
            let lengths: Vec<_> = entries.iter().map(|entry| entry.uncompressed_length).collect();
            prop_assert_eq!((header.len() + crypto::OVERHEAD + LENGTH_FIELD) as u64, header_length(&lengths));
            prop_assert_eq!(decode_header(&header), Ok(entries));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode_header(&bytes);
            let _ = split(&bytes);
        }
    }

    #[test]
    fn a_header_length_beyond_the_pack_is_refused() {
        assert!(split(&[1, 2, 3, 4, 0, 0, 0]).is_err());
        assert!(split(&[5, 3, 0, 0, 0]).is_err());
        assert_eq!(split(&[7, 8, 1, 0, 0, 0]), Ok((&[7][..], &[8][..])));
    }
}
