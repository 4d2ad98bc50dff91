//! Restoring what was backed up before.

use std::sync::Arc;

use copal_sandbox::Tree as _;
use copal_sandbox::types::{
    BackupPlan, Direction, Intent, PlacementContent, RestorePlan, RestoreRequest, SourceContent,
    VerifyRequest,
};

use super::plans::refusal;
use super::sample::Sample;
use super::{Run, rules};
use crate::case::{Case, refused, stream_names, trees};
use crate::declared::check_looked_at;
use crate::error::told;
use crate::memory::MemoryTree;
use crate::saved::{STREAMS, save, save_stream, stream_entry};

/// What a backup left.
pub(super) struct Backup {
    pub(super) snapshot: Vec<Arc<MemoryTree>>,
    /// How it is restored: as its case says, or as it was backed up.
    pub(super) request: RestoreRequest,
    /// The configuration of the backup.
    config: String,
}

impl Backup {
    /// The requests to try with this intent, in their order. The settings that a case restores with are made for its own intent; with another the
    /// plugin may want those of the backup.
    fn requests(&self, intent: Intent) -> Vec<RestoreRequest> {
        let own = RestoreRequest {
            intent,
            ..self.request.clone()
        };
        if intent == self.request.intent || self.config == own.config {
            return vec![own];
        }
        let plain = RestoreRequest {
            config: self.config.clone(),
            ..own.clone()
        };
        vec![own, plain]
    }

    /// The same backup with another snapshot, restored by another request.
    pub(super) fn other(&self, snapshot: Vec<Arc<MemoryTree>>, request: RestoreRequest) -> Self {
        Self {
            snapshot,
            request,
            config: self.config.clone(),
        }
    }
}

