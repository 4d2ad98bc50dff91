//! A plugin that saves one directory and misbehaves as its configuration says.

use std::hint::black_box;

use copal_sdk::config::Secret;
use copal_sdk::{
    BackupPlan, BackupRequest, Change, Command, Description, Detection, Direction, Entry, Failure,
    Filter, Finding, Fragment, Kind, Location, Pass, Placement, Plugin, Probe, RestorePlan,
    RestoreRequest, Source, Step, Tree, Verdict, VerifyRequest, WriteFile, export, tracing,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the plugin does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Nothing.
    #[default]
    Behave,
    /// Never returns.
    Loop,
    /// Takes memory for ever.
    Memory,
    /// Panics.
    Panic,
    /// Calls itself for ever.
    Recurse,
    /// Returns a failure.
    Fail,
    /// Answers with more than the contract allows.
    Huge,
    /// Says so and computes for a second or two.
    Slow,
    /// Runs a command that it may not run.
    Probe,
    /// Looks by a command that it declares for a step alone, and makes nothing of the refusal.
    Act,
    /// Asks for a step that it does not declare.
    Undeclared,
    /// Asks for writing into a root, which it does not declare.
    Write,
    /// Says more than a million things.
    Flood,
    /// Gives a name of eight megabytes.
    Name,
    /// Logs for ever.
    Log,
    /// Fails with a message of eight megabytes.
    Message,
}

/// The length of what is too long.
const GIGANTIC: usize = 8 << 20;

/// How often something is said that should be said once.
const MANY: usize = 1_500_000;

/// Where it does so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    /// While planning a backup.
    #[default]
    Plan,
    /// When a pass starts.
    Start,
    /// While classifying.
    Classify,
    /// When a filter is opened.
    Open,
    /// In the middle of a file.
    Push,
    /// At the end of a file.
    End,
    /// At the end of a pass.
    Finish,
    /// While planning a restore.
    PlanRestore,
    /// While verifying.
    Verify,
}

/// How the plugin misbehaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What it does wrong.
    mode: Mode,
    /// Where it does so.
    stage: Stage,
    /// The one path where it does so; without it everywhere.
    at: Option<String>,
    /// A container that is stopped while the directory is read.
    container: Option<String>,
    /// What a program is told in its environment, on its standard input, in a file of its own and in one of the scratch folder.
    #[serde(skip_serializing)]
    secret: Option<Secret>,
    /// The program and its first arguments.
    told: Vec<String>,
}

impl Config {
    fn meets(&self, stage: Stage, path: &str) -> bool {
        self.stage == stage && self.at.as_deref().is_none_or(|at| at == path)
    }

