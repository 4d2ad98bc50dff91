//! Where blobs lie, in few bytes.

use crate::format::pack::plaintext_length;

/// Where one blob lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of its pack: the position in the list of packs.
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    /// 0 if it is not compressed.
    pub(super) uncompressed_length: u32,
}

impl Place {
    pub(crate) fn uncompressed_length(&self) -> Option<u32> {
        Some(self.uncompressed_length).filter(|&length| length > 0)
    }

    pub(crate) fn plaintext_length(&self) -> u32 {
        plaintext_length(self.length, self.uncompressed_length())
    }
}

/// So many places are read on average, twice over, to find one.
const BLOCK: usize = 32;

/// Places by their numbers, in the order in which they came. A blob mostly begins where the one before it ends: then its lengths are all that
/// is kept.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// For each the length, times four, with whether it is compressed and whether it lies elsewhere than expected; then where, and the
    /// length before it was compressed.
    bytes: Vec<u8>,
    /// Where each block begins.
    blocks: Vec<Block>,
    count: u32,
    expected: Expected,
}

#[derive(Debug)]
struct Block {
    at: usize,
    expected: Expected,
}

/// Where the next blob begins unless something else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Expected {
    pack: u32,
    offset: u32,
}

impl Expected {
    fn after(place: &Place) -> Self {
        Self {
            pack: place.pack,
            // It is no more than a guess, so it may wrap.
            offset: place.offset.wrapping_add(place.length),
        }
    }
}

const COMPRESSED: u64 = 1;
const ELSEWHERE: u64 = 2;
const FLAGS: u32 = 2;

impl Places {
    /// The number of a new place; nothing once numbers have run out, at some 160 GB.
    pub(super) fn push(&mut self, place: &Place) -> Option<u32> {
        let number = self.count;
        self.count = number.checked_add(1)?;
        if (number as usize).is_multiple_of(BLOCK) {
            self.blocks.push(Block {
                at: self.bytes.len(),
                expected: self.expected,
            });
        }
        let Place { pack, offset, .. } = *place;
        let compressed = place.uncompressed_length();
        let elsewhere = Some([pack, offset]).filter(|_| self.expected != Expected { pack, offset });
        let flags = compressed.map_or(0, |_| COMPRESSED) | elsewhere.map_or(0, |_| ELSEWHERE);
        self.put(u64::from(place.length) << FLAGS | flags);
        let more = elsewhere.into_iter().flatten().chain(compressed);
        more.for_each(|number| self.put(number.into()));
        self.expected = Expected::after(place);
        Some(number)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub(super) fn get(&self, number: u32) -> Option<Place> {
        let number = number as usize;
        let block = self.blocks.get(number / BLOCK)?;
        let mut walk = Walk {
            bytes: self.bytes.get(block.at..)?,
            expected: block.expected,
        };
        walk.nth(number % BLOCK)
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    /// Bytes of memory that it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.blocks.capacity() * size_of::<Block>()
    }
}

/// Places as they follow each other.
struct Walk<'a> {
    bytes: &'a [u8],
    expected: Expected,
}

impl Walk<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take_u32(&mut self) -> Option<u32> {
        u32::try_from(self.take()?).ok()
    }
}

impl Iterator for Walk<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let first = self.take()?;
        if first & ELSEWHERE != 0 {
            self.expected = Expected {
                pack: self.take_u32()?,
                offset: self.take_u32()?,
            };
        }
        let uncompressed_length = match first & COMPRESSED {
            0 => 0,
            _ => self.take_u32()?,
        };
        let place = Place {
            pack: self.expected.pack,
            offset: self.expected.offset,
            length: u32::try_from(first >> FLAGS).ok()?,
            uncompressed_length,
        };
        self.expected = Expected::after(&place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![0..300_u32, any::<u32>(), Just(u32::MAX)]
    }

    prop_compose! {
        fn place()(
            pack in number(),
            offset in number(),
            length in number(),
            uncompressed_length in number(),
        ) -> Place {
            Place { pack, offset, length, uncompressed_length }
        }
    }

    proptest! {
        #[test]
        fn each_place_is_found_by_its_number(
            places in prop::collection::vec((place(), any::<bool>()), 0..200),
        ) {
            let mut kept = Places::default();
            let mut expected = Expected::default();
            let mut all = Vec::new();
            for (number, (mut place, follows)) in (0..).zip(places) {
                if follows {
                    (place.pack, place.offset) = (expected.pack, expected.offset);
                }
                expected = Expected::after(&place);
                prop_assert_eq!(kept.push(&place), Some(number));
                all.push(place);
            }
            for (number, place) in (0..).zip(&all) {
                prop_assert_eq!(kept.get(number), Some(*place));
            }
            prop_assert_eq!(kept.get(all.len() as u32), None);
        }
    }
}
