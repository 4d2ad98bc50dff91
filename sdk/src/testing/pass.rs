//! What the host does with passes and filters.

use super::MemoryTree;
use super::memory::join;
use crate::{
    Change, Direction, Entry, Failure, Filter, Finding, Pass, READ_LIMIT, Tree, Verdict, transform,
};

/// Sends a tree through passes started from a plan's `state`, as the host does: what would be in the snapshot, or restored, and what the passes
/// have to say. Two passes take turns over the directories, and files come in chunks of 1,000 bytes, so that a pass that
/// keeps something between entries shows.
///
/// # Panics
/// Where a call does not answer with one verdict for each entry.
pub fn run_pass<P: Pass>(
    tree: &dyn Tree,
    direction: Direction,
    state: &[u8],
) -> Result<(MemoryTree, Vec<Finding>), Failure> {
    let mut passes: [P; 2] = [
        transform::start(direction, state)?,
        transform::start(direction, state)?,
    ];
    let root = tree.name();
    let mut result = MemoryTree::new(root.clone());
    // Directories to walk: where each lies, and where it goes.
    let mut ahead = vec![(String::new(), String::new())];
    while let Some((from, to)) = ahead.pop() {
        passes.reverse();
        let [pass, _] = &mut passes;
        let entries = tree.list(&from)?;
        if entries.is_empty() {
            continue;
        }
        let verdicts = pass.classify_batch(&root, &entries)?;
        assert_eq!(verdicts.len(), entries.len(), "one verdict for each entry");
        for (entry, verdict) in entries.into_iter().zip(verdicts) {
            let change = match verdict {
                Verdict::Skip => continue,
                Verdict::Keep => Change::none(),
                Verdict::Change(change) => change,
            };
            let mut content = Vec::new();
            if entry.is_file() {
                content = read(tree, &entry)?;
                if change.filter {
                    let mut filter = pass.open(&root, &entry)?;
                    content = push_all(filter.as_mut(), content.chunks(1_000))?;
                }
            }
            let changed = changed(&entry, &to, change);
            if entry.is_directory() {
                ahead.push((entry.path, changed.path.clone()));
            }
            result = result.node(changed, content);
        }
    }
    let mut findings = Vec::new();
    for pass in passes {
        findings.extend(pass.finish()?);
    }
    Ok((result, findings))
}

fn changed(entry: &Entry, to: &str, change: Change) -> Entry {
    Entry {
        path: join(to, change.name.as_deref().unwrap_or(entry.name())),
        mode: change.mode.unwrap_or(entry.mode),
        owner: change.owner.unwrap_or_else(|| entry.owner.clone()),
        modified: change.modified.unwrap_or(entry.modified),
        ..entry.clone()
    }
}

fn read(tree: &dyn Tree, entry: &Entry) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    while (content.len() as u64) < entry.size {
        let chunk = tree.read(&entry.path, content.len() as u64, READ_LIMIT)?;
        if chunk.is_empty() {
            break;
        }
        content.extend(chunk);
    }
    Ok(content)
}

/// What a filter makes of `input`, which must be the same however the input is cut: into chunks of every size, and into two at every place.
/// The inputs are best kept under a few thousand bytes.
///
/// # Panics
/// Where two ways to cut the input have different outcomes.
pub fn filter_all_chunkings(
    open: impl Fn() -> Box<dyn Filter>,
    input: &[u8],
) -> Result<Vec<u8>, Failure> {
    let whole = push_all(open().as_mut(), [input]);
    for size in 1..=input.len() {
        let even = push_all(open().as_mut(), input.chunks(size));
        assert_eq!(even, whole, "in chunks of {size} bytes");
        let (left, right) = input.split_at(size);
        let halved = push_all(open().as_mut(), [left, right]);
        assert_eq!(halved, whole, "cut at {size}");
    }
    whole
}

fn push_all<'a>(
    filter: &mut dyn Filter,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    for chunk in chunks {
        filter.push(chunk, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok(out)
}
