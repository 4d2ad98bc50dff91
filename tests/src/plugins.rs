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

/// Writes a component that has besides so many core instances of a module with so many globals, which it makes no use of.
pub fn with_globals(
    environment: &TestEnvironment,
    component: &Path,
    instances: u32,
    globals: u32,
) -> PathBuf {
    let mut bytes = std::fs::read(component).unwrap();
    // In the binary format a section is its number, its length and its content; of a component 1 is a core module and 2 core instances.
    let mut modules = 0;
    let mut rest = &bytes[8..];
    while let [id, after @ ..] = rest {
        let length = after.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let size = after[..length].iter().rev();
        let size = size.fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7f));
        modules += u8::from(*id == 1);
        rest = &after[length + size..];
    }
    let text = format!(
        "(module {})",
        "(global i64 (i64.const 0))".repeat(globals as usize)
    );
    section(&mut bytes, 1, &wat::parse_str(text).unwrap());
    let mut all = leb(instances);
    // Each of that module, with no arguments.
    (0..instances).for_each(|_| all.extend([0, modules, 0]));
    section(&mut bytes, 2, &all);
    environment.write("globals.wasm", bytes)
}

fn section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    to.extend(leb(u32::try_from(content.len()).unwrap()));
    to.extend(content);
}

/// A number in LEB128.
fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Writes the first half of a component.
pub fn truncated(environment: &TestEnvironment, component: &Path) -> PathBuf {
    let bytes = std::fs::read(component).unwrap();
    environment.write("truncated.wasm", &bytes[..bytes.len() / 2])
}
