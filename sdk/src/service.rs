//! The container or systemd unit that an application runs as: how a plugin sees whether it runs, and has it stopped and started.
//!
//! ```
//! use copal_sdk::service::{Service, State};
//! use copal_sdk::testing::FakeProbe;
//!
//! let service = Service::choose("notebook", None, Some("notebook.service"))?.unwrap();
//! let probe = FakeProbe::new().answer(["systemctl", "is-active", "notebook.service"], 0, "active");
//! assert!(matches!(service.state(&probe), State::Running));
//! assert_eq!(service.stop().argv, ["systemctl", "stop", "notebook.service"]);
//! # Ok::<(), copal_sdk::Failure>(())
//! ```

use crate::{Command, Description, Failure, FailureKind, Finding, Probe, literal};

/// How an application is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Which plugin's codes its findings carry.
    plugin: &'static str,
    manager: Manager,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Docker,
    Systemd,
}

/// What a service does.
#[derive(Debug)]
pub enum State {
    /// It runs, or is on its way up or down.
    Running,
    /// It is there and does not run.
    Stopped,
    /// There is no such container or unit.
    Absent,
    /// It could not be asked.
    Unknown(Failure),
}

/// Declares what plugins ask for that work with a [`Service`].
pub fn declare(description: Description) -> Description {
    description
        .capability(
            "probe:docker inspect -f {{.State.Running}} *",
            "To see whether the container of `container` runs",
        )
        .capability(
            "run:docker stop *",
            "To stop the container while its data is read or replaced",
        )
        .capability(
            "run:docker start *",
            "To start the container again after a backup",
        )
        .capability(
            "probe:systemctl is-active *",
            "To see whether the unit of `unit` runs",
        )
        .capability(
            "run:systemctl stop *",
            "To stop the unit while its data is read or replaced",
        )
        .capability(
            "run:systemctl start *",
            "To start the unit again after a backup",
        )
}

impl Service {
    /// The service that a configuration names by its keys `container` and `unit`; none where it names neither. Fails with
    /// `PLUGIN.config.service` where it names both, and with `PLUGIN.config.name` where a name can't be one.
    pub fn choose(
        plugin: &'static str,
        container: Option<&str>,
        unit: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let (manager, name) = match (container, unit) {
            (None, None) => return Ok(None),
            (Some(name), None) => (Manager::Docker, name),
            (None, Some(name)) => (Manager::Systemd, name),
            (Some(_), Some(_)) => {
                return Err(Failure::invalid_config(
                    format!("{plugin}.config.service"),
                    "both `container` and `unit` are set, but the application runs as one of them",
                )
                .remedy("set the one that it runs as"));
            }
        };
        if !is_name(name) {
            return Err(Failure::invalid_config(
                format!("{plugin}.config.name"),
                "the name in `container` or `unit` is not one of a container or unit",
            )
            .remedy(
                "use letters, digits and the signs . _ - @ : and begin with a letter or digit",
            ));
        }
        Ok(Some(Self {
            plugin,
            manager,
            name: name.to_owned(),
        }))
    }

    /// The name of the container; none where it is a unit.
    pub fn container(&self) -> Option<&str> {
        (self.manager == Manager::Docker).then_some(&self.name)
    }

    /// `the container NAME` or `the unit NAME`.
    pub fn title(&self) -> String {
        match self.manager {
            Manager::Docker => format!("the container {}", self.name),
            Manager::Systemd => format!("the unit {}", self.name),
        }
    }

    /// Stops it, within five minutes. The grant is `run:docker stop NAME` or `run:systemctl stop NAME`.
    pub fn stop(&self) -> Command {
        self.command("stop")
    }

    /// Starts it, within five minutes.
    pub fn start(&self) -> Command {
        self.command("start")
    }

    fn command(&self, verb: &str) -> Command {
        let program = match self.manager {
            Manager::Docker => "docker",
            Manager::Systemd => "systemctl",
        };
        Command::new([program, verb, &self.name]).timeout(300)
    }

