//! The trait that a plugin implements, and what its functions are handed.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use crate::bindings::copal::plugin::types::Intent;
pub use crate::bindings::exports::copal::plugin::app::{
    Application, Capability, Capture, Description, Detection, RootSpec,
};
use crate::{
    BackupPlan, Command, Facts, Failure, Finding, Output, Pass, RestorePlan, Timestamp, Tree, Trees,
};

/// What a plugin knows of its application. No function may change anything: a plan says what the host is to do.
///
/// The least that a plugin says is what it is and what it recognises; everything else has a default, which saves and restores all of each root.
///
/// ```
/// use copal_sdk::testing::{FakeProbe, MemoryTree, check_description};
/// use copal_sdk::{Description, Detection, Failure, NoConfig, Plugin, Probe, Tree};
///
/// struct Wiki;
///
/// impl Plugin for Wiki {
///     type Config = NoConfig;
///     type Pass = ();
///
///     fn describe() -> Description {
///         Description::new("acme/wiki", "1.0.0", "Saves a wiki.").root("home", "The wiki's directory", &[])
///     }
///
///     fn detect(root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
///         let found = root.exists("LocalSettings.php")?;
///         Ok(found.then(|| Detection::new("Wiki", "home", 90).because("there is a LocalSettings.php")))
///     }
/// }
///
/// check_description::<Wiki>();
/// let wiki = MemoryTree::new("home").file("LocalSettings.php", "<?php");
/// assert_eq!(Wiki::detect(&wiki, &FakeProbe::new())?.map(|found| found.confidence), Some(90));
/// assert!(Wiki::detect(&MemoryTree::new("home"), &FakeProbe::new())?.is_none());
/// # Ok::<(), Failure>(())
/// ```
pub trait Plugin: 'static {
    /// The operator's configuration. Derive it with `#[serde(deny_unknown_fields, default)]`, so that a misspelt key is an error; its doc
    /// comments become the schema's descriptions. [`NoConfig`](crate::NoConfig) where there is nothing to configure.
    type Config: DeserializeOwned + JsonSchema + Default;

    /// What happens to entries and bytes; `()` keeps them all.
    type Pass: Pass;

    /// What `copal plugin info` shows. The SDK adds the schema of [`Config`](Self::Config).
    fn describe() -> Description;

    /// Whether the tree holds the application.
    fn detect(root: &dyn Tree, probe: &dyn Probe) -> Result<Option<Detection>, Failure>;

    /// How to back these roots up. By default: every root, all of it.
    fn plan_backup(request: &BackupRequest<'_, Self::Config>) -> Result<BackupPlan, Failure> {
        Ok(BackupPlan::whole(&request.roots))
    }

    /// How to restore. By default: every root that the snapshot holds, all of it.
    fn plan_restore(request: &RestoreRequest<'_, Self::Config>) -> Result<RestorePlan, Failure> {
        Ok(RestorePlan::whole(&request.snapshot, &request.targets))
    }

    /// Whether what now lies in the targets is whole and agrees with itself. A finding of severity `error` makes the restore fail.
    fn verify(request: &VerifyRequest<'_, Self::Config>) -> Result<Vec<Finding>, Failure> {
        let _ = request;
        Ok(Vec::new())
    }
}

/// Runs commands that look and change nothing. In a test: a [`FakeProbe`](crate::testing::FakeProbe).
pub trait Probe {
    /// Runs a command under the job's grants and waits for it. Fails with `denied` where no grant covers it, and with `unavailable` where it
    /// can't be started or runs out of time. A non-zero exit code is an output, not a failure.
    fn run(&self, command: &Command) -> Result<Output, Failure>;
}

/// What a backup is planned from.
pub struct BackupRequest<'a, C> {
    /// The roots that the operator gave.
    pub roots: Trees,
    /// Runs commands that look.
    pub probe: &'a dyn Probe,
    /// The operator's configuration.
    pub config: C,
    /// The job's idea of the present.
    pub now: Timestamp,
}

