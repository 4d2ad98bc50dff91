//! The store header of an H2 database file (`*.mv.db`).
//!
//! An MVStore file begins with two copies of its header, at the offsets 0 and 4096, each an ASCII map such as
//! `H:2,block:3,blockSize:1000,chunk:2,clean:1,created:…,format:2,version:2,fletcher:…` with hexadecimal numbers, padded to a
//! block of 4096 bytes. The checksum is Fletcher-32 over the text before `,fletcher:`.

use std::collections::BTreeMap;

/// How many bytes from the beginning of the file [`Header::read`] looks at.
pub const HEADER_LENGTH: usize = 2 * BLOCK;

/// What every MVStore database file's name ends with.
pub const FILE_SUFFIX: &str = ".mv.db";

const BLOCK: usize = 4096;

/// Why a file's header can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is shorter than its two header blocks.
    #[error("it holds {0} bytes, but an H2 database begins with {HEADER_LENGTH} bytes of header")]
    Short(usize),
    /// Neither block holds a header with a valid checksum.
    #[error(
        "neither of its two header blocks is valid, so this is no H2 database or it is damaged"
    )]
    Invalid,
    /// A valid header that lacks an entry or holds one that can't be read.
    #[error("the entry `{0}` of its header is missing or unreadable")]
    Entry(&'static str),
}

/// What the header of a database file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The store's format: see [`Release`](super::Release).
    pub format: u32,
    /// The last version (commit) that the header knows of.
    pub version: u64,
    /// Milliseconds since 1970 at which the store was made.
    pub created: u64,
    /// Whether both copies agree and say that the last close was complete. H2 takes the mark away the moment a
    /// process opens the file, so a clean header proves that nobody holds it open.
    pub clean: bool,
}

impl Header {
    /// Reads the header from the file's first [`HEADER_LENGTH`] bytes, choosing as H2 itself does: of the valid copies the
    /// one of the higher version.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let blocks = bytes
            .get(..HEADER_LENGTH)
            .ok_or(Error::Short(bytes.len()))?
            .chunks_exact(BLOCK);
        let copies: Vec<Self> = blocks
            .filter_map(checked_map)
            .map(|map| Self::from_map(&map))
            .collect::<Result<_, _>>()?;
        let agree = matches!(&copies[..], [one, two] if one.version == two.version);
        let newest = copies.into_iter().max_by_key(|copy| copy.version);
        let newest = newest.ok_or(Error::Invalid)?;
        Ok(Self {
            clean: newest.clean && agree,
            ..newest
        })
    }

    fn from_map(map: &BTreeMap<&str, &str>) -> Result<Self, Error> {
        let number = |name: &'static str| {
            let digits = map.get(name).ok_or(Error::Entry(name))?;
            u64::from_str_radix(digits, 16).map_err(|_| Error::Entry(name))
        };
        Ok(Self {
            format: u32::try_from(number("format")?).map_err(|_| Error::Entry("format"))?,
            version: number("version")?,
            created: number("created")?,
            clean: map.get("clean") == Some(&"1"),
        })
    }
}

/// The map that a block holds, if its checksum is right.
fn checked_map(block: &[u8]) -> Option<BTreeMap<&str, &str>> {
    let end = block.iter().position(|byte| *byte == b'\n' || *byte == 0);
    let text = block.get(..end.unwrap_or(block.len()))?;
    let text = std::str::from_utf8(text).ok()?.trim_end();
    let (entries, checksum) = text.rsplit_once(",fletcher:")?;
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    if checksum != fletcher32(entries.as_bytes()) {
        return None;
    }
    let map: BTreeMap<_, _> = entries
        .split(',')
        .filter_map(|entry| entry.split_once(':'))
        .collect();
    (map.get("H") == Some(&"2")).then_some(map)
}

/// Fletcher-32 as H2 computes it: big-endian 16-bit words, both sums starting at 0xffff and folded every 720 bytes; a
/// last odd byte is the upper half of a word.
pub fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut low, mut high) = (0xffff_u32, 0xffff_u32);
    for run in bytes.chunks(720) {
        for word in run.chunks(2) {
            let second = word.get(1).copied().unwrap_or(0);
            low = low.wrapping_add(u32::from(u16::from_be_bytes([word[0], second])));
            high = high.wrapping_add(low);
        }
        low = fold(low);
        high = fold(high);
    }
    (fold(high) << 16) | fold(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLEAN: &str = "H:2,block:3,blockSize:1000,chunk:2,clean:1,created:1a1fba5307a,format:2,version:2,fletcher:34469f04";
    const OPEN: &str = "H:2,block:e,blockSize:1000,chunk:3,created:1a1fba5307a,format:2,version:3,fletcher:14449d9d";

    fn file(first: &str, second: &str) -> Vec<u8> {
        let mut bytes = vec![b' '; HEADER_LENGTH];
        for (block, text) in bytes.chunks_mut(BLOCK).zip([first, second]) {
            block[..text.len()].copy_from_slice(text.as_bytes());
            block[text.len()] = b'\n';
        }
        bytes
    }

    #[test]
    fn a_clean_header_is_read_with_its_checksum() {
        let header = Header::read(&file(CLEAN, CLEAN)).unwrap();
        assert_eq!((header.format, header.version, header.clean), (2, 2, true));
        assert_eq!(header.created, 0x1a1_fba5_307a);
    }

    #[test]
    fn an_open_header_is_not_clean() {
        assert!(!Header::read(&file(OPEN, OPEN)).unwrap().clean);
    }

    #[test]
    fn copies_that_disagree_or_of_which_one_is_torn_are_not_clean() {
        let torn = CLEAN.replace("clean:1", "clean:2");
        assert!(!Header::read(&file(CLEAN, &torn)).unwrap().clean);
        assert!(!Header::read(&file(&torn, CLEAN)).unwrap().clean);
        let mixed = Header::read(&file(CLEAN, OPEN)).unwrap();
        assert_eq!((mixed.version, mixed.clean), (3, false));
    }

    #[test]
    fn a_file_without_a_valid_header_is_refused() {
        assert_eq!(Header::read(b"H:2"), Err(Error::Short(3)));
        assert_eq!(Header::read(&[0; HEADER_LENGTH]), Err(Error::Invalid));
        let changed = CLEAN.replace("format:2", "format:3");
        assert_eq!(Header::read(&file(&changed, &changed)), Err(Error::Invalid));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..HEADER_LENGTH + 100)) {
            let _ = Header::read(&bytes);
        }

        #[test]
        fn hostile_entries_with_a_right_checksum_never_panic(entries in "(H:2,)?[A-Za-z]{1,8}:[0-9a-f]{0,20}(,[a-z]{0,9}:?[0-9a-g]{0,20}){0,9}") {
            let text = format!("{entries},fletcher:{:x}", fletcher32(entries.as_bytes()));
            let _ = Header::read(&file(&text, &text));
        }

        #[test]
        fn a_changed_letter_is_noticed(at in 0usize..CLEAN.len() - 9, letter in b'0'..b'z') {
            let mut text = CLEAN.as_bytes().to_vec();
            prop_assume!(text[at] != letter);
            text[at] = letter;
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(Header::read(&file(&text, &text)), Err(Error::Invalid));
        }

    }
}
