//! Set-up, plugin builds, demo, tests and benchmarks of Copal.

fn main() {}
