use super::super::Horizon;
use super::super::options::MaxUnused;
use super::*;
use crate::format::index::{BlobEntry, IndexFile, PackEntry};
use crate::id::{BlobId, IndexId, PackId};
use crate::index::Index;
use crate::used::Used;

/// An index of packs that hold these data blobs, of these lengths each, with a file for each pack.
fn index(packs: &[&[(u8, u32)]]) -> (Index, Vec<Listed>) {
    let pack = |(number, blobs): (u8, &&[(u8, u32)])| {
        let mut offset = 0;
        let blobs = blobs.iter().map(|&(id, length)| {
            offset += length;
            BlobEntry {
                id: BlobId([id; 32]),
                kind: BlobKind::Data,
                offset: offset - length,
                length,
                uncompressed_length: None,
            }
        });
        PackEntry::new(PackId([number; 32]), blobs.collect())
    };
    let file = IndexFile {
        packs: (0..).zip(packs).map(pack).collect(),
        ..IndexFile::default()
    };
    let index = Index::new(vec![(IndexId([0; 32]), file)]);
    let sizes = index.live().sizes();
    let listed = |(id, size): (&PackId, &u64)| Listed {
        id: id.0,
        size: *size,
        written: None,
    };
    let files = index
        .live()
        .packs()
        .iter()
        .zip(&sizes)
        .map(listed)
        .collect();
    (index, files)
}

fn used(index: &Index, blobs: &[u8]) -> Used {
    let used = Used::nothing(index);
    for id in blobs {
        let kind = BlobKind::Data;
        let at = index.live().position(kind, &BlobId([*id; 32])).unwrap();
        used.live.of(kind).set(at);
    }
    used
}

/// How many blobs of each pack are needed and not.
fn tallied(
    packs: &[&[(u8, u32)]],
    blobs: &[u8],
    spoil: impl Fn(&mut Vec<Listed>),
) -> Vec<(u64, u64)> {
    let (index, mut files) = index(packs);
    let used = used(&index, blobs);
    spoil(&mut files);
    let (packs, _) = super::packs(index.live(), &used.live, &files, |_| false);
    packs
        .iter()
        .map(|pack| (pack.used.blobs, pack.unused.blobs))
        .collect()
}

#[test]
fn of_several_copies_one_is_needed_in_a_pack_that_is_needed_anyway_and_sound() {
    let nothing = |_: &mut Vec<Listed>| {};
    let two: [&[(u8, u32)]; 2] = [&[(1, 50), (2, 60)], &[(1, 50), (3, 70)]];
    assert_eq!(tallied(&two, &[1, 2], nothing), [(2, 0), (0, 2)]);
    assert_eq!(tallied(&two, &[1, 3], nothing), [(0, 2), (2, 0)]);
    assert_eq!(tallied(&two, &[2, 3], nothing), [(1, 1), (1, 1)]);
    // One pack suffices for all that is in both.
    let same: [&[(u8, u32)]; 2] = [&[(1, 50), (2, 60), (3, 70)]; 2];
    let mut both = tallied(&same, &[1, 2, 3], nothing);
    both.sort_unstable();
    assert_eq!(both, [(0, 3), (3, 0)]);
    let gone = |files: &mut Vec<Listed>| files.retain(|file| file.id != [0; 32]);
    assert_eq!(tallied(&two, &[1], gone), [(0, 2), (1, 1)]);
    let short = |files: &mut Vec<Listed>| files[0].size -= 1;
    assert_eq!(tallied(&two, &[1, 2], short), [(1, 1), (1, 1)]);
    // Twice in one pack, too.
    assert_eq!(tallied(&[&[(1, 50), (1, 51)]], &[1], nothing), [(1, 1)]);
}

fn decided(packs: &[&[(u8, u32)]], blobs: &[u8], options: &PruneOptions) -> Vec<Fate> {
    let (index, files) = index(packs);
    let used = used(&index, blobs);
    let (packs, _) = super::packs(index.live(), &used.live, &files, |_| false);
    decide(&packs, options, 2)
}

#[test]
fn those_of_which_most_is_not_needed_are_written_anew_first_until_little_enough_stays() {
    const MB: u32 = 1_000_000;
    let packs: [&[(u8, u32)]; 4] = [
        &[(1, 9 * MB), (2, MB)],
        &[(3, 5 * MB), (4, 5 * MB)],
        &[(5, 10 * MB)],
        &[(6, MB), (7, 9 * MB)],
    ];
    let with = |max_unused, max_repack| PruneOptions {
        max_unused,
        max_repack,
        ..PruneOptions::default()
    };
    use Fate::{Keep, Remove, Repack};
    for (max_unused, max_repack, fates) in [
        (MaxUnused::Bytes(0), None, [Repack, Repack, Remove, Repack]),
        (MaxUnused::Unlimited, None, [Keep, Keep, Remove, Keep]),
        (
            MaxUnused::Bytes(8_000_000),
            None,
            [Keep, Keep, Remove, Repack],
        ),
        (
            MaxUnused::Bytes(3_000_000),
            None,
            [Keep, Repack, Remove, Repack],
        ),
        (
            MaxUnused::Bytes(0),
            Some(15_000_000),
            [Keep, Keep, Remove, Repack],
        ),
    ] {
        let found = decided(&packs, &[1, 3, 6], &with(max_unused, max_repack));
        assert_eq!(found, fates, "{max_unused:?} {max_repack:?}");
    }
}

#[test]
fn what_is_young_is_left_alone() {
    let (index, mut files) = index(&[&[(1, 50)], &[(2, 60)], &[(3, 70)]]);
    files[0].written = Some(1_000);
    files[1].written = Some(1_001);
    let used = Used::nothing(&index);
    let horizon = Horizon {
        written: Some(1_000),
        marked: None,
    };
    // Of the last nobody knows when it was written.
    let young = |written| !horizon.is_past(written);
    let (packs, _) = super::packs(index.live(), &used.live, &files, young);
    let fates = decide(&packs, &PruneOptions::default(), 2);
    assert_eq!(fates, [Fate::Remove, Fate::Keep, Fate::Keep]);
}
