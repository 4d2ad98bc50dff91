//! The interfaces that the host gives to plugins, one file each.

pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod tree;
pub(crate) mod wasi;
