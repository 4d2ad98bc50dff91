//! What has no content: symlinks, devices and FIFOs.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Stat, readlinkat, statat};

use super::Job;
use super::existing::may_stay;
use super::level::Level;
use crate::format::tree::{Node, NodeKind};
use crate::metadata::{Applier, Item, create_special, kind_of};
use crate::progress::join;

/// Makes what `node` is in the directory, unless it is there already or must not be made. It may be a directory that it `displaces`.
pub(super) fn restore(
    job: &Job<'_>,
    level: &Level,
    node: &Node,
    displaces: bool,
    applier: &mut Applier,
) {
    let path = join(&level.path, &node.name);
    let directory = level.fd.as_ref().map(AsFd::as_fd);
    let may_exist = !level.made && !displaces;
    let existing = directory.filter(|_| may_exist).and_then(|directory| {
        let stat = statat(directory, &*node.name, AtFlags::SYMLINK_NOFOLLOW);
        Some((directory, stat.ok()?))
    });
    if let Some((directory, stat)) = &existing {
        if !job.options.overwrite.allows(node, stat) {
            return job.summary(|summary| summary.kept += 1);
        }
        if is_same(*directory, node, stat, applier) {
            let item = Item::At(*directory, &node.name);
            let differs = applier.differs(node, item, stat);
            if differs && !job.options.dry_run {
                for problem in applier.mend(node, item) {
                    job.inexact(&path, problem);
                }
            }
            return job.summary(|summary| {
                summary.others += 1;
                summary.mended += u64::from(differs);
            });
        }
    }
    if let (Some(directory), false) = (directory, job.options.dry_run)
        && let Err(message) = make(job, directory, (&path, displaces), node, applier)
    {
        return job.item_error(&path, message);
    }
    job.summary(|summary| {
        summary.others += 1;
        if existing.is_some() {
            summary.replaced.add(&path);
        }
    });
}

/// Whether what was found is that already, its metadata apart.
fn is_same(directory: BorrowedFd<'_>, node: &Node, found: &Stat, applier: &mut Applier) -> bool {
    kind_of(found) == node.kind
        && may_stay(node, Item::At(directory, &node.name), found, applier)
        && match node.kind {
            NodeKind::Symlink => readlinkat(directory, &*node.name, Vec::new())
                .is_ok_and(|target| target.as_bytes() == node.link_target),
            NodeKind::BlockDevice | NodeKind::CharacterDevice => found.st_rdev == node.device,
            _ => true,
        }
}

fn make(
    job: &Job<'_>,
    directory: BorrowedFd<'_>,
    (path, displaces): (&[u8], bool),
    node: &Node,
    applier: &mut Applier,
) -> Result<(), String> {
    let temporary = job.target.temporary_name();
    create_special(directory, temporary.as_bytes(), node)
        .map_err(|error| format!("can't make the {}: {error}", node.kind.as_str()))?;
    let item = Item::At(directory, temporary.as_bytes());
    for problem in applier.apply(node, item) {
        job.inexact(path, problem);
    }
    job.put_in_place(directory, &temporary, (path, &node.name), displaces)
}