impl Run<'_> {
    /// Plans restores of a sample's backup: with each intent, into its case's targets, over what was saved, and into trees that nobody expects.
    pub(super) fn restores(&mut self, sample: &Sample<'_>, plan: &BackupPlan) {
        let backup = match self.backup(sample, plan) {
            Ok(Some(backup)) => backup,
            Ok(None) => return,
            Err(error) => {
                self.broken_pass(&sample.name, &error);
                let reason = format!(
                    "{}: nothing was saved to restore: {}",
                    sample.name,
                    told(&error)
                );
                for rule in rules::of_restores() {
                    self.checks.skipped(rule, &reason);
                }
                return;
            }
        };
        let targets = sample.targets(&backup.snapshot);
        let before: Vec<_> = targets
            .iter()
            .map(|target| {
                let held = backup
                    .snapshot
                    .iter()
                    .any(|tree| tree.name() == target.name());
                let source = sample
                    .roots
                    .iter()
                    .find(|tree| tree.name() == target.name());
                source.filter(|_| held).unwrap_or(target).clone()
            })
            .collect();
        for intent in self.description.intents.clone() {
            for (what, targets) in [
                ("into its targets", &targets),
                ("over what was saved", &before),
            ] {
                let place = format!("{}, {} {what}", sample.name, word(intent));
                for request in backup.requests(intent) {
                    let planned = self.restore(&place, sample, &backup, targets, &request);
                    if self.note(intent, sample, planned) {
                        break;
                    }
                }
            }
        }
        let rehearsal = RestoreRequest {
            rehearsal: true,
            ..backup.request.clone()
        };
        let place = format!("{}, a rehearsal", sample.name);
        self.restore(&place, sample, &backup, &targets, &rehearsal);
        self.odd_restores(sample, &backup, &targets);
    }

    /// Keeps how planning went. Only a case with a `[restore]` is made to be restored, so that no other sample speaks against the plugin. Returns whether a host would
    /// carry the plan out.
    fn note(&mut self, intent: Intent, sample: &Sample<'_>, planned: Planned) -> bool {
        match planned {
            Planned::Plan if sample.case.is_some() => {
                self.planned.insert(word(intent), None);
                true
            }
            // Where a case can't be restored so, an empty tree says little.
            Planned::Plan => {
                self.planned.entry(word(intent)).or_insert(None);
                true
            }
            Planned::None(why) => {
                if sample.case.is_some_and(Case::is_restored) {
                    let why = format!("{}: {why}", sample.name);
                    self.planned.entry(word(intent)).or_insert(Some(why));
                }
                false
            }
            Planned::Broken => false,
        }
    }

    /// What the snapshot of a sample would be; none where a root that the plan reads is not there.
    fn backup(
        &mut self,
        sample: &Sample<'_>,
        plan: &BackupPlan,
    ) -> Result<Option<Backup>, crate::Error> {
        let mut snapshot = Vec::new();
        let mut streams = MemoryTree::new(STREAMS, "");
        for source in &plan.sources {
            match &source.content {
                SourceContent::Tree(root) => {
                    let tree = sample.roots.iter().find(|tree| tree.name() == root);
                    let Some(tree) = tree else {
                        return Ok(None);
                    };
                    let saved = save(self.plugin, Direction::Backup, &plan.state, &**tree)?;
                    self.findings(&sample.name, &saved.findings);
                    snapshot.push(Arc::new(saved.tree));
                }
                SourceContent::Command(stream) => {
                    let content = sample.case.and_then(|case| case.stream(&stream.name));
                    let content = content.unwrap_or_default();
                    let stored = match stream.filter {
                        true => {
                            let direction = Direction::Backup;
                            let name = &stream.name;
                            let saved =
                                save_stream(self.plugin, direction, &plan.state, name, content)?;
                            self.findings(&sample.name, &saved.1);
                            saved.0.output
                        }
                        false => content.to_vec(),
                    };
                    streams = streams.file(&stream.name, stored);
                }
            }
        }
        if streams.iter().next().is_some() {
            snapshot.push(Arc::new(streams));
        }
        let asked = sample.request();
        let plain = || RestoreRequest {
            intent: self.intent(),
            config: asked.config.clone(),
            now: asked.now,
            facts: plan.facts.clone(),
            streams: stream_names(&snapshot),
            rehearsal: false,
        };
        let own = sample
            .case
            .and_then(|case| case.restore_request(&plan.facts, &snapshot, self.intent()));
        let request = own.unwrap_or_else(plain);
        Ok(Some(Backup {
            snapshot,
            request,
            config: asked.config,
        }))
    }

    /// One restore, planned twice, its passes and its verification.
    fn restore(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        backup: &Backup,
        targets: &[Arc<MemoryTree>],
        request: &RestoreRequest,
    ) -> Planned {
        let first = self.restore_planned(place, sample, backup, targets, request);
        let second = self.restore_planned(place, sample, backup, targets, request);
        let (Some(first), Some(second)) = (first, second) else {
            return Planned::Broken;
        };
        let same = match (&first, &second) {
            (Ok(first), Ok(second)) => first == second,
            (Err(first), Err(second)) => first.0 == second.0,
            _ => false,
        };
        self.checks
            .rule(&rules::RESTORE_STABLE, same, || place.to_owned());
        let plan = match first {
            Ok(plan) => plan,
            Err((code, message)) => {
                return Planned::None(format!("it failed with `{code}`: {message}"));
            }
        };
        self.unknown_in_restore(sample, targets, &backup.snapshot, request);
        if refused(&plan.findings) {
            return Planned::None(format!("refused: {}", refusal(&plan.findings)));
        }
        self.passes_of_restore(place, sample, backup, &plan);
        self.verified(place, sample, backup, request);
        Planned::Plan
    }

    /// The plan, or the code and the message of the failure; none where the plugin broke down.
    pub(super) fn restore_planned(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        backup: &Backup,
        targets: &[Arc<MemoryTree>],
        request: &RestoreRequest,
    ) -> Option<Result<RestorePlan, (String, String)>> {
        let snapshot = trees(&backup.snapshot);
        let answer = self.plugin.plan_restore(
            trees(targets),
            snapshot.clone(),
            sample.probe(),
            request.clone(),
        );
        let answer = answer.and_then(|plan| {
            check_looked_at(self.plugin, &request.config, &plan, &snapshot)?;
            Ok(plan)
        });
        match self.survives(&rules::RESTORE_SURVIVES, place, answer) {
            Ok(plan) => {
                self.checks.held(&rules::RESTORE_DECLARED);
                self.findings(place, &plan.findings);
                Some(Ok(plan))
            }
            Err(failure) => failure.map(|failure| Err((failure.code, failure.message))),
        }
    }

    fn passes_of_restore(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        backup: &Backup,
        plan: &RestorePlan,
    ) {
        self.states(place, Direction::Restore, &plan.state, &backup.snapshot);
        for placement in &plan.placements {
            let find = |name: &str| backup.snapshot.iter().find(|tree| tree.name() == name);
            match &placement.content {
                PlacementContent::Tree(root) => {
                    if let Some(tree) = find(root) {
                        let place = format!("{place}, root `{root}`");
                        self.passes(&place, Direction::Restore, &plan.state, tree);
                        if sample.case.is_some() {
                            self.hostile_passes(&place, Direction::Restore, &plan.state, root);
                        }
                    }
                }
                PlacementContent::Feed(feed) if feed.filter => {
                    let stored = find(STREAMS).and_then(|streams| streams.get(&feed.name));
                    let content = stored.map(|(_, content)| content.clone());
                    let place = format!("{place}, stream `{}`", feed.name);
                    self.filter(
                        &place,
                        (Direction::Restore, &plan.state),
                        (STREAMS, &stream_entry(&feed.name)),
                        &content.unwrap_or_else(|| [].into()),
                    );
                }
                PlacementContent::Feed(_) => {}
            }
        }
    }

    /// Verifies targets that hold what the snapshot holds, and targets that hold nothing.
    fn verified(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        backup: &Backup,
        request: &RestoreRequest,
    ) {
        let full: Vec<_> = of_roots(&backup.snapshot, |root| {
            let tree = backup.snapshot.iter().find(|tree| tree.name() == root);
            let location = format!("/targets/{root}");
            match tree {
                Some(tree) => MemoryTree::clone(tree).named(root, location),
                None => MemoryTree::new(root, location),
            }
        });
        let empty: Vec<_> = of_roots(&backup.snapshot, |root| {
            MemoryTree::new(root, format!("/targets/{root}"))
        });
        for targets in [full, empty] {
            self.verify(place, sample, &targets, &backup.snapshot, request);
        }
    }

    pub(super) fn verify(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        targets: &[Arc<MemoryTree>],
        snapshot: &[Arc<MemoryTree>],
        request: &RestoreRequest,
    ) {
        let request = VerifyRequest {
            intent: request.intent,
            config: request.config.clone(),
            facts: request.facts.clone(),
            captures: Vec::new(),
            rehearsal: request.rehearsal,
        };
        sample.was_probed();
        let answer = self.plugin.verify(
            trees(targets),
            trees(snapshot),
            sample.probe(),
            request.clone(),
        );
        if let Ok(findings) = self.survives(&rules::VERIFY_SURVIVES, place, answer) {
            self.declared_probes(sample);
            self.findings(place, &findings);
            self.unknown_in_verify(sample, targets, snapshot, request);
        }
    }

    /// Whether each intent was planned once.
    pub(super) fn intents(&mut self) {
        for (intent, missing) in std::mem::take(&mut self.planned) {
            match missing {
                None => self.checks.held(&rules::RESTORE_INTENTS),
                Some(why) => {
                    let problem = format!(
                        "{intent} was never planned; add a case that is restored so ({why})"
                    );
                    self.checks.broken(&rules::RESTORE_INTENTS, problem);
                }
            }
        }
    }
}

/// How planning a restore went.
enum Planned {
    /// There is a plan, and no finding refuses it.
    Plan,
    /// There is none that a host would carry out.
    None(String),
    Broken,
}

/// An intent as people write it.
fn word(intent: Intent) -> &'static str {
    match intent {
        Intent::Recover => "recover",
        Intent::Migrate => "migrate",
        Intent::Clone => "clone",
    }
}

/// A tree for each root of a snapshot.
pub(super) fn of_roots(
    snapshot: &[Arc<MemoryTree>],
    make: impl Fn(&str) -> MemoryTree,
) -> Vec<Arc<MemoryTree>> {
    let roots = snapshot.iter().map(|tree| tree.name());
    let roots = roots.filter(|name| *name != STREAMS);
    roots.map(|root| Arc::new(make(root))).collect()
}
