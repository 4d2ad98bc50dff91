//! A plugin that saves one directory and misbehaves as its configuration says.

use std::hint::black_box;

use copal_sdk::{
    BackupPlan, BackupRequest, Command, Description, Detection, Direction, Entry, Failure, Filter,
    Finding, Kind, Pass, Placement, Plugin, Probe, RestorePlan, RestoreRequest, Source, Step, Tree,
    Verdict, VerifyRequest, export, tracing,
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
}

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
            Mode::Behave | Mode::Huge | Mode::Probe => Ok(()),
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
        self.mode == Mode::Huge && self.meets(stage, path)
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
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(None)
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        let config = &request.config;
        config.misbehave(Stage::Plan, "")?;
        let mut plan = BackupPlan::new().source(Source::tree("data"));
        if config.mode == Mode::Probe {
            request.probe.run(&Command::new(["id", "--user"]))?;
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
        RestorePlan::new()
            .placement(Placement::tree("data"))
            .state(&request.config)
    }

    fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
        request.config.misbehave(Stage::Verify, "")?;
        Ok(Vec::new())
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
        Ok(Vec::new())
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
