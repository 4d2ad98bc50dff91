//! Saving what a restore is about to replace.

use std::io;
use std::path::{Path, PathBuf};

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::progress::ItemErrorKind;
use copal_repository::{LockMode, Repository, SnapshotId};
use copal_sandbox::types::{
    Finding, Intent, PlacementContent, RestorePlan, Safeguard, Severity, Step,
};
use copal_sandbox::{Grants, Plugin};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authority::Release;
use crate::backup;
use crate::context::Context;
use crate::error::Error;
use crate::manifest::{Manifest, Missing, PluginIdentity, STREAMS};
use crate::observer::Observer;
use crate::operator::OperatorFeed;
use crate::places::Root;
use crate::steps::Steps;
use crate::{files, plan, process};

/// The tag of a safety snapshot.
pub const SAFETY_TAG: &str = "safety";
/// The tag, besides, of one that was taken before a rollback.
pub(crate) const ROLLBACK_TAG: &str = "rollback";

/// What a safety snapshot says of the restore that it was taken before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Safety {
    /// The snapshot that was about to be restored.
    pub before: SnapshotId,
    /// Why.
    pub intent: Intent,
    /// The targets at which there was nothing.
    pub absent: Vec<Root>,
    /// The directories that the plan only looked at.
    pub looked_at: Vec<Root>,
    /// The steps and safeguards of the plan, as far as they hold no secret.
    plan: Option<Value>,
}

/// Whether it was taken before a restore, rather than as a backup.
pub fn is_safety(snapshot: &Snapshot) -> bool {
    snapshot.tags.iter().any(|tag| tag == SAFETY_TAG)
}

/// The snapshot of that id or beginning of one; `latest` is the newest that is no safety snapshot.
///
/// # Errors
/// The repository can't be read, or has no such snapshot.
pub fn snapshot(repository: &Repository, text: &str) -> Result<(SnapshotId, Snapshot), Error> {
    if text == "latest" {
        let mut snapshots = repository.snapshots()?;
        snapshots.retain(|(_, snapshot)| !is_safety(snapshot));
        if let Some(latest) = snapshots.pop() {
            return Ok(latest);
        }
    }
    Ok(repository.snapshot(text)?)
}

/// What a rollback takes from the plan of the restore.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// What the restore did before it replaced anything: it stopped the application.
    pub(crate) before: Vec<Step>,
    pub(crate) safeguards: Vec<Safeguard>,
}

impl From<&RestorePlan> for Recipe {
    fn from(plan: &RestorePlan) -> Self {
        Self {
            before: plan.before.clone(),
            safeguards: plan.safeguards.clone(),
        }
    }
}

impl Safety {
    /// The plan's part, where it could be kept.
    pub(crate) fn recipe(&self) -> Option<Recipe> {
        serde_json::from_value(self.plan.clone()?).ok()
    }
}

/// What is saved.
pub(crate) struct Saving<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) plugin: &'a Plugin,
    pub(crate) release: &'a Release,
    /// The snapshot that is about to be restored, or whose restore is about to be taken back.
    pub(crate) before: SnapshotId,
    pub(crate) intent: Intent,
    pub(crate) targets: &'a [Root],
    pub(crate) looked_at: &'a [Root],
    pub(crate) recipe: &'a Recipe,
    /// The restore's configuration, without secrets.
    pub(crate) config: &'a Map<String, Value>,
    pub(crate) grants: &'a Grants,
    /// Whether a rollback comes, rather than a restore.
    pub(crate) rollback: bool,
}

