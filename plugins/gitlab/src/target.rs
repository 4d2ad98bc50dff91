//! What the target is: its user git, its version, whether what a restore needs runs.

use copal_sdk::{Command, Failure, Finding, Probe, Severity, Tree};

use crate::config::{Config, Kind};
use crate::installation::{Installation, version_file};
use crate::layout::{self, release};
use crate::pass::Git;

/// The target's user git: as configured, else as the target itself says, else whom `folder` of the tree belongs to. Never the source's: sameersbn's
/// image and the Omnibus package have others, and both can be changed.
pub(crate) fn git(
    config: &Config,
    installation: &Installation,
    probe: &dyn Probe,
    tree: &dyn Tree,
    folder: &str,
) -> Result<Result<Git, Finding>, Failure> {
    if let Some(git) = config.git()? {
        return Ok(Ok(git));
    }
    let asked = (installation.container().is_some() || config.unit.is_some())
        .then(|| probe.run(&installation.exec(&["id", "git"])).ok())
        .flatten();
    let said = asked.filter(|output| output.success());
    if let Some(git) = said.and_then(|output| numbers(&output.text())) {
        return Ok(Ok(git));
    }
    let owner = tree.stat(folder)?.map(|entry| entry.owner);
    Ok(match owner {
        Some(owner) if owner.uid != 0 => Ok(Git {
            uid: owner.uid,
            gid: owner.gid,
        }),
        _ => Err(Finding::error(
            "gitlab.target.git",
            "Which user git is on the target could not be found out: nothing there could be asked, and the target's folder is root's or is not there.",
        )
        .remedy("Start the target's GitLab once and set `container` or `unit`, or set `git` to what `id git` says there, such as git=998:998.")
        .at(tree.name())),
    })
}

/// The numbers in `uid=998(git) gid=998(git) groups=998(git)`.
fn numbers(id: &str) -> Option<Git> {
    let number = |key: &str| {
        let value = id.split(' ').find_map(|word| word.strip_prefix(key))?;
        let digits = value.find(|c: char| !c.is_ascii_digit());
        value[..digits.unwrap_or(value.len())].parse().ok()
    };
    Some(Git {
        uid: number("uid=")?,
        gid: number("gid=")?,
    })
}

/// The target's version: as configured, else as its program says.
pub(crate) fn version(
    config: &Config,
    installation: &Installation,
    probe: &dyn Probe,
) -> Option<String> {
    if let Some(version) = &config.target_version {
        return Some(version.clone());
    }
    if installation.container().is_none() && config.unit.is_none() {
        return None;
    }
    let command = installation.exec(&["cat", version_file(installation.kind)]);
    let output = probe.run(&command).ok().filter(|output| output.success())?;
    layout::version(&output.text()).map(str::to_owned)
}

/// What the target's version means for something that GitLab `wanted` made; `unseen` is how bad it is that it is not known. GitLab itself compares the
/// whole text, edition included.
pub(crate) fn compare_versions(
    wanted: &str,
    target: Option<&str>,
    unseen: Severity,
) -> Option<Finding> {
    let Some(target) = target else {
        return Some(
            Finding {
                severity: unseen,
                ..Finding::info(
                    "gitlab.target.unknown-version",
                    format!("The target has to be GitLab {wanted}, the same release and edition; what it is could not be found out."),
                )
            }
            .remedy("Set `container` or `unit` so that it can be asked, or `target_version` to what you know."),
        );
    };
    if target == wanted {
        return None;
    }
    let edition = |version: &str| version.ends_with("-ee");
    let number = |version: &str| version.trim_end_matches("-ee").to_owned();
    Some(if number(target) == number(wanted) {
        let name = |version| match edition(version) {
            true => "enterprise edition",
            false => "community edition",
        };
        Finding::error(
            "gitlab.target.edition",
            format!(
                "The target is GitLab's {}, but the backup is of the {}.",
                name(target),
                name(wanted)
            ),
        )
        .remedy(format!(
            "Install GitLab {wanted} on the target, restore, and change the edition afterwards."
        ))
    } else {
        let newer = release(target) > release(wanted);
        let then = if newer { "upgrade again" } else { "upgrade" };
        Finding::error(
            "gitlab.target.version",
            format!("The target is GitLab {target}, but the backup is of {wanted}, and GitLab restores only what its own version made."),
        )
        .remedy(format!("Install GitLab {wanted} on the target, restore, and {then} afterwards."))
    })
}

