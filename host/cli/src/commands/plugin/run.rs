//! `copal plugin run`

mod host;
mod verdicts;

use std::io::{Stdout, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use copal_conformance::{Error, STREAMS, check_looked_at, filter, piece, stream_entry, walk};
use copal_sandbox::types::{BackupPlan, Direction, Entry, Kind, RestorePlan, Severity, Verdict};
use copal_sandbox::{Pass, Plugin, Tree};
use serde_json::json;
use tempfile::NamedTempFile;

use self::host::{Asked, Host};
use super::check::for_author;
use crate::args::{
    BackupCall, DetectCall, DirectionArg, FilterCall, PassCall, PluginCall, PluginRunArgs,
    RestoreCall,
};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &PluginRunArgs, session: &Session) -> Outcome {
    let engine = session.engine()?;
    let plugin = session.plugin(&engine, &args.plugin)?;
    plugin.describe().map_err(plain)?;
    match &args.call {
        PluginCall::Detect(call) => detect(&plugin, call, session)?,
        PluginCall::PlanBackup(call) => plan_backup(&plugin, call, session)?,
        PluginCall::PlanRestore(call) => plan_restore(&plugin, call, session)?,
        PluginCall::Classify(call) => classify(&plugin, call, session)?,
        PluginCall::Filter(call) => filter_file(&plugin, call, session)?,
        PluginCall::Verify(call) => verify(&plugin, call, session)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the plugin answered wrongly, as its author needs it.
fn plain(error: copal_sandbox::Error) -> Failure {
    for_author(error.into())
}

fn detect(plugin: &Plugin, call: &DetectCall, session: &Session) -> Result<(), Failure> {
    let host = Host::to_detect(call, session)?;
    let tree = host.root()?;
    let detection = plugin.detect(tree, host.probe.clone());
    let detection = host.end(plugin, json!({"function": "detect"}), detection)?;
    if session.global.json {
        return output::json(&detection);
    }
    let Some(found) = detection else {
        return output::print("The plugin does not know what this is.");
    };
    let version = found.version.map(|version| format!(" {version}"));
    let mut text = output::printable(&format!(
        "{}{}, as the root `{}` ({} %)",
        found.application,
        version.unwrap_or_default(),
        found.root,
        found.confidence
    ));
    for reason in &found.because {
        text += &format!("\n  {}", output::printable(reason));
    }
    output::print(&text)
}

fn plan_backup(plugin: &Plugin, call: &BackupCall, session: &Session) -> Result<(), Failure> {
    let (host, asked) = Host::to_back_up(plugin, call, session)?;
    let planned = plugin.plan_backup(host.roots.clone(), host.probe.clone(), asked.backup());
    let plan = host.end(plugin, asked.document("plan-backup"), planned)?;
    match session.global.json {
        true => output::json(&plan),
        false => output::print(&output::tried_backup(&asked.shown, &plan)),
    }
}

fn plan_restore(plugin: &Plugin, call: &RestoreCall, session: &Session) -> Result<(), Failure> {
    let (host, asked) = Host::to_restore(plugin, call, session)?;
    let planned = restore(plugin, &host, &asked);
    let plan = host.end(plugin, asked.document("plan-restore"), planned)?;
    match session.global.json {
        true => output::json(&plan),
        false => output::print(&output::tried_restore(&asked.shown, &plan)),
    }
}

/// The plan of a restore, with the facts of a backup that is planned first.
fn restore(
    plugin: &Plugin,
    host: &Host,
    asked: &Asked,
) -> Result<RestorePlan, copal_sandbox::Error> {
    let backup = plugin.plan_backup(host.roots.clone(), host.probe.clone(), asked.backup())?;
    let request = asked.restore(&backup);
    let config = request.config.clone();
    let plan = plugin.plan_restore(
        host.targets.clone(),
        host.snapshot.clone(),
        host.probe.clone(),
        request,
    )?;
    check_looked_at(plugin, &config, &plan, &host.snapshot)?;
    Ok(plan)
}

fn verify(plugin: &Plugin, call: &RestoreCall, session: &Session) -> Result<(), Failure> {
    let (host, asked) = Host::to_restore(plugin, call, session)?;
    let verified = || {
        let roots = host.roots.clone();
        let backup = plugin.plan_backup(roots, host.probe.clone(), asked.backup())?;
        let (targets, snapshot) = (host.targets.clone(), host.snapshot.clone());
        plugin.verify(targets, snapshot, host.probe.clone(), asked.verify(&backup))
    };
    let verified = verified();
    let findings = host.end(plugin, asked.document("verify"), verified)?;
    match (session.global.json, findings.is_empty()) {
        (true, _) => output::json(&findings),
        (false, true) => output::print("The plugin finds nothing to say of it.\n"),
        (false, false) => output::print(&output::findings(&findings, Severity::Info)),
    }
}

/// What a pass runs over: its direction, the plan's state and the trees that the plan names.
struct Run {
    direction: Direction,
    state: Vec<u8>,
    trees: Vec<Arc<dyn Tree>>,
}

impl Run {
    fn plan(
        plugin: &Plugin,
        host: &Host,
        asked: &Asked,
        direction: DirectionArg,
    ) -> Result<Self, copal_sandbox::Error> {
        let (direction, state, roots) = match direction {
            DirectionArg::Backup => {
                let plan =
                    plugin.plan_backup(host.roots.clone(), host.probe.clone(), asked.backup())?;
                let names = host::read(&plan);
                let BackupPlan { state, .. } = plan;
                (Direction::Backup, state, names)
            }
            DirectionArg::Restore => {
                let plan = restore(plugin, host, asked)?;
                let names = host::placed(&plan);
                let RestorePlan { state, .. } = plan;
                (Direction::Restore, state, names)
            }
        };
        let trees = match direction {
            Direction::Backup => &host.roots,
            Direction::Restore => &host.snapshot,
        };
        let trees = trees
            .iter()
            .filter(|tree| roots.iter().any(|name| name == tree.name()));
        Ok(Self {
            direction,
            state,
            trees: trees.cloned().collect(),
        })
    }

    fn start(&self, plugin: &Plugin) -> Result<Pass, copal_sandbox::Error> {
        plugin.start_pass(self.direction, &self.state)
    }
}

fn classify(plugin: &Plugin, call: &PassCall, session: &Session) -> Result<(), Failure> {
    let (host, asked) = Host::to_restore(plugin, &call.restore, session)?;
    let decided = || -> Result<_, Error> {
        let run = Run::plan(plugin, &host, &asked, call.direction)?;
        let mut all = Vec::new();
        let mut findings = Vec::new();
        for tree in &run.trees {
            let mut pass = run.start(plugin)?;
            all.push((tree.name().to_owned(), walk(&mut pass, &**tree)?));
            findings.extend(pass.finish()?);
        }
        Ok((all, findings))
    };
    let decided = decided();
    let (decided, findings) = host.end(plugin, asked.document("classify"), decided)?;
    match session.global.json {
        true => output::json(&verdicts::document(&decided, &findings)),
        false => output::print(&verdicts::text(&decided, &findings)),
    }
}

fn filter_file(plugin: &Plugin, call: &FilterCall, session: &Session) -> Result<(), Failure> {
    let (host, asked) = Host::to_restore(plugin, &call.pass.restore, session)?;
    let (root, path) = call.path.split_once('/').ok_or_else(|| {
        Failure::arguments(
            "--path names a file as ROOT/PATH",
            "Such as --path home/conf/app.yml.",
        )
    })?;
    let mut out = Out::create(call.out.as_deref())?;
    let mut filtered = || -> Result<_, Error> {
        let run = Run::plan(plugin, &host, &asked, call.pass.direction)?;
        let mut pass = run.start(plugin)?;
        let tree = match root {
            STREAMS => host.streams.as_ref(),
            root => run.trees.iter().find(|tree| tree.name() == root),
        };
        let tree = tree.ok_or_else(|| {
            let problem = match root {
                STREAMS => {
                    "give the streams as the files of a directory, with --streams".to_owned()
                }
                root => format!("the plan reads no root `{root}`"),
            };
            unfit(&call.path, problem)
        })?;
        let entry = match root {
            STREAMS => stream_entry(path),
            _ => wanted(&mut pass, &**tree, path)?,
        };
        let read = |offset| piece(&**tree, path, offset);
        filter(&mut pass, root, &entry, read, |bytes| out.write(bytes))?;
        Ok(pass.finish()?)
    };
    let filtered = filtered();
    let findings = host.end(plugin, asked.document("filter"), filtered)?;
    out.keep()?;
    // The standard output is the file's.
    output::complain(&output::findings(&findings, Severity::Info));
    Ok(())
}

/// The entry of a file that the pass sends through a filter.
fn wanted(pass: &mut Pass, tree: &dyn Tree, path: &str) -> Result<Entry, Error> {
    let shown = format!("{}/{path}", tree.name());
    let entry = tree
        .stat(path)?
        .filter(|entry| entry.kind == Kind::File)
        .ok_or_else(|| unfit(&shown, "there is no such file"))?;
    let verdicts = pass.classify(tree.name(), std::slice::from_ref(&entry))?;
    match verdicts.first() {
        Some(Verdict::Change(change)) if change.filter => Ok(entry),
        Some(Verdict::Skip) => Err(unfit(&shown, "the plugin leaves it out")),
        _ => Err(unfit(&shown, "the plugin sends it through no filter")),
    }
}

fn unfit(path: &str, problem: impl Into<String>) -> Error {
    Error::Unfit {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// Where a filter's output goes: the standard output, or a file that has its name once all is there.
enum Out<'a> {
    Standard(Stdout),
    File {
        path: &'a Path,
        partial: NamedTempFile,
    },
}

impl<'a> Out<'a> {
    fn create(path: Option<&'a Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Standard(std::io::stdout()));
        };
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let partial = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        Ok(Self::File {
            path,
            partial: partial
                .map_err(Error::file("write", path))
                .map_err(for_author)?,
        })
    }

    fn write(&mut self, output: &[u8]) -> Result<(), Error> {
        match self {
            Self::Standard(out) => out
                .write_all(output)
                .map_err(Error::file("write to", "the standard output")),
            Self::File { path, partial } => {
                let written = partial.write_all(output);
                written.map_err(Error::file("write", *path))
            }
        }
    }

    fn keep(self) -> Result<(), Failure> {
        match self {
            Self::Standard(mut out) => Ok(out.flush()?),
            Self::File { path, partial } => {
                let kept = partial.persist(path).map_err(|error| error.error);
                kept.map_err(Error::file("write", path))
                    .map_err(for_author)?;
                Ok(())
            }
        }
    }
}
