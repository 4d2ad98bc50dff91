//! Plugins in Rust: crates that cargo compiles to WebAssembly.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::build::{BuildOptions, Component};
use crate::component;
use crate::{Error, Result, Target, Toolchain, command};

/// What a crate's name has before the plugin's.
const PREFIX: &str = "copal-plugin-";

/// The profile that the template defines as its own: cargo's name for it.
const PROFILE: &str = "release";

/// One run of cargo that compiles crates to WebAssembly, with nothing of this machine in the outcome.
#[derive(Clone, Copy, Debug)]
pub struct Compilation<'a> {
    /// The compiler.
    pub toolchain: Toolchain,
    /// What to compile for.
    pub target: Target,
    /// The folder of the crate or workspace; messages of the compiled code name its files as if it were `/plugin`.
    pub directory: &'a Path,
    /// Where cargo puts what it makes.
    pub target_directory: &'a Path,
    /// The crates.
    pub packages: &'a [&'a str],
    /// Cargo's profile.
    pub profile: &'a str,
    /// Whether dependencies must be those of `Cargo.lock`, which then has to be there and to fit.
    pub locked: bool,
}

/// What came of one crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The crate's `Cargo.toml`.
    pub manifest: PathBuf,
    /// A core module or, for [`Target::Wasip2`], a component.
    pub path: PathBuf,
}

impl Compilation<'_> {
    /// Compiles the crates; what cargo has to say goes to the standard error.
    pub fn run(&self) -> Result<Vec<Module>> {
        let mut cargo = self.toolchain.cargo_build(self.target, self.directory);
        cargo
            .args(["--lib", "--profile", self.profile])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--target-dir")
            .arg(self.target_directory)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags());
        for package in self.packages {
            cargo.args(["--package", package]);
        }
        if self.locked {
            cargo.arg("--locked");
        }
        let line = command::line(&cargo);
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::Run {
                command: line.clone(),
                source,
            })?;
        if !output.status.success() {
            return Err(Error::Compile {
                project: self.directory.to_owned(),
                command: line,
                status: output.status,
            });
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        Ok(messages.lines().filter_map(module).collect())
    }

    /// Flags that keep this machine's paths out of panic messages, so that a component is the same wherever it is built.
    fn flags(&self) -> String {
        // Of several that fit, rustc takes the last; the others may lie within the first.
        let mut places = vec![(self.directory.to_owned(), "/plugin")];
        places.extend(cargo_home().map(|home| (home, "/cargo")));
        places.push((self.target_directory.to_owned(), "/target"));
        let mut flags: Vec<String> = places
            .iter()
            .map(|(place, name)| format!("--remap-path-prefix={}={name}", place.display()))
            .collect();
        // Part of WebAssembly since 2.0, and of every host that runs components: searching for bytes gains much by it.
        flags.push("-Ctarget-feature=+simd128".to_owned());
        flags.join("\x1f")
    }
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let own = set("CARGO_HOME").map(PathBuf::from);
    own.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cargo")))
}

/// What cargo says about one thing that it compiled.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The module of which a line of cargo's messages tells.
fn module(line: &str) -> Option<Module> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let wasm = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    Some(Module {
        path: message.filenames.into_iter().find(wasm)?,
        manifest: message.manifest_path,
    })
}

/// What `cargo metadata` tells of a workspace.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    crate_types: Vec<String>,
}

impl Metadata {
    fn read(toolchain: Toolchain, directory: &Path) -> Result<Self> {
        let mut cargo = toolchain.cargo(directory);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = command::output(&mut cargo)?;
        serde_json::from_str(&text).map_err(|error| Error::Run {
            command: command::line(&cargo),
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        })
    }
}

/// Compiles the crate in a folder into a component.
pub(crate) fn component(
    directory: &Path,
    options: &BuildOptions,
    say: &dyn Fn(&str),
) -> Result<Component> {
    let target = options.target.unwrap_or_default();
    let toolchain = if options.install {
        Toolchain::provide(target, directory, say)?
    } else {
        Toolchain::find(target, directory)?
    };
    let compiler = toolchain.description(directory);
    say(&format!("compiler: {compiler}"));

    let metadata = Metadata::read(toolchain, directory)?;
    let manifest = directory.join("Cargo.toml");
    let no_plugin = |reason: &str, advice| Error::NotAPlugin {
        project: directory.to_owned(),
        reason: reason.to_owned(),
        advice,
    };
    let mut packages = metadata.packages.iter();
    let package = packages
        .find(|package| package.manifest_path == manifest)
        .ok_or_else(|| {
            no_plugin(
                "its Cargo.toml has no [package]",
                "Name the folder of one crate of the workspace.",
            )
        })?;
    let no_library = || {
        no_plugin(
            "the crate has no library of type cdylib",
            "Add to its Cargo.toml: [lib] crate-type = [\"cdylib\", \"rlib\"].",
        )
    };
    let dynamic = |target: &CargoTarget| target.crate_types.iter().any(|kind| kind == "cdylib");
    if !package.targets.iter().any(dynamic) {
        return Err(no_library());
    }
    let modules = Compilation {
        toolchain,
        target,
        directory: &metadata.workspace_root,
        target_directory: &metadata.target_directory,
        packages: &[&package.name],
        profile: PROFILE,
        // An author's first build makes the lock file.
        locked: false,
    }
    .run()?;
    let mut modules = modules.into_iter();
    let module = modules
        .find(|module| module.manifest == manifest)
        .ok_or_else(no_library)?;
    let bytes = std::fs::read(&module.path).map_err(Error::file("read", &module.path))?;
    let bytes = component::encode(bytes).map_err(|reason| Error::NotAPlugin {
        project: directory.to_owned(),
        reason,
        advice: "Name the plugin's type in `copal_sdk::export!`, once; other crates must not export anything.",
    })?;
    let name = package.name.strip_prefix(PREFIX).unwrap_or(&package.name);
    Ok(Component {
        bytes,
        name: name.to_owned(),
        compiler,
    })
}