/// The finding where Gitaly does not run: GitLab's restore then fails when it comes to the repositories, with the database already replaced.
pub(crate) fn gitaly(
    installation: &Installation,
    probe: &dyn Probe,
    unseen: Severity,
) -> Option<Finding> {
    let (severity, what) = match probe.run(&installation.supervise("status", "gitaly")) {
        Err(failure) => (
            unseen,
            format!(
                "Whether Gitaly runs on the target could not be seen ({}); if not,",
                failure.message
            ),
        ),
        Ok(output) => {
            let text = output.text();
            if output.success() && (text.starts_with("run:") || text.contains("RUNNING")) {
                return None;
            }
            (
                Severity::Error,
                "Gitaly does not run on the target, and".to_owned(),
            )
        }
    };
    Some(
        Finding {
            severity,
            ..Finding::info(
                "gitlab.target.gitaly",
                format!("{what} GitLab's restore would fail at the repositories, with the database already replaced."),
            )
        }
        .remedy("Start the target's GitLab, wait until Gitaly runs, and look at its log if it does not; set `target_checked=true` where it can't be asked and you know that it runs."),
    )
}

/// The code of the finding for folders that are not git's.
pub(crate) const FOREIGN: &str = "gitlab.target.folders";

/// The folders that GitLab's restore moves aside and makes anew, as the user git.
pub(crate) fn folders(kind: Kind) -> [&'static str; 4] {
    match kind {
        Kind::Omnibus => [
            "/var/opt/gitlab/git-data/repositories",
            "/var/opt/gitlab/gitlab-rails/uploads",
            "/var/opt/gitlab/gitlab-rails/shared",
            "/var/opt/gitlab/gitlab-ci/builds",
        ],
        Kind::Sameersbn => [
            "/home/git/data/repositories",
            "/home/git/data/uploads",
            "/home/git/data/shared",
            "/home/git/data/builds",
        ],
    }
}

/// The finding for folders that are not git's, as after a copy with `cp -R`. A folder that is not there is nobody's: GitLab makes it.
pub(crate) fn foreign_folders(
    installation: &Installation,
    probe: &dyn Probe,
    unseen: Severity,
) -> Option<Finding> {
    let [one, two, three, four] = folders(installation.kind);
    let words = [
        "find",
        one,
        two,
        three,
        four,
        "-maxdepth",
        "0",
        "!",
        "-user",
        "git",
    ];
    let seen = probe
        .run(&installation.exec(&words))
        .map_err(|failure| failure.message);
    let seen = seen.and_then(|output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let absent = |line: &str| line.ends_with("No such file or directory");
        let only_absent = output.code == 1 && !said.is_empty() && said.lines().all(absent);
        match output.success() || only_absent {
            true => Ok(output.text()),
            false => Err(said),
        }
    });
    let text = match seen {
        Ok(text) => text,
        Err(problem) => {
            return Some(
                Finding {
                    severity: unseen,
                    ..Finding::info(
                        "gitlab.target.folders-unseen",
                        format!("Whether the target's folders are the user git's could not be seen ({problem}); at others GitLab's restore would fail, with the database already replaced."),
                    )
                }
                .remedy("Allow the probe and see that `find` can be run there; or set `target_checked=true` once you have looked."),
            );
        }
    };
    (!text.is_empty()).then(|| {
        let found: Vec<&str> = text.lines().collect();
        Finding::warning(
            FOREIGN,
            format!("These folders of the target are not the user git's, and GitLab's restore would fail at them: {}.", found.join(", ")),
        )
        .remedy("The restore gives them to git first.")
    })
}

/// Gives those folders to git; what is in them stays as it is.
pub(crate) fn own_folders(installation: &Installation) -> Command {
    let [one, two, three, four] = folders(installation.kind);
    installation.exec(&["chown", "git", one, two, three, four])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_git_are_read_from_what_id_says() {
        let git = |uid, gid| Some(Git { uid, gid });
        assert_eq!(
            numbers("uid=998(git) gid=997(git) groups=997(git)"),
            git(998, 997)
        );
        assert_eq!(numbers("uid=1000 gid=1000"), git(1000, 1000));
        for text in [
            "",
            "id: 'git': no such user",
            "uid=(git) gid=1",
            "uid=99999999999 gid=1",
        ] {
            assert_eq!(numbers(text), None, "{text}");
        }
    }

    #[test]
    fn release_and_edition_must_be_the_same() {
        let code = |wanted: &str, target: &str| {
            compare_versions(wanted, Some(target), Severity::Error).map(|finding| finding.code)
        };
        assert_eq!(code("17.2.1-ee", "17.2.1-ee"), None);
        assert_eq!(
            code("17.2.1-ee", "17.2.1").as_deref(),
            Some("gitlab.target.edition")
        );
        assert_eq!(
            code("17.2.1", "17.2.2").as_deref(),
            Some("gitlab.target.version")
        );
        let unknown = compare_versions("17.2.1", None, Severity::Error).unwrap();
        assert_eq!(unknown.code, "gitlab.target.unknown-version");
        assert_eq!(unknown.severity, Severity::Error);
    }
}
