//! Embeds the first-party plugins into the binary: `OUT_DIR/plugins.rs` holds the table `PLUGINS` of names and components.
//!
//! The components are made by `cargo xtask plugins`. `COPAL_PLUGINS_DIR` names another folder to take them from, as it is.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=COPAL_PLUGINS_DIR");
    match table() {
        Ok(table) => {
            let generated = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
            fs::write(generated.join("plugins.rs"), table)
        }
        Err(reason) => {
            println!("cargo::error={reason}: run `cargo xtask plugins`");
            Ok(())
        }
    }
}

/// The Rust source of the table, or why there can be none.
fn table() -> Result<String, String> {
    // Where Cargo builds now: another checkout may have compiled this program into the same target directory.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let root = Path::new(&package).join("../..");
    let folder = match env::var_os("COPAL_PLUGINS_DIR") {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            println!("cargo::rerun-if-changed={}", folder.display());
            folder
        }
        None => {
            let folder = root.join("target/plugins");
            up_to_date(&root, &folder)?;
            folder
        }
    };
    let components = components(&folder)
        .map_err(|error| format!("cannot read the plugins in {}: {error}", folder.display()))?;
    if components.is_empty() {
        return Err(format!("no plugins in {}", folder.display()));
    }
    for (_, path) in &components {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let rows: String = components
        .iter()
        .map(|(name, path)| format!("    ({name:?}, include_bytes!({path:?})),\n"))
        .collect();
    Ok(format!(
        "/// The first-party plugins: names and components.\n\
         pub(crate) static PLUGINS: &[(&str, &[u8])] = &[\n{rows}];\n"
    ))
}

/// Fails where the components are missing or were built before a source changed.
fn up_to_date(root: &Path, folder: &Path) -> Result<(), String> {
    // Touched by `cargo xtask plugins`, which leaves a component alone where its bytes did not change. Not watched, so
    // that a build of plugins which changes nothing does not make Cargo compile `copal` again.
    let stamp = folder.join(".built");
    let Ok(built) = fs::metadata(stamp).and_then(|stamp| stamp.modified()) else {
        return Err("the plugins are not built".to_owned());
    };
    for part in ["plugins", "sdk/Cargo.toml", "sdk/src", "wit"] {
        let part = root.join(part);
        println!("cargo::rerun-if-changed={}", part.display());
        let changed = newest(&part)
            .map_err(|error| format!("cannot look through {}: {error}", part.display()))?;
        if changed > built {
            return Err("the plugins are older than their sources".to_owned());
        }
    }
    Ok(())
}

/// When the newest file or folder at or beneath `path` was modified.
fn newest(path: &Path) -> io::Result<SystemTime> {
    let metadata = fs::metadata(path)?;
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}

/// Names and absolute paths of the components in a folder, sorted by name.
fn components(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut components = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path().canonicalize()?;
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && let Some(name) = path.file_stem()
        {
            components.push((name.to_string_lossy().into_owned(), path));
        }
    }
    components.sort();
    Ok(components)
}
