//! Restoring what was backed up before.

use std::sync::Arc;

use copal_sandbox::types::{
    BackupPlan, Direction, Fact, PlacementContent, RestorePlan, RestoreRequest, SourceContent,
    VerifyRequest,
};
use copal_sandbox::{Tree as _, needs};

use super::sample::Sample;
use super::{Run, rules};
use crate::case::{refused, stream_names, trees};
use crate::hostile;
use crate::memory::{EPOCH, MemoryTree};
use crate::saved::{STREAMS, save, save_stream, stream_entry};

/// What a backup left.
struct Backup {
    snapshot: Vec<Arc<MemoryTree>>,
    request: RestoreRequest,
}

impl Run<'_> {
    /// Plans restores of a sample's backup: with each intent, into nothing, over what was saved, and into trees that nobody expects.
    pub(super) fn restores(&mut self, sample: &Sample<'_>, plan: &BackupPlan) {
        let Some(backup) = self.backup(sample, plan) else {
            return;
        };
        let empty: Vec<_> = of_roots(&backup.snapshot, |root| {
            MemoryTree::new(root, format!("/targets/{root}"))
        });
        let before: Vec<_> = of_roots(&backup.snapshot, |root| {
            let source = sample.roots.iter().find(|tree| tree.name() == root);
            source.map_or_else(
                || MemoryTree::new(root, format!("/targets/{root}")),
                |tree| MemoryTree::clone(tree),
            )
        });
        let hostile: Vec<_> = of_roots(&backup.snapshot, hostile::tree);
        for intent in self.description.intents.clone() {
            for (what, targets) in [("into nothing", &empty), ("over what was saved", &before)] {
                let word = serde_json::to_string(&intent).unwrap_or_default();
                let place = format!("{}, {word} {what}", sample.name);
                let request = RestoreRequest {
                    intent,
                    ..backup.request.clone()
                };
                let planned = self.restore(&place, sample, &backup, targets, &request);
                let outcome = self.planned.entry(word).or_insert(Ok(false));
                match planned {
                    Planned::Plan => *outcome = Ok(true),
                    Planned::Failed(why) if *outcome == Ok(false) => *outcome = Err(why),
                    _ => {}
                }
            }
        }
        let rehearsal = RestoreRequest {
            rehearsal: true,
            ..backup.request.clone()
        };
        let place = format!("{}, a rehearsal", sample.name);
        self.restore(&place, sample, &backup, &empty, &rehearsal);
        self.odd_restores(sample, &backup, &empty, &hostile);
    }

    /// What the snapshot of a sample would be.
    fn backup(&mut self, sample: &Sample<'_>, plan: &BackupPlan) -> Option<Backup> {
        let mut snapshot = Vec::new();
        let mut streams = MemoryTree::new(STREAMS, "");
        for source in &plan.sources {
            match &source.content {
                SourceContent::Tree(root) => {
                    let tree = sample.roots.iter().find(|tree| tree.name() == root)?;
                    let saved = save(self.plugin, Direction::Backup, &plan.state, &**tree);
                    snapshot.push(Arc::new(saved.ok()?.tree));
                }
                SourceContent::Command(stream) => {
                    let content = sample.case.and_then(|case| case.stream(&stream.name));
                    let content = content.unwrap_or_default();
                    let stored = match stream.filter {
                        true => {
                            let direction = Direction::Backup;
                            let saved = save_stream(
                                self.plugin,
                                direction,
                                &plan.state,
                                &stream.name,
                                content,
                            );
                            saved.ok()?.0.output
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
        let request = RestoreRequest {
            intent: self.intent(),
            config: sample.request().config,
            now: EPOCH,
            facts: plan.facts.clone(),
            streams: stream_names(&snapshot),
            rehearsal: false,
        };
        Some(Backup { snapshot, request })
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
            Err((code, message)) => return Planned::Failed(format!("`{code}`: {message}")),
        };
        self.declared(place, &request.config, &plan, targets);
        if !refused(&plan.findings) {
            self.passes_of_restore(place, backup, &plan);
            self.verified(place, sample, backup, request);
        }
        Planned::Plan
    }

    fn restore_planned(
        &mut self,
        place: &str,
        sample: &Sample<'_>,
        backup: &Backup,
        targets: &[Arc<MemoryTree>],
        request: &RestoreRequest,
    ) -> Option<Result<RestorePlan, (String, String)>> {
        let answer = self.plugin.plan_restore(
            trees(targets),
            trees(&backup.snapshot),
            sample.probe(),
            request.clone(),
        );
        match self.survives(&rules::RESTORE_SURVIVES, place, answer) {
            Ok(plan) => Some(Ok(plan)),
            Err(failure) => failure.map(|failure| Err((failure.code, failure.message))),
        }
    }

    /// What the plan needs besides what the sandbox has seen to: writing into a root that is only looked at.
    fn declared(
        &mut self,
        place: &str,
        config: &str,
        plan: &RestorePlan,
        targets: &[Arc<MemoryTree>],
    ) {
        let Ok(ceiling) = self.plugin.ceiling(config) else {
            return;
        };
        let filled = |root: &str| targets.iter().any(|tree| tree.name() == root);
        self.checks.held(&rules::RESTORE_DECLARED);
        for used in needs::of_restore(plan, &filled) {
            if let Err(error) = ceiling.reason(&used.need) {
                let problem = format!("{place}: {error}");
                self.checks.broken(&rules::RESTORE_DECLARED, problem);
            }
        }
    }

    fn passes_of_restore(&mut self, place: &str, backup: &Backup, plan: &RestorePlan) {
        self.states(place, Direction::Restore, &plan.state, &backup.snapshot);
        for placement in &plan.placements {
            let find = |name: &str| backup.snapshot.iter().find(|tree| tree.name() == name);
            match &placement.content {
                PlacementContent::Tree(root) => {
                    if let Some(tree) = find(root) {
                        let place = format!("{place}, root `{root}`");
                        self.passes(&place, Direction::Restore, &plan.state, tree);
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
            let request = VerifyRequest {
                intent: request.intent,
                config: request.config.clone(),
                facts: request.facts.clone(),
                captures: Vec::new(),
                rehearsal: request.rehearsal,
            };
            let answer = self.plugin.verify(
                trees(&targets),
                trees(&backup.snapshot),
                sample.probe(),
                request,
            );
            let _ = self.survives(&rules::VERIFY_SURVIVES, place, answer);
        }
    }

    /// Restores of snapshots, into targets and by facts that nobody expects.
    fn odd_restores(
        &mut self,
        sample: &Sample<'_>,
        backup: &Backup,
        empty: &[Arc<MemoryTree>],
        hostile: &[Arc<MemoryTree>],
    ) {
        let odd_facts = |value: &str| -> Vec<Fact> {
            let facts = backup.request.facts.iter();
            facts
                .map(|fact| Fact {
                    name: fact.name.clone(),
                    value: value.to_owned(),
                })
                .collect()
        };
        let with = |facts: Vec<Fact>| RestoreRequest {
            facts,
            ..backup.request.clone()
        };
        let bare = Backup {
            snapshot: of_roots(&backup.snapshot, |root| MemoryTree::new(root, "")),
            request: RestoreRequest {
                streams: Vec::new(),
                ..backup.request.clone()
            },
        };
        let strange = Backup {
            snapshot: of_roots(&backup.snapshot, |root| hostile::tree(root).named(root, "")),
            request: bare.request.clone(),
        };
        let none = &backup.request;
        let cases = [
            ("into a hostile tree", backup, hostile, none.clone()),
            ("of an empty snapshot", &bare, empty, bare.request.clone()),
            (
                "of a hostile snapshot",
                &strange,
                empty,
                bare.request.clone(),
            ),
            ("without facts", backup, empty, with(Vec::new())),
            ("with facts of null", backup, empty, with(odd_facts("null"))),
            (
                "with facts of text",
                backup,
                empty,
                with(odd_facts("\"\\u0000x\"")),
            ),
            (
                "with facts of lists",
                backup,
                empty,
                with(odd_facts("[[{}]]")),
            ),
            (
                "with facts of numbers",
                backup,
                empty,
                with(odd_facts("-1e308")),
            ),
        ];
        for (what, backup, targets, request) in cases {
            let place = format!("{}, a restore {what}", sample.name);
            let _ = self.restore_planned(&place, sample, backup, targets, &request);
            let verify = VerifyRequest {
                intent: request.intent,
                config: request.config,
                facts: request.facts,
                captures: Vec::new(),
                rehearsal: false,
            };
            let probe = sample.probe();
            let answer = self
                .plugin
                .verify(trees(targets), trees(&backup.snapshot), probe, verify);
            let _: Result<_, _> = self.survives(&rules::VERIFY_SURVIVES, &place, answer);
        }
    }

    /// Whether each intent was planned once.
    pub(super) fn intents(&mut self) {
        for (intent, outcome) in std::mem::take(&mut self.planned) {
            match outcome {
                Ok(true) => self.checks.held(&rules::RESTORE_INTENTS),
                Ok(false) => {}
                Err(why) => {
                    let problem = format!("{intent} was never planned: {why}");
                    self.checks.broken(&rules::RESTORE_INTENTS, problem);
                }
            }
        }
    }
}

/// How planning a restore went.
enum Planned {
    Plan,
    Failed(String),
    Broken,
}

/// A tree for each root of a snapshot.
fn of_roots(
    snapshot: &[Arc<MemoryTree>],
    make: impl Fn(&str) -> MemoryTree,
) -> Vec<Arc<MemoryTree>> {
    let roots = snapshot.iter().map(|tree| tree.name());
    let roots = roots.filter(|name| *name != STREAMS);
    roots.map(|root| Arc::new(make(root))).collect()
}
