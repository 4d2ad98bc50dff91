//! How GitLab is installed, and the commands that follow from it.

use copal_sdk::{Command, literal};

use crate::archive::SUFFIX;
use crate::config::{Config, Kind};

/// An installation: what it is, and how a program is run in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) kind: Kind,
    container: Option<String>,
    create: Vec<String>,
    restore: Vec<String>,
    timeout: u32,
}

/// A part of GitLab that is stopped while its database is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The web server, by the version.
    Web,
    /// Background jobs.
    Sidekiq,
}

impl Installation {
    /// What the configuration says, else the data volume, else the usual.
    pub(crate) fn of(config: &Config, volume: Option<Kind>) -> Self {
        Self {
            kind: config.installation.or(volume).unwrap_or(Kind::Omnibus),
            container: config.container.clone(),
            create: words(&config.create_command),
            restore: words(&config.restore_command),
            timeout: config.timeout(),
        }
    }

    /// Whether GitLab runs in a container.
    pub(crate) fn container(&self) -> Option<&str> {
        self.container.as_deref()
    }

    /// Runs these words where GitLab is.
    pub(crate) fn exec(&self, words: &[&str]) -> Command {
        self.exec_as(None, words)
    }

    fn exec_as(&self, user: Option<&str>, words: &[&str]) -> Command {
        let mut argv = Vec::new();
        if let Some(container) = &self.container {
            argv.extend(["docker", "exec"]);
            argv.extend(user.iter().flat_map(|user| ["--user", user]));
            argv.push(container);
        }
        argv.extend(words);
        Command::new(argv)
    }

    /// Makes an archive.
    pub(crate) fn create(&self) -> Command {
        let command = if !self.create.is_empty() {
            Command::new(&self.create)
        } else {
            match self.kind {
                Kind::Omnibus => self.exec(&["gitlab-backup", "create"]),
                Kind::Sameersbn => self.rake("gitlab:backup:create"),
            }
        };
        command.timeout(self.timeout)
    }

    /// Restores the archive `name` without a question. GitLab reads `force` and `GITLAB_ASSUME_YES`, the scripts around it `FORCE`.
    pub(crate) fn restore(&self, name: &str) -> Command {
        let name = name.strip_suffix(SUFFIX).unwrap_or(name);
        let mut command = if !self.restore.is_empty() {
            Command::new(&self.restore)
        } else {
            match self.kind {
                Kind::Omnibus => self.exec(&["gitlab-backup", "restore"]),
                Kind::Sameersbn => self.rake("gitlab:backup:restore"),
            }
        };
        let backup = literal(&format!("BACKUP={name}"));
        command.argv.push(backup);
        let answers = ["force=yes", "FORCE=yes", "GITLAB_ASSUME_YES=1"];
        command.argv.extend(answers.map(str::to_owned));
        command.timeout(self.timeout)
    }

    fn rake(&self, task: &str) -> Command {
        let words = ["bundle", "exec", "rake", task, "RAILS_ENV=production"];
        self.exec_as(Some("git"), &words)
    }

    /// Has the supervisor of GitLab's parts do `verb` with one of them.
    pub(crate) fn supervise(&self, verb: &str, part: &str) -> Command {
        self.exec(&[supervisor(self.kind), verb, part]).timeout(600)
    }
}

/// The program that starts and stops GitLab's parts.
pub(crate) fn supervisor(kind: Kind) -> &'static str {
    match kind {
        Kind::Omnibus => "gitlab-ctl",
        Kind::Sameersbn => "supervisorctl",
    }
}

/// The file that holds the version of the program.
pub(crate) fn version_file(kind: Kind) -> &'static str {
    match kind {
        Kind::Omnibus => "/opt/gitlab/embedded/service/gitlab-rails/VERSION",
        Kind::Sameersbn => "/home/git/gitlab/VERSION",
    }
}

/// The operator's words as they are, braces and all.
fn words(configured: &[String]) -> Vec<String> {
    configured.iter().map(|word| literal(word)).collect()
}

impl Part {
    /// All that the supervisor may call them.
    pub(crate) const NAMES: [&'static str; 3] = ["puma", "unicorn", "sidekiq"];

    /// What the supervisor calls it. Puma took Unicorn's place in GitLab 13.
    pub(crate) fn name(self, release: Option<(u32, u32)>) -> &'static str {
        match self {
            Self::Web if release.is_some_and(|release| release < (13, 0)) => "unicorn",
            Self::Web => "puma",
            Self::Sidekiq => "sidekiq",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(json: &str) -> Installation {
        Installation::of(&copal_sdk::config::parse(json).unwrap(), None)
    }

    #[test]
    fn commands_follow_from_the_installation() {
        for (json, create, restore) in [
            ("{}", "gitlab-backup create", "gitlab-backup restore"),
            (
                r#"{"container":"gl"}"#,
                "docker exec gl gitlab-backup create",
                "docker exec gl gitlab-backup restore",
            ),
            (
                r#"{"container":"gl","installation":"sameersbn"}"#,
                "docker exec --user git gl bundle exec rake gitlab:backup:create RAILS_ENV=production",
                "docker exec --user git gl bundle exec rake gitlab:backup:restore RAILS_ENV=production",
            ),
            (
                r#"{"create_command":["app:rake","gitlab:backup:create"],"restore_command":["app:rake","gitlab:backup:restore"]}"#,
                "app:rake gitlab:backup:create",
                "app:rake gitlab:backup:restore",
            ),
        ] {
            let installation = installation(json);
            assert_eq!(installation.create().argv.join(" "), create);
            let answers = "force=yes FORCE=yes GITLAB_ASSUME_YES=1";
            for name in ["1_x", "1_x_gitlab_backup.tar"] {
                assert_eq!(
                    installation.restore(name).argv.join(" "),
                    format!("{restore} BACKUP=1_x {answers}")
                );
            }
        }
    }
}
