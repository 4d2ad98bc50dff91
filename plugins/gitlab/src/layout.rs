//! Where things lie in a data volume.

use copal_sdk::{Failure, Tree};
use serde::{Deserialize, Serialize};

use crate::config::Kind;

/// The root of GitLab's own archives.
pub(crate) const BACKUPS: &str = "backups";
/// The root of the data volume.
pub(crate) const DATA: &str = "data";
/// The root of the Omnibus package's configuration.
pub(crate) const CONFIG: &str = "config";

/// Where the repositories of sameersbn's image and of the Omnibus package are.
const REPOSITORIES: [(Kind, &str); 2] = [
    (Kind::Sameersbn, "repositories"),
    (Kind::Omnibus, "git-data/repositories"),
];

/// How a data volume is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub(crate) kind: Kind,
}

impl Layout {
    /// The layout of a data volume; none where it is none.
    pub(crate) fn of(tree: &dyn Tree) -> Result<Option<Self>, Failure> {
        for (kind, repositories) in REPOSITORIES {
            let beside = match kind {
                Kind::Sameersbn => ["shared", "uploads", "ssh", "backups"].as_slice(),
                Kind::Omnibus => &["gitlab-rails"],
            };
            if !is_directory(tree, repositories)? {
                continue;
            }
            for folder in beside {
                if is_directory(tree, folder)? {
                    return Ok(Some(Self { kind }));
                }
            }
        }
        Ok(None)
    }

    /// Where Gitaly keeps the repositories.
    pub(crate) fn repositories(self) -> &'static str {
        match self.kind {
            Kind::Sameersbn => REPOSITORIES[0].1,
            Kind::Omnibus => REPOSITORIES[1].1,
        }
    }

    /// Folders that are saved empty: GitLab fills them anew, and its archives are a root of their own.
    pub(crate) fn emptied(self) -> &'static [&'static str] {
        match self.kind {
            Kind::Sameersbn => &["tmp", "cache", "shared/cache", BACKUPS],
            Kind::Omnibus => &["gitlab-rails/tmp", "gitlab-rails/shared/cache", BACKUPS],
        }
    }

    /// Folders of which everything is git's.
    pub(crate) fn of_git(self) -> &'static [&'static str] {
        match self.kind {
            Kind::Sameersbn => &[
                "repositories",
                "builds",
                "shared",
                "uploads",
                "backups",
                "tmp",
                ".ssh",
            ],
            Kind::Omnibus => &[
                "git-data",
                "gitlab-rails/shared",
                "gitlab-rails/uploads",
                "gitlab-ci/builds",
                "backups",
                ".ssh",
            ],
        }
    }

    /// The file that tells the version of the GitLab that last ran on it.
    pub(crate) fn version_file(self) -> &'static str {
        match self.kind {
            Kind::Sameersbn => "tmp/VERSION",
            Kind::Omnibus => "gitlab-rails/VERSION",
        }
    }

    /// The version that it was last used by, where it tells.
    pub(crate) fn version(self, tree: &dyn Tree) -> Result<Option<String>, Failure> {
        if !tree
            .stat(self.version_file())?
            .is_some_and(|entry| entry.is_file() && entry.size < 1_000)
        {
            return Ok(None);
        }
        let bytes = tree.read_all(self.version_file(), 1_000)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(version(text.trim()).map(str::to_owned))
    }
}

/// A text that is a version.
pub(crate) fn version(text: &str) -> Option<&str> {
    let fits = text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains('.')
        && text.len() < 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
    fits.then_some(text)
}

/// The first two numbers of a version.
pub(crate) fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']);
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next()?.parse().ok()?))
}

/// The path without the folder `beneath`; none where it is not beneath it.
pub(crate) fn beneath<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

pub(crate) fn is_directory(tree: &dyn Tree, path: &str) -> Result<bool, Failure> {
    Ok(tree.stat(path)?.is_some_and(|entry| entry.is_directory()))
}

/// `ROOT` or `ROOT/PATH`.
pub(crate) fn join(root: &str, path: &str) -> String {
    match path {
        "" => root.to_owned(),
        path => format!("{root}/{path}"),
    }
}
