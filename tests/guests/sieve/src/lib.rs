//! A plugin that does to a directory what costs time: it classifies every entry, and reads every SQL file statement by statement. The benchmarks
//! measure what that adds to a backup.

use copal_sdk::sql::{Decision, Rewriter, Statement};
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Direction, Entry, Failure, Filter, Pass,
    Plugin, Probe, Tree, Verdict, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an operator can set.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

/// The plugin.
pub struct Sieve;

impl Plugin for Sieve {
    type Config = Config;
    type Pass = Statements;

    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        let description = Description::new(
            "tests/sieve",
            version,
            "Leaves the rows of sessions out of SQL.",
        );
        description.root("files", "A directory", &[])
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(None)
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        Ok(BackupPlan::whole(&request.roots))
    }
}

/// The pass.
pub struct Statements;

impl Pass for Statements {
    type State = ();

    fn start(_direction: Direction, (): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(match entry.path.ends_with(".sql") {
            true => Verdict::filter(),
            false => Verdict::Keep,
        })
    }

    fn open(&mut self, _root: &str, _entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        Ok(Box::new(Rewriter::new(|statement: &Statement| {
            Ok(match statement.concerns("sessions") {
                true => Decision::Drop,
                false => Decision::Keep,
            })
        })))
    }
}

export!(Sieve);
