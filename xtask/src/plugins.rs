//! Building plugins: Rust crates become WebAssembly components in `target/plugins`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::{
    command,
    toolchain::{TARGET, Toolchain},
    workspace,
};

/// The one package that first-party plugins may import from.
const CONTRACT: &str = "copal:plugin";

/// `cargo xtask plugins [--tests] [--toolchain NAME]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    let mut tests = false;
    let mut toolchain = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tests" => tests = true,
            "--toolchain" => {
                let name = arguments.next().context("--toolchain needs a name")?;
                toolchain = Some(name.as_str());
            }
            other => bail!("unknown argument `{other}`"),
        }
    }
    build(tests, toolchain)
}

/// Builds the plugins, and the guests of the tests too where `tests` says so.
pub(crate) fn build(tests: bool, toolchain: Option<&str>) -> Result<()> {
    command::stage("Building plugins", || {
        // What is edited from here on may not be in the components.
        let start = SystemTime::now();
        let toolchain = Toolchain::choose(toolchain)?;
        let output = workspace::target().join("plugins");
        build_all(toolchain, "plugins", &output, true)?;
        if tests {
            build_all(toolchain, "tests/guests", &output.join("tests"), false)?;
        }
        stamp(&output.join(".built"), start)
    })
}

/// A crate that becomes a component.
struct Guest {
    /// The folder's name, and the component's.
    name: String,
    /// The crate's name.
    package: String,
}

impl Guest {
    /// The crates in the folders right beneath `parent`.
    fn all(parent: &str) -> Result<Vec<Self>> {
        let parent = workspace::root().join(parent);
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
    let guests = Guest::all(parent)?;
    // A target directory of their own: other cargo commands go on meanwhile.
    let target = workspace::target().join("guests");
    let mut cargo = toolchain.cargo_build();
    cargo
        .args(["--profile", "guest", "--target-dir"])
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", neutral_paths());
    for guest in &guests {
        cargo.args(["--package", &guest.package]);
    }
    command::run(&mut cargo)?;

    fs::create_dir_all(output)?;
    remove_others(output, &guests)?;
    for guest in &guests {
        let module = format!("{}.wasm", guest.package.replace('-', "_"));
        let module = target.join(TARGET).join("guest").join(module);
        let component = componentize(&module, first_party)
            .with_context(|| format!("cannot make a component of {}", guest.package))?;
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

/// Flags that keep this machine's paths out of panic messages, so that components are the same wherever they are built.
fn neutral_paths() -> String {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
        .unwrap_or_default();
    [
        format!("--remap-path-prefix={}=/cargo", home.display()),
        format!("--remap-path-prefix={}=/copal", workspace::root().display()),
        // Part of WebAssembly since 2.0, and of every host that runs components: searching for bytes gains much by it.
        "-Ctarget-feature=+simd128".to_owned(),
    ]
    .join("\x1f")
}

/// Wraps the core module in a validated component.
fn componentize(module: &Path, first_party: bool) -> Result<Vec<u8>> {
    let module = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()?;
    if first_party {
        imports_the_contract_alone(&component)?;
    }
    Ok(component)
}

/// First-party plugins can reach nothing but the host's own interfaces: no WASI, no ambient anything.
fn imports_the_contract_alone(component: &[u8]) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("not a component");
    };
    let world = resolve
        .worlds
        .get(world)
        .context("the component has no world")?;
    for key in world.imports.keys() {
        let name = resolve.name_world_key(key);
        if !name
            .strip_prefix(CONTRACT)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            bail!("it imports {name}; a first-party plugin imports {CONTRACT} alone");
        }
    }
    Ok(())
}

/// Notes that all components were up to date at `time`; the build script of `copal` compares sources with it.
fn stamp(path: &Path, time: SystemTime) -> Result<()> {
    fs::File::create(path)?.set_modified(time)?;
    Ok(())
}
