//! `backup_information.yml`: what an archive says of itself.

use copal_sdk::yaml::{self, Limits};
use copal_sdk::{Failure, Tree, tar};

use super::scan::{Look, Visitor, scan};
use super::{INFORMATION, within};
use crate::layout;

/// More than any such file holds.
pub(crate) const LARGEST: usize = 64 << 10;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Information {
    /// The version of the GitLab that made it, with `-ee` in the enterprise edition.
    pub(crate) version: String,
    /// What was left out on purpose, such as `registry`.
    pub(crate) skipped: Vec<String>,
}

impl Information {
    /// Reads the file, whose keys are Ruby symbols.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let limits = Limits {
            bytes: LARGEST,
            ..Limits::default()
        };
        let invalid = |problem: String| {
            Failure::corrupt(
                "gitlab.archive.information",
                format!("{INFORMATION} is of no use: {problem}"),
            )
        };
        let node = yaml::parse(bytes, limits).map_err(|error| invalid(error.to_string()))?;
        let text = |name: &str| node.get_symbol(name).and_then(|node| node.text());
        let version = text("gitlab_version").and_then(layout::version);
        let Some(version) = version else {
            return Err(invalid("it names no :gitlab_version".to_owned()));
        };
        let skipped = text("skipped").unwrap_or_default().split(',');
        Ok(Self {
            version: version.to_owned(),
            skipped: skipped
                .map(|task| task.trim().to_owned())
                .filter(|task| !task.is_empty())
                .collect(),
        })
    }

    /// That of an archive in a tree. Fails with `corrupt` where it has none, or is none.
    pub(crate) fn of(tree: &dyn Tree, path: &str) -> Result<Self, Failure> {
        let mut found = Search::default();
        scan(tree, path, &mut found).map_err(|failure| within(path, failure))?;
        match found.content {
            Some(content) => Self::parse(&content).map_err(|failure| within(path, failure)),
            None => Err(absent(path)),
        }
    }
}

/// The failure for an archive without the file.
pub(crate) fn absent(path: &str) -> Failure {
    Failure::corrupt(
        "gitlab.archive.information",
        format!("{path} holds no {INFORMATION}, so GitLab could not restore it"),
    )
}

#[derive(Default)]
struct Search {
    content: Option<Vec<u8>>,
    ended: bool,
}

impl Visitor for Search {
    fn member(&mut self, member: &tar::Member) -> Result<Look, Failure> {
        if self.ended {
            return Ok(Look::Enough);
        }
        if member.path == INFORMATION.as_bytes() && member.size <= LARGEST as u64 {
            self.content = Some(Vec::new());
            return Ok(Look::Read);
        }
        Ok(Look::Skip)
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.content.get_or_insert_default().extend_from_slice(data);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.ended = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gitlab_writes_is_read() {
        let text = b":db_version: '20240701'\n:backup_created_at: 2025-08-15 01:32:02.000000000 Z\n:gitlab_version: 17.2.1-ee\n\
            :tar_version: tar (GNU tar) 1.34\n:installation_type: :omnibus\n:skipped: registry,uploads\n";
        let information = Information::parse(text).unwrap();
        assert_eq!(information.version, "17.2.1-ee");
        assert_eq!(information.skipped, ["registry", "uploads"]);
        let none = Information::parse(b":gitlab_version: 13.0.6\n:skipped: ''\n").unwrap();
        assert!(none.skipped.is_empty());
    }

    #[test]
    fn what_names_no_version_is_refused() {
        for text in [
            &b""[..],
            b"[",
            b":gitlab_version:\n",
            b":gitlab_version: $(reboot)\n",
            b"\xff",
        ] {
            let failure = Information::parse(text).unwrap_err();
            assert_eq!(failure.code, "gitlab.archive.information");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Information::parse(&bytes);
        }
    }
}
