//! Proving that a repository is whole.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::str::FromStr;

use rand::seq::SliceRandom as _;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::Malformed;
use crate::format::index::BlobEntry;
use crate::format::pack::{self, BlobKind, HeaderEntry};
use crate::format::tree::NodeKind;
use crate::id::{BlobId, PackId, TreeId};
use crate::index::{Index, Location};
use crate::parallel;
use crate::progress::Progress;
use crate::prune::parse_size;
use crate::repository::Repository;

/// What is wrong with a blob that a snapshot needs and a prune in two phases did not know to be needed.
const MARKED: &str =
    "is needed and lies in a pack that is marked to be removed: `copal prune` takes that back";

/// So many files are in memory at a time.
const FILES: usize = 64;

/// What is checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// The packs that are read, every blob of which is proved; of the others only that all parts are there.
    pub read_data: ReadData,
}

impl CheckOptions {
    /// Everything, to the last byte.
    pub const ALL: Self = Self {
        read_data: ReadData::All,
    };
}

/// Which packs are read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum ReadData {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// One of so many parts of about the same size, counted from 1: the packs whose ids' first byte, divided by the number of parts, leaves one less.
    /// Whoever checks one after the other has read all in the end.
    Part(u8, u8),
    /// So many percent of the packs, taken at random.
    Percent(f64),
    /// Packs taken at random, up to so many bytes, but one at least.
    Bytes(u64),
}

impl ReadData {
    /// Leaves in `packs` what is read of them.
    fn choose<T>(self, packs: &mut Vec<(PackId, T, u64)>) {
        match self {
            Self::None => packs.clear(),
            Self::All => {}
            Self::Part(number, parts) => {
                packs.retain(|(id, ..)| id.0[0] % parts.max(1) == number.saturating_sub(1));
            }
            Self::Percent(percent) => {
                packs.shuffle(&mut rand::rng());
                let share = (packs.len() as f64 * percent / 100.0).ceil();
                packs.truncate(share as usize);
            }
            Self::Bytes(most) => {
                packs.shuffle(&mut rand::rng());
                let mut bytes = 0;
                let count = packs.iter().take_while(|(.., size)| {
                    bytes += size;
                    bytes <= most
                });
                let count = count.count().max(1);
                packs.truncate(count);
            }
        }
    }
}

