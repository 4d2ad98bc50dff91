//! What becomes of a job's earlier snapshots once there is a new one.

use copal_repository::format::Timestamp;
use copal_repository::{LockMode, Repository, SnapshotId};

use super::job;
use crate::config::Job;
use crate::failure::Failure;
use crate::session::Session;

/// Removes the job's snapshots of this machine that its retention does not keep, and names them. Another machine may have a job of that name too.
///
/// Those that are incomplete are counted apart: they take no place of a good one.
pub(super) fn apply(
    job: &Job,
    repository: &Repository,
    session: &Session,
) -> Result<Vec<SnapshotId>, Failure> {
    let Some(policy) = &job.retention else {
        return Ok(Vec::new());
    };
    let lock = session.lock(repository, LockMode::Exclusive)?;
    let mut snapshots = job::snapshots(repository, job)?;
    let hostname = &session.context.identity.hostname;
    snapshots.retain(|(_, snapshot)| snapshot.hostname == *hostname);
    let now = Timestamp::now();
    let groups = copal_job::groups(snapshots, &[]).into_values();
    let decisions = groups.flat_map(|group| policy.apply(&group, now));
    let forgotten = decisions.filter(|decision| !decision.is_kept());
    let forgotten: Vec<_> = forgotten.map(|decision| decision.id).collect();
    repository.forget(&forgotten, &lock)?;
    Ok(forgotten)
}