    /// What it does now. The grant is `probe:docker inspect -f * NAME` or `probe:systemctl is-active NAME`.
    pub fn state(&self, probe: &dyn Probe) -> State {
        let command = match self.manager {
            Manager::Docker => {
                let format = literal("{{.State.Running}}");
                Command::new(["docker", "inspect", "-f", &format, &self.name])
            }
            Manager::Systemd => Command::new(["systemctl", "is-active", &self.name]),
        };
        let output = match probe.run(&command) {
            Ok(output) => output,
            Err(failure) => return State::Unknown(failure),
        };
        // systemctl(1): 4 says that there is no such unit. A unit on its way up or down is not to be trusted with its files.
        match (self.manager, output.code, output.text().as_str()) {
            (Manager::Docker, 0, "false") => State::Stopped,
            (Manager::Docker, 0, _) => State::Running,
            (Manager::Docker, ..) => not_inspected(&output.stderr),
            (Manager::Systemd, 4, _) => State::Absent,
            (Manager::Systemd, _, "inactive" | "failed") => State::Stopped,
            (Manager::Systemd, ..) => State::Running,
        }
    }

    /// The finding `PLUGIN.service.missing` for a service that is not there.
    pub fn absent(&self) -> Finding {
        Finding::error(
            format!("{}.service.missing", self.plugin),
            format!("There is no such thing as {}.", self.title()),
        )
        .remedy("Check the name, and that it is of this host and user.")
    }

    /// The finding `PLUGIN.service.unknown` for a service that could not be asked: it is stopped all the same.
    pub fn unasked(&self, failure: &Failure) -> Finding {
        Finding::info(
            format!("{}.service.unknown", self.plugin),
            format!(
                "Whether {} runs could not be found out, so it is taken to run: {}.",
                self.title(),
                failure.message
            ),
        )
    }
}

/// Whether a name can be that of a container or unit, and is no option of the program that it is handed to.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c))
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
        "sdk.service.unknown",
        said.unwrap_or("docker inspect failed and does not say why"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;

    /// Answers every command with one output.
    struct Says(Output);

    impl Probe for Says {
        fn run(&self, _command: &Command) -> Result<Output, Failure> {
            Ok(self.0.clone())
        }
    }

    fn state(container: bool, code: i32, stdout: &str, stderr: &str) -> String {
        let (container, unit) = if container {
            (Some("app"), None)
        } else {
            (None, Some("app"))
        };
        let service = Service::choose("test", container, unit).unwrap().unwrap();
        let output = Output {
            code,
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        };
        match service.state(&Says(output)) {
            State::Unknown(failure) => failure.message,
            known => format!("{known:?}"),
        }
    }

    #[test]
    fn what_docker_and_systemctl_answer_is_understood() {
        for (container, code, stdout, stderr, expected) in [
            (true, 0, "true\n", "", "Running"),
            (true, 0, "false\n", "", "Stopped"),
            (true, 1, "", "Error: No such object: app", "Absent"),
            (true, 1, "", "\nno daemon\nx", "no daemon"),
            (
                true,
                1,
                "",
                "",
                "docker inspect failed and does not say why",
            ),
            (false, 0, "active\n", "", "Running"),
            (false, 3, "activating\n", "", "Running"),
            (false, 3, "inactive\n", "", "Stopped"),
            (false, 3, "failed\n", "", "Stopped"),
            (false, 4, "inactive\n", "", "Absent"),
        ] {
            assert_eq!(state(container, code, stdout, stderr), expected);
        }
    }

    #[test]
    fn names_that_contradict_or_mislead_are_refused() {
        let code = |container, unit| {
            Service::choose("test", container, unit).map_err(|failure| failure.code)
        };
        assert_eq!(
            code(Some("a"), Some("b")).unwrap_err(),
            "test.config.service"
        );
        assert_eq!(code(Some("--help"), None).unwrap_err(), "test.config.name");
        assert_eq!(code(None, Some("a b")).unwrap_err(), "test.config.name");
        assert_eq!(code(None, None).unwrap(), None);
    }
}
