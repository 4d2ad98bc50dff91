//! Every kind of secret is planted, every command says and writes all that it can, whether it succeeds or fails, and none of the secrets is in any of
//! it, nor where other users of the machine could look.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use copal_tests::environment::PASSWORD;
use copal_tests::registry::{self, Registry};
use copal_tests::s3::S3Server;
use copal_tests::webdav::WebDavServer;
use copal_tests::{Outcome, Program, TestEnvironment, plugins, run, sample, tree};

const NEW_PASSWORD: &str = "planted password of a new key";
const FROM_PASSWORD: &str = "planted password of another repository";
const KEY_PASSWORD: &str = "planted password of a signing key";
const PLUGIN_SECRET: &str = "planted secret of a plugin";
const DATABASE_PASSWORD: &str = "planted password of a database";
/// Of the stand-ins for S3, WebDAV and a registry.
const SERVICE_PASSWORD: &str = registry::PASSWORD;

/// What no command may say or write.
struct Watch<'a> {
    environment: &'a TestEnvironment,
    secrets: RefCell<Vec<String>>,
    /// The commands that were run, by their first words.
    commands: RefCell<BTreeSet<String>>,
}

impl<'a> Watch<'a> {
    fn new(environment: &'a TestEnvironment) -> Self {
        let watch = Self {
            environment,
            secrets: RefCell::default(),
            commands: RefCell::default(),
        };
        for secret in [
            PASSWORD,
            NEW_PASSWORD,
            FROM_PASSWORD,
            KEY_PASSWORD,
            PLUGIN_SECRET,
            DATABASE_PASSWORD,
            SERVICE_PASSWORD,
        ] {
            watch.add(secret);
            watch.add(&secret.replace(' ', "%20"));
        }
        for user in [registry::USER, "copal@tests"] {
            watch.add(&BASE64.encode(format!("{user}:{SERVICE_PASSWORD}")));
        }
        watch
    }

    /// Watches another secret, as it stands and in base64.
    fn add(&self, secret: &str) {
        let mut secrets = self.secrets.borrow_mut();
        secrets.extend([secret.to_owned(), BASE64.encode(secret)]);
    }

    #[track_caller]
    fn is_clean(&self, bytes: &[u8], place: &str) {
        let text = String::from_utf8_lossy(bytes);
        for secret in self.secrets.borrow().iter() {
            if let Some(at) = text.find(secret) {
                let around = &text.as_bytes()[at.saturating_sub(300)..text.len().min(at + 100)];
                panic!(
                    "{place} holds {secret:?}: {}",
                    String::from_utf8_lossy(around)
                );
            }
        }
    }

    /// Runs a command in all its loudness, for people and for machines, and gives how it ended the first time.
    #[track_caller]
    fn says(&self, words: &str, with: impl Fn(Program) -> Program) -> Outcome {
        let program = || with(self.environment.copal(run::words(words)));
        let people = program().arg("-vvv").env("RUST_LOG", "trace").run();
        let machines = program().arg("--json").env("COPAL_LOG", "trace").run();
        let name: Vec<_> = words.split(' ').take(2).collect();
        for outcome in [&people, &machines] {
            assert_ne!(
                outcome.status.code(),
                Some(2),
                "{words}: {}",
                outcome.stderr
            );
            self.is_clean(&outcome.stdout, &format!("the output of {words}"));
            self.is_clean(outcome.stderr.as_bytes(), &format!("what {words} says"));
        }
        self.commands.borrow_mut().insert(name.join(" "));
        people
    }

    /// Looks at every file in these folders, of which there are as many as that or more.
    #[track_caller]
    fn wrote_nothing(&self, folders: &[&str], least: u32) {
        let mut files = 0;
        for folder in folders {
            let folder = self.environment.path(folder);
            for path in tree::contents(&folder).into_keys() {
                let path = folder.join(path);
                if path.is_file() {
                    files += 1;
                    self.is_clean(&std::fs::read(&path).unwrap(), &path.display().to_string());
                }
            }
        }
        assert!(files >= least, "there is nothing to look at");
    }
}

/// Sees that nobody but the owner can look into what Copal has written there.
#[track_caller]
fn is_private(folder: &Path) {
    let mut within = tree::contents(folder);
    // The folder itself is the test's.
    within.remove(Path::new(""));
    assert!(!within.is_empty(), "{folder:?} is empty");
    for path in within.into_keys() {
        let mode = folder.join(&path).symlink_metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{path:?} of {folder:?}: {mode:o}");
    }
}

fn same(program: Program) -> Program {
    program
}

/// Programs that a job starts, which note who started them how.
fn install_programs(environment: &TestEnvironment) -> PathBuf {
    let seen = environment.make_directory("seen");
    for name in ["docker", "told", "dump", "hook"] {
        let script = format!(
            "#!/bin/sh\nfor process in $$ $PPID; do tr '\\0' '\\n' < /proc/$process/cmdline; done >> '{0}/{name}.lines'\n\
             case {name} in docker|hook) env >> '{0}/{name}.lines';; dump) echo dumped;; esac\n[ ! -e '{0}/fail' ]\n",
            seen.display()
        );
        environment.install_program(name, &script);
    }
    seen
}

