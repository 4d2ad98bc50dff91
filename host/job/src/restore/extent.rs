//! How much of a snapshot is restored, and what becomes of what is there.

use std::sync::atomic::{AtomicBool, Ordering};

use copal_repository::pattern::{Choice, Pattern};
use copal_repository::restorer::Overwrite;
use copal_repository::walk::{self, Next};
use copal_repository::{ErrorKind, Repository, TreeId};
use copal_sandbox::types::{Finding, Intent, PlacementContent, RestorePlan, Severity};
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::manifest::{OWN, STREAMS};
use crate::places::Root;
use crate::plan::finding;
use crate::proposal::intent_word;

/// How much is restored, and what becomes of what is there; by default all, over what has the same names.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Extent {
    /// What is restored, by paths in the snapshot such as `home/conf/application.yml` and `streams/database.sql`.
    #[serde(flatten, serialize_with = "patterns")]
    pub choice: Choice,
    /// Whether what the snapshot does not hold is removed from the targets, as far as it is chosen.
    pub delete: bool,
    /// What becomes of files that are there.
    pub overwrite: Overwrite,
}

fn patterns<S: Serializer>(choice: &Choice, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let texts = |patterns: &copal_repository::pattern::Patterns| {
        let texts = patterns.iter().map(Pattern::to_string);
        texts.collect::<Vec<_>>()
    };
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("include", &texts(&choice.include))?;
    map.serialize_entry("exclude", &texts(&choice.exclude))?;
    map.end()
}

impl Extent {
    /// Whether only a part is restored.
    pub fn is_part(&self) -> bool {
        !self.choice.is_all()
    }

