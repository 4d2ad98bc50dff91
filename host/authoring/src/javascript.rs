//! Plugins in JavaScript, of which componentize-js makes components.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::build::{BuildOptions, Component};
use crate::{Error, Result, command, debian};

/// The package that makes components.
const PACKAGE: &str = "@bytecodealliance/componentize-js";

/// Its release that plugins are known to build with.
const VERSION: &str = "0.23.0";

/// What it imports without naming it among its dependencies, so that npm may well leave it out.
const SHIM: &str = "@bytecodealliance/preview2-shim";

/// The release of that which it is developed with.
const SHIM_VERSION: &str = "0.17.9";

/// What calls it.
const SCRIPT: &str = include_str!("componentize.mjs");

/// The module that answers the contract, where the manifest says nothing of `main`.
const MODULE: &str = "src/plugin.js";

/// What a package's manifest tells.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    #[serde(default)]
    version: String,
    main: Option<String>,
}

/// Makes a component of the project in a folder.
pub(crate) fn component(
    directory: &Path,
    options: &BuildOptions,
    say: &dyn Fn(&str),
) -> Result<Component> {
    let manifest = Manifest::read(&directory.join("package.json"))?;
    if !directory.join("copal/wit").is_dir() {
        return Err(Error::NoCopy(directory.to_owned()));
    }
    let module = manifest.main.as_deref().unwrap_or(MODULE);
    if !directory.join(module).is_file() {
        return Err(Error::NotAPlugin {
            project: directory.to_owned(),
            reason: format!("there is no {module}"),
            advice: "`main` in package.json names the module that exports `app` and `transform`.",
        });
    }
    let node = match node() {
        Some(node) => node,
        None if options.install => {
            debian::install(&["nodejs", "npm"], say)?;
            node().ok_or_else(no_node)?
        }
        None => return Err(no_node()),
    };
    let package = match find(directory) {
        Some(package) => package,
        None if options.install => {
            install(directory, say)?;
            find(directory).ok_or_else(no_package)?
        }
        None => return Err(no_package()),
    };
    let package = Manifest::read(&package)?;
    let compiler = format!("componentize-js {}", package.version);
    say(&format!("compiler: {compiler}"));

    let place = tempfile::tempdir().map_err(Error::file("write", &std::env::temp_dir()))?;
    let file = place.path().join("plugin.wasm");
    let mut componentize = Command::new(node);
    componentize
        .args(["--input-type=module", "--eval", SCRIPT, "--"])
        .args([module, "copal/wit"])
        .arg(&file)
        .current_dir(directory);
    command::run(&mut componentize).map_err(|error| match error {
        Error::Failed { status, .. } => Error::Compile {
            project: directory.to_owned(),
            // Not the script, which is long.
            command: format!("componentize-js {module}"),
            status,
        },
        other => other,
    })?;
    Ok(Component {
        bytes: fs::read(&file).map_err(Error::file("read", &file))?,
        name: bare(&manifest.name).to_owned(),
        compiler,
    })
}

impl Manifest {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        serde_json::from_str(&text).map_err(|error| Error::NotAPlugin {
            project: path.to_owned(),
            reason: format!("it can't be read: {error}"),
            advice: "A package.json is a JSON object with a `name`.",
        })
    }
}

/// A package's name without its scope.
fn bare(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn node() -> Option<PathBuf> {
    command::find("node").or_else(|| command::find("nodejs"))
}

/// The manifest of componentize-js, where all that it needs is there.
fn find(directory: &Path) -> Option<PathBuf> {
    find_package(directory, SHIM)?;
    find_package(directory, PACKAGE)
}

/// A package's manifest, from where Node.js would take it: the project, or a folder above.
fn find_package(directory: &Path, package: &str) -> Option<PathBuf> {
    let mut manifests = directory.ancestors().map(|folder| {
        folder
            .join("node_modules")
            .join(package)
            .join("package.json")
    });
    manifests.find(|manifest| manifest.is_file())
}

/// Installs what the project's manifest names, and componentize-js where it does not.
fn install(directory: &Path, say: &dyn Fn(&str)) -> Result<()> {
    if command::find("npm").is_none() {
        debian::install(&["npm"], say)?;
    }
    // No package is allowed to run anything.
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(arguments)
            .args(["--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(directory);
        say(&command::line(&npm));
        command::run(&mut npm)
    };
    let locked = directory.join("package-lock.json").is_file();
    npm(&[if locked { "ci" } else { "install" }])?;
    if find(directory).is_none() {
        npm(&[
            "install",
            "--save-dev",
            "--save-exact",
            &format!("{PACKAGE}@{VERSION}"),
            &format!("{SHIM}@{SHIM_VERSION}"),
        ])?;
    }
    Ok(())
}

fn no_node() -> Error {
    Error::Missing {
        what: "node".to_owned(),
        advice: format!(
            "Install Node.js 18 or newer; on Debian, run `{}`.",
            debian::by_hand(&["nodejs", "npm"])
        ),
    }
}

fn no_package() -> Error {
    Error::Missing {
        what: PACKAGE.to_owned(),
        advice: format!(
            "In the project, run `npm install --save-dev --save-exact {PACKAGE}@{VERSION} {SHIM}@{SHIM_VERSION}`, or build with `--install`."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_that_lacks_something_is_told_what() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path();
        let build = || {
            component(path, &BuildOptions::default(), &|_| ())
                .map(|built| built.name)
                .unwrap_err()
        };
        fs::write(path.join("package.json"), "{}").unwrap();
        assert_eq!(build().kind(), "plugin-invalid");
        let manifest = r#"{"name": "@acme/notes", "main": "lib/notes.js"}"#;
        fs::write(path.join("package.json"), manifest).unwrap();
        assert_eq!(build().kind(), "no-project");
        fs::create_dir_all(path.join("copal/wit")).unwrap();
        let error = build().to_string();
        assert!(error.contains("no lib/notes.js"), "{error}");
    }

    #[test]
    fn the_component_is_named_without_the_packages_scope() {
        for (name, expected) in [("notes", "notes"), ("@acme/notes", "notes")] {
            assert_eq!(bare(name), expected);
        }
    }

    #[test]
    fn the_package_is_found_where_node_looks_for_it() {
        let project = tempfile::tempdir().unwrap();
        let folder = project.path().join("plugins/notes");
        assert_eq!(find(&folder), None);
        let lay = |place: &str, package: &str| {
            let folder = project.path().join(place).join("node_modules");
            let manifest = folder.join(package).join("package.json");
            fs::create_dir_all(manifest.parent().unwrap()).unwrap();
            fs::write(&manifest, "").unwrap();
            manifest
        };
        let manifest = lay("plugins", PACKAGE);
        assert_eq!(find(&folder), None);
        lay("plugins/notes", SHIM);
        assert_eq!(find(&folder), Some(manifest));
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_that_installs_it() {
        let advice = no_package().advice().unwrap();
        assert!(
            advice.contains("@bytecodealliance/componentize-js@0.23.0"),
            "{advice}"
        );
        assert!(no_node().advice().unwrap().contains("nodejs npm"));
    }

    #[test]
    fn the_template_pins_the_release_that_is_installed() {
        let manifest = include_str!("../../../sdk/template/javascript/package.json");
        for (package, version) in [(PACKAGE, VERSION), (SHIM, SHIM_VERSION)] {
            assert!(manifest.contains(&format!("\"{package}\": \"{version}\"")));
        }
    }
}
