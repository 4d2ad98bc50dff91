//! Keeping snapshots in order: which belong together, their tags, and making others out of them. What is Copal's own in a snapshot is minded.

mod groups;
mod repair;
mod rewrite;
mod successors;
mod tags;

pub use groups::{Group, groups};
pub use repair::{RepairedSnapshot, SnapshotRepairOptions, repair_snapshots};
pub use rewrite::{RewriteOptions, RewrittenSnapshot, rewrite_snapshots};
pub use tags::{Retagged, TagChange, is_own_tag, retag};

use crate::authority::RELEASE_PATH;
use crate::manifest::{MANIFEST_PATH, OWN, PLUGIN_PATH};

/// Whether what lies at this path of a snapshot is Copal's own.
fn is_own(path: &[u8]) -> bool {
    let rest = path.strip_prefix(OWN.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What it means for a restore that this path of a snapshot is gone, where it is Copal's own.
fn consequence(path: &str) -> Option<String> {
    let means = match path {
        OWN | MANIFEST_PATH => "it can only be restored as plain files, and not be migrated",
        PLUGIN_PATH => "a restore needs `--plugin`, with the plugin from elsewhere",
        path if path == RELEASE_PATH || path.starts_with(".copal/release/") => {
            "its plugin counts as one that nobody signed"
        }
        _ => return None,
    };
    Some(format!("without `{path}`, {means}"))
}
