//! What a plugin that is tried out sees of its host: directories and granted commands, or a recording of those.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copal_conformance::{
    Error, MemoryTree, Recorder, Recording, Replay, Role, STREAMS, as_snapshot,
};
use copal_job::{GrantedProbe, Root, Schema, Settings};
use copal_sandbox::types::{
    BackupPlan, BackupRequest, Intent, PlacementContent, RestorePlan, RestoreRequest,
    SourceContent, Timestamp, VerifyRequest,
};
use copal_sandbox::{Directory, Plugin, Probe, Tree};
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use super::super::check::for_author;
use crate::args::{BackupCall, DetectCall, HostArgs, IntentArg, JobArgs, RestoreCall};
use crate::commands::job;
use crate::failure::Failure;
use crate::output::{self, Tried};
use crate::session::Session;

/// Bytes of a recording: what it holds is at most 64 MiB, and takes up to six times as much where it is escaped.
const MAX_RECORDING: u64 = 512 << 20;

/// The trees and the probe that the plugin is handed.
pub(super) struct Host {
    pub(super) roots: Vec<Arc<dyn Tree>>,
    pub(super) targets: Vec<Arc<dyn Tree>>,
    pub(super) snapshot: Vec<Arc<dyn Tree>>,
    /// One of the snapshot's trees.
    pub(super) streams: Option<Arc<dyn Tree>>,
    pub(super) probe: Arc<dyn Probe>,
    recorder: Option<(Recorder, PathBuf)>,
    replay: Option<Replay>,
    /// The call of the recording that answers.
    recorded: Value,
}

/// What the plugin is asked with.
pub(super) struct Asked {
    config: String,
    now: Timestamp,
    intent: Intent,
    streams: Vec<String>,
    pub(super) shown: Tried,
}

impl Asked {
    pub(super) fn backup(&self) -> BackupRequest {
        BackupRequest {
            config: self.config.clone(),
            now: self.now,
        }
    }

    /// A restore of what this backup would have stored.
    pub(super) fn restore(&self, backup: &BackupPlan) -> RestoreRequest {
        RestoreRequest {
            intent: self.intent,
            config: self.config.clone(),
            now: self.now,
            facts: backup.facts.clone(),
            streams: self.streams.clone(),
            rehearsal: false,
        }
    }

    /// A look at what a restore of that left. No step ran, so none was captured.
    pub(super) fn verify(&self, backup: &BackupPlan) -> VerifyRequest {
        VerifyRequest {
            intent: self.intent,
            config: self.config.clone(),
            facts: backup.facts.clone(),
            captures: Vec::new(),
            rehearsal: false,
        }
    }

    /// The call as a recording has it.
    pub(super) fn document(&self, function: &str) -> Value {
        json!({
            "function": function,
            "config": self.shown.config,
            "now": self.now,
            "intent": self.intent,
        })
    }
}

impl Host {
    pub(super) fn to_detect(call: &DetectCall, session: &Session) -> Result<Self, Failure> {
        let mut host = Self::new(&call.host, &[], call.path.is_some(), session)?;
        if let Some(path) = &call.path {
            let path = std::fs::canonicalize(path).map_err(|error| unread(path, &error))?;
            let root = Root {
                name: "detect".to_owned(),
                path,
            };
            host.roots = host.open(Role::Root, &[root])?;
        }
        Ok(host)
    }

    /// The only root.
    pub(super) fn root(&self) -> Result<Arc<dyn Tree>, Failure> {
        let root = self.roots.first().cloned();
        root.ok_or_else(|| Failure::usage("recording", "the recording holds no directory"))
    }

    pub(super) fn to_back_up(
        plugin: &Plugin,
        call: &BackupCall,
        session: &Session,
    ) -> Result<(Self, Asked), Failure> {
        let description = plugin.describe()?;
        let roots = copal_job::sources(&call.roots, description)?;
        let mut host = Self::new(&call.host, &roots, !roots.is_empty(), session)?;
        if host.replay.is_none() {
            host.roots = host.open(Role::Root, &roots)?;
        }
        let [config, shown] = settings(plugin, call, &host.recorded)?;
        let recorded_now = serde_json::from_value(host.recorded["now"].clone());
        let intent = serde_json::from_value(host.recorded["intent"].clone()).ok();
        let asked = Asked {
            config: Value::Object(config).to_string(),
            now: recorded_now.unwrap_or_else(|_| now()),
            intent: intent
                .or(description.intents.first().copied())
                .unwrap_or(Intent::Recover),
            streams: Vec::new(),
            shown: Tried {
                roots: roots_of(&host.roots),
                targets: Vec::new(),
                config: shown,
            },
        };
        Ok((host, asked))
    }

