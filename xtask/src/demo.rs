//! `cargo xtask demo`: a Jpom is backed up and migrated, step by step, by the real `copal`.

mod jpom;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command,
    debian::{self, H2, JAVA},
    plugins, workspace,
};

/// What the plugin `jpom` is told in this demo: with Java and H2 it also exports the database and mends it after a migration.
const SETTINGS: [&str; 4] = [
    "--set",
    "java=java",
    "--set",
    "h2_jar=/usr/share/java/h2.jar",
];

/// `cargo xtask demo`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("unknown argument `{argument}`");
    }
    command::stage("Finding Java and H2", || debian::provide(&[JAVA, H2]))?;
    plugins::build(false, None)?;
    command::stage("Building copal", || {
        // With the features that tests are built with, so that either saves the other most of the compiling.
        let build = ["build", "--workspace", "--bin", "copal"];
        command::run(workspace::host_cargo().args(build))
    })?;
    command::stage("The demo", perform)
}

fn perform() -> Result<()> {
    let demo = Demo::new()?;

    demo.say(
        "Two Jpom servers",
        "`old` has been in use: it has an identity, a workspace, builds, logs and rubbish. `new` was installed on another host and\n\
         started once, so it made itself another identity. Both are stopped; their databases are real H2 files.",
    );
    jpom::make_old(&demo.folder.join("old"))?;
    jpom::make_new(&demo.folder.join("new"))?;
    demo.show_identities()?;

    demo.say(
        "A repository",
        "Encrypted, in restic's format, in a local directory.",
    );
    demo.copal(&["init"])?;

    demo.say(
        "Which plugin knows `old`?",
        "It looks, read-only, from inside a sandbox.",
    );
    demo.copal(&["detect", "old"])?;

    demo.say(
        "What would a backup do?",
        "A plan changes nothing. It ends by naming what the plugin wants done and was not granted yet.",
    );
    let backup = [&["backup", "jpom", "old"], &SETTINGS[..]].concat();
    let grants = demo.plan(&backup)?;

    demo.say(
        "The backup",
        "The same, with the commands granted that the plan asks for, word by word.",
    );
    demo.copal_granted(&backup, &grants)?;
    demo.copal(&["snapshots"])?;
    demo.copal(&["ls", "latest"])?;

    demo.say(
        "What would a migration do?",
        "The old identity is to win over the new one.",
    );
    let to_new = ["restore", "latest", "--to", "new", "--intent", "migrate"];
    let restore = [&to_new[..], &SETTINGS[..]].concat();
    let grants = demo.plan(&restore)?;

    demo.say(
        "The migration",
        "Again with what the plan asks for, and with --yes, because `new` is not empty.",
    );
    demo.copal_granted(&[&restore[..], &["--yes"]].concat(), &grants)?;

    demo.say(
        "Is it true?",
        "Both servers, read again without Copal: `new` must now be the installation that `old` was.",
    );
    demo.show_identities()?;
    demo.check_identities()?;

    demo.say(
        "Is the repository sound?",
        "Copal checks it, and restic too where it is installed.",
    );
    demo.copal(&["check", "--read-data"])?;
    demo.restic_check()?;

    demo.conclude();
    Ok(())
}

/// A folder to play in, and the binary.
struct Demo {
    folder: PathBuf,
    copal: PathBuf,
}

impl Demo {
    fn new() -> Result<Self> {
        let folder = workspace::target().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            copal: workspace::cargo_target().join("debug/copal"),
        })
    }

    fn say(&self, heading: &str, text: &str) {
        println!("\n── {heading}\n{text}");
    }

    /// Shows a command as it would be typed in the folder, and runs it there.
    fn copal(&self, arguments: &[&str]) -> Result<()> {
        self.show(arguments);
        command::run(self.command(&self.copal).args(arguments))
    }

    /// Shows the plan of a backup or restore; returns the grants that it needs.
    fn plan(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let arguments = [&["plan"], arguments].concat();
        self.show(&arguments);
        // It may exit with 1 for want of grants.
        self.command(&self.copal).args(&arguments).status()?;
        let mut command = self.command(&self.copal);
        let output = command.args(&arguments).arg("--json").output()?;
        let plan: Value = serde_json::from_slice(&output.stdout).context("there is no plan")?;
        let grants = plan["grants"]
            .as_array()
            .context("the plan lists no grants")?;
        let grants = grants
            .iter()
            .map(|grant| grant["grant"].as_str().map(str::to_owned));
        grants
            .collect::<Option<_>>()
            .context("a grant without a text")
    }

    fn copal_granted(&self, arguments: &[&str], grants: &[String]) -> Result<()> {
        let mut arguments = arguments.to_vec();
        for grant in grants {
            arguments.extend(["--grant", grant]);
        }
        self.copal(&arguments)
    }

    fn show(&self, arguments: &[&str]) {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        println!("\n$ copal {}", words.join(" "));
    }

    /// Prints which installation each server is, by its file and by its database.
    fn show_identities(&self) -> Result<()> {
        for name in ["old", "new"] {
            let server = jpom::Server::read(&self.folder.join(name))?;
            println!("\n{name}: INSTALL.json says {}", server.install_id);
            println!(
                "     the database knows the clusters {}",
                server.clusters.join(", ")
            );
            println!(
                "     and its workspaces belong to {}",
                server.workspaces.join(", ")
            );
        }
        Ok(())
    }

    fn check_identities(&self) -> Result<()> {
        let old = jpom::Server::read(&self.folder.join("old"))?;
        let new = jpom::Server::read(&self.folder.join("new"))?;
        let id = [old.install_id];
        if [new.install_id] != id || new.clusters != id || new.workspaces != id {
            bail!(
                "the migrated server does not agree with itself: see {}",
                workspace::shown(&self.folder)
            );
        }
        println!("\nFile and database agree, and the abandoned cluster is gone.");
        Ok(())
    }

    fn restic_check(&self) -> Result<()> {
        if command::find("restic").is_none() {
            println!("\nrestic is not installed: its opinion is left out.");
            return Ok(());
        }
        println!("\n$ restic check --read-data");
        command::run(
            self.command(Path::new("restic"))
                .args(["check", "--read-data", "--no-cache"]),
        )
    }

    fn conclude(&self) {
        println!(
            "\n── What happened\n\
             A plugin in WebAssembly looked at `old`, left out what Jpom makes anew, made sure that the database was closed, and had it\n\
             exported as SQL besides. In `new` it put the old identity in place and had the database mended by H2's own tool. It touched\n\
             nothing itself: every step was shown, granted and performed by the host.\n\
             \n── What to try next\n\
             cd {folder}\n\
             export COPAL_REPOSITORY=repository COPAL_PASSWORD={PASSWORD} PATH=\"{path}:$PATH\"\n\
             copal manifest latest                                       # what the snapshot knows of itself\n\
             copal restore latest --to twin --intent clone               # beside the old one, with an identity of its own\n\
             copal plugin info jpom                                      # what the plugin can be told\n\
             copal backup files old && copal dump latest files/conf/application.yml",
            folder = self.folder.display(),
            path = self.copal.parent().unwrap_or(&self.copal).display(),
        );
    }

    /// A program in the folder, with the repository and its password.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env("COPAL_REPOSITORY", "repository")
            .env("COPAL_PASSWORD", PASSWORD)
            .env("COPAL_STATE_DIR", self.folder.join("state"))
            .env("RESTIC_REPOSITORY", "repository")
            .env("RESTIC_PASSWORD", PASSWORD);
        command
    }
}

const PASSWORD: &str = "demo";

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
