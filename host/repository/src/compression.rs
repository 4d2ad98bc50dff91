//! zstd, as blobs are compressed and decompressed.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::format::Malformed;

/// A blob larger than this is not believed. restic's chunks have at most 8 MiB, and a tree of a million files some 400.
const LIMIT: u32 = 1 << 30;

/// Of a large blob so many stretches of so many bytes are looked at to tell whether it may compress.
const STRETCHES: usize = 16;
const STRETCH: usize = 1 << 10;

/// In fewer bytes a pattern may not show.
const LEAST: usize = 256;

/// The bytes compressed; nothing where that does not make them fewer.
pub(crate) fn compress(data: &[u8], level: i32) -> Result<Option<Vec<u8>>, Malformed> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    }
    if data.is_empty() || looks_random(data) {
        return Ok(None);
    }
    let failed = |error: io::Error| Malformed(format!("cannot be compressed: {error}"));
    let compressed = COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some((current, compressor)) if *current == level => compressor,
            _ => {
                let compressor = Compressor::new(level).map_err(failed)?;
                &mut slot.insert((level, compressor)).1
            }
        };
        compressor.compress(data).map_err(failed)
    })?;
    Ok(Some(compressed).filter(|compressed| compressed.len() < data.len()))
}

/// The bytes decompressed, which must be `length`.
pub(crate) fn decompress(compressed: &[u8], length: u32) -> Result<Vec<u8>, Malformed> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    if length > LIMIT {
        return Err(Malformed(format!("it claims to have {length} bytes")));
    }
    let failed = |error: io::Error| Malformed(format!("it cannot be decompressed: {error}"));
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(failed)?),
        };
        decompressor
            .decompress(compressed, length as usize)
            .map_err(failed)
    })
}

/// Whether all byte values are as frequent as chance would have it (Pearson's chi-squared test), as in what is compressed or encrypted
/// already. Only repetitions far apart could be compressed then, and zstd too skips most of such data in search of them.
fn looks_random(data: &[u8]) -> bool {
    if data.len() < LEAST {
        return false;
    }
    let mut counts = [0_u32; 256];
    let mut count = |bytes: &[u8]| {
        for &byte in bytes {
            counts[usize::from(byte)] += 1;
        }
        bytes.len()
    };
    let length = match data.len() <= STRETCHES * STRETCH {
        true => count(data),
        false => data
            .chunks(data.len() / STRETCHES)
            .filter_map(|part| Some(count(part.get(..STRETCH)?)))
            .sum(),
    };
    let squares: u64 = counts.iter().map(|&count| u64::from(count).pow(2)).sum();
    let chi_squared = (256 * squares).saturating_sub((length as u64).pow(2)) / length as u64;
    // It has 255 degrees of freedom. Chance stays below this but for once in 10^9 times; Base64 of 256 bytes reaches 768.
    chi_squared < 420
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::sha256;

    /// Bytes without any pattern.
    fn random(length: usize) -> Vec<u8> {
        let digests = (0_u64..).flat_map(|number| sha256(&number.to_le_bytes()));
        digests.take(length).collect()
    }

    #[test]
    fn what_is_random_is_not_tried_and_all_else_is() {
        for length in [LEAST, 3_000, STRETCHES * STRETCH + 1, 1 << 20] {
            let random = random(length);
            assert!(looks_random(&random), "{length}");
            let hex: Vec<u8> = random
                .iter()
                .map(|byte| b"0123456789abcdef"[usize::from(byte & 15)])
                .collect();
            let base64: Vec<u8> = random.iter().map(|byte| 48 + (byte & 63)).collect();
            let half: Vec<u8> = [vec![0; length / 2], random].concat();
            for data in [hex, base64, half, b"some text ".repeat(length / 10 + 1)] {
                assert!(!looks_random(&data), "{length}");
                let compressed = compress(&data, 3).unwrap().unwrap();
                assert!(compressed.len() < data.len());
                let length = u32::try_from(data.len()).unwrap();
                assert!(decompress(&compressed, length).unwrap() == data);
            }
        }
        // Too short to tell, so it is tried.
        assert!(!looks_random(&random(LEAST - 1)));
        assert_eq!(compress(&random(LEAST - 1), 3).unwrap(), None);
        assert_eq!(compress(b"", 3).unwrap(), None);
    }
}
