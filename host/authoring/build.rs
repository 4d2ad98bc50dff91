//! Embeds what new projects are made of: `OUT_DIR/files.rs` holds the table `FILES` of paths and contents.
//!
//! | path | what it is |
//! |---|---|
//! | `template/LANGUAGE/…` | the files of a new project |
//! | `copal/LANGUAGE/…` | what `copal/` of a project holds in that language alone |
//! | `copal/all/…` | what it holds in all languages |

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use toml::Table;

/// Folders that programs leave behind.
const LEFT: [&str; 3] = ["target", "node_modules", "__pycache__"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = package.join("../..").canonicalize()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());

    let manifest = out.join("sdk.toml");
    fs::write(&manifest, stand_alone(&root)?)?;

    let mut files = Vec::new();
    for language in ["rust", "python", "javascript"] {
        let template = root.join("sdk/template").join(language);
        add(&mut files, &format!("template/{language}"), &template)?;
    }
    add(&mut files, "copal/all", &root.join("sdk/template/copal"))?;
    add(&mut files, "copal/all/wit", &root.join("wit"))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        files.push((format!("copal/all/{licence}"), root.join(licence)));
    }
    files.push(("copal/rust/sdk/Cargo.toml".to_owned(), manifest));
    add(&mut files, "copal/rust/sdk/src", &root.join("sdk/src"))?;
    files.sort();

    for watched in ["sdk", "wit", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let rows: String = files
        .iter()
        .map(|(name, path)| format!("    ({name:?}, include_bytes!({path:?})),\n"))
        .collect();
    let table = format!(
        "/// What new projects are made of: paths and contents.\n\
         static FILES: &[(&str, &[u8])] = &[\n{rows}];\n"
    );
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

/// Adds the files beneath a folder, if it is there, as files beneath `name`.
fn add(files: &mut Vec<(String, PathBuf)>, name: &str, folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        let name = format!("{name}/{own}");
        if !entry.file_type()?.is_dir() {
            files.push((name, entry.path()));
        } else if !LEFT.contains(&own.as_str()) {
            add(files, &name, &entry.path())?;
        }
    }
    Ok(())
}

/// The SDK's manifest without what it has from the workspace, as `cargo publish` would write it. The workspace's lints are left out: they
/// are for those who work on the SDK.
fn stand_alone(root: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let read = |path: &str| -> Result<Table, Box<dyn std::error::Error>> {
        Ok(fs::read_to_string(root.join(path))?.parse()?)
    };
    let workspace = read("Cargo.toml")?;
    let mut sdk = read("sdk/Cargo.toml")?;
    sdk.remove("lints");
    for (section, shared) in [
        ("package", "package"),
        ("dependencies", "dependencies"),
        ("dev-dependencies", "dependencies"),
    ] {
        let shared = workspace["workspace"][shared]
            .as_table()
            .ok_or("a section of the workspace's manifest is no table")?;
        let entries = sdk[section]
            .as_table_mut()
            .ok_or("a section of the SDK's manifest is no table")?;
        for (name, value) in entries {
            let Some(own) = value.as_table().filter(|own| own.contains_key("workspace")) else {
                continue;
            };
            if own.len() > 1 {
                return Err(format!("sdk/Cargo.toml adds to `{name}` of the workspace: teach this build script to join them").into());
            }
            *value = shared[name].clone();
        }
    }
    Ok(toml::to_string(&sdk)?)
}
