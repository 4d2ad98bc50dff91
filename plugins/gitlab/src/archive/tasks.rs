//! What an archive has to hold, by version.

use super::information::Information;
use crate::layout::release;

/// A part of a backup.
struct Task {
    /// Its name in `SKIP=`.
    name: &'static str,
    /// The member that it makes.
    member: &'static str,
    /// Since which release every archive has it.
    since: (u32, u32),
}

const fn task(name: &'static str, member: &'static str, since: (u32, u32)) -> Task {
    Task {
        name,
        member,
        since,
    }
}

/// The parts that every archive has. `registry` and `external_diffs` depend on settings, so nothing says whether they should be there. Releases
/// from GitLab's documentation, "Back up GitLab", "Data included in a backup".
const TASKS: [Task; 10] = [
    task("db", "db/database.sql.gz", (0, 0)),
    task("repositories", "repositories", (0, 0)),
    task("uploads", "uploads.tar.gz", (0, 0)),
    task("builds", "builds.tar.gz", (0, 0)),
    task("artifacts", "artifacts.tar.gz", (8, 0)),
    task("lfs", "lfs.tar.gz", (8, 2)),
    task("pages", "pages.tar.gz", (8, 17)),
    task("terraform_state", "terraform_state.tar.gz", (14, 7)),
    task("packages", "packages.tar.gz", (14, 7)),
    task("ci_secure_files", "ci_secure_files.tar.gz", (16, 1)),
];

/// Which of the members that every archive has were seen.
#[derive(Debug, Default)]
pub(crate) struct Seen([bool; TASKS.len()]);

impl Seen {
    /// Notes a member by its path.
    pub(crate) fn note(&mut self, path: &str) {
        let path = path.trim_end_matches('/');
        for (seen, task) in self.0.iter_mut().zip(&TASKS) {
            *seen |= path == task.member
                || (task.member == "repositories" && path.starts_with("repositories/"));
        }
    }

    /// The members that are not there and should be: whose part was neither skipped nor yet unknown to the version.
    pub(crate) fn missing(&self, information: &Information) -> Vec<&'static str> {
        let release = release(&information.version).unwrap_or((0, 0));
        let skipped = |task: &Task| {
            information
                .skipped
                .iter()
                .any(|skipped| skipped == task.name)
        };
        let tasks = TASKS.iter().zip(self.0);
        tasks
            .filter(|(task, seen)| !seen && task.since <= release && !skipped(task))
            .map(|(task, _)| task.member)
            .collect()
    }
}

/// What GitLab leaves in its folder of backups where making or restoring an archive was interrupted.
pub(crate) fn is_staging(name: &str) -> bool {
    let of_task = |task: &Task| task.member.split('/').next() == Some(name);
    matches!(
        name,
        "tmp" | super::INFORMATION | "registry.tar.gz" | "external_diffs.tar.gz"
    ) || TASKS.iter().any(of_task)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(version: &str, skipped: &[&str], members: &[&str]) -> Vec<&'static str> {
        let mut seen = Seen::default();
        members.iter().for_each(|member| seen.note(member));
        seen.missing(&Information {
            version: version.to_owned(),
            skipped: skipped.iter().map(|&task| task.to_owned()).collect(),
        })
    }

    #[test]
    fn what_is_missing_depends_on_version_and_what_was_skipped() {
        let old = [
            "db/database.sql.gz",
            "repositories/",
            "uploads.tar.gz",
            "builds.tar.gz",
            "artifacts.tar.gz",
            "lfs.tar.gz",
            "pages.tar.gz",
        ];
        assert!(missing("13.0.6", &[], &old).is_empty());
        assert_eq!(
            missing("15.1.0", &[], &old),
            ["terraform_state.tar.gz", "packages.tar.gz"]
        );
        assert_eq!(
            missing("15.1.0", &["packages"], &old),
            ["terraform_state.tar.gz"]
        );
        assert_eq!(
            missing(
                "13.0.6",
                &["uploads"],
                &["repositories/@hashed/a.bundle", "db/database.sql.gz"]
            ),
            [
                "builds.tar.gz",
                "artifacts.tar.gz",
                "lfs.tar.gz",
                "pages.tar.gz"
            ]
        );
    }

    #[test]
    fn leftovers_are_known_by_name() {
        for name in [
            "tmp",
            "db",
            "repositories",
            "uploads.tar.gz",
            "backup_information.yml",
        ] {
            assert!(is_staging(name), "{name}");
        }
        for name in [
            "dump_gitlab_backup.tar",
            "uploads",
            "database.sql.gz",
            "notes.tar.gz",
        ] {
            assert!(!is_staging(name), "{name}");
        }
    }
}
