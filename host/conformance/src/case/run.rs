//! What comes of a case: detect, plan, save, restore and verify, in memory.

use std::sync::Arc;

use copal_sandbox::types::{
    BackupPlan, Capture, Description, Direction, Finding, Intent, PlacementContent, RestorePlan,
    RestoreRequest, Severity, SourceContent, VerifyRequest,
};
use copal_sandbox::{Plugin, Tree as _};
use serde_json::Map;

use super::golden::Results;
use super::manifest::{Call, Restore};
use super::probe::CaseProbe;
use super::{Case, trees};
use crate::declared::check_looked_at;
use crate::error::Error;
use crate::memory::MemoryTree;
use crate::saved::{STREAMS, described, members, save, save_stream};

/// What goes on after one call.
enum Next<T> {
    /// The call was answered.
    Go(T),
    /// The case expected it to fail, and it did.
    Stop,
}

pub(super) fn run(case: &Case, plugin: &Plugin) -> Result<Results, Error> {
    let mut run = Run {
        case,
        plugin,
        description: plugin.describe()?,
        results: Results::default(),
    };
    run.all()?;
    if let Some(call) = case.manifest.fails
        && !run.results.files().contains_key(FAILURE)
    {
        return Err(case.problem(format!("`{}` did not fail, as it should", call.word())));
    }
    Ok(run.results)
}

const FAILURE: &str = "failure.json";

