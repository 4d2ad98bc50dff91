//! Bytes and cuts that look random and are the same every time.

/// A generator of numbers (SplitMix64: each seed has a fixed sequence).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Pushes that one way to cut may take: the plugin's language may make each of them dear.
const MAX_PUSHES: usize = 20_000;

/// A way to cut a file's content into chunks.
pub(crate) struct Cuts {
    /// What it is called, such as `in chunks of 7 bytes`.
    pub(crate) name: String,
    lengths: Vec<usize>,
}

impl Cuts {
    /// The ways to cut a content of `length` bytes: whole, in even and odd sizes, at random, with empty chunks among them.
    pub(crate) fn all(length: usize) -> Vec<Self> {
        let mut all = vec![Self {
            name: "whole".to_owned(),
            lengths: vec![length],
        }];
        for size in [1, 2, 7, 511, 1_021, 4_096, 65_536, 65_537] {
            if size < length && length / size <= MAX_PUSHES {
                all.push(Self {
                    name: match size {
                        1 => "byte by byte".to_owned(),
                        size => format!("in chunks of {size} bytes"),
                    },
                    lengths: vec![size; length.div_ceil(size)],
                });
            }
        }
        all.push(Self {
            name: "with empty chunks around".to_owned(),
            lengths: vec![0, 0, length / 2, 0, length - length / 2, 0],
        });
        for seed in 1..=3 {
            all.push(Self::random(seed, length));
        }
        all
    }

    fn random(seed: u64, length: usize) -> Self {
        let mut noise = Noise::new(seed);
        let mut lengths = Vec::new();
        let mut left = length;
        let most = (length / 16).clamp(64, 1 << 18);
        while left > 0 {
            // Now and then an empty chunk.
            let size = match noise.below(16) {
                0 => 0,
                _ => (1 + noise.below(most)).min(left),
            };
            lengths.push(size);
            left -= size;
        }
        Self {
            name: format!("at random (seed {seed})"),
            lengths,
        }
    }

    /// The chunks of this content.
    pub(crate) fn of<'a>(&'a self, content: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = content;
        self.lengths.iter().map(move |length| {
            let (chunk, left) = rest.split_at(*length.min(&rest.len()));
            rest = left;
            chunk
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_cut_gives_the_content_again() {
        for length in [0, 1, 2, 100, 5_000, 300_000] {
            let content = Noise::new(7).bytes(length);
            for cuts in Cuts::all(length) {
                let again: Vec<u8> = cuts.of(&content).flatten().copied().collect();
                assert!(again == content, "{length} bytes {}", cuts.name);
                assert!(cuts.of(&content).count() <= MAX_PUSHES + 1);
            }
        }
    }

    #[test]
    fn noise_is_the_same_every_time() {
        assert_eq!(Noise::new(1).bytes(100), Noise::new(1).bytes(100));
        assert_ne!(Noise::new(1).bytes(100), Noise::new(2).bytes(100));
    }
}