    pub(super) fn to_restore(
        plugin: &Plugin,
        call: &RestoreCall,
        session: &Session,
    ) -> Result<(Self, Asked), Failure> {
        let (mut host, mut asked) = Self::to_back_up(plugin, &call.backup, session)?;
        if host.replay.is_some() && (!call.to.is_empty() || call.streams.is_some()) {
            let message = "with --replay neither --to nor --streams is given: what the recording holds is looked at";
            return Err(Failure::arguments(message, ""));
        }
        if let Some(intent) = call.intent {
            asked.intent = chosen(plugin, intent)?;
        }
        if host.replay.is_none() {
            let roots = host.roots.clone();
            host.snapshot = host.recorded(Role::Snapshot, roots.into_iter().map(as_snapshot));
            let held: Vec<String> = asked
                .shown
                .roots
                .iter()
                .map(|root| root.name.clone())
                .collect();
            host.targets = if call.to.is_empty() {
                let absent = held.iter().map(|name| {
                    let tree = MemoryTree::new(name, format!("/nowhere/{name}"));
                    Arc::new(tree) as Arc<dyn Tree>
                });
                host.recorded(Role::Target, absent)
            } else {
                let described = &plugin.describe()?.roots;
                let (filled, looked_at) = copal_job::targets(&call.to, &held, described)?;
                host.open(Role::Target, &[filled, looked_at].concat())?
            };
            if let Some(folder) = &call.streams {
                let streams = Root {
                    name: STREAMS.to_owned(),
                    path: std::fs::canonicalize(folder).map_err(|error| unread(folder, &error))?,
                };
                let streams = host.open(Role::Snapshot, &[streams])?;
                host.snapshot.extend(streams);
            }
        }
        host.streams = host
            .snapshot
            .iter()
            .find(|tree| tree.name() == STREAMS)
            .cloned();
        if let Some(streams) = &host.streams {
            let listed = streams
                .list("")
                .map_err(|failure| for_author(failure.into()))?;
            asked.streams = listed.into_iter().map(|entry| entry.path).collect();
        }
        asked.shown.targets = roots_of(&host.targets);
        Ok((host, asked))
    }

    /// A host without trees, or with those of a recording.
    fn new(
        args: &HostArgs,
        roots: &[Root],
        directories: bool,
        session: &Session,
    ) -> Result<Self, Failure> {
        let mut host = Self {
            roots: Vec::new(),
            targets: Vec::new(),
            snapshot: Vec::new(),
            streams: None,
            probe: Arc::new(GrantedProbe::new(
                args.grant.iter().cloned().collect(),
                roots,
                session.context.cancel.clone(),
            )),
            recorder: None,
            replay: None,
            recorded: Value::Null,
        };
        if let Some(path) = &args.replay {
            if directories {
                let message =
                    "with --replay no directories are given: those of the recording are looked at";
                return Err(Failure::arguments(message, ""));
            }
            let bytes = read_recording(path).map_err(|error| unread(path, &error))?;
            let recording = Recording::parse(&bytes).map_err(for_author)?;
            host.recorded = recording.call.clone();
            let replay = Replay::new(recording);
            host.roots = replay.trees(Role::Root);
            host.targets = replay.trees(Role::Target);
            host.snapshot = replay.trees(Role::Snapshot);
            host.probe = replay.probe();
            host.replay = Some(replay);
            return Ok(host);
        }
        if let Some(path) = &args.record {
            let recorder = Recorder::new();
            host.probe = recorder.probe(host.probe);
            host.recorder = Some((recorder, path.clone()));
        }
        Ok(host)
    }

    fn open(&self, role: Role, roots: &[Root]) -> Result<Vec<Arc<dyn Tree>>, Failure> {
        let mut trees = Vec::new();
        for root in roots {
            let directory = Directory::open(&root.name, &root.path);
            let directory = directory.map_err(|failure| for_author(failure.into()))?;
            trees.push(Arc::new(directory) as Arc<dyn Tree>);
        }
        Ok(self.recorded(role, trees))
    }

    /// The trees, recorded where that was asked for.
    fn recorded(
        &self,
        role: Role,
        trees: impl IntoIterator<Item = Arc<dyn Tree>>,
    ) -> Vec<Arc<dyn Tree>> {
        let trees = trees.into_iter();
        match &self.recorder {
            Some((recorder, _)) => trees.map(|tree| recorder.tree(role, tree)).collect(),
            None => trees.collect(),
        }
    }

