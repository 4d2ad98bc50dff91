//! Detecting, and planning backups.

use std::sync::Arc;

use copal_sandbox::types::{
    BackupPlan, BackupRequest, Detection, Direction, FailureKind, Finding, Intent, RestoreRequest,
    Severity, SourceContent, VerifyRequest,
};
use copal_sandbox::{Error, Tree};
use serde_json::{Map, Value};

use super::sample::Sample;
use super::{Run, rules};
use crate::case::{refused, trees};
use crate::hostile;
use crate::memory::MemoryTree;
use crate::recording::{Recorder, Role};
use crate::report::Rule;
use crate::saved::save;

/// A key that no plugin has.
const UNKNOWN: &str = "copalConformanceUnknownKey";

/// Paths that are mangled for one sample; each of them is in several ways.
const MAX_MANGLED: usize = 24;

impl Run<'_> {
    /// A backup that can be planned, with configurations that no plugin takes.
    fn configuration(&mut self, sample: &Sample<'_>) {
        if std::mem::replace(&mut self.unknown.plan_backup, true) {
            return;
        }
        let ask = |run: &mut Self, rule: &'static Rule, what: &str, config: String| {
            let request = BackupRequest {
                config,
                ..sample.request()
            };
            let answer = run
                .plugin
                .plan_backup(sample.trees(), sample.probe(), request);
            run.refused(rule, &format!("plan-backup with {what}"), answer.map(drop));
        };
        let unknown = with_unknown(&sample.request().config);
        ask(self, &rules::CONFIG_KEYS, "an unknown key", unknown);
        for config in ["", "{", "null", "[]", "7", "\"text\"", "{} {}"] {
            let what = format!("`{config}`");
            ask(self, &rules::CONFIG_SHAPE, &what, config.to_owned());
        }
    }

    /// A restore that can be planned, with a key that no plugin has.
    pub(super) fn unknown_in_restore(
        &mut self,
        sample: &Sample<'_>,
        targets: &[Arc<MemoryTree>],
        snapshot: &[Arc<MemoryTree>],
        request: &RestoreRequest,
    ) {
        if std::mem::replace(&mut self.unknown.plan_restore, true) {
            return;
        }
        let request = RestoreRequest {
            config: with_unknown(&request.config),
            ..request.clone()
        };
        let (targets, snapshot) = (trees(targets), trees(snapshot));
        let answer = self
            .plugin
            .plan_restore(targets, snapshot, sample.probe(), request);
        let place = "plan-restore with an unknown key";
        self.refused(&rules::CONFIG_KEYS, place, answer.map(drop));
    }

    /// A verification that can be made, with a key that no plugin has.
    pub(super) fn unknown_in_verify(
        &mut self,
        sample: &Sample<'_>,
        targets: &[Arc<MemoryTree>],
        snapshot: &[Arc<MemoryTree>],
        request: VerifyRequest,
    ) {
        if std::mem::replace(&mut self.unknown.verify, true) {
            return;
        }
        let request = VerifyRequest {
            config: with_unknown(&request.config),
            ..request
        };
        let (targets, snapshot) = (trees(targets), trees(snapshot));
        let answer = self
            .plugin
            .verify(targets, snapshot, sample.probe(), request);
        let place = "verify with an unknown key";
        self.refused(&rules::CONFIG_KEYS, place, answer.map(drop));
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
        sample.was_probed();
        let answer = self.plugin.detect(tree, sample.probe());
        match self.survives(&rules::DETECT_SURVIVES, place, answer) {
            Ok(detection) => {
                self.declared_probes(sample);
                Some(Ok(detection))
            }
            Err(failure) => failure.map(|failure| Err(failure.code)),
        }
    }

    /// What was run to look around was declared, or the call would have ended.
    pub(super) fn declared_probes(&mut self, sample: &Sample<'_>) {
        if sample.was_probed() {
            self.checks.held(&rules::PROBES_DECLARED);
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
        self.configuration(sample);
        if refused(&plan.findings) {
            let why = refusal(&plan.findings);
            self.unplanned
                .get_or_insert_with(|| format!("{place} is refused by its finding {why}"));
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
            Ok(plan) => {
                self.findings(place, &plan.findings);
                Some(Ok(plan))
            }
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
                    && !refused(&plan.findings)
                    && reads(&plan, &root)
                {
                    self.passes_through(&place, &plan, &mangled);
                }
            }
        }
    }

    /// A tree through a whole pass, which may fail but must do so cleanly.
    fn passes_through(&mut self, place: &str, plan: &BackupPlan, tree: &MemoryTree) {
        match save(self.plugin, Direction::Backup, &plan.state, tree) {
            Ok(saved) => self.findings(place, &saved.findings),
            Err(error) => self.broken_pass(place, &error),
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

/// The same configuration with a key that no plugin has.
fn with_unknown(config: &str) -> String {
    let mut config: Map<String, Value> = serde_json::from_str(config).unwrap_or_default();
    config.insert(UNKNOWN.to_owned(), Value::Bool(true));
    Value::Object(config).to_string()
}

/// The first finding that refuses a plan.
pub(super) fn refusal(findings: &[Finding]) -> String {
    let mut errors = findings.iter();
    let first = errors.find(|finding| finding.severity == Severity::Error);
    first.map_or_else(String::new, |finding| {
        format!("`{}`: {}", finding.code, finding.message)
    })
}

/// Whether the plan reads the root.
fn reads(plan: &BackupPlan, root: &str) -> bool {
    let mut sources = plan.sources.iter();
    sources.any(|source| matches!(&source.content, SourceContent::Tree(name) if name == root))
}