/// Settings and grants of a job whose plugin tells a program its secret.
fn told(environment: &TestEnvironment) -> Vec<String> {
    let told = environment.path("programs/told");
    let told = told.display();
    let word = environment.write("planted/plugin", PLUGIN_SECRET);
    [
        "--yes".to_owned(),
        "--set=container=app".to_owned(),
        format!("--set=told={told}"),
        format!("--set-file=secret={}", word.display()),
        "--grant=run:docker stop app".to_owned(),
        "--grant=run:docker start app".to_owned(),
        format!("--grant=run:TOLD= {told} {{fd:0}} {{scratch}}/word"),
    ]
    .into()
}

fn jobs(environment: &TestEnvironment) {
    environment.write(
        "copal.toml",
        format!(
            r#"
[repository]
url = {:?}
password = {{ file = "planted/password" }}
[jobs.db]
plugin = "files"
roots = {{ files = "source" }}
[[jobs.db.streams]]
name = "db.sql"
command = ["dump"]
environment = {{ PGPASSWORD = {{ file = "planted/database" }} }}
[jobs.db.hooks]
finally = [["hook"]]
[jobs.db.restore]
roots = {{ files = "target" }}
streams."db.sql" = {{ command = ["sh", "-c", "cat > /dev/null"], environment = {{ PGPASSWORD = {{ file = "planted/database" }} }} }}
"#,
            environment.repository()
        ),
    );
}

#[test]
fn no_command_gives_a_secret_away() {
    let environment = TestEnvironment::with_repository();
    let watch = Watch::new(&environment);
    let seen = install_programs(&environment);
    let source = environment.make_directory("source");
    sample::simple(&source);
    let planted = |name: &str, secret: &str| environment.write(&format!("planted/{name}"), secret);
    let new_password = planted("new", NEW_PASSWORD);
    let key_password = planted("key", KEY_PASSWORD);
    planted("password", PASSWORD);
    planted("database", DATABASE_PASSWORD);
    jobs(&environment);
    let key = environment.copal(["cat", "masterkey", "--reveal"]).run();
    let key = key.succeeds().json();
    watch.add(key["encrypt"].as_str().unwrap());
    watch.add(key["mac"]["k"].as_str().unwrap());

    // What jobs do, and how they fail.
    let hostile = plugins::guest("hostile");
    let arguments = told(&environment);
    let job = |program: Program| program.arg(&hostile).arg(&source).args(&arguments);
    let target = environment.path("target");
    for fails in [false, true] {
        if fails {
            std::fs::write(seen.join("fail"), "").unwrap();
        }
        let ends = i32::from(fails);
        watch.says("plan backup", job).succeeds();
        watch.says("backup", job).exits(ends);
        watch.says("backup --job db", same).exits(ends);
        let migrate = |program| job(program).arg("--to").arg(&target);
        watch.says("plan migrate", migrate);
        watch.says("migrate --restart", migrate).exits(ends);
        watch.says("resume", same);
    }
    std::fs::remove_file(seen.join("fail")).unwrap();
    watch.says("resume", same).succeeds();
    watch.says("backup --job db", same).succeeds();
    watch.says("plan restore --job db", same).succeeds();
    watch.says("restore --job db --yes", same).succeeds();
    watch.says("rollback --yes", same).succeeds();
    let evidence = |program: Program| program.arg("--evidence").arg(environment.path("evidence"));
    watch.says("drill db", evidence).succeeds();
    for words in ["config check", "config show --job db", "config schema"] {
        watch.says(words, same).succeeds();
    }

    // What looks at a repository and keeps it in order.
    let snapshots = environment.snapshots();
    let id = snapshots[0]["id"].as_str().unwrap();
    let index = std::fs::read_dir(Path::new(environment.repository()).join("index")).unwrap();
    let index = index.into_iter().next().unwrap().unwrap().file_name();
    let cat = format!("cat index {}", index.to_str().unwrap());
    for words in [
        "snapshots",
        "ls latest",
        "find b.txt",
        "stats",
        "manifest latest",
        "check --read-data",
        "cat config",
        "cat tree latest",
        "key list",
        "unlock",
        "detect source",
        "ls no-such",
        "manifest no-such",
        "dump latest no/such",
        "grants list",
        "trust list",
        &cat,
        &format!("cat snapshot {id}"),
        &format!("diff {id} latest"),
        "tag --add planted",
        "rewrite --exclude b.txt --forget",
        "repair index",
        "repair snapshots",
        "forget --keep-last 3 --prune",
        "prune",
        "prune --two-phase",
        "mount no/such/place",
    ] {
        watch.says(words, same);
    }
    let packs = tree::contents(&Path::new(environment.repository()).join("data"));
    let pack = packs.into_iter().find(|(_, content)| content.is_some());
    let pack = pack.unwrap().0;
    let pack = pack.file_name().unwrap().to_str().unwrap();
    let copies = environment.make_directory("copies");
    let copies = |program: Program| program.arg("--copies").arg(&copies);
    watch
        .says(&format!("repair packs {pack}"), copies)
        .succeeds();
    let wrong = |program: Program| program.env("COPAL_PASSWORD", "wrong");
    watch.says("snapshots", wrong).exits(12);
    let add = |program: Program| program.arg("--new-password-file").arg(&new_password);
    watch.says("key add", add).succeeds();

    // Another repository, in a folder that others may look into, and what vendors do.
    let other = environment.make_directory("other");
    std::fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
    let from = |program: Program| {
        let program = program.env("COPAL_FROM_REPOSITORY", environment.repository());
        let program = program.env("COPAL_FROM_PASSWORD", PASSWORD);
        program
            .env("COPAL_PASSWORD", FROM_PASSWORD)
            .env("COPAL_REPOSITORY", &other)
    };
    watch.says("init --copy-chunker-params", from);
    watch.says("copy", from).succeeds();
    let wrong =
        |program: Program| from(program).env("COPAL_FROM_PASSWORD", NEW_PASSWORD.to_owned() + "?");
    watch.says("copy", wrong).exits(12);
    let vendor = environment.make_directory("vendor");
    let protected = |program: Program| program.env("COPAL_KEY_PASSWORD_FILE", &key_password);
    let keygen = environment
        .copal(["plugin", "keygen"])
        .arg(vendor.join("key"));
    protected(keygen).run().succeeds();
    let document = vendor.join("publisher.json");
    let publisher = |program: Program| {
        let program = program.arg(&document).args(["--name", "acme", "--key"]);
        protected(program.arg(vendor.join("key.pub")))
    };
    watch.says("plugin publisher", publisher).succeeds();
    let sign = |program: Program| {
        protected(
            program
                .arg(&document)
                .arg("--key")
                .arg(vendor.join("key.key")),
        )
    };
    watch.says("plugin sign", sign).succeeds();
    let wrong = |program: Program| sign(program).env("COPAL_KEY_PASSWORD_FILE", &new_password);
    watch.says("plugin sign", wrong).exits(1);
    for words in [
        "plugin list",
        "plugin info files",
        "plugin verify vendor",
        "plugin install vendor",
    ] {
        watch.says(words, protected);
    }

    for snapshot in environment.snapshots() {
        let id = snapshot["id"].as_str().unwrap();
        let all = environment.copal(["dump", id, "/"]).run().succeeds();
        watch.is_clean(&all.stdout, "the content of a snapshot");
    }
    let folders = [
        "state",
        "home",
        "tmp",
        "repository",
        "other",
        "evidence",
        "target",
        "vendor",
        "seen",
    ];
    watch.wrote_nothing(&folders, 50);
    for folder in ["other", "state", "copies"] {
        is_private(&environment.path(folder));
    }
    assert!(watch.commands.borrow().len() > 40, "{:?}", watch.commands);
}

