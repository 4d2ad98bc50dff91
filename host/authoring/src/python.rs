//! Plugins in Python, of which componentize-py makes components.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::Deserialize;

use crate::build::{BuildOptions, Component};
use crate::{Error, Result, command, debian};

/// The release of componentize-py that plugins are known to build with.
const VERSION: &str = "0.25.0";

/// Names the program, where it is neither in the project nor on `PATH`.
const VARIABLE: &str = "COPAL_COMPONENTIZE_PY";

/// The module that answers the contract.
const MODULE: &str = "src/plugin.py";

/// The project's own Python, with what it has installed.
const ENVIRONMENT: &str = ".venv";

/// Python's view of the contract, for the author's tests and editor.
const BINDINGS: &str = "bindings";

/// The package in them that is named after the contract's world.
const WORLD: &str = "wit_world";

/// What the author's manifest tells.
#[derive(Deserialize)]
struct Manifest {
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    name: String,
}

/// Makes a component of the project in a folder.
pub(crate) fn component(
    directory: &Path,
    options: &BuildOptions,
    say: &dyn Fn(&str),
) -> Result<Component> {
    let name = name(directory)?;
    if !directory.join("copal/wit").is_dir() {
        return Err(Error::NoCopy(directory.to_owned()));
    }
    if !directory.join(MODULE).is_file() {
        return Err(Error::NotAPlugin {
            project: directory.to_owned(),
            reason: format!("there is no {MODULE}"),
            advice: "Its class `App` answers the interface `app`; the classes of `transform` are in src/transform.py.",
        });
    }
    let program = match find(directory) {
        Some(program) => program,
        None if options.install => install(directory, say)?,
        None => return Err(missing()),
    };
    let compiler = command::output(Command::new(&program).arg("--version"))?;
    let compiler = compiler.trim().to_owned();
    say(&format!("compiler: {compiler}"));

    let place = tempfile::Builder::new()
        .prefix(".copal-")
        .tempdir_in(directory)
        .map_err(Error::file("write", directory))?;
    bind(directory, &program, &place.path().join(BINDINGS))?;
    let file = place.path().join("plugin.wasm");
    let mut componentize = contract(directory, &program);
    componentize
        .args(["componentize", "plugin", "--python-path", "src", "--output"])
        .arg(&file);
    compile(directory, &mut componentize)?;
    Ok(Component {
        bytes: fs::read(&file).map_err(Error::file("read", &file))?,
        name,
        compiler,
    })
}

/// The project's name in its manifest.
fn name(directory: &Path) -> Result<String> {
    let path = directory.join("pyproject.toml");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| Error::NotAPlugin {
        project: directory.to_owned(),
        reason: format!("pyproject.toml can't be read: {}", error.message()),
        advice: "It needs a table [project] with a `name`.",
    })?;
    Ok(manifest.project.name)
}

/// componentize-py: the one that is named, the project's own, or the one on `PATH`.
fn find(directory: &Path) -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let own = in_environment(directory, "componentize-py");
    own.is_file()
        .then_some(own)
        .or_else(|| command::find("componentize-py"))
}

fn in_environment(directory: &Path, program: &str) -> PathBuf {
    directory.join(ENVIRONMENT).join("bin").join(program)
}

fn missing() -> Error {
    Error::Missing {
        what: "componentize-py".to_owned(),
        advice: format!(
            "In the project, run `python3 -m venv {ENVIRONMENT}` and `{ENVIRONMENT}/bin/pip install componentize-py=={VERSION}`, or build with \
             `--install`; or name the program by {VARIABLE}."
        ),
    }
}

