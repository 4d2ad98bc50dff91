//! Content-defined chunking: a file is cut where a Rabin fingerprint of its last 64 bytes ends in 20 zero bits, exactly
//! where restic cuts it.
//!
//! The fingerprint depends on these 64 bytes alone, so six stretches of one buffer are rolled interleaved, which hides
//! the latency of each; the shortest and longest size are applied to the first cut found.

use std::fmt;
use std::sync::Arc;

use crate::format::polynomial::Polynomial;

/// No chunk but a file's last is shorter, in bytes.
pub const MIN_SIZE: usize = 512 << 10;

/// No chunk is longer, in bytes.
pub const MAX_SIZE: usize = 8 << 20;

const WINDOW: usize = 64;

/// Twenty bits: cuts are 1 MiB apart on average.
const CUT_MASK: u64 = (1 << 20) - 1;

/// How far a fingerprint is shifted to leave its highest byte.
const TOP: u32 = Polynomial::DEGREE - 8;

const LANES: usize = 6;

/// The bytes that a lane rolls before all lanes' findings are looked at.
const STRETCH: usize = 2 << 10;

/// What the lanes roll together, and the window before it.
const REGION: usize = LANES * STRETCH + WINDOW;

/// A repository's way of cutting files. Cheap to clone.
#[derive(Clone)]
pub struct Chunker(Arc<Tables>);

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunker")
    }
}

struct Tables {
    /// What a byte that enters the highest place contributes once it is moved out of the top and reduced.
    reduce: [u64; 256],
    /// What a byte contributes when it has just left the window.
    leave: [u64; 256],
}

impl Tables {
    fn new(polynomial: Polynomial) -> Self {
        let shift =
            |value: u64, bits: u32| (0..bits).fold(value, |value, _| polynomial.times_x(value));
        let mut tables = Self {
            reduce: [0; 256],
            leave: [0; 256],
        };
        for byte in 0..=255_u8 {
            let value = u64::from(byte);
            // The top byte's bits fall out of the 53 by the shift, so they are cancelled along with the reduction.
            tables.reduce[usize::from(byte)] =
                shift(value, Polynomial::DEGREE) | value << Polynomial::DEGREE;
            tables.leave[usize::from(byte)] = shift(value, 8 * WINDOW as u32);
        }
        tables
    }

    /// The fingerprint after `enters` came into the window and `leaves` fell out of it.
    #[inline(always)]
    fn roll(&self, fingerprint: u64, enters: u8, leaves: u8) -> u64 {
        let top = usize::from((fingerprint >> TOP) as u8);
        (fingerprint << 8 | u64::from(enters)) ^ self.reduce[top] ^ self.leave[usize::from(leaves)]
    }

    /// The fingerprint of a window.
    fn fingerprint(&self, window: &[u8]) -> u64 {
        window
            .iter()
            .fold(0, |fingerprint, &byte| self.roll(fingerprint, byte, 0))
    }

    /// The first end in `from..=to` at which the 64 bytes before it ask for a cut. `from` is at least 65.
    fn search(&self, data: &[u8], from: usize, to: usize) -> Option<usize> {
        let mut data = data.get(from - WINDOW - 1..to)?;
        let mut skipped = from - WINDOW - 1;
        while let Some(region) = data.first_chunk() {
            if let Some(end) = self.search_region(region) {
                return Some(skipped + end);
            }
            data = &data[LANES * STRETCH..];
            skipped += LANES * STRETCH;
        }
        let mut fingerprint = self.fingerprint(data.get(..WINDOW)?);
        let rolled = data[WINDOW..]
            .iter()
            .zip(data)
            .position(|(&enters, &leaves)| {
                fingerprint = self.roll(fingerprint, enters, leaves);
                fingerprint & CUT_MASK == 0
            });
        rolled.map(|position| skipped + WINDOW + position + 1)
    }

    /// Like [`Self::search`], for the ends from 65 to the region's own, by all lanes at once. The region's fixed size
    /// frees the loop from checking bounds.
    fn search_region(&self, region: &[u8; REGION]) -> Option<usize> {
        let mut fingerprints: [u64; LANES] =
            std::array::from_fn(|lane| self.fingerprint(&region[lane * STRETCH..][..WINDOW]));
        let mut first = usize::MAX;
        for step in 0..STRETCH {
            let mut any = false;
            for (lane, fingerprint) in fingerprints.iter_mut().enumerate() {
                let at = lane * STRETCH + step;
                *fingerprint = self.roll(*fingerprint, region[at + WINDOW], region[at]);
                any |= *fingerprint & CUT_MASK == 0;
            }
            if any {
                for lane in (0..LANES).filter(|&lane| fingerprints[lane] & CUT_MASK == 0) {
                    first = first.min(lane * STRETCH + step + WINDOW + 1);
                }
                // Nothing that follows comes before what the first lane finds.
                if first <= STRETCH + WINDOW {
                    break;
                }
            }
        }
        (first < usize::MAX).then_some(first)
    }
}

impl Chunker {
    /// Cuts as the repository with this polynomial does.
    pub fn new(polynomial: Polynomial) -> Self {
        Self(Arc::new(Tables::new(polynomial)))
    }

    /// Begins a file.
    pub fn splitter(&self) -> Splitter {
        Splitter {
            tables: Arc::clone(&self.0),
            length: 0,
            tail: [0; WINDOW],
        }
    }
}

/// Finds the cuts of one file, whose bytes come in slices that end anywhere.
#[derive(Clone)]
pub struct Splitter {
    tables: Arc<Tables>,
    /// Bytes of the chunk so far.
    length: usize,
    /// The chunk's last bytes so far.
    tail: [u8; WINDOW],
}