struct Run<'a> {
    case: &'a Case,
    plugin: &'a Plugin,
    description: &'a Description,
    results: Results,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Error> {
        let Next::Go(()) = self.detect()? else {
            return Ok(());
        };
        let Next::Go(plan) = self.plan_backup()? else {
            return Ok(());
        };
        if refused(&plan.findings) {
            return Ok(());
        }
        let saved = self.save(&plan);
        let Next::Go(snapshot) = self.outcome(Call::BackupPass, saved)? else {
            return Ok(());
        };
        match &self.case.manifest.restore {
            Some(restore) => self.restore(restore, &plan, &snapshot),
            None => Ok(()),
        }
    }

    /// What a call brought, unless it failed as the case expects.
    fn outcome<T>(&mut self, call: Call, outcome: Result<T, Error>) -> Result<Next<T>, Error> {
        match outcome {
            Ok(answer) => Ok(Next::Go(answer)),
            Err(Error::Plugin(copal_sandbox::Error::Guest(failure))) => {
                if self.case.manifest.fails == Some(call) {
                    self.results.json(FAILURE, &failure);
                    return Ok(Next::Stop);
                }
                Err(Error::Failed {
                    call: call.word(),
                    failure,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the plugin with a probe, all of whose granted commands the case must answer.
    fn ask<T>(
        &mut self,
        call: Call,
        ask: impl FnOnce(&Plugin, Arc<CaseProbe>) -> Result<T, copal_sandbox::Error>,
    ) -> Result<Next<T>, Error> {
        let probe = self.case.probe();
        let answer = ask(self.plugin, probe.clone());
        if let Some(command) = probe.unanswered() {
            let problem = format!("calls.json has no answer to `{command}`, which the case grants");
            return Err(self.case.problem(problem));
        }
        self.outcome(call, answer.map_err(Error::Plugin))
    }

    fn detect(&mut self) -> Result<Next<()>, Error> {
        let mut found = Map::new();
        for root in self.case.roots() {
            let name = root.name().to_owned();
            let asked = self.ask(Call::Detect, |plugin, probe| plugin.detect(root, probe))?;
            let Next::Go(detection) = asked else {
                return Ok(Next::Stop);
            };
            found.insert(name, serde_json::to_value(detection).unwrap_or_default());
        }
        self.results.json("detect.json", &found);
        Ok(Next::Go(()))
    }

    fn plan_backup(&mut self) -> Result<Next<BackupPlan>, Error> {
        let (roots, request) = (self.case.roots(), self.case.backup_request());
        let planned = self.ask(Call::PlanBackup, |plugin, probe| {
            plugin.plan_backup(roots, probe, request)
        })?;
        if let Next::Go(plan) = &planned {
            self.results.json("backup.json", plan);
        }
        Ok(planned)
    }

    /// What the snapshot would hold.
    fn save(&mut self, plan: &BackupPlan) -> Result<Vec<Arc<MemoryTree>>, Error> {
        let mut listing = String::new();
        let mut snapshot = Vec::new();
        let mut findings = Vec::new();
        let mut streams = MemoryTree::new(STREAMS, "");
        for source in &plan.sources {
            match &source.content {
                SourceContent::Tree(root) => {
                    let tree = self.case.roots.iter().find(|tree| tree.name() == root);
                    let Some(tree) = tree else { continue };
                    let saved = save(self.plugin, Direction::Backup, &plan.state, &**tree)?;
                    listing += &format!("root {root}\n{}\n", saved.listing);
                    let folder = format!("saved/{root}");
                    for (path, content) in &saved.altered {
                        self.results.content(&folder, path, content);
                    }
                    findings.extend(saved.findings);
                    snapshot.push(Arc::new(saved.tree));
                }
                SourceContent::Command(stream) => {
                    let content = self.case.stream(&stream.name).ok_or_else(|| {
                        let name = &stream.name;
                        self.case.problem(format!("the plan reads the stream `{name}`: put what its command prints into streams/{name}"))
                    })?;
                    let (stored, members) = self.stream(
                        Direction::Backup,
                        &plan.state,
                        stream.filter,
                        &stream.name,
                        content,
                        &mut findings,
                    )?;
                    listing += &format!(
                        "stream {}: {}{members}\n\n",
                        stream.name,
                        described(&stored, stream.filter)
                    );
                    streams = streams.file(&stream.name, stored);
                }
            }
        }
        if streams.iter().next().is_some() {
            snapshot.push(Arc::new(streams));
        }
        self.results.text("saved.txt", trimmed(&listing));
        self.results.findings("saved-findings.json", &findings);
        Ok(snapshot)
    }

    /// A stream's content as it is stored or fed, and its members; kept as a golden file where a filter altered it.
    fn stream(
        &mut self,
        direction: Direction,
        state: &[u8],
        filter: bool,
        name: &str,
        content: &[u8],
        findings: &mut Vec<Finding>,
    ) -> Result<(Vec<u8>, String), Error> {
        if !filter {
            return Ok((content.to_vec(), String::new()));
        }
        let (filtered, said) = save_stream(self.plugin, direction, state, name, content)?;
        findings.extend(said);
        let folder = match direction {
            Direction::Backup => "saved",
            Direction::Restore => "restored",
        };
        if filtered.output != content {
            self.results
                .content(&format!("{folder}/{STREAMS}"), name, &filtered.output);
        }
        let members = members(&filtered.members);
        Ok((filtered.output, members))
    }

    fn restore(
        &mut self,
        restore: &Restore,
        plan: &BackupPlan,
        snapshot: &[Arc<MemoryTree>],
    ) -> Result<(), Error> {
        let default = self.description.intents.first().copied();
        let default = default.unwrap_or(Intent::Recover);
        let Some(request) = self.case.restore_request(&plan.facts, snapshot, default) else {
            return Ok(());
        };
        let targets = self.case.targets(snapshot);
        let asked = request.clone();
        let planned = self.ask(Call::PlanRestore, |plugin, probe| {
            plugin.plan_restore(trees(&targets), trees(snapshot), probe, asked)
        })?;
        let Next::Go(plan) = planned else {
            return Ok(());
        };
        check_looked_at(self.plugin, &request.config, &plan, &trees(snapshot))?;
        self.results.json("restore.json", &plan);
        if refused(&plan.findings) {
            return Ok(());
        }
        let placed = self.place(&plan, snapshot, &targets);
        let Next::Go(placed) = self.outcome(Call::RestorePass, placed)? else {
            return Ok(());
        };
        if restore.verify {
            self.verify(restore, request, snapshot, &placed)?;
        }
        Ok(())
    }

    /// What the targets would hold.
    fn place(
        &mut self,
        plan: &RestorePlan,
        snapshot: &[Arc<MemoryTree>],
        targets: &[Arc<MemoryTree>],
    ) -> Result<Vec<Arc<MemoryTree>>, Error> {
        let mut listing = String::new();
        let mut findings = Vec::new();
        let mut placed = targets.to_vec();
        for placement in &plan.placements {
            match &placement.content {
                PlacementContent::Tree(root) => {
                    let Some(tree) = snapshot.iter().find(|tree| tree.name() == root) else {
                        let problem =
                            format!("the plan restores the root `{root}`, which was not saved");
                        return Err(self.case.problem(problem));
                    };
                    let saved = save(self.plugin, Direction::Restore, &plan.state, &**tree)?;
                    listing += &format!("root {root}\n{}\n", saved.listing);
                    let folder = format!("restored/{root}");
                    for (path, content) in &saved.altered {
                        self.results.content(&folder, path, content);
                    }
                    findings.extend(saved.findings);
                    if let Some(target) = placed.iter_mut().find(|target| target.name() == root) {
                        let target = Arc::make_mut(target);
                        for (entry, content) in saved.tree.iter() {
                            target.put(entry.clone(), content.clone());
                        }
                    }
                }
                PlacementContent::Feed(feed) => {
                    let stored = snapshot.iter().find(|tree| tree.name() == STREAMS);
                    let stored = stored.and_then(|streams| streams.get(&feed.name));
                    let Some((_, content)) = stored else { continue };
                    let (fed, _) = self.stream(
                        Direction::Restore,
                        &plan.state,
                        feed.filter,
                        &feed.name,
                        content,
                        &mut findings,
                    )?;
                    let what = described(&fed, feed.filter);
                    listing += &format!("stream {}: {what}\n\n", feed.name);
                }
            }
        }
        self.results.text("restored.txt", trimmed(&listing));
        self.results.findings("restored-findings.json", &findings);
        Ok(placed)
    }

    fn verify(
        &mut self,
        restore: &Restore,
        request: RestoreRequest,
        snapshot: &[Arc<MemoryTree>],
        placed: &[Arc<MemoryTree>],
    ) -> Result<(), Error> {
        let captures = restore.captures.iter();
        let captures = captures.map(|(step, output)| Capture {
            step: step.clone(),
            output: output.clone().into_bytes(),
        });
        let request = VerifyRequest {
            intent: request.intent,
            config: request.config,
            facts: request.facts,
            captures: captures.collect(),
            rehearsal: request.rehearsal,
        };
        let verified = self.ask(Call::Verify, |plugin, probe| {
            plugin.verify(trees(placed), trees(snapshot), probe, request)
        })?;
        if let Next::Go(findings) = verified {
            self.results.json("verify.json", &findings);
        }
        Ok(())
    }
}

/// Whether the host would refuse the plan.
pub(crate) fn refused(findings: &[Finding]) -> bool {
    let error = |finding: &Finding| finding.severity == Severity::Error;
    findings.iter().any(error)
}

fn trimmed(listing: &str) -> String {
    format!("{}\n", listing.trim_end())
}