/// Installs componentize-py into the project's own environment, which is made where it is absent: as its `requirements.txt` says, where
/// that names it.
fn install(directory: &Path, say: &dyn Fn(&str)) -> Result<PathBuf> {
    let pip = in_environment(directory, "pip");
    if !pip.is_file() {
        let whole = |python: &str| {
            let modules = ["-c", "import ensurepip, venv"];
            command::output(Command::new(python).args(modules)).is_ok()
        };
        if !whole("python3") {
            debian::install(&["python3-venv"], say)?;
        }
        say(&format!("making {ENVIRONMENT}"));
        command::run(
            Command::new("python3")
                .args(["-m", "venv", ENVIRONMENT])
                .current_dir(directory),
        )?;
    }
    let mut install = Command::new(pip);
    install
        .args([
            "--quiet",
            "--disable-pip-version-check",
            "install",
            "--no-deps",
        ])
        .current_dir(directory);
    let requirements = fs::read_to_string(directory.join("requirements.txt")).unwrap_or_default();
    if requirements.contains("componentize-py") {
        install.args(["--requirement", "requirements.txt"]);
    } else {
        install.arg(format!("componentize-py=={VERSION}"));
    }
    say(&command::line(&install));
    command::run(&mut install)?;
    Ok(in_environment(directory, "componentize-py"))
}

/// componentize-py, told of the contract.
fn contract(directory: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--quiet", "--wit-path", "copal/wit", "--world", "plugin"])
        .current_dir(directory)
        // It would take packages from there, whatever project that is of.
        .env_remove("VIRTUAL_ENV");
    let own = directory.join(ENVIRONMENT);
    if own.is_dir() {
        command.env("VIRTUAL_ENV", own);
    }
    command
}

/// Makes the bindings anew: at `place` first, because componentize-py does not write over what is there.
fn bind(directory: &Path, program: &Path, place: &Path) -> Result<()> {
    compile(
        directory,
        contract(directory, program).arg("bindings").arg(place),
    )?;
    let bindings = directory.join(BINDINGS);
    if bindings.exists() {
        // Only what was made here before: it may be a package of the author's.
        if !bindings.join(WORLD).is_dir() {
            let foreign =
                io::Error::other("it holds no bindings of an earlier build; give it another name");
            return Err(Error::file("replace", &bindings)(foreign));
        }
        fs::remove_dir_all(&bindings).map_err(Error::file("write", &bindings))?;
    }
    fs::rename(place, &bindings).map_err(Error::file("write", &bindings))
}

/// Runs the compiler; that it fails is the project's fault.
fn compile(directory: &Path, compiler: &mut Command) -> Result<()> {
    command::run(compiler).map_err(|error| match error {
        Error::Failed {
            command, status, ..
        } => Error::Compile {
            project: directory.to_owned(),
            command,
            status,
        },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(manifest: &str) -> tempfile::TempDir {
        let project = tempfile::tempdir().unwrap();
        fs::write(project.path().join("pyproject.toml"), manifest).unwrap();
        project
    }

    #[test]
    fn a_project_that_lacks_something_is_told_what() {
        let options = BuildOptions::default();
        let build = |project: &Path| component(project, &options, &|_| ()).map(|built| built.name);
        let project = project("[project]\nname = \"notes\"\n");
        let path = project.path();
        assert_eq!(build(path).unwrap_err().kind(), "no-project");
        fs::create_dir_all(path.join("copal/wit")).unwrap();
        let error = build(path).unwrap_err();
        assert!(error.to_string().contains("no src/plugin.py"), "{error}");
    }

    #[test]
    fn a_manifest_without_a_name_is_refused_with_its_fault() {
        for manifest in ["", "[project]\n", "[project\n", "[project]\nname = 1\n"] {
            let project = project(manifest);
            let error = name(project.path()).unwrap_err();
            assert_eq!(error.kind(), "plugin-invalid", "{manifest:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_that_installs_it() {
        let advice = missing().advice().unwrap();
        assert!(
            advice.contains(".venv/bin/pip install componentize-py==0.25.0"),
            "{advice}"
        );
    }

    #[test]
    fn the_template_pins_the_release_that_is_installed() {
        let requirements = include_str!("../../../sdk/template/python/requirements.txt");
        assert!(requirements.contains(&format!("componentize-py=={VERSION} ")));
    }
}
