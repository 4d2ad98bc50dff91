//! What the plugin may have done, beside what all do that work with a service.

use copal_sdk::Description;

use crate::config::Kind;
use crate::installation::{Part, supervisor, version_file};
use crate::secrets::PLACE;
use crate::target::folders;

/// Before the words of what runs where GitLab is, which may be a container.
const EXEC: &str = "[docker exec *]";

/// What answers the questions of GitLab's own restore.
const ANSWERS: &str = "BACKUP=* force=yes FORCE=yes GITLAB_ASSUME_YES=1";

/// Adds them to the plugin's description.
pub(crate) fn declare(description: Description) -> Description {
    let mut all = Vec::new();
    let mut may = |grant: String, reason: &'static str| all.push((grant, reason));
    may(
        "probe:docker inspect -f '{{json .Config.Env}}' *".to_owned(),
        "To compare the secrets of sameersbn's image with a backup's",
    );
    may(
        format!("probe:docker exec * cat {PLACE}"),
        "To compare the secrets of a container with a backup's",
    );
    may(
        format!("probe:{EXEC} id git"),
        "To see which user git is on the target",
    );
    for kind in [Kind::Omnibus, Kind::Sameersbn] {
        let folders = folders(kind).join(" ");
        may(
            format!("probe:{EXEC} cat {}", version_file(kind)),
            "To see the target's version",
        );
        may(
            format!("probe:{EXEC} find {folders} -maxdepth 0 ! -user git"),
            "To see whether GitLab's own restore would fail at folders that are not git's",
        );
        may(
            format!("run:{EXEC} chown git {folders}"),
            "To give such folders to git",
        );
        let supervisor = supervisor(kind);
        may(
            format!("probe:{EXEC} {supervisor} status gitaly"),
            "To see whether Gitaly runs",
        );
        for part in Part::NAMES {
            for verb in ["stop", "start"] {
                may(
                    format!("run:{EXEC} {supervisor} {verb} {part}"),
                    "To stop what works on the database during GitLab's own restore, and to start it again",
                );
            }
        }
    }
    for (words, reason) in [
        (
            "gitlab-backup create",
            "To have GitLab make an archive (`create`)",
        ),
        (
            "gitlab-backup restore ANSWERS",
            "To run GitLab's own restore (`restore`)",
        ),
    ] {
        may(
            format!("run:{EXEC} {}", words.replace("ANSWERS", ANSWERS)),
            reason,
        );
    }
    const RAKE: &str = "run:[docker exec --user git *] bundle exec rake";
    may(
        format!("{RAKE} gitlab:backup:create RAILS_ENV=production"),
        "To have GitLab make an archive (`create`) in sameersbn's image",
    );
    may(
        format!("{RAKE} gitlab:backup:restore RAILS_ENV=production {ANSWERS}"),
        "To run GitLab's own restore (`restore`) in sameersbn's image",
    );
    may(
        "run:{setting:create_command}".to_owned(),
        "To have GitLab make an archive (`create`), by the command in `create_command`",
    );
    may(
        format!("run:{{setting:restore_command}} {ANSWERS}"),
        "To run GitLab's own restore (`restore`), by the command in `restore_command`",
    );
    may(
        "run:grep -rqF '--include=*_gitlab_backup.tar' backup_information.yml {root:backups}"
            .to_owned(),
        "To see that the archive is there (`create` into an empty folder)",
    );
    may(
        "run:chown * {root:backups}".to_owned(),
        "To give the restored folder of backups to the target's git user",
    );
    may(
        "run:chown * {root:data}".to_owned(),
        "To give the restored data volume to the target's git user",
    );
    may(
        "write:backups".to_owned(),
        "To clear what an interrupted backup or restore of GitLab left in its folder",
    );
    all.into_iter()
        .fold(description, |description, (grant, reason)| {
            description.capability(grant, reason)
        })
}