/// Saves all that lies in the targets, and what the safeguards save. Nothing of it may be missing.
pub(crate) fn take(
    saving: &Saving<'_>,
    steps: &Steps<'_>,
    context: &Context,
    observer: &dyn Observer,
) -> Result<SnapshotId, Error> {
    let Saving {
        repository,
        plugin,
        targets,
        recipe,
        ..
    } = *saving;
    let lock = repository.lock(LockMode::Write)?;
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for root in targets {
        match root.path.symlink_metadata() {
            Ok(_) => present.push(root.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => absent.push(root.clone()),
            Err(error) => return Err(Error::state("look at", &root.path, error)),
        }
    }
    let parent = backup::parent(repository, &present, &context.identity.hostname)?;
    let options = ArchiveOptions {
        parent: parent.as_ref().map(|(_, snapshot)| snapshot.tree),
        cancel: context.cancel.clone(),
        ..ArchiveOptions::default()
    };
    let mut archiver = Archiver::new(repository, options, observer.progress())?;
    for root in &present {
        observer.phase(&format!("Saving what is at {}", root.path.display()));
        archiver.add_tree(&root.name, &root.path, None)?;
    }
    for Safeguard { name, save, .. } in &recipe.safeguards {
        observer.phase(&format!("Saving {name}"));
        let reader = process::stream(save, steps.places(), steps.supervisor());
        let reader = reader.map_err(|source| Error::Stream {
            name: name.clone(),
            source,
        })?;
        archiver.add_stream(&format!("{STREAMS}/{name}"), reader, None)?;
    }
    let errors = archiver.summary().errors;
    let lost = errors
        .iter()
        .filter(|error| error.kind == ItemErrorKind::Lost);
    let lost: Vec<Missing> = lost.map(Missing::from).collect();
    if !lost.is_empty() {
        return Err(Error::Unsafe(lost));
    }
    let time = Timestamp::now();
    let manifest = Manifest {
        time,
        roots: present.clone(),
        streams: recipe
            .safeguards
            .iter()
            .map(|guard| guard.name.clone())
            .collect(),
        config: saving.config.clone(),
        grants: saving.grants.iter().map(ToString::to_string).collect(),
        missing: errors.iter().map(Missing::from).collect(),
        safety: Some(Safety {
            before: saving.before,
            intent: saving.intent,
            absent,
            looked_at: saving.looked_at.to_vec(),
            plan: without_secrets(recipe),
        }),
        ..Manifest::new(PluginIdentity::new(plugin, plugin.describe()?), context)
    };
    manifest.add_to(&mut archiver, plugin, saving.release)?;
    let archived = archiver.finish()?;
    let snapshot = Snapshot {
        parent: parent.map(|(id, _)| id),
        paths: targets
            .iter()
            .map(|root| root.path.to_string_lossy().into_owned())
            .collect(),
        tags: [SAFETY_TAG.to_owned(), manifest.plugin_tag()]
            .into_iter()
            .chain(saving.rollback.then(|| ROLLBACK_TAG.to_owned()))
            .collect(),
        ..context.snapshot(time, archived.tree)
    };
    lock.check()?;
    let id = repository.save_snapshot(&snapshot)?;
    Taken::of(&manifest).save(&context.state, &id)?;
    Ok(id)
}

/// What this machine knows of a safety snapshot that it took. A repository is no place to learn from what may be removed here.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    roots: Vec<Root>,
    absent: Vec<Root>,
    looked_at: Vec<Root>,
}

impl Taken {
    /// What a safety snapshot's manifest says.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let safety = manifest.safety.clone();
        let (absent, looked_at) = safety
            .map(|safety| (safety.absent, safety.looked_at))
            .unwrap_or_default();
        Self {
            roots: manifest.roots.clone(),
            absent,
            looked_at,
        }
    }

    /// Whether this machine took a snapshot of that id.
    pub(crate) fn exists(state: &Path, snapshot: &SnapshotId) -> bool {
        Self::place(state, snapshot).is_file()
    }

    /// Whether this machine took the snapshot, and took it of these places.
    pub(crate) fn is_known(&self, state: &Path, snapshot: &SnapshotId) -> bool {
        let known = std::fs::read(Self::place(state, snapshot)).ok();
        let known = known.and_then(|known| serde_json::from_slice::<Self>(&known).ok());
        known.as_ref() == Some(self)
    }

    fn save(&self, state: &Path, snapshot: &SnapshotId) -> Result<(), Error> {
        let path = Self::place(state, snapshot);
        let write = || files::write(&path, &serde_json::to_vec(self)?);
        write().map_err(|e| Error::state("note the safety snapshot in", &path, e))
    }

    /// Knows of the snapshot `new` what is known of `old`, which it takes the place of.
    pub(crate) fn carry(state: &Path, old: &SnapshotId, new: &SnapshotId) -> Result<(), Error> {
        let (old, new) = (Self::place(state, old), Self::place(state, new));
        let known = match std::fs::read(&old) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            known => known.map_err(|e| Error::state("read", &old, e))?,
        };
        files::write(&new, &known).map_err(|e| Error::state("note the safety snapshot in", &new, e))
    }

    fn place(state: &Path, snapshot: &SnapshotId) -> PathBuf {
        state.join("safety").join(format!("{snapshot}.json"))
    }
}

/// A warning for each stream that is fed to a command and of which nothing is saved first.
pub(crate) fn unsaved(plan: &RestorePlan, own: &[OperatorFeed]) -> Vec<Finding> {
    let fed = plan
        .placements
        .iter()
        .filter_map(|placement| match &placement.content {
            PlacementContent::Feed(feed) => Some(&feed.name),
            PlacementContent::Tree(_) => None,
        });
    // Which safeguard is of which stream only the plugin knows: one that has any is believed to have all.
    let is_own = |name: &str| own.iter().any(|feed| feed.name == name);
    let unsaved = fed.filter(|name| is_own(name) || plan.safeguards.is_empty());
    unsaved
        .map(|name| {
            let message = format!(
                "What the stream `{name}` replaces is not saved first, so a rollback does not put it back."
            );
            plan::finding(Severity::Warning, "copal.safety.stream", message, None)
        })
        .collect()
}

/// A recipe as JSON that can be read again; none where it holds secrets, which are never written down.
fn without_secrets(recipe: &Recipe) -> Option<Value> {
    let value = serde_json::to_value(recipe).ok()?;
    serde_json::from_value::<Recipe>(value.clone()).ok()?;
    Some(value)
}
