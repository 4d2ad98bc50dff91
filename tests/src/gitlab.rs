//! GitLabs: archives with real git bundles as GitLab packs them, data volumes with real repositories, and a stand-in for the containers that
//! they run in, which restores an archive as GitLab does: as the user git, with real `tar` and `git`.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::environment::TestEnvironment;
use crate::programs;
use crate::run::Outcome;

/// Where the one repository lies, beneath `repositories`.
pub const REPOSITORY: &str =
    "@hashed/4e/07/4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce";

/// The secrets of every GitLab unless a test changes them.
pub const SECRETS: &str =
    r#"{"gitlab_rails":{"db_key_base":"3f8a","otp_key_base":"9c01","secret_key_base":"77de"}}"#;

/// What the sample's one commit says.
pub const COMMIT: &str = "Begin with a readme";

/// A GitLab in a container, with its folders on this host.
#[derive(Debug)]
pub struct Gitlab<'a> {
    environment: &'a TestEnvironment,
    name: String,
    /// The numbers of its user git.
    pub git: (u32, u32),
}

impl<'a> Gitlab<'a> {
    /// The container `name` of an Omnibus image of this version, in which git has these numbers. It runs. None where a program is missing or
    /// the tests can't give files away.
    pub fn install(
        environment: &'a TestEnvironment,
        name: &str,
        version: &str,
        git: (u32, u32),
    ) -> Option<Self> {
        if !programs::is_root() {
            programs::missing("files can be given to the user git by root alone");
            return None;
        }
        programs::require("git", "git")?;
        programs::require("setpriv", "util-linux")?;
        let containers = environment.path("containers");
        environment.install_program(
            "docker",
            &DOCKER
                .replace("@CONTAINERS@", containers.to_str().unwrap())
                .replace("@CALLS@", environment.path("calls").to_str().unwrap()),
        );
        let gitlab = Self {
            environment,
            name: name.to_owned(),
            git,
        };
        for folder in ["backups", "live"] {
            std::fs::create_dir_all(gitlab.path(folder)).unwrap();
        }
        gitlab.set("version", version);
        gitlab.set("uid", &git.0.to_string());
        gitlab.set("gid", &git.1.to_string());
        gitlab.set("secrets.json", SECRETS);
        Some(gitlab)
    }

    /// A path in the container's own folder: `backups`, `live` for what it serves, or a file that the stand-in looks at.
    pub fn path(&self, relative: &str) -> PathBuf {
        let folder = format!("containers/{}", self.name);
        self.environment.path(folder).join(relative)
    }

    /// Writes a file that the stand-in looks at.
    pub fn set(&self, file: &str, content: &str) {
        std::fs::write(self.path(file), content).unwrap();
    }

    /// Gives a path to its user git, with this mode.
    pub fn own(&self, relative: &str, mode: u32) {
        let path = self.path(relative);
        chown(&path, Some(self.git.0), Some(self.git.1)).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Makes a bare repository with one commit.
    pub fn repository(&self, path: &Path) {
        let work = self.path("work");
        let shell = format!(
            "set -e; rm -rf {work}; git init -q -b main {work}; cd {work}; echo '# sample' > README.md; git add .; \
             git -c user.name=a -c user.email=a@example.org commit -q -m '{COMMIT}'; \
             git clone -q --bare {work} {path}; rm -rf {work}",
            work = work.display(),
            path = path.display(),
        );
        self.shell(&shell).succeeds();
    }

    /// Fills the folder from which `gitlab-backup create` packs its archive.
    pub fn use_it(&self) {
        let bare = self.path("sample.git");
        self.repository(&bare);
        let shell = format!(
            "set -e; mkdir -p staging/db staging/repositories/{repository} staging/uploads/-; cd staging; \
             printf 'CREATE TABLE users ();\\n--\\n-- PostgreSQL database dump complete\\n--\\n' | gzip -1 > db/database.sql.gz; \
             git -C ../sample.git bundle create -q \"$PWD\"/repositories/{repository}/001.bundle --all; \
             head -c 300000 /dev/urandom > uploads/-/picture.png; \
             for part in uploads builds artifacts lfs pages terraform_state packages ci_secure_files; do \
               mkdir -p $part; tar -cf - -C $part . | gzip -1 > $part.tar.gz; rm -r $part; done",
            repository = REPOSITORY,
        );
        self.shell(&shell).succeeds();
    }

    /// Packs an archive as GitLab does, and returns its name as `BACKUP=` takes it.
    pub fn pack(&self, timestamp: u64) -> String {
        self.set("timestamp", &timestamp.to_string());
        let docker = self
            .environment
            .program(self.environment.path("programs/docker"));
        let create = docker.args(["exec", &self.name, "gitlab-backup", "create"]);
        create.run().succeeds();
        let version = std::fs::read_to_string(self.path("version")).unwrap();
        format!("{timestamp}_2025_08_15_{version}")
    }

    /// The file of an archive.
    pub fn archive(&self, name: &str) -> PathBuf {
        self.path(&format!("backups/{name}_gitlab_backup.tar"))
    }

    /// A line of shell in its folder.
    pub fn shell(&self, line: &str) -> Outcome {
        self.environment
            .program("sh")
            .through_shell(line)
            .current_dir(&self.path(""))
            .run()
    }

    /// The messages of the commits in a clone of a repository or bundle.
    pub fn clone_of(&self, source: &Path) -> String {
        let clone = self.path("clone");
        let _ = std::fs::remove_dir_all(&clone);
        // Git refuses repositories of other users unless a file says otherwise.
        let trust = "[safe]\n\tdirectory = *\n";
        self.environment.write("home/.gitconfig", trust);
        let git = || self.environment.program("git");
        git()
            .args(["clone", "-q"])
            .arg(source)
            .arg(&clone)
            .run()
            .succeeds();
        let log = git().arg("-C").arg(&clone).args(["log", "--format=%s"]);
        log.run().succeeds().text().trim().to_owned()
    }

    /// What was asked of `docker` so far that changes something, without the container's name.
    pub fn changes(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.environment.path("calls")).unwrap_or_default();
        let name = format!(" {}", self.name);
        let looks = ["inspect", " id git", " cat ", " find ", " status "];
        calls
            .lines()
            .filter(|call| call.contains(&name) && !looks.iter().any(|look| call.contains(look)))
            .map(|call| call.replacen(&name, "", 1))
            .collect()
    }
}

