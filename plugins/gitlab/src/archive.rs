//! GitLab's own backup archives: `1755221522_2025_08_15_17.2.1-ee_gitlab_backup.tar`, uncompressed, with compressed archives in it.

pub(crate) mod information;
pub(crate) mod inspect;
pub(crate) mod owners;
pub(crate) mod scan;
pub(crate) mod selection;
pub(crate) mod tasks;

use copal_sdk::{Entry, Failure};

/// How the name of every archive ends.
pub(crate) const SUFFIX: &str = "_gitlab_backup.tar";

/// How the host names the folder that lists an archive's members.
pub(crate) const MEMBERS: &str = "_gitlab_backup.tar.members";

/// The member that describes the archive.
pub(crate) const INFORMATION: &str = "backup_information.yml";

/// The name as `BACKUP=` takes it; none where the entry is no archive in the top folder.
pub(crate) fn backup_name(entry: &Entry) -> Option<&str> {
    let name = entry.path.strip_suffix(SUFFIX)?;
    (entry.is_file() && !name.is_empty() && !name.contains('/')).then_some(name)
}

/// When an archive was made, by its name: the ten digits that GitLab puts first.
pub(crate) fn time(name: &str) -> Option<i64> {
    let digits = name.get(..10)?;
    let alone = matches!(name.as_bytes().get(10), None | Some(b'_'));
    let fits = alone && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| fits)
}

/// A failure with the member that it happened in.
pub(crate) fn within(path: &str, failure: Failure) -> Failure {
    Failure {
        message: format!("{path}: {}", failure.message),
        ..failure
    }
}
