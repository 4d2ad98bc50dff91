//! Stand-ins for the programs that start and stop an application.

use std::path::PathBuf;

use crate::environment::TestEnvironment;

/// A `docker` and a `systemctl` on an environment's search path. They remember what they were asked and whether the application
/// runs; the name `stuck` can't be stopped.
#[derive(Debug)]
pub struct Applications {
    calls: PathBuf,
    state: PathBuf,
}

impl Applications {
    /// Installs the programs; every application runs.
    pub fn install(environment: &TestEnvironment) -> Self {
        let state = environment.make_directory("applications");
        let calls = environment.path("calls");
        std::fs::write(&calls, "").unwrap();
        let script = format!(
            r#"#!/bin/sh
# The name is the last word.
for name; do :; done
echo "${{0##*/}} $*" >> '{calls}'
stopped='{state}'/"$name"
case "$*" in
*stuck*) [ "$1" = stop ] && {{ echo "cannot stop $name" >&2; exit 1; }} ;;
esac
case "$1" in
stop) touch "$stopped" ;;
start) rm -f "$stopped" ;;
inspect) [ -e "$stopped" ] && echo false || echo true ;;
is-active) [ -e "$stopped" ] && {{ echo inactive; exit 3; }}; echo active ;;
*) echo "unexpected: $*" >&2; exit 64 ;;
esac
"#,
            calls = calls.display(),
            state = state.display(),
        );
        environment.install_program("docker", &script);
        environment.install_program("systemctl", &script);
        Self { calls, state }
    }

    /// The calls so far that change something, such as `docker stop app`.
    pub fn changes(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(&self.calls).unwrap();
        calls
            .lines()
            .filter(|call| matches!(call.split(' ').nth(1), Some("stop" | "start")))
            .map(str::to_owned)
            .collect()
    }

    /// Whether the application runs.
    pub fn runs(&self, name: &str) -> bool {
        !self.state.join(name).exists()
    }
}
