//! The book performed: a page's blocks become one script, in which every command must do what the page says.
//!
//! | block | what it is |
//! |---|---|
//! | `console` | lines after `$ ` are commands, with the lines that a `\` at the end leads to; each must succeed |
//! | `console fails` | the same, and the last command must fail |
//! | any with `file=PATH` | a file, written where the commands before have led |
//!
//! The lines beneath a command are what it prints, standard output and errors together. A line `…` stands for any number of lines, `…` within a line
//! for any text. What a command prints is compared where the page shows it, and then wholly. All other blocks are for reading.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::TestEnvironment;
use crate::environment::{compiled_plugins, copal_binary};
use crate::programs::SYSTEM_PATH;
use crate::run::Program;
use crate::rust::{BUILD_DIRECTORY, QUICK, build_directory};

/// Stands for what differs from one run to the next.
const ANY: char = '…';

/// How long a page may take: it may compile a plugin with all that it depends on.
const LIMIT: Duration = Duration::from_secs(1800);

/// A page of the book, as something to do.
#[derive(Debug)]
pub struct Chapter {
    steps: Vec<Step>,
}

/// One thing that a reader does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Write {
        path: String,
        content: String,
    },
    Run {
        command: String,
        /// What it prints; empty where the page does not show it.
        shown: Vec<String>,
        fails: bool,
    },
}

impl Chapter {
    /// Reads a page beneath `docs/src`.
    ///
    /// # Panics
    /// Where there is no such page, or nothing on it to do.
    pub fn read(page: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../docs/src")
            .join(page);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let chapter = Self::parse(&text);
        assert!(!chapter.steps.is_empty(), "{page} has nothing to do");
        chapter
    }

    /// Reads the text of a page.
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                continue;
            };
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let mut words = info.split_whitespace();
            if words.next() == Some("console") {
                steps.extend(commands(&block, words.next() == Some("fails")));
            } else if let Some(path) = words.find_map(|word| word.strip_prefix("file=")) {
                steps.push(Step::Write {
                    path: path.to_owned(),
                    content: block.join("\n") + "\n",
                });
            }
        }
        Self { steps }
    }

    /// The same for a reader who did what `text` says before.
    #[must_use]
    pub fn after(mut self, text: &str) -> Self {
        self.steps.splice(0..0, Self::parse(text).steps);
        self
    }

    /// Does all that the page says, from an empty folder in the environment's home.
    ///
    /// # Panics
    /// At the first command that does something else than the page says.
    pub fn perform(&self, environment: &TestEnvironment) {
        // Notes of a chapter before would be taken for this one's.
        let _ = std::fs::remove_dir_all(environment.path("book"));
        let notes = environment.make_directory("book");
        environment.make_directory("home/book");
        let script = environment.write("book/script", self.script(&notes));
        let outcome = reader(environment, "/bin/bash")
            .arg(script)
            .within(LIMIT)
            .run();
        for (number, step) in self.steps.iter().enumerate() {
            let Step::Run {
                command,
                shown,
                fails,
            } = step
            else {
                continue;
            };
            let note = |kind: &str| std::fs::read_to_string(notes.join(format!("{number}.{kind}")));
            let Ok(code) = note("code") else {
                panic!("never came to this:\n$ {command}\n{outcome:?}");
            };
            let printed = note("output").unwrap_or_default();
            assert_eq!(
                code.trim() != "0",
                *fails,
                "exited with {}:\n$ {command}\n{printed}",
                code.trim()
            );
            let printed: Vec<&str> = printed.lines().collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            assert!(
                shown.is_empty() || agrees(&shown, &printed),
                "the page shows:\n$ {command}\n{}\n\nand it printed:\n{}",
                shown.join("\n"),
                printed.join("\n")
            );
        }
    }

    /// The page as a script that notes what each command printed and how it ended, and stops at the first that ends otherwise than it should.
    fn script(&self, notes: &Path) -> String {
        let mut script = "cd \"$HOME/book\"\n".to_owned();
        for (number, step) in self.steps.iter().enumerate() {
            let note = notes.join(number.to_string());
            let note = note.display();
            let written = match step {
                Step::Write { path, content } => {
                    std::fs::write(notes.join(number.to_string()), content).unwrap();
                    writeln!(
                        script,
                        "mkdir -p \"$(dirname '{path}')\" && cp '{note}' '{path}' || exit"
                    )
                }
                Step::Run { command, fails, .. } => {
                    let right = if *fails { "-ne" } else { "-eq" };
                    write!(
                        script,
                        "{{ {command}\n}} < /dev/null > '{note}.output' 2>&1\n\
                         code=$?; echo $code > '{note}.code'; [ $code {right} 0 ] || exit\n"
                    )
                }
            };
            written.unwrap();
        }
        script
    }
}

/// The commands of a block with what they print.
fn commands(block: &[&str], fails: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block {
        let begins = line.strip_prefix("$ ").filter(|_| !goes_on);
        match (begins, steps.last_mut()) {
            (Some(begin), _) => {
                steps.push(Step::Run {
                    command: begin.to_owned(),
                    shown: Vec::new(),
                    fails: false,
                });
            }
            (None, Some(Step::Run { command, .. })) if goes_on => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some(Step::Run { shown, .. })) => shown.push((*line).to_owned()),
            (None, _) => panic!("a console block begins with `$ `, not with {line:?}"),
        }
        goes_on = (begins.is_some() || goes_on) && line.ends_with('\\');
    }
    if let Some(Step::Run { fails: last, .. }) = steps.last_mut() {
        *last = fails;
    }
    steps
}

/// A program as a reader of the book starts it: with `copal` and `cargo` on the search path, and nothing set that the book does not set but where
/// things are kept that all tests share, and how much cargo optimises.
fn reader(environment: &TestEnvironment, program: &str) -> Program {
    let link = environment.path("programs/copal");
    if !link.exists() {
        std::os::unix::fs::symlink(copal_binary(), link).unwrap();
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let tools = |variable: &str, folder: &str| {
        std::env::var_os(variable).map_or_else(|| home.join(folder), PathBuf::from)
    };
    let cargo = tools("CARGO_HOME", ".cargo");
    let path = format!(
        "{}:{}:{SYSTEM_PATH}",
        environment.path("programs").display(),
        cargo.join("bin").display()
    );
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").ok();
    environment
        .program(program)
        .env("PATH", path)
        .env("CARGO_HOME", cargo)
        .env("RUSTUP_HOME", tools("RUSTUP_HOME", ".rustup"))
        .envs(toolchain.map(|name| ("RUSTUP_TOOLCHAIN".to_owned(), name)))
        .envs(QUICK.map(|(name, value)| (name.to_owned(), value)))
        .env(BUILD_DIRECTORY, build_directory())
        .env("COPAL_CACHE_DIR", compiled_plugins())
}

/// Whether the lines printed are those shown.
fn agrees(shown: &[&str], printed: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return printed.is_empty();
    };
    if first.trim().chars().eq([ANY]) {
        return (0..=printed.len()).any(|skipped| agrees(rest, &printed[skipped..]));
    }
    printed
        .split_first()
        .is_some_and(|(line, others)| line_agrees(first, line) && agrees(rest, others))
}

fn line_agrees(shown: &str, printed: &str) -> bool {
    let (shown, mut printed) = (shown.trim_end(), printed.trim_end());
    let mut parts = shown.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(rest) = printed.strip_prefix(first) else {
        return false;
    };
    printed = rest;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return printed.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return printed.ends_with(part);
        }
        match printed.split_once(part) {
            Some((_, rest)) => printed = rest,
            None => return false,
        }
    }
    true
}
