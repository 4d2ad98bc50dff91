//! The container or systemd unit that Jpom runs as.

use copal_sdk::{Command, Failure, FailureKind, Finding, Probe, literal};

use crate::config::Config;

/// How Jpom is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    Container(String),
    Unit(String),
}

/// What a service does.
#[derive(Debug)]
pub(crate) enum State {
    Running,
    Stopped,
    /// There is no such container or unit.
    Absent,
    /// It could not be asked.
    Unknown(Failure),
}

impl Service {
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let container = config.container.clone().map(Self::Container);
        container.or_else(|| config.unit.clone().map(Self::Unit))
    }

    /// `the container jpom-server`.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Container(name) => format!("the container {name}"),
            Self::Unit(name) => format!("the unit {name}"),
        }
    }

    pub(crate) fn stop(&self) -> Command {
        self.command("stop").timeout(300)
    }

    pub(crate) fn start(&self) -> Command {
        self.command("start").timeout(300)
    }

    fn command(&self, verb: &str) -> Command {
        match self {
            Self::Container(name) => Command::new(["docker", verb, name]),
            Self::Unit(name) => Command::new(["systemctl", verb, name]),
        }
    }

    pub(crate) fn state(&self, probe: &dyn Probe) -> State {
        let command = match self {
            Self::Container(name) => {
                let format = literal("{{.State.Running}}");
                Command::new(["docker", "inspect", "-f", &format, name])
            }
            Self::Unit(name) => Command::new(["systemctl", "is-active", name]),
        };
        let output = match probe.run(&command) {
            Ok(output) => output,
            Err(failure) => return State::Unknown(failure),
        };
        // systemctl(1): 4 says that there is no such unit. A unit on its way up or down is not to be trusted with its files.
        match (self, output.code, output.text().as_str()) {
            (Self::Container(_), 0, "false") => State::Stopped,
            (Self::Container(_), 0, _) => State::Running,
            (Self::Container(_), ..) => not_inspected(&output.stderr),
            (Self::Unit(_), 4, _) => State::Absent,
            (Self::Unit(_), _, "inactive" | "failed") => State::Stopped,
            (Self::Unit(_), ..) => State::Running,
        }
    }

    /// The finding for a service that is not there.
    pub(crate) fn absent(&self) -> Finding {
        Finding::error(
            "jpom.service.missing",
            format!("There is no such thing as {}.", self.title()),
        )
        .remedy("Check the name, and that it is of this host and user.")
    }

    /// The finding for a service that could not be asked: it is stopped all the same.
    pub(crate) fn unasked(&self, failure: &Failure) -> Finding {
        Finding::info(
            "jpom.service.unknown",
            format!(
                "Whether {} runs could not be found out, so it is taken to run: {}.",
                self.title(),
                failure.message
            ),
        )
    }
}

/// What it means that `docker inspect` failed: `No such object: NAME` stands for an absent container in its standard error, and all
/// else, such as a daemon that can't be reached, says nothing of the container.
fn not_inspected(stderr: &[u8]) -> State {
    let stderr = String::from_utf8_lossy(stderr);
    let lower = stderr.to_ascii_lowercase();
    if ["no such object", "no such container"]
        .iter()
        .any(|absent| lower.contains(absent))
    {
        return State::Absent;
    }
    let said = stderr.lines().map(str::trim).find(|line| !line.is_empty());
    State::Unknown(Failure::new(
        FailureKind::Unavailable,
        "jpom.service.unknown",
        said.unwrap_or("docker inspect failed and does not say why"),
    ))
}
