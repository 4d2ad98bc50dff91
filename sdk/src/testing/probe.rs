//! A probe that answers from a table.

use crate::{Command, Failure, FailureKind, Output, Probe};

/// Answers commands from a table, and refuses all others as the host refuses what no grant covers.
///
/// ```
/// use copal_sdk::testing::FakeProbe;
/// use copal_sdk::{Command, Probe};
///
/// let probe = FakeProbe::new().answer(["java", "-version"], 0, "17.0.1");
/// assert_eq!(probe.run(&Command::new(["java", "-version"]))?.text(), "17.0.1");
/// assert!(probe.run(&Command::new(["reboot"])).is_err());
/// # Ok::<(), copal_sdk::Failure>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeProbe(Vec<(Vec<String>, Output)>);

impl FakeProbe {
    /// A probe that refuses everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the command `argv` with this exit code and standard output.
    #[must_use]
    pub fn answer<W: Into<String>>(
        mut self,
        argv: impl IntoIterator<Item = W>,
        code: i32,
        stdout: impl Into<Vec<u8>>,
    ) -> Self {
        let output = Output {
            code,
            stdout: stdout.into(),
            stderr: Vec::new(),
            truncated: false,
        };
        self.0
            .push((argv.into_iter().map(Into::into).collect(), output));
        self
    }
}

impl Probe for FakeProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let known = self.0.iter().find(|(argv, _)| *argv == command.argv);
        known.map(|(_, output)| output.clone()).ok_or_else(|| {
            Failure::new(
                FailureKind::Denied,
                "copal.grant.missing",
                format!("no grant covers `{}`", command.argv.join(" ")),
            )
        })
    }
}
