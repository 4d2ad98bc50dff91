//! Detecting, and planning backups.

use std::sync::Arc;

use copal_sandbox::types::{
    BackupPlan, Detection, Direction, FailureKind, Intent, RestoreRequest, SourceContent,
    VerifyRequest,
};
use copal_sandbox::{Error, Tree};
use serde_json::{Map, Value};

use super::sample::Sample;
use super::{Run, rules};
use crate::hostile;
use crate::memory::{EPOCH, MemoryTree};
use crate::recording::{Recorder, Role};
use crate::report::Rule;
use crate::saved::save;

/// A key that no plugin has.
const UNKNOWN: &str = "copalConformanceUnknownKey";

/// Paths that are mangled for one sample; each of them is in several ways.
const MAX_MANGLED: usize = 24;

impl Run<'_> {
    /// Configurations that no plugin takes.
    pub(super) fn configuration(&mut self, sample: Option<&Sample<'_>>) {
        let made = Sample::made(self.description);
        let Some(sample) = sample.or(made.first()) else {
            return;
        };
        let known: Map<String, Value> =
            serde_json::from_str(&sample.request().config).unwrap_or_default();
        let mut unknown = known;
        unknown.insert(UNKNOWN.to_owned(), Value::Bool(true));
        let unknown = Value::Object(unknown).to_string();
        let (roots, intent) = (sample.trees(), self.intent());
        let mut backup = sample.request();
        backup.config.clone_from(&unknown);
        let answer = self
            .plugin
            .plan_backup(roots.clone(), sample.probe(), backup);
        self.refused(&rules::CONFIG_KEYS, "plan-backup", answer.map(drop));
        let answer = self.plugin.plan_restore(
            roots.clone(),
            roots.clone(),
            sample.probe(),
            RestoreRequest {
                intent,
                config: unknown.clone(),
                now: EPOCH,
                facts: Vec::new(),
                streams: Vec::new(),
                rehearsal: false,
            },
        );
        self.refused(&rules::CONFIG_KEYS, "plan-restore", answer.map(drop));
        let answer = self.plugin.verify(
            roots.clone(),
            roots.clone(),
            sample.probe(),
            VerifyRequest {
                intent,
                config: unknown,
                facts: Vec::new(),
                captures: Vec::new(),
                rehearsal: false,
            },
        );
        self.refused(&rules::CONFIG_KEYS, "verify", answer.map(drop));
        for config in ["", "{", "null", "[]", "7", "\"text\"", "{} {}"] {
            let mut backup = sample.request();
            backup.config = config.to_owned();
            let probe = sample.probe();
            let answer = self.plugin.plan_backup(roots.clone(), probe, backup);
            let place = format!("plan-backup with `{config}`");
            self.refused(&rules::CONFIG_SHAPE, &place, answer.map(drop));
        }
    }

    fn refused(&mut self, rule: &'static Rule, place: &str, answer: Result<(), Error>) {
        match self.survives(rule, place, answer) {
            Ok(()) => self.checks.broken(rule, format!("{place} took it")),
            Err(Some(failure)) if failure.kind != FailureKind::InvalidConfig => {
                let problem = format!(
                    "{place} failed with `{}` of another kind: {}",
                    failure.code, failure.message
                );
                self.checks.broken(rule, problem);
            }
            Err(_) => {}
        }
    }

    /// The default intent.
    pub(super) fn intent(&self) -> Intent {
        let first = self.description.intents.first();
        first.copied().unwrap_or(Intent::Recover)
    }

    pub(super) fn detect(&mut self, sample: &Sample<'_>) {
        for tree in sample.trees() {
            let place = format!("{}, root `{}`", sample.name, tree.name());
            let first = self.detected(&place, tree.clone(), sample);
            let second = self.detected(&place, tree, sample);
            let (Some(first), Some(second)) = (first, second) else {
                continue;
            };
            self.checks
                .rule(&rules::DETECT_STABLE, first == second, || place.clone());
            if let Ok(Some(detection)) = first {
                let root = &detection.root;
                let known = self.description.any_roots
                    || self.description.roots.iter().any(|own| own.name == *root);
                self.checks.rule(&rules::DETECT_ROOT, known, || {
                    format!("{place}: it names `{root}`")
                });
            }
        }
    }

    /// What `detect` answers, or the code that it fails with; none where it broke down.
    fn detected(
        &mut self,
        place: &str,
        tree: Arc<dyn Tree>,
        sample: &Sample<'_>,
    ) -> Option<Result<Option<Detection>, String>> {
        let answer = self.plugin.detect(tree, sample.probe());
        match self.survives(&rules::DETECT_SURVIVES, place, answer) {
            Ok(detection) => Some(Ok(detection)),
            Err(failure) => failure.map(|failure| Err(failure.code)),
        }
    }

    /// The plan for a sample; none where there is none, or one that no host carries out.
    pub(super) fn plan_backup(&mut self, sample: &Sample<'_>) -> Option<BackupPlan> {
        let place = &sample.name;
        let first = self.backup_planned(place, sample.trees(), sample)?;
        let second = self.backup_planned(place, sample.trees(), sample)?;
        self.checks
            .rule(&rules::BACKUP_STABLE, first == second, || place.clone());
        let plan = match first {
            Ok(plan) => plan,
            Err(code) => {
                self.unplanned
                    .get_or_insert_with(|| format!("{place} failed with `{code}`"));
                return None;
            }
        };
        self.checks.held(&rules::BACKUP_DECLARED);
        if crate::case::refused(&plan.findings) {
            self.unplanned
                .get_or_insert_with(|| format!("{place} has a finding that refuses it"));
            return None;
        }
        Some(plan)
    }

    fn backup_planned(
        &mut self,
        place: &str,
        roots: Vec<Arc<dyn Tree>>,
        sample: &Sample<'_>,
    ) -> Option<Result<BackupPlan, String>> {
        let probe = sample.probe();
        let answer = self.plugin.plan_backup(roots, probe, sample.request());
        match self.survives(&rules::BACKUP_SURVIVES, place, answer) {
            Ok(plan) => Some(Ok(plan)),
            Err(failure) => failure.map(|failure| Err(failure.code)),
        }
    }

    /// The trees of a sample with something else at each place that the plugin looks at.
    pub(super) fn mangled(&mut self, sample: &Sample<'_>) {
        for (root, path) in self.looked_at(sample) {
            let Some(tree) = sample.roots.iter().find(|tree| tree.name() == root) else {
                continue;
            };
            for (what, mangled) in hostile::mangled(tree, &path) {
                let place = format!("{}, with {what} at `{root}/{path}`", sample.name);
                let mangled = Arc::new(mangled);
                let _ = self.detected(&place, mangled.clone(), sample);
                let roots = sample.with(&mangled);
                let planned = self.backup_planned(&place, roots, sample);
                if let Some(Ok(plan)) = planned
                    && !crate::case::refused(&plan.findings)
                    && reads(&plan, &root)
                {
                    self.passes_through(&place, &plan, &mangled);
                }
            }
        }
    }

    /// A tree through a whole pass, which may fail but must do so cleanly.
    fn passes_through(&mut self, place: &str, plan: &BackupPlan, tree: &MemoryTree) {
        if let Err(crate::Error::Plugin(error)) =
            save(self.plugin, Direction::Backup, &plan.state, tree)
        {
            self.broken_pass(place, &error);
        }
    }

    /// The places that the plugin looks at while it detects and plans.
    fn looked_at(&self, sample: &Sample<'_>) -> Vec<(String, String)> {
        let recorder = Recorder::new();
        let recorded = || -> Vec<Arc<dyn Tree>> {
            let trees = sample.trees().into_iter();
            trees.map(|tree| recorder.tree(Role::Root, tree)).collect()
        };
        // What comes of it was seen before.
        for tree in recorded() {
            let _ = self.plugin.detect(tree, sample.probe());
        }
        let probe = sample.probe();
        let _ = self.plugin.plan_backup(recorded(), probe, sample.request());
        let mut paths = recorder.paths(Role::Root);
        paths.retain(|(_, path)| !path.is_empty());
        // Those that hold something come first: more is made of them.
        paths.sort_by_cached_key(|(root, path)| {
            let tree = sample.roots.iter().find(|tree| tree.name() == root);
            tree.and_then(|tree| tree.get(path)).is_none()
        });
        paths.truncate(MAX_MANGLED);
        paths
    }
}

/// Whether the plan reads the root.
fn reads(plan: &BackupPlan, root: &str) -> bool {
    let mut sources = plan.sources.iter();
    sources.any(|source| matches!(&source.content, SourceContent::Tree(name) if name == root))
}
