//! Backs up, restores and migrates applications through sandboxed plugins.

fn main() {}
