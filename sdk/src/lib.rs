//! Write plugins for Copal: back up, restore and migrate one application.
//!
//! A plugin looks and computes; the host acts. It says what it is ([`Plugin::describe`]), whether a directory holds its application
//! ([`Plugin::detect`]), how to back it up and restore it ([`BackupPlan`], [`RestorePlan`]: data that the host shows, checks and carries out), and what
//! happens to entries and bytes on their way ([`Pass`], [`Filter`]). [`export!`] makes the crate a WebAssembly component.
//!
//! A crate of the types `cdylib` and `rlib` is both: the component for `wasm32-unknown-unknown`, and natively a library that `cargo test` tests
//! over trees in memory or on disk, with [`testing`].
//!
//! ```
//! use copal_sdk::{
//!     BackupPlan, BackupRequest, Command, Description, Detection, Direction, Entry, Failure, Finding,
//!     Pass, Plugin, Probe, Source, Step, Tree, Verdict,
//! };
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// A notebook: a directory of text files, with a lock while its application runs.
//! struct Notebook;
//!
//! #[derive(Default, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields, default)]
//! struct Config {
//!     /// The systemd unit to stop while reading.
//!     unit: Option<String>,
//! }
//!
//! impl Plugin for Notebook {
//!     type Config = Config;
//!     type Pass = WithoutDrafts;
//!
//!     fn describe() -> Description {
//!         Description::new("example/notebook", "1.0.0", "Saves a notebook without its drafts.")
//!             .root("notes", "The notebook's directory", &[])
//!             .capability("run:systemctl stop *", "The notebook must not be written to while it is read.")
//!             .capability("run:systemctl start *", "Starts the notebook again.")
//!             .application("Notebook", "all")
//!     }
//!
//!     fn detect(root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
//!         Ok(root
//!             .exists("notebook.ini")?
//!             .then(|| Detection::new("Notebook", "notes", 90).because("there is a notebook.ini")))
//!     }
//!
//!     fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
//!         let notes = request.roots.require("notes")?;
//!         let mut plan = BackupPlan::new()
//!             .fact("settings", notes.read_to_string("notebook.ini", 1 << 20)?)
//!             .source(Source::tree("notes"));
//!         match &request.config.unit {
//!             Some(unit) => {
//!                 let stop = Step::new("stop", format!("Stop {unit}"), Command::new(["systemctl", "stop", unit]))
//!                     .undo(Command::new(["systemctl", "start", unit]));
//!                 plan = plan.quiesce(stop);
//!             }
//!             None if notes.exists("lock")? => {
//!                 plan = plan.finding(
//!                     Finding::error("notebook.running", "The notebook is open.")
//!                         .at("notes/lock")
//!                         .remedy("Close it, or set `unit`."),
//!                 );
//!             }
//!             None => {}
//!         }
//!         Ok(plan)
//!     }
//! }
//!
//! struct WithoutDrafts;
//!
//! impl Pass for WithoutDrafts {
//!     type State = ();
//!
//!     fn start(_direction: Direction, _state: ()) -> Result<Self, Failure> {
//!         Ok(Self)
//!     }
//!
//!     fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
//!         Ok(match entry.name() {
//!             "drafts" | "lock" => Verdict::Skip,
//!             _ => Verdict::Keep,
//!         })
//!     }
//! }
//!
//! copal_sdk::export!(Notebook);
//!
//! // In the plugin's tests:
//! use copal_sdk::testing::{FakeProbe, MemoryTree, NOW, check_description, run_pass};
//!
//! let notes = MemoryTree::new("notes")
//!     .file("notebook.ini", "font=serif")
//!     .file("drafts/poem.txt", "…")
//!     .file("lock", "");
//! let mut request = BackupRequest {
//!     roots: notes.clone().into(),
//!     probe: &FakeProbe::new(),
//!     config: Config::default(),
//!     now: NOW,
//! };
//!
//! check_description::<Notebook>();
//! assert_eq!(Notebook::plan_backup(&request)?.findings[0].code, "notebook.running");
//!
//! request.config.unit = Some("notebook.service".to_owned());
//! let plan = Notebook::plan_backup(&request)?;
//! assert!(plan.findings.is_empty());
//! let (saved, _) = run_pass::<WithoutDrafts>(&notes, Direction::Backup, &plan.state)?;
//! assert_eq!(saved.paths(), ["notebook.ini"]);
//! # Ok::<(), Failure>(())
//! ```
//!
//! Messages for whoever runs or writes a plugin go through [`tracing`]'s macros into the host's log; a panic's message too. What the operator should
//! read is a [`Finding`].

pub mod bindings;
mod command;
pub mod config;
mod facts;
mod finding;
mod glob;
#[doc(hidden)]
pub mod guest;
pub mod h2;
mod log;
pub mod name;
mod plan;
mod plugin;
pub mod service;
pub mod sql;
mod step;
pub mod tar;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod transform;
mod tree;
pub mod yaml;

pub use command::{Command, Fragment, Output, Text, Variable, literal};
pub use config::NoConfig;
pub use facts::Facts;
pub use finding::{Failure, FailureKind, Finding, Severity};
pub use glob::Glob;
pub use plan::{
    BackupPlan, Fact, Feed, Placement, PlacementContent, RestorePlan, Safeguard, Source,
    SourceContent, StreamSource, Window,
};
pub use plugin::{
    Application, BackupRequest, Capability, Capture, Description, Detection, Intent, Plugin, Probe,
    RestoreRequest, RootSpec, VerifyRequest,
};
pub use step::{
    Action, Base, Condition, CopyEntry, HttpRequest, Location, RenameEntry, Step, WaitUntil,
    WriteFile,
};
pub use tracing;
pub use transform::{Change, Direction, Filter, Member, Pass, Verdict};
pub use tree::{Entry, Kind, Owner, READ_LIMIT, Timestamp, Tree, Trees};