impl fmt::Debug for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splitter")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Splitter {
    /// How many bytes of `data`, the next of the file, end the chunk; at least one. Nothing if all of them belong to it
    /// and it goes on. After a cut, call again with the rest. What is uncut at the file's end is its last chunk.
    pub fn next(&mut self, data: &[u8]) -> Option<usize> {
        let last = data.len().min(MAX_SIZE - self.length);
        let first = MIN_SIZE.saturating_sub(self.length).max(1);
        let cut = self
            .search(data, first, last)
            .or((self.length + last == MAX_SIZE).then_some(last));
        match cut {
            Some(_) => self.length = 0,
            None => self.keep(data),
        }
        cut
    }

    fn search(&self, data: &[u8], first: usize, last: usize) -> Option<usize> {
        if first <= WINDOW && first <= last {
            // The window reaches back into what came before.
            let end = last.min(WINDOW);
            let mut joined = [0; 2 * WINDOW];
            joined[..WINDOW].copy_from_slice(&self.tail);
            joined[WINDOW..][..end].copy_from_slice(&data[..end]);
            if let Some(found) = self.tables.search(&joined, WINDOW + first, WINDOW + end) {
                return Some(found - WINDOW);
            }
        }
        self.tables.search(data, first.max(WINDOW + 1), last)
    }

    fn keep(&mut self, data: &[u8]) {
        self.length += data.len();
        match data.last_chunk() {
            Some(tail) => self.tail = *tail,
            None => {
                self.tail.copy_within(data.len().., 0);
                self.tail[WINDOW - data.len()..].copy_from_slice(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The polynomial of the tests of restic's chunker.
    const POLYNOMIAL: u64 = 0x3d_a335_8b4d_c173;

    fn polynomial() -> Polynomial {
        Polynomial::new(POLYNOMIAL).unwrap()
    }

    /// As the definition says: the window as a polynomial, bit by bit, at every position.
    fn reference(data: &[u8]) -> Vec<usize> {
        let polynomial = polynomial();
        let fingerprint = |window: &[u8]| {
            window.iter().fold(0, |fingerprint, byte| {
                (0..8).rev().fold(fingerprint, |fingerprint, bit| {
                    polynomial.times_x(fingerprint) ^ u64::from(byte >> bit & 1)
                })
            })
        };
        // Rolling by the definition is slow; the last 20 bits are computed only where a plain roll says so or near.
        let tables = Tables::new(polynomial);
        let mut cuts = Vec::new();
        let (mut start, mut rolled) = (0, 0);
        for end in 1..=data.len() {
            let leaves = if end > WINDOW {
                data[end - WINDOW - 1]
            } else {
                0
            };
            rolled = tables.roll(rolled, data[end - 1], leaves);
            if end >= WINDOW && (end % 4099 == 0 || rolled & CUT_MASK == 0) {
                assert_eq!(rolled, fingerprint(&data[end - WINDOW..end]));
            }
            let length = end - start;
            if length >= MIN_SIZE && (rolled & CUT_MASK == 0 || length == MAX_SIZE) {
                cuts.push(end);
                start = end;
            }
        }
        cuts
    }

    fn split(data: &[u8], mut sizes: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut splitter = Chunker::new(polynomial()).splitter();
        let (mut cuts, mut position) = (Vec::new(), 0);
        while position < data.len() {
            let size = sizes
                .next()
                .unwrap_or(usize::MAX)
                .clamp(1, data.len() - position);
            let mut slice = &data[position..position + size];
            while let Some(cut) = splitter.next(slice) {
                let (head, tail) = slice.split_at(cut);
                cuts.push(position + head.len());
                position += head.len();
                slice = tail;
            }
            position += slice.len();
        }
        cuts
    }

    /// Bytes that look random and are the same each time.
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut data = Vec::with_capacity(length);
        while data.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend_from_slice(&state.to_le_bytes());
        }
        data.truncate(length);
        data
    }

    #[test]
    fn cuts_are_those_of_the_definition_however_the_data_comes() {
        let data = noise(24 << 20, 42);
        let expected = reference(&data);
        assert!(expected.len() > 8);
        assert_eq!(split(&data, std::iter::empty()), expected);
        assert_eq!(split(&data, std::iter::repeat(65_536)), expected);
        assert_eq!(split(&data, (0..).map(|turn| turn * 37 % 3_000)), expected);
    }

    #[test]
    fn what_never_asks_for_a_cut_is_cut_at_the_longest_size() {
        let data = vec![1; 20 << 20];
        assert_eq!(split(&data, std::iter::repeat(100_000)), reference(&data));
        assert_eq!(split(&data, std::iter::empty()), [MAX_SIZE, 2 * MAX_SIZE]);
    }

    #[test]
    fn zeros_are_cut_at_the_shortest_size() {
        let data = vec![0; 2 << 20];
        let expected: Vec<_> = (1..=4).map(|chunk| chunk * MIN_SIZE).collect();
        assert_eq!(split(&data, std::iter::empty()), expected);
        assert_eq!(split(&data, std::iter::repeat(1)), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn any_slicing_gives_the_same_cuts(seed: u64, zeros in 0..3_000_000_usize, sizes in prop::collection::vec(1..400_000_usize, 1..40)) {
            let mut data = noise(3 << 20, seed);
            data.extend(vec![0; zeros]);
            data.extend(noise(1 << 20, !seed));
            prop_assert_eq!(split(&data, sizes.iter().copied().cycle()), reference(&data));
        }
    }
}
