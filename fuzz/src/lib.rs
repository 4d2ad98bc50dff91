//! What must hold of any bytes that a repository, a plugin, its publisher or an application may hand over. The fuzz targets call these functions with what the
//! fuzzer finds, and a test of every run with the corpora.

use std::fmt::Debug;

mod application;
mod home;
mod plugin;
mod release;
mod repository;

pub use self::application::{archive, compressed, glob, h2_header, sql, yaml};
pub use self::home::{changelog, home};
pub use self::plugin::{
    backup_plan, component, description, grant, manifest, restore_plan, schema,
};
pub use self::release::{publisher, signature, statement};
pub use self::repository::{
    config, index, key, lock, pack_header, pattern, snapshot, tree, unpacked,
};

/// What takes any bytes without a panic, and tells whether they were what they are read as.
pub type Target = fn(&[u8]) -> bool;

/// All targets by name.
pub const TARGETS: [(&str, Target); 27] = [
    ("config", config),
    ("key", key),
    ("lock", lock),
    ("index", index),
    ("snapshot", snapshot),
    ("tree", tree),
    ("pack_header", pack_header),
    ("unpacked", unpacked),
    ("pattern", pattern),
    ("component", component),
    ("description", description),
    ("backup_plan", backup_plan),
    ("restore_plan", restore_plan),
    ("grant", grant),
    ("schema", schema),
    ("manifest", manifest),
    ("statement", statement),
    ("publisher", publisher),
    ("signature", signature),
    ("sql", sql),
    ("archive", archive),
    ("compressed", compressed),
    ("yaml", yaml),
    ("glob", glob),
    ("h2_header", h2_header),
    ("changelog", changelog),
    ("home", home),
];

/// What can be read is written so that it reads the same again.
fn survives<T: PartialEq + Debug, E: Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Result<Vec<u8>, E>,
) -> bool {
    let Ok(read) = decode(bytes) else {
        return false;
    };
    let written = encode(&read).expect("what was read can be written");
    let again = decode(&written).expect("what was written can be read");
    assert_eq!(again, read);
    assert_eq!(encode(&again).expect("it can be written again"), written);
    true
}