    /// Misbehaves if this is the place. What is too large is the caller's to make.
    fn misbehave(&self, stage: Stage, path: &str) -> Result<(), Failure> {
        if !self.meets(stage, path) {
            return Ok(());
        }
        match self.mode {
            Mode::Behave
            | Mode::Huge
            | Mode::Probe
            | Mode::Act
            | Mode::Undeclared
            | Mode::Write
            | Mode::Flood
            | Mode::Name => Ok(()),
            Mode::Log => loop {
                tracing::error!("{}", "again and again ".repeat(100));
            },
            Mode::Message => Err(Failure::corrupt("hostile.told", "x".repeat(GIGANTIC))),
            Mode::Loop => loop {
                black_box(());
            },
            Mode::Memory => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
                }
            }
            Mode::Panic => panic!("as told, at {path:?}"),
            Mode::Recurse => {
                black_box(descend(0));
                Ok(())
            }
            Mode::Fail => Err(Failure::corrupt(
                "hostile.told",
                format!("told to fail at {path:?}"),
            )),
            Mode::Slow => {
                tracing::error!("computing at {path:?}");
                (0..1_000_000_000_u64).for_each(|count| {
                    black_box(count);
                });
                Ok(())
            }
        }
    }

    fn is_huge(&self, stage: Stage, path: &str) -> bool {
        self.does(Mode::Huge, stage, path)
    }

    fn does(&self, mode: Mode, stage: Stage, path: &str) -> bool {
        self.mode == mode && self.meets(stage, path)
    }

    /// The findings of a plugin that does not stop.
    fn findings(&self, stage: Stage) -> Vec<Finding> {
        match self.does(Mode::Flood, stage, "") {
            true => vec![Finding::info("hostile.again", "Again."); MANY],
            false => Vec::new(),
        }
    }

    /// A program that is told a secret in every way that there is.
    fn tell(&self, secret: &Secret) -> [Step; 2] {
        let word = || [Fragment::secret(secret.0.clone())];
        let argv = self.told.iter().cloned();
        let command = Command::new(argv.chain(["{fd:0}".to_owned(), "{scratch}/word".to_owned()]))
            .env("TOLD", word())
            .stdin(word())
            .descriptor(word());
        let file = WriteFile::new(Location::scratch("word"), word());
        [
            Step::new("write-word", "Write the word", file),
            Step::new("tell-word", "Tell the word", command).captured(),
        ]
    }

    fn filters(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Push | Stage::End)
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn descend(depth: u64) -> u64 {
    black_box(descend(black_box(depth + 1))) + 1
}

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Plugin for Hostile {
    type Config = Config;
    type Pass = Watch;

    fn describe() -> Description {
        Description::new("tests/hostile", "0.1.0", "Misbehaves as it is told.")
            .root("data", "Any directory.", &[])
            .capability("run:docker stop *", "To stop the container.")
            .capability("run:docker start *", "To start it again.")
            .capability("probe:id --user", "To see who it is.")
            .capability(
                "run:TOLD= {setting:told} {fd:0} {scratch}/word",
                "To tell `told` the word in `secret`.",
            )
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(None)
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        let config = &request.config;
        config.misbehave(Stage::Plan, "")?;
        let mut plan = BackupPlan::new().source(Source::tree("data"));
        plan.findings.extend(config.findings(Stage::Plan));
        match config.mode {
            Mode::Probe => drop(request.probe.run(&Command::new(["id", "--user"]))?),
            Mode::Act => drop(request.probe.run(&Command::new(["docker", "stop", "app"]))),
            Mode::Undeclared => {
                let step = Step::new("undeclared", "Do it", Command::new(["touch", "/tmp/x"]));
                plan = plan.quiesce(step);
            }
            Mode::Write => {
                let file = WriteFile::new(Location::root("data", "planted"), ["x"]);
                plan = plan.quiesce(Step::new("write", "Write it", file));
            }
            Mode::Name if config.stage == Stage::Plan => {
                let name = "x".repeat(GIGANTIC);
                plan = plan.quiesce(Step::new(name.clone(), name, Command::new(["docker"])));
            }
            _ => {}
        }
        for step in config.secret.iter().flat_map(|secret| config.tell(secret)) {
            plan = plan.quiesce(step);
        }
        if let Some(container) = &config.container {
            let docker = |verb: &str| Command::new(["docker", verb, container]);
            let stop = Step::new(
                "stop",
                format!("Stop the container {container}"),
                docker("stop"),
            );
            plan = plan.quiesce(stop.undo(docker("start")));
        }
        if config.is_huge(Stage::Plan, "") {
            return plan.state(&"x".repeat(2 << 20));
        }
        plan.state(config)
    }

    fn plan_restore(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
        request.config.misbehave(Stage::PlanRestore, "")?;
        let mut plan = RestorePlan::new();
        plan.findings = request.config.findings(Stage::PlanRestore);
        plan.placement(Placement::tree("data"))
            .state(&request.config)
    }

    fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
        request.config.misbehave(Stage::Verify, "")?;
        Ok(request.config.findings(Stage::Verify))
    }
}

/// Looks at every entry and every file's bytes.
#[derive(Debug)]
pub struct Watch(Config);

impl Pass for Watch {
    type State = Config;

    fn start(_direction: Direction, state: Config) -> Result<Self, Failure> {
        state.misbehave(Stage::Start, "")?;
        Ok(Self(state))
    }

    fn classify_batch(&mut self, _root: &str, entries: &[Entry]) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = Vec::new();
        for entry in entries {
            self.0.misbehave(Stage::Classify, &entry.path)?;
            if self.0.is_huge(Stage::Classify, &entry.path) {
                verdicts.push(Verdict::Keep);
            }
            if self.0.does(Mode::Flood, Stage::Classify, &entry.path) {
                verdicts.resize(MANY, Verdict::Skip);
            }
            if self.0.does(Mode::Name, Stage::Classify, &entry.path) {
                let change = Change {
                    name: Some("x".repeat(GIGANTIC)),
                    ..Change::none()
                };
                verdicts.push(Verdict::Change(change));
                continue;
            }
            let filtered = self.0.filters() && entry.kind == Kind::File;
            verdicts.push(if filtered {
                Verdict::filter()
            } else {
                Verdict::Keep
            });
        }
        Ok(verdicts)
    }

    fn open(&mut self, _root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        self.0.misbehave(Stage::Open, &entry.path)?;
        Ok(Box::new(Through {
            config: self.0.clone(),
            path: entry.path.clone(),
            pushes: 0,
        }))
    }

    fn finish(self) -> Result<Vec<Finding>, Failure> {
        self.0.misbehave(Stage::Finish, "")?;
        Ok(self.0.findings(Stage::Finish))
    }
}

/// Hands a file's bytes through.
struct Through {
    config: Config,
    path: String,
    pushes: u32,
}

impl Filter for Through {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.pushes += 1;
        // The second call: part of the file has already been handed through.
        if self.pushes == 2 {
            self.config.misbehave(Stage::Push, &self.path)?;
            if self.config.is_huge(Stage::Push, &self.path) {
                out.resize(32 << 20, 0);
            }
        }
        out.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Failure> {
        self.config.misbehave(Stage::End, &self.path)
    }
}

export!(Hostile);