/// One folder for each container. A container that is to be slow has a file `slow`: it then says so in `waiting`, and waits.
const DOCKER: &str = r#"#!/bin/sh
containers='@CONTAINERS@'
echo "$*" >> '@CALLS@'
wait_where_slow() {
    if [ -e "$dir/slow" ]; then touch "$dir/waiting"; exec sleep 60; fi
}
verb=$1
shift
case $verb in
inspect)
    dir=$containers/$3
    [ -d "$dir" ] || { echo "Error: No such object: $3" >&2; exit 1; }
    [ -e "$dir/stopped" ] && echo false || echo true
    exit ;;
stop) dir=$containers/$1; touch "$dir/stopped"; wait_where_slow; exit ;;
start) rm -f "$containers/$1/stopped"; exit ;;
exec) ;;
*) echo "unexpected: $verb $*" >&2; exit 64 ;;
esac
dir=$containers/$1
shift
[ ! -e "$dir/stopped" ] || { echo "the container is not running" >&2; exit 1; }
version=$(cat "$dir/version")
uid=$(cat "$dir/uid") gid=$(cat "$dir/gid")
as_git() { setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"; }
case "$*" in
"id git") echo "uid=$uid(git) gid=$gid(git) groups=$gid(git)" ;;
"cat "*/VERSION) echo "$version" ;;
"cat /etc/gitlab/gitlab-secrets.json") cat "$dir/secrets.json" ;;
"gitlab-ctl status gitaly") [ ! -e "$dir/gitaly-down" ] || { echo "down: gitaly: 1s"; exit 3; }; echo "run: gitaly: (pid 1) 9s" ;;
"gitlab-ctl stop "* | "gitlab-ctl start "*) ;;
"find "*) [ ! -e "$dir/foreign" ] || cat "$dir/foreign" ;;
"chown git "*) rm -f "$dir/foreign" ;;
"gitlab-backup create")
    cd "$dir/staging" || exit 1
    name=$(cat "$dir/timestamp")_2025_08_15_$version
    printf ':gitlab_version: %s\n:skipped: \047\047\n:backup_id: %s\n' "$version" "$name" > backup_information.yml
    tar --owner=git:"$uid" --group=git:"$gid" -cf "$dir/backups/${name}_gitlab_backup.tar" backup_information.yml db repositories ./*.tar.gz \
        --transform='s,^\./,,'
    chmod 600 "$dir/backups/${name}_gitlab_backup.tar"
    chown "$uid:$gid" "$dir/backups/${name}_gitlab_backup.tar" ;;
"gitlab-backup restore "*)
    for word; do case $word in BACKUP=*) backup=${word#BACKUP=} ;; force=yes) force=1 ;; GITLAB_ASSUME_YES=1) yes=1 ;; esac; done
    [ "$force$yes" = 11 ] || { echo "Do you want to continue (yes/no)?"; exit 1; }
    [ ! -e "$dir/foreign" ] || { echo "NOTICE: not owned by the user git"; exit 1; }
    cd "$dir/backups" || exit 1
    wait_where_slow
    as_git tar -xf "${backup}_gitlab_backup.tar" || { echo "Unpacking backup failed"; exit 1; }
    grep -qx ":gitlab_version: $version" backup_information.yml || { echo "GitLab version mismatch"; exit 1; }
    rm -rf "$dir/live"
    mkdir "$dir/live"
    gzip -dc db/database.sql.gz > "$dir/live/database.sql" || exit 1
    for bundle in $(find repositories -name '*.bundle'); do
        git clone -q --mirror "$bundle" "$dir/live/${bundle%/*}.git" && echo " * $bundle ... [DONE]" || echo " * $bundle ... [FAILED]"
    done
    for part in *.tar.gz; do
        mkdir "$dir/live/${part%.tar.gz}"
        tar -xzf "$part" -C "$dir/live/${part%.tar.gz}" || exit 1
    done
    rm -rf backup_information.yml db repositories ./*.tar.gz tmp
    echo "Restore task is done." ;;
*) echo "unexpected: exec $*" >&2; exit 64 ;;
esac
"#;
