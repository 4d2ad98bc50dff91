//! Whether what looks like the leftovers of an interrupted backup or restore may be removed.

use copal_sdk::{Entry, Failure, Finding, Timestamp, Tree};

use crate::layout::{BACKUPS, Layout, join};

/// Seconds. What was changed since may belong to a backup that runs.
const RECENT: i64 = 3_600;

/// More entries are not looked through.
const MOST: usize = 20_000;

/// What Gitaly's storage holds beneath `repositories`, and an unpacked archive does not.
const GITALYS: [&str; 3] = [".gitaly-metadata", "+gitaly", "@pools"];

/// The error where the target of a root `backups` is no folder of backups but a data volume.
pub(super) fn is_volume(target: &dyn Tree) -> Result<Option<Finding>, Failure> {
    Ok(Layout::of(target)?.map(|_| live("", "is the data volume of a GitLab")))
}

/// The error where one of the entries `left` of `target` holds repositories or may be in use, so that none may be removed.
pub(super) fn in_use(
    target: &dyn Tree,
    left: &[Entry],
    now: Timestamp,
) -> Result<Option<Finding>, Failure> {
    let mut ahead = left.to_vec();
    let (mut seen, mut recent) = (0, None);
    while let Some(entry) = ahead.pop() {
        seen += 1;
        if seen > MOST {
            return Ok(Some(
                Finding::error(
                    "gitlab.staging.unseen",
                    format!("What an interrupted backup or restore seems to have left in the target's folder has more than {MOST} entries, too many to see that it is no live data."),
                )
                .remedy("Look at it, and remove it yourself.")
                .at(BACKUPS),
            ));
        }
        if recent.is_none() && entry.modified.seconds > now.seconds.saturating_sub(RECENT) {
            recent = Some(entry.path.clone());
        }
        if !entry.is_directory() {
            continue;
        }
        let beneath = target.list(&entry.path)?;
        let holds = |name: &str| beneath.iter().any(|entry| entry.name() == name);
        if holds("HEAD") && holds("objects") {
            return Ok(Some(live(&entry.path, "is a git repository")));
        }
        if entry.path == "repositories" && GITALYS.into_iter().any(holds) {
            return Ok(Some(live(&entry.path, "is Gitaly's storage")));
        }
        ahead.extend(beneath);
    }
    Ok(recent.map(|path| {
        Finding::error(
            "gitlab.staging.recent",
            "This was changed within the last hour, so a backup or restore of GitLab may be running there.",
        )
        .remedy("Wait until it is done; or, if none runs, remove what is left of it yourself.")
        .at(join(BACKUPS, &path))
    }))
}

fn live(path: &str, what: &str) -> Finding {
    Finding::error(
        "gitlab.staging.live",
        format!("This {what}, not what an interrupted backup left, and it is not removed."),
    )
    .remedy("Give the folder of GitLab's backups itself as `backups`, such as /home/git/data/backups or /var/opt/gitlab/backups.")
    .at(join(BACKUPS, path))
}
