//! Bytes that are kept for long.

use bytes::Bytes;
use memmap2::MmapMut;

/// What the allocator, too, maps at first. It does so no more once such a piece was freed; then pieces of any size share its heaps, which keep what lies
/// free between them.
const LARGE: usize = 128 << 10;

/// The same bytes, to be kept among many others: where they are large, in pages of their own, which the system has back when they are dropped.
pub fn kept(bytes: Bytes) -> Bytes {
    if bytes.len() < LARGE {
        return bytes;
    }
    match MmapMut::map_anon(bytes.len()) {
        Ok(mut pages) => {
            pages.copy_from_slice(&bytes);
            Bytes::from_owner(pages)
        }
        Err(_) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_same_and_what_is_large_lies_in_pages_of_its_own() {
        for length in [0, 1, LARGE - 1, LARGE, LARGE + 1, 3 << 20] {
            let bytes: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
            let at = bytes.as_ptr();
            let kept = kept(bytes.clone());
            assert_eq!(kept, bytes);
            assert_eq!(kept.as_ptr() == at, length < LARGE);
            assert!(length < LARGE || kept.as_ptr().addr().is_multiple_of(4096));
        }
    }
}
