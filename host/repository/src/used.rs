//! Which blobs snapshots need: a bit for each that the index knows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::Error;
use crate::format::BlobKind;
use crate::id::{BlobId, TreeId};
use crate::index::{Entry, Index, Part};
use crate::parallel;
use crate::repository::{Repository, lock};

/// How many of the things that are missing are named.
const NAMED: usize = 20;

/// As many bits as a table of the index has entries. Shared by threads.
#[derive(Debug)]
pub(crate) struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(length: usize) -> Self {
        Self(
            (0..length.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
        )
    }

    fn word(&self, at: usize) -> Option<(&AtomicU64, u64)> {
        Some((self.0.get(at / 64)?, 1 << (at % 64)))
    }

    /// Whether it was not set before.
    pub(crate) fn set(&self, at: usize) -> bool {
        self.word(at)
            .is_some_and(|(word, bit)| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    pub(crate) fn clear(&self, at: usize) {
        if let Some((word, bit)) = self.word(at) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, at: usize) -> bool {
        self.word(at)
            .is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }
}

/// The needed entries of one part of the index: of each blob the first of its copies.
#[derive(Debug)]
pub(crate) struct Needed {
    data: Bits,
    tree: Bits,
}

impl Used {
    pub(crate) fn nothing(index: &Index) -> Self {
        Self {
            live: Needed::new(index.live()),
            marked: Needed::new(index.marked()),
        }
    }

    /// Notes a blob that was loaded with the index, if it was. Tells whether it was not noted before.
    pub(crate) fn note(&self, index: &Index, kind: BlobKind, id: &BlobId) -> Option<bool> {
        self.of(index)
            .into_iter()
            .find_map(|(part, needed)| Some(needed.of(kind).set(part.position(kind, id)?)))
    }

    /// The blobs of a kind that were noted here and not in `other`.
    pub(crate) fn without<'a>(
        &'a self,
        other: &'a Self,
        index: &'a Index,
        kind: BlobKind,
    ) -> impl Iterator<Item = Entry> + 'a {
        let parts = self.of(index).into_iter().zip(other.of(index));
        parts.flat_map(move |((part, here), (_, there))| {
            let (here, there) = (here.of(kind), there.of(kind));
            let noted = (0..part.loaded(kind)).filter(|&at| here.get(at) && !there.get(at));
            noted.filter_map(move |at| part.entry(kind, at))
        })
    }

    fn of<'a>(&'a self, index: &'a Index) -> [(&'a Part, &'a Needed); 2] {
        [(index.live(), &self.live), (index.marked(), &self.marked)]
    }
}

impl Needed {
    fn new(part: &Part) -> Self {
        let bits = |kind| Bits::new(part.loaded(kind));
        Self {
            data: bits(BlobKind::Data),
            tree: bits(BlobKind::Tree),
        }
    }

    /// The bits of [`Part::entry`].
    pub(crate) fn of(&self, kind: BlobKind) -> &Bits {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.tree,
        }
    }
}

/// What snapshots need, of one index: once that is loaded anew, the bits mean nothing.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) live: Needed,
    /// What is needed after all of packs that are to be removed.
    pub(crate) marked: Needed,
}

/// Walks all trees beneath `roots`, each once, and notes every blob that they need. Besides the bits, memory goes with the depth and width of
/// the trees.
///
/// # Errors
/// Something that they need is missing or damaged: it is named. Or the work was interrupted.
pub(crate) fn find(
    repository: &Repository,
    roots: Vec<TreeId>,
    cancel: &AtomicBool,
) -> Result<Used, Error> {
    let used = repository.with_index(Used::nothing)?;
    let problems = Mutex::new((Vec::new(), 0_u64));
    let report = |problem: String| {
        let (named, count) = &mut *lock(&problems);
        *count += 1;
        if named.len() < NAMED {
            named.push(problem);
        }
    };
    // Whether the blob is known and was not noted before.
    let note =
        |kind: BlobKind, id: &BlobId| repository.with_index(|index| used.note(index, kind, id));
    let roots = roots.into_iter().map(|root| (root, None)).collect();
    parallel::spread(roots, |(tree, above): (TreeId, Option<TreeId>), more| {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match note(BlobKind::Tree, &tree.into())? {
            Some(false) => return Ok(()),
            Some(true) => {}
            None => {
                let of = match above {
                    Some(above) => format!("of a directory in tree {above}"),
                    None => "of a snapshot".to_owned(),
                };
                report(format!("tree {tree} {of} is missing"));
                return Ok(());
            }
        }
        let nodes = match repository.load_tree(&tree) {
            Ok(loaded) => loaded.nodes,
            Err(error) if error.is_loss() => {
                report(error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for node in nodes {
            for blob in &node.content {
                if note(BlobKind::Data, blob)?.is_none() {
                    let name = node.name.escape_ascii();
                    report(format!(
                        "data blob {blob} of the file `{name}` in tree {tree} is missing"
                    ));
                }
            }
            more.extend(node.subtree.map(|subtree| (subtree, Some(tree))));
        }
        Ok(())
    })?;
    let (named, count) = problems
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match count {
        0 => Ok(used),
        count => Err(missing(repository, &named, count)),
    }
}

/// What snapshots need is not there.
pub(crate) fn missing(repository: &Repository, named: &[String], count: u64) -> Error {
    let more = match count - named.len() as u64 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Error::corrupt(
        format!("the repository at {}", repository.location()),
        format!(
            "snapshots need what is missing or damaged: {}{more}. Nothing was removed. `copal repair index` and `copal repair packs` may find it, and a new backup \
             may bring it back; what is lost then, `copal repair snapshots --forget` makes snapshots without",
            named.join("; ")
        ),
    )
}
