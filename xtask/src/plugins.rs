//! Building plugins: Rust crates become WebAssembly components in `target/plugins`.

mod reproduce;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, anyhow, bail};
use copal_authoring::component::{self, Interfaces};
use copal_authoring::{Compilation, Target, Toolchain};

use crate::{
    command::{self, advised, say},
    workspace,
};
use reproduce::Which;

/// What plugins are compiled for.
const TARGET: Target = Target::Unknown;

/// Cargo's profile for them.
const PROFILE: &str = "guest";

/// [`TARGET`] as cargo names it.
pub(crate) const TRIPLE: &str = TARGET.as_str();

/// `cargo xtask plugins [--tests] [--toolchain NAME] [--reproduce | --reproduce-all]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    let mut tests = false;
    let mut toolchain = None;
    let mut again = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tests" => tests = true,
            "--toolchain" => {
                let name = arguments.next().context("--toolchain needs a name")?;
                toolchain = Some(name.as_str());
            }
            "--reproduce" => again = Some(Which::Smallest),
            "--reproduce-all" => again = Some(Which::All),
            other => bail!("unknown argument `{other}`"),
        }
    }
    let toolchain = build_with(tests, toolchain)?;
    match again {
        None => Ok(()),
        Some(which) => command::stage("Building them again in another place", || {
            reproduce::check(toolchain, which)
        }),
    }
}

/// Builds the plugins, and the guests of the tests too where `tests` says so.
pub(crate) fn build(tests: bool, toolchain: Option<&str>) -> Result<()> {
    build_with(tests, toolchain).map(|_| ())
}

fn build_with(tests: bool, toolchain: Option<&str>) -> Result<Toolchain> {
    command::stage("Building plugins", || {
        // What is edited from here on may not be in the components.
        let start = SystemTime::now();
        let toolchain = choose(toolchain)?;
        let output = workspace::target().join("plugins");
        build_all(toolchain, "plugins", &output, true)?;
        if tests {
            build_all(toolchain, "tests/guests", &output.join("tests"), false)?;
        }
        stamp(&output.join(".built"), start)?;
        Ok(toolchain)
    })
}

/// The compiler asked for, or the first that works here; installs what is missing and prints the choice.
fn choose(asked: Option<&str>) -> Result<Toolchain> {
    let asked = match asked {
        Some(asked) => Some(asked.to_owned()),
        None => env::var("COPAL_WASM_TOOLCHAIN").ok(),
    };
    let root = workspace::root();
    let chosen = advised(match asked.as_deref() {
        None | Some("") => Toolchain::provide(TARGET, &root, &say),
        Some("rustup") => Toolchain::add_target(TARGET, &root, &say),
        Some("debian") => Toolchain::install_packages(&say),
        Some(other) => bail!("unknown toolchain `{other}`: `rustup` and `debian` are known"),
    })?;
    say(&format!("compiler: {}", chosen.description(&root)));
    Ok(chosen)
}

/// The crates of the plugins that `copal` embeds.
pub(crate) fn first_party() -> Result<Vec<Guest>> {
    Guest::all(&workspace::root(), "plugins")
}

/// A crate that becomes a component.
pub(crate) struct Guest {
    /// The folder's name, and the component's.
    pub(crate) name: String,
    /// The crate's name.
    pub(crate) package: String,
    /// The crate's `Cargo.toml`.
    manifest: PathBuf,
}

impl Guest {
    /// The crates in the folders right beneath `parent` of the workspace at `root`.
    fn all(root: &Path, parent: &str) -> Result<Vec<Self>> {
        let parent = root.join(parent);
        let mut guests = Vec::new();
        let folders = fs::read_dir(&parent)
            .with_context(|| format!("cannot list {}", workspace::shown(&parent)))?;
        for folder in folders {
            let folder = folder?;
            let manifest = folder.path().join("Cargo.toml");
            if manifest.is_file() {
                guests.push(Self {
                    name: folder.file_name().to_string_lossy().into_owned(),
                    package: package_name(&manifest)?,
                    manifest,
                });
            }
        }
        guests.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(guests)
    }
}

fn package_name(manifest: &Path) -> Result<String> {
    let text = fs::read_to_string(manifest)?;
    text.lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("no name in {}", workspace::shown(manifest)))
}

/// Builds the crates right beneath `parent` into components in `output`.
fn build_all(toolchain: Toolchain, parent: &str, output: &Path, first_party: bool) -> Result<()> {
    let root = workspace::root();
    let guests = Guest::all(&root, parent)?;
    // A target directory of their own: other cargo commands go on meanwhile.
    let built = workspace::target().join("guests");
    let components = components(toolchain, &root, &built, &guests, first_party)?;

    fs::create_dir_all(output)?;
    remove_others(output, &guests)?;
    for (guest, component) in guests.iter().zip(components) {
        let path = output.join(format!("{}.wasm", guest.name));
        let unchanged = fs::read(&path).is_ok_and(|present| present == component);
        if !unchanged {
            workspace::write_atomically(&path, &component)?;
        }
        println!(
            "    {} ({} KiB{})",
            workspace::shown(&path),
            component.len().div_ceil(1024),
            if unchanged { ", unchanged" } else { "" }
        );
    }
    Ok(())
}

/// Builds crates of the workspace at `root` into components, one for each.
fn components(
    toolchain: Toolchain,
    root: &Path,
    built: &Path,
    guests: &[Guest],
    first_party: bool,
) -> Result<Vec<Vec<u8>>> {
    let packages: Vec<&str> = guests.iter().map(|guest| guest.package.as_str()).collect();
    let modules = Compilation {
        toolchain,
        target: TARGET,
        directory: root,
        target_directory: built,
        packages: &packages,
        profile: PROFILE,
        locked: true,
    }
    .run()?;
    let component = |guest: &Guest| {
        let module = modules
            .iter()
            .find(|module| module.manifest == guest.manifest)
            .with_context(|| format!("cargo made no module of {}", guest.package))?;
        componentize(&module.path, first_party)
            .with_context(|| format!("cannot make a component of {}", guest.package))
    };
    guests.iter().map(component).collect()
}

/// Removes components whose crates are gone, because `copal` embeds all that lie here.
fn remove_others(output: &Path, guests: &[Guest]) -> Result<()> {
    for file in fs::read_dir(output)? {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && !guests.iter().any(|guest| name == guest.name.as_str())
        {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Wraps the core module in a validated component.
fn componentize(module: &Path, first_party: bool) -> Result<Vec<u8>> {
    let module = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = component::encode(module).map_err(|reason| anyhow!(reason))?;
    let interfaces = Interfaces::of(&component).map_err(|reason| anyhow!(reason))?;
    // First-party plugins can reach nothing but the host's own interfaces: no WASI, no ambient anything.
    match interfaces.foreign_import() {
        Some(import) if first_party => bail!(
            "it imports {import}; a first-party plugin imports {} alone",
            component::CONTRACT
        ),
        _ => Ok(component),
    }
}

/// Notes that all components were up to date at `time`; the build script of `copal` compares sources with it.
fn stamp(path: &Path, time: SystemTime) -> Result<()> {
    fs::File::create(path)?.set_modified(time)?;
    Ok(())
}
