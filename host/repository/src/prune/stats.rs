//! What a prune finds and does, in numbers.

use serde::Serialize;

/// So many blobs with so many bytes, as they are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes in the packs.
    pub bytes: u64,
}

/// So many pack files with so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Packs {
    /// How many.
    pub packs: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Packs {
    pub(super) fn add(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes += bytes;
    }
}

/// What a prune finds, and what it does or, in a dry run, would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PruneStats {
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// Whether what is not needed is marked first, and removed by a later prune.
    pub two_phase: bool,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// What they need.
    pub used: Amount,
    /// What the index names besides.
    pub unused: Amount,
    /// Of that, further copies of what they need.
    pub duplicate: Amount,
    /// Packs that stay as they are.
    pub kept: Packs,
    /// Of these, packs that are too young to be touched in two phases.
    pub young: Packs,
    /// Packs of which what is needed is written into new ones.
    pub repacked: Packs,
    /// Of these, what is not needed.
    pub repack_drops: Amount,
    /// Packs that nothing needs.
    pub unneeded: Packs,
    /// Packs that no index names: interrupted backups left them.
    pub unindexed: Packs,
    /// Files that were never written to their end, in a local directory: interrupted backups left them.
    pub unfinished: Packs,
    /// Packs that the index names, that are not there, and that nothing needs: the index forgets them.
    pub absent: u64,
    /// Packs that are marked now, and removed by a later prune.
    pub marked: Packs,
    /// Packs that were marked before, and are not removed yet.
    pub waiting: Packs,
    /// Packs that were marked before, and are needed after all: they count again.
    pub recovered: Packs,
    /// Packs that are removed now.
    pub removed: Packs,
    /// Bytes of all packs before …
    pub bytes_before: u64,
    /// … and after.
    pub bytes_after: u64,
    /// Of these, bytes of packs that count, and that nothing needs.
    pub unused_after: u64,
}
