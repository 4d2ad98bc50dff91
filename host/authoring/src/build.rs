//! From a project to a component.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::component::Interfaces;
use crate::{Error, Language, Result, Target, javascript, python, rust};

/// How a project is built.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Where the component goes, instead of `target/plugin/NAME.wasm` in the project.
    pub out: Option<PathBuf>,
    /// What a plugin in Rust is compiled for, instead of `wasm32-unknown-unknown`.
    pub target: Option<Target>,
    /// Whether what is missing may be installed.
    pub install: bool,
}

/// A component that was built, and is a plugin as far as can be told without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it is written in.
    pub language: Language,
    /// What compiled it, in a line.
    pub compiler: String,
}

/// What a language's compiler made of a project.
pub(crate) struct Component {
    pub(crate) bytes: Vec<u8>,
    /// The file's name, without `.wasm`.
    pub(crate) name: String,
    pub(crate) compiler: String,
}

/// Builds the project in a folder into a validated component. `say` is told what goes on, line by line; what the compiler has to
/// say goes to the standard error.
pub fn build(directory: &Path, options: &BuildOptions, say: &dyn Fn(&str)) -> Result<Built> {
    // As compilers name it, whatever links lead there.
    let directory = fs::canonicalize(directory).map_err(Error::file("read", directory))?;
    let language = Language::of_project(&directory)?;
    if options.target.is_some() && language != Language::Rust {
        return Err(Error::NotForLanguage {
            option: "--target",
            has: Language::Rust,
            is: language,
        });
    }
    let component = match language {
        Language::Rust => rust::component(&directory, options, say),
        Language::Python => python::component(&directory, options, say),
        Language::Javascript => javascript::component(&directory, options, say),
    }?;
    let interfaces = check(&directory, &component.bytes)?;
    let path = match &options.out {
        Some(path) => path.clone(),
        None => default_output(&directory, &component.name),
    };
    write(&path, &component.bytes)?;
    Ok(Built {
        path,
        size: component.bytes.len() as u64,
        sha256: hexadecimal(&Sha256::digest(&component.bytes)),
        imports: interfaces.imports,
        language,
        compiler: component.compiler,
    })
}

/// The folder of a project in which [`build`] puts its component unless it is told otherwise.
pub const OUTPUT: &str = "target/plugin";

fn default_output(directory: &Path, name: &str) -> PathBuf {
    directory.join(OUTPUT).join(format!("{name}.wasm"))
}

/// Fails where a component is not a plugin.
fn check(project: &Path, component: &[u8]) -> Result<Interfaces> {
    let no_plugin = |reason, advice| Error::NotAPlugin {
        project: project.to_owned(),
        reason,
        advice,
    };
    let interfaces = Interfaces::of(component).map_err(|reason| {
        no_plugin(
            format!("it is no valid component: {reason}"),
            "Please report it: the compiler and `copal plugin build` do not agree.",
        )
    })?;
    match interfaces.missing_export() {
        None => Ok(interfaces),
        Some(missing) => Err(no_plugin(
            format!("it does not export {missing}"),
            "A plugin exports what the world `copal:plugin/plugin` says; in Rust `copal_sdk::export!(TYPE)` does so.",
        )),
    }
}

/// Writes a file beside its place and renames it there, so that no reader meets half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::file("write", parent))?;
    let failed = || Error::file("write", path);
    let mut beside = tempfile::NamedTempFile::new_in(parent).map_err(failed())?;
    beside.write_all(bytes).map_err(failed())?;
    // A temporary file is its owner's alone; a component is no secret.
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::fchmod(beside.as_file(), mode).map_err(|error| failed()(error.into()))?;
    beside
        .persist(path)
        .map_err(|error| failed()(error.error))?;
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
