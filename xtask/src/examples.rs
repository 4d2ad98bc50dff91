//! The examples in other languages than Rust: built into components in `target/plugins/examples`, as an author would build them.
//!
//! Each is copied to `target/examples`, so that the tools that it needs lie there and not beside its sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use copal_authoring::{BuildOptions, Language};

use crate::{
    command::{self, advised, say},
    workspace,
};

/// What programs leave in an example's folder.
const LEFT: [&str; 5] = [".venv", "bindings", "copal", "node_modules", "target"];

/// Of that, where the tools are that a build installs.
const TOOLS: [&str; 2] = [".venv", "node_modules"];

/// The files that say which tools.
const PINS: [&str; 2] = ["package-lock.json", "requirements.txt"];

/// What builds the components, beside the example and the contract.
const BUILDERS: [&str; 3] = ["componentize.mjs", "javascript.rs", "python.rs"];

/// `cargo xtask examples`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("unknown argument `{argument}`");
    }
    build()
}

/// Builds the examples that are not built yet, and runs their authors' tests. Where their tools can't be installed, this says so, and fails
/// where `CI` is set.
pub(crate) fn build() -> Result<()> {
    command::stage("Building examples", || {
        for example in Example::all()? {
            let Err(reason) = example.build() else {
                continue;
            };
            let reason = reason.context(format!(
                "cannot build {}",
                workspace::shown(&example.sources)
            ));
            if env::var_os("CI").is_some() {
                return Err(reason);
            }
            say(&format!("{reason:#}"));
            say("going on without: tests that need it are skipped");
        }
        Ok(())
    })
}

/// A plugin beneath `examples`.
struct Example {
    sources: PathBuf,
    /// Where it is built.
    place: PathBuf,
    component: PathBuf,
}

impl Example {
    fn all() -> Result<Vec<Self>> {
        let folder = workspace::root().join("examples");
        let mut examples = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                let name = entry.file_name();
                let mut component = workspace::target().join("plugins/examples").join(&name);
                component.set_extension("wasm");
                examples.push(Self {
                    sources: entry.path(),
                    place: workspace::target().join("examples").join(&name),
                    component,
                });
            }
        }
        examples.sort_by(|one, other| one.sources.cmp(&other.sources));
        Ok(examples)
    }

    fn build(&self) -> Result<()> {
        if self.is_built()? {
            say(&format!(
                "{} (unchanged)",
                workspace::shown(&self.component)
            ));
            return Ok(());
        }
        self.lay_out()?;
        let options = BuildOptions {
            out: Some(self.component.clone()),
            install: true,
            ..BuildOptions::default()
        };
        let built = advised(copal_authoring::build(&self.place, &options, &say));
        // What could not be built as it is now must not be tested as it was.
        if built.is_err() && self.component.exists() {
            fs::remove_file(&self.component)?;
        }
        let built = built?;
        say(&format!(
            "{} ({} KiB, {})",
            workspace::shown(&built.path),
            built.size.div_ceil(1024),
            built.compiler
        ));
        let tested = self.test(built.language);
        if tested.is_err() {
            fs::remove_file(&self.component)?;
        }
        tested
    }

    /// Whether the component is newer than all that it is made of. One that is built again is another, because the tools do not build the same
    /// twice; and it would be compiled again by every test.
    fn is_built(&self) -> Result<bool> {
        let Ok(component) = fs::metadata(&self.component) else {
            return Ok(false);
        };
        let mut newest = newest(&self.sources)?.max(newest(&workspace::root().join("wit"))?);
        for builder in BUILDERS {
            let builder = workspace::root().join("host/authoring/src").join(builder);
            newest = newest.max(fs::metadata(builder)?.modified()?);
        }
        Ok(newest < component.modified()?)
    }

    /// Copies the example and the contract to where it is built. The tools that are there stay, unless the example now pins others.
    fn lay_out(&self) -> Result<()> {
        fs::create_dir_all(&self.place)?;
        let read = |folder: &Path, pins: &str| fs::read(folder.join(pins)).ok();
        let same = PINS
            .iter()
            .all(|pins| read(&self.sources, pins) == read(&self.place, pins));
        for entry in fs::read_dir(&self.place)? {
            let entry = entry?;
            if same && TOOLS.iter().any(|tools| entry.file_name() == *tools) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        copy(&self.sources, &self.place)?;
        copy(
            &workspace::root().join("wit"),
            &self.place.join("copal/wit"),
        )
    }

    /// Runs the author's own tests, without WebAssembly.
    fn test(&self, language: Language) -> Result<()> {
        let mut tests = match language {
            Language::Python => {
                let mut python = Command::new(self.place.join(".venv/bin/python"));
                python.args(["-m", "unittest", "--quiet"]);
                python
            }
            Language::Javascript => {
                let mut npm = Command::new("npm");
                npm.args(["test", "--silent"]);
                npm
            }
            Language::Rust => bail!("the examples in Rust are the plugins"),
        };
        command::run(tests.current_dir(&self.place))
    }
}

/// Copies a folder without what programs leave in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(&file);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from.join(&file), target)?;
    }
    Ok(())
}

/// When the last change was made to a file of a folder.
fn newest(folder: &Path) -> Result<SystemTime> {
    files(folder)?
        .iter()
        .try_fold(SystemTime::UNIX_EPOCH, |newest, file| {
            Ok(newest.max(fs::metadata(folder.join(file))?.modified()?))
        })
}

/// The files beneath a folder, relative to it, without what programs leave in it.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let place = folder.join(&relative);
        let entries = fs::read_dir(&place);
        for entry in entries.with_context(|| format!("cannot list {}", place.display()))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            // A sample may well hold folders of these names.
            if LEFT.iter().any(|left| path == Path::new(left)) || path.ends_with("__pycache__") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}