    /// Refuses what would empty the whole machine.
    pub(super) fn check(&self, targets: &[Root]) -> Result<(), Error> {
        let whole = targets.iter().any(|root| root.path.parent().is_none());
        match self.delete && whole && self.choice.include.is_empty() {
            true => Err(Error::Roots(
                "--delete would remove from / whatever the snapshot does not hold, the system with it: say with --include what is to be restored"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Takes out of a plan what a part of the snapshot does not allow, and names it: streams that are not chosen, and the steps that come after all
    /// is in place, since the plugin meant them for all of it.
    pub(crate) fn trim(&self, plan: &mut RestorePlan, intent: Intent) {
        if !self.is_part() {
            return;
        }
        self.trim_streams(plan);
        if plan.after.is_empty() {
            return;
        }
        let titles: Vec<_> = plan.after.drain(..).map(|step| step.title).collect();
        let titles = titles.join("; ");
        let own = matches!(intent, Intent::Recover);
        let (severity, code, remedy) = match own {
            true => (
                Severity::Warning,
                "copal.part.steps",
                "Look whether what is restored needs them, and do by hand what does.",
            ),
            false => (
                Severity::Error,
                "copal.part.intent",
                "Restore all of it; or restore the part with --intent recover, to a place of its own.",
            ),
        };
        let message = match own {
            true => format!("Only a part is restored, so these steps are left out: {titles}."),
            false => format!(
                "A part of the snapshot can't be restored to {}: only with all of it in place can this be done: {titles}.",
                intent_word(intent)
            ),
        };
        let left_out = finding(severity, code, message, Some(remedy.to_owned()));
        plan.findings.push(left_out);
    }

    /// Takes the streams that are not chosen out of a plan, and names them.
    pub(super) fn trim_streams(&self, plan: &mut RestorePlan) {
        let findings = &mut plan.findings;
        plan.placements.retain(|placement| {
            let PlacementContent::Feed(feed) = &placement.content else {
                return true;
            };
            let path = format!("{STREAMS}/{}", feed.name);
            let chosen = self.choice.has(path.as_bytes());
            if !chosen {
                let message = format!("The stream {path} is not chosen, so it is not restored.");
                let code = "copal.part.stream";
                findings.push(finding(Severity::Warning, code, message, None));
            }
            chosen
        });
    }

    /// Names what is to be restored and is not in the snapshot; an error where that is all, and nothing is to be removed either.
    ///
    /// # Errors
    /// The store fails, or the user asked to stop. What is damaged counts as matched: the restore names it.
    pub(super) fn unmatched(
        &self,
        repository: &Repository,
        tree: &TreeId,
        cancel: &AtomicBool,
    ) -> Result<Vec<Finding>, Error> {
        let include = self.choice.include.iter();
        let mut left: Vec<_> = include.filter(|pattern| !pattern.is_negated()).collect();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let count = left.len();
        let walked = walk::walk(repository, tree, &mut |path, _| {
            if cancel.load(Ordering::Relaxed) {
                return Err(copal_repository::Error::Interrupted);
            }
            if path == OWN.as_bytes() {
                return Ok(Next::Pass);
            }
            left.retain(|pattern| !pattern.matches(path));
            Ok(match left.is_empty() {
                true => Next::Stop,
                false if left.iter().any(|one| one.may_match_beneath(path)) => Next::Continue,
                false => Next::Pass,
            })
        });
        match walked {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let severity = match left.len() == count && !self.delete {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let unmatched = |pattern: &&Pattern| {
            let message = format!("No path in the snapshot matches `{pattern}`.");
            let remedy = "`copal ls` shows the paths, and `copal find` looks for a name.";
            finding(
                severity,
                "copal.part.unmatched",
                message,
                Some(remedy.to_owned()),
            )
        };
        Ok(left.iter().map(unmatched).collect())
    }

    /// What there is to say of it to whoever reads the plan.
    pub(super) fn findings(&self, plan: &RestorePlan, verifies: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.is_part() && verifies {
            let message = "Only a part of the snapshot is restored, so the plugin does not verify the result: it knows how to judge all of it.";
            let code = "copal.part.unverified";
            findings.push(finding(Severity::Warning, code, message.to_owned(), None));
        }
        if matches!(self.overwrite, Overwrite::IfNewer | Overwrite::Never) {
            for placement in &plan.placements {
                if let PlacementContent::Feed(feed) = &placement.content {
                    let message = format!(
                        "--overwrite is about files: the stream {STREAMS}/{} replaces what its command takes it for all the same.",
                        feed.name
                    );
                    let code = "copal.overwrite.stream";
                    findings.push(finding(Severity::Warning, code, message, None));
                }
            }
        }
        findings
    }

    /// What becomes of what is at an occupied target, for people.
    pub(super) fn fate(&self) -> &'static str {
        match (self.delete, self.overwrite) {
            (true, Overwrite::Always | Overwrite::IfChanged) => {
                "files of the same names are replaced where they differ, and what the snapshot does not hold is removed."
            }
            (true, Overwrite::IfNewer) => {
                "files of the same names are replaced by newer ones, and what the snapshot does not hold is removed."
            }
            (true, Overwrite::Never) => {
                "files of the same names stay, and what the snapshot does not hold is removed."
            }
            (false, Overwrite::Always | Overwrite::IfChanged) => {
                "files of the same names are replaced where they differ, all others stay."
            }
            (false, Overwrite::IfNewer) => {
                "files of the same names are replaced by newer ones, all others stay."
            }
            (false, Overwrite::Never) => "all files that are there stay as they are.",
        }
    }
}

#[cfg(test)]
mod tests {
    use copal_sandbox::types::{Action, Base, Feed, Location, Placement, Step};

    use super::*;

    fn plan() -> RestorePlan {
        let command = crate::operator::command(&["load".to_owned()], [], 60);
        let feed = |name: &str| Placement {
            name: name.to_owned(),
            after: Vec::new(),
            content: PlacementContent::Feed(Feed {
                name: name.to_owned(),
                command: command.clone(),
                filter: false,
            }),
        };
        let location = Location {
            base: Base::Scratch,
            path: "x".to_owned(),
        };
        RestorePlan {
            findings: Vec::new(),
            safeguards: Vec::new(),
            before: Vec::new(),
            placements: vec![feed("a.sql"), feed("b.sql")],
            after: vec![Step {
                id: "mend".to_owned(),
                title: "Mend it".to_owned(),
                action: Action::Remove(location),
                undo: None,
                capture: false,
            }],
            state: Vec::new(),
        }
    }

    fn including(pattern: &str) -> Extent {
        let include = std::iter::once(Pattern::new(pattern.as_bytes(), false).unwrap());
        Extent {
            choice: Choice {
                include: include.collect(),
                ..Choice::default()
            },
            ..Extent::default()
        }
    }

    fn codes(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| &*finding.code).collect()
    }

    #[test]
    fn what_a_part_leaves_out_is_named() {
        let mut whole = plan();
        Extent::default().trim(&mut whole, Intent::Clone);
        assert_eq!((whole.after.len(), whole.placements.len()), (1, 2));
        let mut part = plan();
        including("/streams/b.*").trim(&mut part, Intent::Recover);
        assert_eq!(part.placements.len(), 1);
        assert!(part.after.is_empty());
        assert_eq!(
            codes(&part.findings),
            ["copal.part.stream", "copal.part.steps"]
        );
        assert!(part.findings[1].message.contains("Mend it"));
    }

    #[test]
    fn a_part_does_not_pass_for_a_clone() {
        let mut part = plan();
        including("/home").trim(&mut part, Intent::Clone);
        let error = part.findings.last().unwrap();
        assert_eq!(
            (error.severity, &*error.code),
            (Severity::Error, "copal.part.intent")
        );
    }

    #[test]
    fn the_whole_machine_is_not_emptied() {
        let root = |path: &str| {
            [Root {
                name: "files".to_owned(),
                path: path.into(),
            }]
        };
        let emptying = Extent {
            delete: true,
            ..Extent::default()
        };
        assert!(emptying.check(&root("/")).is_err());
        assert!(emptying.check(&root("/srv")).is_ok());
        let part = Extent {
            delete: true,
            ..including("/etc")
        };
        assert!(part.check(&root("/")).is_ok());
    }
}