/// What a restore is planned from.
pub struct RestoreRequest<'a, C> {
    /// The places as they are now; an absent directory is an empty tree.
    pub targets: Trees,
    /// The trees that the snapshot holds, and where it holds streams, a tree `streams` of their files.
    pub snapshot: Trees,
    /// Runs commands that look.
    pub probe: &'a dyn Probe,
    /// Why the restore happens.
    pub intent: Intent,
    /// Whether this is a rehearsal in a scratch place: the plan must stop and start nothing.
    pub rehearsal: bool,
    /// The operator's configuration.
    pub config: C,
    /// The job's idea of the present.
    pub now: Timestamp,
    /// The facts of the snapshot's manifest.
    pub facts: Facts,
    /// The names of the streams that the snapshot holds.
    pub streams: Vec<String>,
}

/// What is verified.
pub struct VerifyRequest<'a, C> {
    /// The places as they are now.
    pub targets: Trees,
    /// The trees that the snapshot holds, as in [`RestoreRequest`].
    pub snapshot: Trees,
    /// Runs commands that look.
    pub probe: &'a dyn Probe,
    /// Why the restore happened.
    pub intent: Intent,
    /// Whether it was a rehearsal in a scratch place.
    pub rehearsal: bool,
    /// The operator's configuration.
    pub config: C,
    /// The facts of the snapshot's manifest.
    pub facts: Facts,
    /// What the captured steps answered.
    pub captures: Vec<Capture>,
}

impl Description {
    /// A plugin `publisher/name` of a semantic version, summed up in one sentence, that knows no root yet and restores with every intent.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            roots: Vec::new(),
            any_roots: false,
            config_schema: String::new(),
            capabilities: Vec::new(),
            applications: Vec::new(),
            intents: vec![Intent::Recover, Intent::Migrate, Intent::Clone],
        }
    }

    /// Adds a root; the first is the one that a bare path means. `conflicts` names those that hold the same data.
    #[must_use]
    pub fn root(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        conflicts: &[&str],
    ) -> Self {
        self.roots.push(RootSpec {
            name: name.into(),
            description: description.into(),
            conflicts: conflicts.iter().map(|&name| name.to_owned()).collect(),
        });
        self
    }

    /// Lets roots of other names be given too.
    #[must_use]
    pub fn any_roots(mut self) -> Self {
        self.any_roots = true;
        self
    }

    /// Adds a grant that the plugin may ask for, such as `run:docker stop *` for a step or `probe:docker inspect -f * *` for a probe, and why. What
    /// none of them covers, the host refuses. `{setting:KEY}` stands for the words of a setting, and words in `[…]` may be left out.
    #[must_use]
    pub fn capability(mut self, grant: impl Into<String>, reason: impl Into<String>) -> Self {
        self.capabilities.push(Capability {
            grant: grant.into(),
            reason: reason.into(),
        });
        self
    }

    /// Adds an application that the plugin knows, and which versions of it, in words.
    #[must_use]
    pub fn application(mut self, name: impl Into<String>, versions: impl Into<String>) -> Self {
        self.applications.push(Application {
            name: name.into(),
            versions: versions.into(),
        });
        self
    }

    /// Restores with these intents only; the first is the default.
    #[must_use]
    pub fn intents(mut self, intents: impl IntoIterator<Item = Intent>) -> Self {
        self.intents = intents.into_iter().collect();
        self
    }
}

impl Detection {
    /// The application, the plugin's root that the tree would be, and how sure: 1 (any directory fits) to 100 (no doubt).
    pub fn new(application: impl Into<String>, root: impl Into<String>, confidence: u8) -> Self {
        Self {
            application: application.into(),
            version: None,
            root: root.into(),
            confidence,
            because: Vec::new(),
        }
    }

    /// The application's version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds one thing that it was recognised by, in a short sentence.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.because.push(reason.into());
        self
    }
}
