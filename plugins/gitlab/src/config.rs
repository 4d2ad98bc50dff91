//! What the operator configures.

use copal_sdk::service::Service;
use copal_sdk::{Failure, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pass::Git;

/// The operator's configuration; every key may be left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which archives of `backups`: `newest`, `all`, or a list of names. By default a backup saves the newest, and a restore puts all in place that
    /// the snapshot holds.
    pub archives: Archives,
    /// Have GitLab make a new archive first, and save that one alone.
    pub create: bool,
    /// Have GitLab restore the archive once it is in place. It replaces GitLab's database and repositories.
    pub restore: bool,
    /// The Docker container that GitLab runs in.
    pub container: Option<String>,
    /// The systemd unit that GitLab runs as, such as `gitlab-runsvdir`.
    pub unit: Option<String>,
    /// You have stopped GitLab yourself, and it stays stopped until the work is done.
    pub stopped: bool,
    /// How GitLab is installed: `omnibus` (the default, package and image alike) or `sameersbn`. The data volume tells it too.
    pub installation: Option<Kind>,
    /// The program and arguments that make an archive, instead of the installation's own.
    pub create_command: Vec<String>,
    /// The program and arguments that restore an archive, instead of the installation's own; `BACKUP=…` and what answers GitLab's questions are
    /// added.
    pub restore_command: Vec<String>,
    /// Hours that making or restoring an archive may take: 1 to 168, by default 12.
    pub hours: Option<u32>,
    /// The target's user git as `UID:GID`, where it can't be asked.
    pub git: Option<String>,
    /// The target's version, where it can't be asked, such as `17.2.1-ee`.
    pub target_version: Option<String>,
    /// You have seen yourself what of the target can't be looked at before `restore`: that it has the source's secrets, that Gitaly runs, and that its
    /// folders are git's.
    pub target_checked: bool,
    /// Give everything within the restored archives, and within the archives in them, to the target's git user too. Only needed where root unpacks them.
    pub normalise: bool,
    /// Put the snapshot's root `config` in place also where the target has secrets of its own.
    pub replace_config: bool,
}

/// Which archives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Archives {
    /// By a word.
    Every(Every),
    /// These names alone, with or without `_gitlab_backup.tar`.
    Names(Vec<String>),
    /// Nothing is said.
    #[default]
    #[serde(skip)]
    Unsaid,
}

/// Archives by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// The newest by the time in its name, else by when it was changed.
    Newest,
    /// All.
    All,
}

/// How GitLab is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The Omnibus package, or GitLab's own image, which holds it.
    Omnibus,
    /// The image sameersbn/gitlab.
    Sameersbn,
}

impl Config {
    /// Checks what the types can't say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: &str, remedy: &str| {
            Err(Failure::invalid_config(code, message).remedy(remedy))
        };
        self.service()?;
        self.git()?;
        if self.hours.is_some_and(|hours| !(1..=168).contains(&hours)) {
            return fail(
                "gitlab.config.hours",
                "`hours` is not between 1 and 168",
                "leave it out for 12",
            );
        }
        let names = match &self.archives {
            Archives::Names(names) => names.as_slice(),
            _ => &[],
        };
        if names
            .iter()
            .any(|name| name.contains('/') || name.is_empty())
        {
            return fail(
                "gitlab.config.archives",
                "a name in `archives` is not one of a file",
                "give names as they are in the folder, such as 1755221522_2025_08_15_17.2.1",
            );
        }
        if self.create && self.archives != Archives::Unsaid {
            return fail(
                "gitlab.config.create",
                "both `create` and `archives` are set, but a new archive is saved alone",
                "leave `archives` out, or make a second job for the others",
            );
        }
        Ok(())
    }

    /// The container or unit that GitLab runs as, where one is set.
    pub(crate) fn service(&self) -> Result<Option<Service>, Failure> {
        Service::choose("gitlab", self.container.as_deref(), self.unit.as_deref())
    }

    /// The target's git user, where it is set.
    pub(crate) fn git(&self) -> Result<Option<Git>, Failure> {
        let Some(git) = &self.git else {
            return Ok(None);
        };
        let numbers = git
            .split_once(':')
            .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        match numbers {
            Some((uid, gid)) => Ok(Some(Git { uid, gid })),
            None => Err(Failure::invalid_config(
                "gitlab.config.git",
                "`git` is not two numbers with a colon",
            )
            .remedy("give the numbers of the target's user and group, such as 998:998")),
        }
    }

    /// How bad it is that something of the target can't be seen: GitLab's own restore replaces a database before it fails.
    pub(crate) fn unseen(&self, answered_for: bool) -> Severity {
        match self.restore && !answered_for {
            true => Severity::Error,
            false => Severity::Warning,
        }
    }

    /// Seconds that making or restoring an archive may take.
    pub(crate) fn timeout(&self) -> u32 {
        self.hours.unwrap_or(12).saturating_mul(3_600)
    }
}

#[cfg(test)]
mod tests {
    use copal_sdk::config::parse;

    use super::*;

    #[test]
    fn archives_are_newest_all_or_names() {
        let archives = |json: &str| parse::<Config>(json).unwrap().archives;
        assert_eq!(archives("{}"), Archives::Unsaid);
        assert_eq!(
            archives(r#"{"archives":"newest"}"#),
            Archives::Every(Every::Newest)
        );
        assert_eq!(
            archives(r#"{"archives":"all"}"#),
            Archives::Every(Every::All)
        );
        assert_eq!(
            archives(r#"{"archives":["a"]}"#),
            Archives::Names(vec!["a".to_owned()])
        );
        assert!(parse::<Config>(r#"{"archives":"oldest"}"#).is_err());
    }

    #[test]
    fn settings_that_contradict_or_mislead_are_refused() {
        for (json, code) in [
            (r#"{"container":"a","unit":"b"}"#, "gitlab.config.service"),
            (r#"{"container":"--help"}"#, "gitlab.config.name"),
            (r#"{"git":"git"}"#, "gitlab.config.git"),
            (r#"{"git":"998:"}"#, "gitlab.config.git"),
            (r#"{"hours":0}"#, "gitlab.config.hours"),
            (r#"{"archives":["../x"]}"#, "gitlab.config.archives"),
            (
                r#"{"create":true,"archives":"all"}"#,
                "gitlab.config.create",
            ),
        ] {
            let config: Config = parse(json).unwrap();
            assert_eq!(config.check().unwrap_err().code, code, "{json}");
        }
        let config: Config = parse(r#"{"git":"998:997","container":"gitlab"}"#).unwrap();
        config.check().unwrap();
        assert_eq!(config.git().unwrap(), Some(Git { uid: 998, gid: 997 }));
    }
}
