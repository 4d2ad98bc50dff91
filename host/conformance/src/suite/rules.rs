//! The rules that the suite holds plugins to.

use crate::report::Rule;

macro_rules! rules {
    ($($rule:ident: $name:literal, $demand:literal;)*) => {
        $(pub(super) static $rule: Rule = Rule { name: $name, demand: $demand };)*

        /// All rules, in the order in which they are reported.
        pub(super) static ALL: &[&Rule] = &[$(&$rule),*];
    };
}

rules! {
    CONFIG_KEYS: "config.unknown-key", "`plan-backup`, `plan-restore` and `verify` fail with `invalid-config` where the configuration has a key that `config-schema` does not name.";
    CONFIG_SHAPE: "config.not-an-object", "`plan-backup` fails with `invalid-config` where the configuration is not a JSON object.";
    DETECT_SURVIVES: "detect.survives", "`detect` answers or fails within its limits, whatever the tree holds.";
    DETECT_STABLE: "detect.stable", "`detect` answers the same for the same tree.";
    DETECT_ROOT: "detect.root", "`detect` names a root of the description.";
    BACKUP_SURVIVES: "plan-backup.survives", "`plan-backup` answers with a valid plan or fails, within its limits, whatever the trees hold.";
    BACKUP_STABLE: "plan-backup.stable", "`plan-backup` answers the same plan, state included, for the same trees and the same request.";
    BACKUP_DECLARED: "plan-backup.declared", "What the plan of a backup has done, and what is run to make it, is covered by a capability of `describe`.";
    RESTORE_SURVIVES: "plan-restore.survives", "`plan-restore` answers with a valid plan or fails, within its limits, whatever the snapshot, the targets and the facts hold.";
    RESTORE_STABLE: "plan-restore.stable", "`plan-restore` answers the same plan, state included, for the same trees and the same request.";
    RESTORE_DECLARED: "plan-restore.declared", "What the plan of a restore has done, altering roots included that it only looks at, and what is run to make it, is covered by a capability of `describe`.";
    RESTORE_INTENTS: "plan-restore.intents", "An own backup can be restored with each intent of `describe`: there is a plan, and no finding refuses it.";
    PROBES_DECLARED: "process.declared", "What `detect` and `verify` run to look around is covered by a capability of `describe`, one that begins with `probe:`.";
    VERIFY_SURVIVES: "verify.survives", "`verify` answers or fails within its limits, whatever lies in the targets.";
    PASS_START: "pass.start", "A pass starts from the state of a plan.";
    PASS_STATE: "pass.state", "A pass starts or fails where the state is empty or damaged; it never traps.";
    CLASSIFY_TOTAL: "classify.total", "`pass.classify` returns one valid verdict for each entry, in their order.";
    CLASSIFY_SURVIVES: "classify.survives", "`pass.classify` answers or fails within its limits, whatever the names, sizes, modes, owners and times of the entries; seen with the state of a plan that a host would carry out.";
    CLASSIFY_STABLE: "classify.stable", "A verdict depends on nothing but the state and the entry: it is the same in another pass, on a second look, and in any order of the directories.";
    CLASSIFY_BATCHES: "classify.batches", "A verdict does not depend on which entries of a directory come in the same call.";
    CLASSIFY_NAMES: "classify.names", "No two entries of a directory are given the same name.";
    PASS_FINISH: "pass.finish", "`pass.finish` answers or fails within its limits.";
    FINDINGS_FORM: "findings.form", "A finding and a failure have a code of lower-case words joined by dots and a message; the path of a finding begins with a root.";
    FILTER_CHUNKS: "filter.chunks", "A filter's output does not depend on where its input is cut.";
    FILTER_STABLE: "filter.stable", "A filter's output is the same for the same bytes, a second time and in another pass.";
    FILTER_MEMBERS: "filter.members", "A filter's members lie within its output, in their order and without overlapping, and do not depend on where its input is cut.";
    FILTER_SURVIVES: "filter.survives", "A filter answers or fails within its limits, whatever bytes it is sent.";
}

/// The rules that only a restore shows.
pub(super) fn of_restores() -> impl Iterator<Item = &'static Rule> {
    let rules = ALL.iter().copied();
    rules.filter(|rule| rule.name.starts_with("plan-restore.") || rule.name.starts_with("verify."))
}

/// The rules of verdicts.
pub(super) fn of_verdicts() -> impl Iterator<Item = &'static Rule> {
    let rules = ALL.iter().copied();
    rules.filter(|rule| rule.name.starts_with("classify."))
}

/// The rule that a call breaks which asks for what was not declared, where this is the one that it must survive by.
pub(super) fn declared(rule: &'static Rule) -> &'static Rule {
    match rule.name.split_once('.') {
        Some(("plan-backup" | "config", _)) => &BACKUP_DECLARED,
        Some(("plan-restore", _)) => &RESTORE_DECLARED,
        _ => &PROBES_DECLARED,
    }
}
