//! Writing without taking up room for zeros.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Whole blocks of zeros become holes. File systems' own blocks are smaller, but a file in many pieces is slow to read.
const BLOCK: usize = 16 << 10;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes `data` at `offset`, of a file that has nothing there yet, save for its zeros. Returns how long the file is after that at least.
pub(super) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<u64> {
    let mut at = offset;
    let mut end = 0;
    let mut write = |bytes: &[u8], at: u64| {
        if bytes.is_empty() {
            return Ok(());
        }
        end = at + bytes.len() as u64;
        file.write_all_at(bytes, at)
    };
    let mut dirty = 0;
    let mut position = 0;
    while let Some(rest) = data.get(position..).filter(|rest| !rest.is_empty()) {
        // Blocks begin at multiples of their size in the file, whatever piece of it this is.
        let to_boundary = BLOCK - (offset + position as u64) as usize % BLOCK;
        let length = to_boundary.min(rest.len());
        position += length;
        if length == BLOCK && rest[..BLOCK] == ZEROS {
            write(&data[dirty..position - length], at)?;
            dirty = position;
            at = offset + position as u64;
        }
    }
    write(&data[dirty..], at)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_of_zeros_takes_up_no_room() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        write_at(&file, &vec![0; 4 << 20], 0).unwrap();
        write_at(&file, &vec![0; 4 << 20], 4 << 20).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!((metadata.len(), metadata.blocks()), (8 << 20, 0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            pieces in proptest::collection::vec((0_usize..3 * BLOCK, any::<bool>()), 1..8)
        ) {
            let file = tempfile::tempfile().unwrap();
            let mut expected = Vec::new();
            for (length, zero) in pieces {
                let piece = vec![if zero { 0 } else { 7 }; length];
                write_at(&file, &piece, expected.len() as u64).unwrap();
                expected.extend_from_slice(&piece);
            }
            file.set_len(expected.len() as u64).unwrap();
            let mut found = vec![1; expected.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
