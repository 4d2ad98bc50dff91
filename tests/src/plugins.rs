//! Plugins that tests use: Copal's own, the guests beneath `tests/guests`, and components that are broken on purpose.

use std::path::{Path, PathBuf};

use crate::environment::TestEnvironment;
use crate::programs;

/// The component of one of Copal's own plugins, built by `cargo xtask plugins`.
///
/// # Panics
/// Where it has not been built.
pub fn first_party(name: &str) -> PathBuf {
    let path = built().join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "there is no {}: run `cargo xtask plugins`",
        path.display()
    );
    path
}

/// The component of a guest, built by `cargo xtask plugins --tests`.
///
/// # Panics
/// Where it has not been built.
pub fn guest(name: &str) -> PathBuf {
    let path = built().join("tests").join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "there is no {}: run `cargo xtask plugins --tests`",
        path.display()
    );
    path
}

/// The component of one of the examples, built by `cargo xtask examples`, or none after [`missing`](programs::missing) has said so.
pub fn example(name: &str) -> Option<PathBuf> {
    let path = built().join("examples").join(format!("{name}.wasm"));
    if !path.is_file() {
        let path = path.display();
        programs::missing(&format!("there is no {path}: run `cargo xtask examples`"));
        return None;
    }
    Some(path)
}

fn built() -> PathBuf {
    match std::env::var_os("COPAL_PLUGINS_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins"),
    }
}

/// Writes a component from its text form.
pub fn from_text(environment: &TestEnvironment, name: &str, text: &str) -> PathBuf {
    let bytes = wat::parse_str(text).expect("the component's text is well-formed");
    environment.write(&format!("{name}.wasm"), bytes)
}

/// Writes the first half of a component.
pub fn truncated(environment: &TestEnvironment, component: &Path) -> PathBuf {
    let bytes = std::fs::read(component).unwrap();
    environment.write("truncated.wasm", &bytes[..bytes.len() / 2])
}