    /// What the plugin answered. What it was answered itself is written down where that was asked for, all the more where it failed.
    pub(super) fn end<T>(
        &self,
        plugin: &Plugin,
        call: Value,
        answer: Result<T, impl Into<Error>>,
    ) -> Result<T, Failure> {
        if let Some((recorder, path)) = &self.recorder {
            let mut recording = recorder.recording();
            recording.call = call;
            let description = plugin.describe()?;
            recording.call["plugin"] = json!({
                "name": description.name,
                "version": description.version,
                "digest": plugin.digest(),
            });
            write_private(path, &recording.to_bytes().map_err(for_author)?)?;
            output::complain(&format!(
                "{} holds what the plugin read, contents of files included. Look through it before you hand it on.\n",
                path.display()
            ));
            if recording.truncated {
                output::complain(
                    "It was cut at its limit of 64 MiB: what was read after that is not in it.\n",
                );
            }
        }
        if let Some(replay) = &self.replay {
            let of = &self.recorded["plugin"];
            if of["digest"]
                .as_str()
                .is_some_and(|digest| digest != plugin.digest())
            {
                let word = |name: &str| output::printable(of[name].as_str().unwrap_or_default());
                output::complain(&format!(
                    "The recording was made with another component: {} {}, sha256 {}.\n",
                    word("name"),
                    word("version"),
                    word("digest")
                ));
            }
            replay.check().map_err(for_author)?;
        }
        answer.map_err(|error| for_author(error.into()))
    }
}

/// The configuration, and as it may be shown. A replay begins with that of the recording.
fn settings(
    plugin: &Plugin,
    call: &BackupCall,
    recorded: &Value,
) -> Result<[Map<String, Value>; 2], Failure> {
    let schema = Schema::parse(&plugin.describe()?.config_schema)
        .map_err(|error| Failure::usage("config", error.to_string()))?;
    let words = job::settings(&JobArgs {
        set: call.set.clone(),
        set_file: call.set_file.clone(),
        grant: Vec::new(),
        yes: true,
    })?;
    let given = Settings::from(words);
    let said = schema
        .settings(&given)
        .map_err(|error| Failure::usage("config", error.to_string()))?;
    let mut config = recorded["config"].as_object().cloned().unwrap_or_default();
    config.extend(said);
    let shown = schema.redact(&config, &given);
    Ok([config, shown])
}

/// The intent, if the plugin knows it.
fn chosen(plugin: &Plugin, intent: IntentArg) -> Result<Intent, Failure> {
    let intent = Intent::from(intent);
    let description = plugin.describe()?;
    if description.intents.contains(&intent) {
        return Ok(intent);
    }
    let word = copal_job::intent_word(intent);
    let message = format!("{} does not know the intent `{word}`", description.name);
    Err(Failure::usage("roots", message))
}

fn roots_of(trees: &[Arc<dyn Tree>]) -> Vec<Root> {
    let root = |tree: &Arc<dyn Tree>| Root {
        name: tree.name().to_owned(),
        path: tree.location().into(),
    };
    trees.iter().map(root).collect()
}

/// The roots that a backup reads.
pub(super) fn read(plan: &BackupPlan) -> Vec<String> {
    let sources = plan.sources.iter();
    let roots = sources.filter_map(|source| match &source.content {
        SourceContent::Tree(root) => Some(root.clone()),
        SourceContent::Command(_) => None,
    });
    roots.collect()
}

/// The roots that a restore fills.
pub(super) fn placed(plan: &RestorePlan) -> Vec<String> {
    let placements = plan.placements.iter();
    let roots = placements.filter_map(|placement| match &placement.content {
        PlacementContent::Tree(root) => Some(root.clone()),
        PlacementContent::Feed(_) => None,
    });
    roots.collect()
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    Timestamp {
        seconds: now.as_second(),
        nanoseconds: now.subsec_nanosecond().unsigned_abs(),
    }
}

/// Writes a file for this user's eyes only, in the place of whatever has its name: what was there may be read by others, or lead elsewhere.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = || {
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is not a file"));
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        // Such a file is its owner's alone from the beginning.
        let mut partial = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        partial.write_all(bytes)?;
        partial.persist(path)?;
        Ok(())
    };
    written()
        .map_err(Error::file("write", path))
        .map_err(for_author)
}

/// Reads a recording; nobody wrote one that is longer than this.
fn read_recording(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(MAX_RECORDING + 1)
        .read_to_end(&mut bytes)?;
    match read as u64 > MAX_RECORDING {
        true => Err(io::Error::other("it is too long for a recording")),
        false => Ok(bytes),
    }
}

fn unread(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage("file", format!("can't read {}: {error}", path.display()))
}