/// As restic reads it: `2/5`, `10%`, or a size such as `500M`.
impl FromStr for ReadData {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = || {
            Malformed(format!(
                "`{text}` is no part of the data, such as 2/5, 10% or 500M"
            ))
        };
        if let Some((number, parts)) = text.split_once('/') {
            let number: u8 = number.parse().map_err(|_| wrong())?;
            let parts: u8 = parts.parse().map_err(|_| wrong())?;
            return match (1..=parts).contains(&number) {
                true => Ok(Self::Part(number, parts)),
                false => Err(wrong()),
            };
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            return match percent > 0.0 && percent <= 100.0 {
                true => Ok(Self::Percent(percent)),
                false => Err(wrong()),
            };
        }
        match parse_size(text) {
            Ok(bytes) if bytes > 0 => Ok(Self::Bytes(bytes)),
            _ => Err(wrong()),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CheckReport {
    /// What is damaged or missing: each names the thing.
    pub errors: Vec<String>,
    /// What is harmless: packs that nothing uses, left by an interrupted backup.
    pub hints: Vec<String>,
    /// Snapshots looked at.
    pub snapshots: usize,
    /// Directories looked at.
    pub trees: usize,
    /// Packs that the index names.
    pub packs: usize,
    /// Packs that were read.
    pub packs_read: usize,
    /// Bytes read from them.
    pub bytes_read: u64,
}

/// Checks `repository`: keys, snapshots, indexes, packs, trees, and with [`CheckOptions::read_data`] all data.
///
/// What is damaged goes into the report, and the check goes on with the rest.
///
/// # Errors
/// The store cannot be listed.
pub fn check(
    repository: &Repository,
    options: CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    let damaged = repository.keys()?.into_iter().filter_map(|key| key.damage);
    report.errors.extend(damaged);
    // Snapshots before indexes: a backup that ends meanwhile has written its index before its snapshot.
    let roots = check_snapshots(repository, &mut report)?;
    let packs = check_indexes(repository, &mut report)?;
    let (sizes, unindexed) = check_packs(repository, &packs, &mut report)?;
    check_trees(repository, roots, &mut report)?;
    read_packs(
        repository,
        options.read_data,
        &packs,
        &sizes,
        progress,
        &mut report,
    );
    if unindexed > 0 {
        report.hints.push(match report.errors.is_empty() {
            true => format!(
                "{unindexed} packs are in no index: an interrupted backup left them, and `copal prune` removes them"
            ),
            false => format!(
                "{unindexed} packs are in no index, and may hold what is missing: `copal repair index` finds that out"
            ),
        });
    }
    if !report.errors.is_empty() {
        report.hints.push(REPAIR.to_owned());
    }
    Ok(report)
}

/// What to do about errors.
const REPAIR: &str = "in this order, `copal repair index`, `copal check --read-data`, `copal repair packs` with the packs that it names, a backup of what is still \
    there, and `copal repair snapshots` make the best of it; a damaged snapshot goes by `copal forget` with its whole id, a key by `copal key remove`, a lock by \
    `copal unlock --remove-all`";

/// Runs `work` on everything; it cannot fail as a whole.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let Ok(results) = parallel::map(items, |item| Ok::<_, Infallible>(work(item)));
    results
}

/// Hands all files of a kind that can be read and decoded to `take`, few of them in memory at a time; the others go into the report.
fn read_files<T: Send>(
    repository: &Repository,
    kind: FileKind,
    report: &mut CheckReport,
    decode: impl Fn(&[u8; 32], &[u8]) -> Result<T, Error> + Sync,
    mut take: impl FnMut(T),
) -> Result<(), Error> {
    for ids in repository.backend().ids(kind)?.chunks(FILES) {
        for file in each(ids, |id| decode(id, &repository.backend().read(kind, id)?)) {
            match file {
                Ok(file) => take(file),
                Err(error) => report.errors.push(error.to_string()),
            }
        }
    }
    Ok(())
}

fn check_snapshots(
    repository: &Repository,
    report: &mut CheckReport,
) -> Result<Vec<TreeId>, Error> {
    let mut roots = Vec::new();
    let decode = |id: &[u8; 32], sealed: &[u8]| repository.decode_snapshot(id, sealed);
    read_files(repository, FileKind::Snapshot, report, decode, |file| {
        roots.push(file.1.tree);
    })?;
    report.snapshots = roots.len();
    Ok(roots)
}

fn check_indexes(
    repository: &Repository,
    report: &mut CheckReport,
) -> Result<HashMap<PackId, Vec<BlobEntry>>, Error> {
    let mut index = Index::default();
    let decode = |id: &[u8; 32], sealed: &[u8]| repository.decode_index(id, sealed);
    read_files(repository, FileKind::Index, report, decode, |(id, file)| {
        index.load(id, &file);
    })?;
    index.sort();
    let packs = index.by_pack();
    repository.install_index(index);
    report.packs = packs.len();
    Ok(packs)
}

/// Compares the packs that are there with those in the index, and gives the sizes of the former, and how many are in no index.
fn check_packs(
    repository: &Repository,
    packs: &HashMap<PackId, Vec<BlobEntry>>,
    report: &mut CheckReport,
) -> Result<(HashMap<PackId, u64>, usize), Error> {
    let named: Vec<_> = packs.keys().copied().collect();
    let sizes: HashMap<_, _> = repository
        .backend()
        .packs(&named)?
        .into_iter()
        .map(|(id, size)| (PackId(id), size))
        .collect();
    let mut errors: Vec<_> = packs
        .iter()
        .filter_map(|(id, blobs)| {
            let data: u64 = blobs.iter().map(|blob| u64::from(blob.length)).sum();
            let expected =
                data + pack::header_length(blobs.iter().map(|blob| &blob.uncompressed_length));
            match sizes.get(id) {
                None => Some(format!("pack {id} is missing")),
                Some(&size) if size != expected => Some(format!(
                    "pack {id} is damaged: it has {size} bytes, and by the index {expected}"
                )),
                Some(_) => None,
            }
        })
        .collect();
    errors.sort_unstable();
    report.errors.append(&mut errors);
    let others = sizes.keys().filter(|id| !packs.contains_key(id)).copied();
    let (marked, unused) = repository.with_index(|index| {
        others.partition::<Vec<_>, _>(|id| index.marked().number_of(id).is_some())
    })?;
    if !marked.is_empty() {
        report.hints.push(format!(
            "{} packs are marked to be removed: a later `copal prune` does so",
            marked.len()
        ));
    }
    Ok((sizes, unused.len()))
}

/// Walks all directories, each once, and proves that all they refer to is in the index.
fn check_trees(
    repository: &Repository,
    roots: Vec<TreeId>,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let mut seen: HashSet<_> = roots.iter().copied().collect();
    let mut level: Vec<_> = seen.iter().copied().collect();
    while !level.is_empty() {
        report.trees += level.len();
        let mut next = Vec::new();
        for (errors, subtrees) in each(&level, |id| check_tree(repository, id)) {
            report.errors.extend(errors);
            next.extend(subtrees.into_iter().filter(|id| seen.insert(*id)));
        }
        level = next;
    }
    Ok(())
}

fn check_tree(repository: &Repository, id: &TreeId) -> (Vec<String>, Vec<TreeId>) {
    let tree = match repository.load_tree(id) {
        Ok(tree) => tree,
        Err(error) => return (vec![error.to_string()], Vec::new()),
    };
    let mut errors = Vec::new();
    let there = |kind, id: &BlobId| repository.has(kind, id).unwrap_or(false);
    if !there(BlobKind::Tree, &(*id).into()) {
        errors.push(format!("tree {id} {MARKED}"));
    }
    if let Some(name) = tree.misplaced() {
        errors.push(format!(
            "tree {id} is damaged: `{}` stands in the wrong place",
            name.escape_ascii()
        ));
    }
    for node in &tree.nodes {
        let name = node.name.escape_ascii();
        let missing = node.content.iter();
        for blob in missing.filter(|blob| !there(BlobKind::Data, blob)) {
            errors.push(match repository.locate(BlobKind::Data, blob) {
                Ok(Some(_)) => {
                    format!("data blob {blob} of the file `{name}` in tree {id} {MARKED}")
                }
                _ => format!(
                    "file `{name}` in tree {id} is damaged: its data blob {blob} is missing"
                ),
            });
        }
        if node.kind == NodeKind::Directory && node.subtree.is_none() {
            errors.push(format!(
                "directory `{name}` in tree {id} is damaged: it has no listing"
            ));
        }
    }
    (
        errors,
        tree.nodes.iter().filter_map(|node| node.subtree).collect(),
    )
}

fn read_packs(
    repository: &Repository,
    read_data: ReadData,
    packs: &HashMap<PackId, Vec<BlobEntry>>,
    sizes: &HashMap<PackId, u64>,
    progress: &dyn Progress,
    report: &mut CheckReport,
) {
    let mut present: Vec<_> = packs
        .iter()
        .filter_map(|(id, blobs)| sizes.get(id).map(|&size| (*id, blobs, size)))
        .collect();
    read_data.choose(&mut present);
    present.sort_unstable_by_key(|(id, ..)| *id);
    report.packs_read = present.len();
    progress.total(
        present.len() as u64,
        present.iter().map(|(.., size)| size).sum(),
    );
    let threads = parallel::pack_threads(repository.backend());
    let read = parallel::map_on(threads, &present, |(id, blobs, size)| {
        let errors =
            read_pack(repository, id, blobs).unwrap_or_else(|error| vec![error.to_string()]);
        progress.advance(1, *size);
        Ok::<_, Infallible>((errors, *size))
    });
    let Ok(read) = read;
    for (errors, size) in read {
        report.errors.extend(errors);
        report.bytes_read += size;
    }
}

/// Proves a pack: its name, its header, and every blob.
fn read_pack(
    repository: &Repository,
    id: &PackId,
    indexed: &[BlobEntry],
) -> Result<Vec<String>, Error> {
    let bytes = repository.backend().read(FileKind::Pack, &id.0)?;
    let damaged = || Error::damaged(FileKind::Pack.name(&id.0));
    let (data, header) = pack::split(&bytes).map_err(damaged())?;
    let header = repository
        .key()
        .open(header)
        .and_then(|header| pack::decode_header(&header))
        .map_err(damaged())?;
    let mut errors = Vec::new();
    let mut offset = 0_u32;
    let mut listed = Vec::with_capacity(header.len());
    for HeaderEntry {
        kind,
        id: blob,
        length,
        uncompressed_length,
    } in header
    {
        listed.push(BlobEntry {
            id: blob,
            kind,
            offset,
            length,
            uncompressed_length,
        });
        let location = Location {
            pack: *id,
            offset,
            length,
            uncompressed_length,
        };
        let range = offset as usize..(offset as usize).saturating_add(length as usize);
        let Some(sealed) = data.get(range) else {
            return Err(Error::corrupt(
                FileKind::Pack.name(&id.0),
                "its header leads outside the pack",
            ));
        };
        if let Err(error) = repository.decode_blob(sealed, &location, &blob) {
            errors.push(error.to_string());
        }
        offset = offset.saturating_add(length);
    }
    listed.sort_unstable_by_key(|blob| (blob.offset, blob.id));
    if listed != indexed {
        errors.push(format!(
            "pack {id} is damaged: its header and the index list different blobs"
        ));
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_data_is_said_as_restic_says_it() {
        for (text, part) in [
            ("1/1", ReadData::Part(1, 1)),
            ("2/5", ReadData::Part(2, 5)),
            ("2.5%", ReadData::Percent(2.5)),
            ("100%", ReadData::Percent(100.0)),
            ("500M", ReadData::Bytes(500 << 20)),
        ] {
            assert_eq!(text.parse(), Ok(part), "{text}");
        }
        for wrong in [
            "", "0/5", "6/5", "1/0", "1/300", "-1/5", "0%", "101%", "NaN%", "%", "0", "much",
        ] {
            assert!(wrong.parse::<ReadData>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_parts_are_all_and_what_is_random_is_as_much_as_was_said() {
        let packs = || (0..=u8::MAX).map(|first| (PackId([first; 32]), (), 10));
        let chosen = |read_data: ReadData| {
            let mut chosen = packs().collect();
            read_data.choose(&mut chosen);
            chosen
        };
        let mut parts: Vec<_> = (1..=7)
            .flat_map(|number| chosen(ReadData::Part(number, 7)))
            .collect();
        parts.sort_unstable();
        assert!(parts.into_iter().eq(packs()));
        for (read_data, count) in [
            (ReadData::None, 0),
            (ReadData::All, 256),
            (ReadData::Percent(0.1), 1),
            (ReadData::Percent(50.0), 128),
            (ReadData::Bytes(1), 1),
            (ReadData::Bytes(55), 5),
            (ReadData::Bytes(u64::MAX), 256),
        ] {
            assert_eq!(chosen(read_data).len(), count, "{read_data:?}");
        }
        let [one, other] = [(); 2].map(|()| chosen(ReadData::Percent(50.0)));
        assert_ne!(one, other);
    }
}