/// Those of services stand in variables, or in the address itself.
#[test]
fn no_storage_and_no_registry_gives_a_secret_away() {
    let place = TestEnvironment::new();
    let s3 = S3Server::start(&place.path("objects"));
    let far = s3.environment();
    let webdav = WebDavServer::start(&place.path("webdav"));
    let webdav = webdav.as_ref().map(WebDavServer::environment);
    for environment in [Some(&far), webdav.as_ref()].into_iter().flatten() {
        let watch = Watch::new(environment);
        sample::simple(&environment.make_directory("source"));
        watch.says("init", same);
        watch.says("backup files source --yes", same).succeeds();
        watch.says("check", same).succeeds();
        let nowhere = |program: Program| {
            let program = program.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
            let address = environment.repository().replace("below", "nowhere");
            program.env("COPAL_REPOSITORY", address)
        };
        let failed = watch.says("snapshots", nowhere);
        assert!(!failed.status.success());
        watch.wrote_nothing(&["state", "home", "tmp"], 1);
    }

    let Some(registry) = Registry::start_guarded() else {
        return;
    };
    let watch = Watch::new(&place);
    let vendor = copal_tests::vendor::Vendor::new(&place, "acme");
    let release = vendor.release("1.0.0", &[]);
    let address = format!("oci://{}/acme/notebook:1", registry.host());
    let known = |program: Program| {
        let program = program.env("COPAL_REGISTRY_USER", registry::USER);
        let program = program.env("COPAL_REGISTRY_HOST", registry.host());
        program.env("COPAL_REGISTRY_PASSWORD", SERVICE_PASSWORD)
    };
    let export = |program: Program| known(program.arg(&release).arg(&address));
    watch.says("plugin export", export).succeeds();
    watch.says("plugin verify", |program| known(program.arg(&address)));
    let wrong = |program: Program| {
        let program = program.arg(&address);
        known(program).env("COPAL_REGISTRY_USER", "somebody else")
    };
    assert!(!watch.says("plugin verify", wrong).status.success());
    let trust = |program: Program| {
        let program = program
            .arg(&release)
            .args(["--fingerprint", &vendor.fingerprint()]);
        known(program)
    };
    watch.says("trust add", trust);
    watch.says("plugin install", |program| known(program.arg(&address)));
    watch.says("plugin update", known);
    watch.wrote_nothing(&["state", "home", "tmp", "vendors"], 1);
}
