//! A plan as a person reads it before anything happens.

use copal_job::{
    Attempt, Extent, Needed, Placed, PlannedBackup, PlannedMigration, PlannedRestore,
    PlannedRollback, PluginIdentity, Root, intent_word, shell_quote,
};
use copal_repository::restorer::Named;
use copal_sandbox::placeholder::shown;
use copal_sandbox::types::{
    Action, BackupPlan, Base, Command, Condition, Finding, Fragment, HttpRequest, Location,
    PlacementContent, RestorePlan, SourceContent, Step, Window,
};

use serde_json::{Map, Value};

use super::report::finding_lines;
use super::text::{printable, printable_lines};

/// How many paths of a kind are shown.
const PATHS: usize = 20;

/// How much of a text that a step writes is shown.
const TEXT_LINES: usize = 40;

/// The plan of a backup.
pub(crate) fn backup(planned: &PlannedBackup) -> String {
    let mut page = Page::new(format!("Back up with {}", plugin(&planned.plugin)));
    page.roots(&planned.roots);
    page.settings(&planned.config);
    page.findings(&planned.plan.findings);
    page.steps("Before reading", &planned.plan.quiesce);
    page.sources(&planned.plan, &planned.operator_streams);
    page.grants(&planned.grants);
    page.text
}

/// The plan of a restore.
pub(crate) fn restore(planned: &PlannedRestore) -> String {
    let what = match &planned.plugin {
        Some(identity) => format!(
            " to {} with {}",
            intent_word(planned.intent),
            plugin(identity)
        ),
        None => String::new(),
    };
    let mut page = Page::new(format!(
        "Restore snapshot {}{what}",
        planned.snapshot.short()
    ));
    page.restore(
        (&planned.targets, &planned.looked_at),
        &planned.config,
        &planned.plan,
        &planned.grants,
        planned.saves_first(),
        planned.plugin.is_none(),
    );
    page.extent(&planned.extent);
    page.preview(planned.preview.as_deref().unwrap_or_default());
    page.text
}

/// The plans of a migration.
pub(crate) fn migration(planned: &PlannedMigration) -> String {
    let mut text = String::new();
    if let Some(record) = &planned.earlier {
        let title = match planned.attempt {
            Attempt::Restart => "Begin again a migration that was cut off",
            _ => "Go on with a migration that was cut off",
        };
        let mut page = Page::new(title.to_owned());
        for stage in &record.stages {
            page.line(
                1,
                &format!("{} {}", super::time(stage.time), stage.stage.word()),
            );
        }
        if let Some(problem) = &record.problem {
            page.line(1, problem);
        }
        if let Some(safety) = &record.safety {
            let first = "What the target held is put back first, from the safety snapshot";
            page.line(1, &format!("{first} {}.", safety.short()));
        }
        text += &page.text;
        text += "\n";
    }
    if let Some(backup) = &planned.backup {
        text += &self::backup(backup);
        text += "\n";
    }
    let restore = &planned.restore;
    let title = format!("Then restore it to {}", intent_word(restore.intent));
    let mut page = Page::new(title);
    page.restore(
        (&restore.targets, &restore.looked_at),
        &restore.config,
        &restore.plan,
        &restore.grants,
        true,
        false,
    );
    text + &page.text
}

/// The plan of a rollback.
pub(crate) fn rollback(planned: &PlannedRollback) -> String {
    let mut page = Page::new(format!(
        "Put back what was there before snapshot {} was restored, from the safety snapshot {} of {}",
        planned.restored.short(),
        planned.snapshot.short(),
        super::time(planned.time),
    ));
    page.steps("Before putting back", planned.before());
    page.heading("Puts back");
    for root in &planned.targets {
        let place = root.path.display();
        page.line(
            1,
            &format!("{}/ at {place}, and removes all else there", root.name),
        );
    }
    for root in &planned.removed {
        let place = root.path.display();
        page.line(
            1,
            &format!("nothing at {place}: it was not there, and is removed"),
        );
    }
    for safeguard in planned.safeguards() {
        page.line(1, &safeguard.name);
        page.command("into", &safeguard.put_back);
    }
    page.grants(&planned.grants);
    page.text
}

/// What a plugin was asked with when it was tried out.
pub(crate) struct Tried {
    /// The directories to back up.
    pub(crate) roots: Vec<Root>,
    /// The targets of a restore.
    pub(crate) targets: Vec<Root>,
    /// Without secrets.
    pub(crate) config: Map<String, Value>,
}

/// The plan of a backup that a plugin made when it was tried out.
pub(crate) fn tried_backup(tried: &Tried, plan: &BackupPlan) -> String {
    let mut page = Page::new("How it would be backed up".to_owned());
    page.roots(&tried.roots);
    page.settings(&tried.config);
    page.findings(&plan.findings);
    if !plan.facts.is_empty() {
        page.heading("Facts");
        for fact in &plan.facts {
            page.line(1, &format!("{} = {}", fact.name, fact.value));
        }
    }
    page.steps("Before reading", &plan.quiesce);
    page.sources(plan, &[]);
    page.heading(&format!("The state has {} bytes", plan.state.len()));
    page.text
}

/// The plan of a restore that a plugin made when it was tried out.
pub(crate) fn tried_restore(tried: &Tried, plan: &RestorePlan) -> String {
    let mut page = Page::new("How it would be restored".to_owned());
    let saves = !plan.safeguards.is_empty();
    page.restore(
        (&tried.targets, &[]),
        &tried.config,
        plan,
        &[],
        saves,
        false,
    );
    page.heading(&format!("The state has {} bytes", plan.state.len()));
    page.text
}

fn plugin(identity: &PluginIdentity) -> String {
    format!(
        "{} {} ({})",
        identity.name,
        identity.version,
        identity.digest.get(..12).unwrap_or(&identity.digest)
    )
}

/// Lines under headings.
struct Page {
    text: String,
}

impl Page {
    fn new(title: String) -> Self {
        Self {
            text: format!("{}\n", printable(&title)),
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(&printable(text));
        self.text.push('\n');
    }

    /// What a backup reads.
    fn sources(&mut self, plan: &BackupPlan, own_streams: &[String]) {
        self.heading("Reads");
        for source in &plan.sources {
            let when = match source.window {
                Window::Live if !plan.quiesce.is_empty() => ", while the application runs again",
                _ => "",
            };
            match &source.content {
                SourceContent::Tree(root) => self.line(1, &format!("{root}/{when}")),
                SourceContent::Command(stream) => {
                    let own = match own_streams.contains(&stream.name) {
                        true => " of your own",
                        false => "",
                    };
                    self.line(1, &format!("streams/{}{own}{when}", stream.name));
                    self.command("the output of", &stream.command);
                }
            }
        }
    }

    /// What happens at the targets of a restore.
    fn restore(
        &mut self,
        (targets, looked_at): (&[Root], &[Root]),
        config: &Map<String, Value>,
        plan: &RestorePlan,
        grants: &[Needed],
        safety: bool,
        plain: bool,
    ) {
        self.roots(targets);
        for root in looked_at {
            let place = root.path.display();
            self.line(1, &format!("{} = {place}, to look at", root.name));
        }
        self.settings(config);
        self.findings(&plan.findings);
        self.steps("Before restoring", &plan.before);
        if safety {
            self.heading("Saves first, for a rollback");
            for root in targets {
                self.line(1, &format!("what is at {}", root.path.display()));
            }
            for safeguard in &plan.safeguards {
                self.line(1, &safeguard.name);
                self.command("the output of", &safeguard.save);
            }
        }
        self.heading("Restores");
        for placement in &plan.placements {
            match &placement.content {
                PlacementContent::Tree(root) => {
                    let target = targets.iter().find(|target| target.name == *root);
                    let target = target
                        .map(|target| target.path.display().to_string())
                        .unwrap_or_default();
                    // What no plugin restores is no root alone.
                    let what = match plain {
                        true => "all of the snapshot".to_owned(),
                        false => format!("{root}/"),
                    };
                    self.line(1, &format!("{what} to {target}"));
                }
                PlacementContent::Feed(feed) => {
                    self.line(1, &format!("streams/{}", feed.name));
                    self.command("into", &feed.command);
                }
            }
        }
        self.steps("Afterwards", &plan.after);
        self.grants(grants);
    }

    /// How much of the snapshot a restore is about.
    fn extent(&mut self, extent: &Extent) {
        if !extent.is_part() {
            return;
        }
        self.heading("Only a part of it");
        for pattern in extent.choice.include.iter() {
            self.line(1, &format!("what matches {pattern}"));
        }
        for pattern in extent.choice.exclude.iter() {
            self.line(1, &format!("without what matches {pattern}"));
        }
    }

    /// What a restore would do to the targets as they are now.
    fn preview(&mut self, preview: &[Placed]) {
        for placed in preview {
            let summary = &placed.summary;
            self.heading(&format!("What it would do at {}", placed.target.display()));
            let written = summary.files - summary.unchanged;
            let size = super::bytes(summary.bytes);
            self.line(1, &format!("write {written} files, {size} at most"));
            for (count, what) in [
                (summary.unchanged, "files have the same content"),
                (summary.mended, "entries get other metadata alone"),
                (summary.kept, "entries are there and stay as they are"),
                (
                    summary.left_out,
                    "entries of the snapshot are not chosen, without what lies in folders among them",
                ),
            ] {
                if count > 0 {
                    self.line(1, &format!("{count} {what}"));
                }
            }
            self.named("replaced", &summary.replaced);
            self.named("removed", &summary.removed);
            for missing in placed.missing.iter().take(PATHS) {
                self.line(
                    1,
                    &format!("can't restore {}: {}", missing.path, missing.error),
                );
            }
        }
    }

    fn named(&mut self, what: &str, named: &Named) {
        if named.count == 0 {
            return;
        }
        self.line(1, &format!("{} are {what}:", named.count));
        for path in named.paths.iter().take(PATHS) {
            self.line(2, path);
        }
        if named.count > PATHS as u64 {
            let more = named.count - PATHS as u64;
            self.line(2, &format!("… and {more} more (--json names a thousand)"));
        }
    }

    fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.line(0, text);
    }

    fn roots(&mut self, roots: &[Root]) {
        for root in roots {
            self.line(1, &format!("{} = {}", root.name, root.path.display()));
        }
    }

    fn settings(&mut self, config: &Map<String, Value>) {
        for (key, value) in config {
            self.line(1, &format!("--set {key}={value}"));
        }
    }

    fn findings(&mut self, findings: &[Finding]) {
        if !findings.is_empty() {
            self.heading("Findings");
            self.text.push_str(&finding_lines(findings));
        }
    }

    fn steps(&mut self, heading: &str, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.heading(heading);
        for (number, step) in steps.iter().enumerate() {
            self.line(1, &format!("{}. {}", number + 1, step.title));
            self.action("", &step.action);
            if let Some(undo) = &step.undo {
                self.action("undone in any case by ", undo);
            }
        }
    }

    fn action(&mut self, prefix: &str, action: &Action) {
        match action {
            Action::Run(command) => self.command(&format!("{prefix}run"), command),
            Action::Http(request) => self.request(&format!("{prefix}send"), request),
            Action::Write(write) => {
                let mode = write.mode.map(|mode| format!(", mode {mode:04o}"));
                let mode = mode.unwrap_or_default();
                self.line(3, &format!("{prefix}write {}{mode}", place(&write.to)));
                self.block(&write.content);
            }
            Action::Copy(copy) => {
                self.line(
                    3,
                    &format!("{prefix}copy {} to {}", place(&copy.from), place(&copy.to)),
                );
            }
            Action::Rename(rename) => {
                self.line(
                    3,
                    &format!(
                        "{prefix}rename {} to {}",
                        place(&rename.from),
                        place(&rename.to)
                    ),
                );
            }
            Action::Remove(location) => {
                self.line(3, &format!("{prefix}remove {}", place(location)))
            }
            Action::Wait(wait) => {
                let rhythm = format!(
                    "{prefix}wait up to {} s, looking every {} s, for",
                    wait.timeout, wait.interval
                );
                match &wait.condition {
                    Condition::CommandSucceeds(command) => self.command(&rhythm, command),
                    Condition::Responds(request) => self.request(&rhythm, request),
                }
            }
        }
    }

    fn command(&mut self, verb: &str, command: &Command) {
        let words: Vec<_> = command
            .argv
            .iter()
            .map(|word| shell_quote(&shown(word)))
            .collect();
        self.line(3, &format!("{verb}: {}", words.join(" ")));
        for variable in &command.environment {
            self.line(
                4,
                &format!(
                    "with {}={}",
                    variable.name,
                    copal_sandbox::types::redact(&variable.value)
                ),
            );
        }
        for (number, descriptor) in command.descriptors.iter().enumerate() {
            self.line(4, &format!("with {{fd:{number}}}:"));
            self.block(descriptor);
        }
        if let Some(stdin) = &command.stdin {
            self.block(stdin);
        }
    }

    fn request(&mut self, verb: &str, request: &HttpRequest) {
        self.line(3, &format!("{verb}: {} {}", request.method, request.url));
        for header in &request.headers {
            self.line(
                4,
                &format!(
                    "{}: {}",
                    header.name,
                    copal_sandbox::types::redact(&header.value)
                ),
            );
        }
        if let Some(body) = &request.body {
            self.block(body);
        }
    }

    fn block(&mut self, text: &[Fragment]) {
        let text = printable_lines(&copal_sandbox::types::redact(text));
        let lines: Vec<_> = text.lines().collect();
        for line in lines.iter().take(TEXT_LINES) {
            self.line(4, &format!("| {line}"));
        }
        if lines.len() > TEXT_LINES {
            self.line(
                4,
                &format!(
                    "| … and {} lines more (--json shows them)",
                    lines.len() - TEXT_LINES
                ),
            );
        }
    }

    fn grants(&mut self, needed: &[Needed]) {
        if needed.is_empty() {
            return;
        }
        self.heading("Needs");
        for need in needed {
            let given = if need.given { "granted" } else { "NOT GRANTED" };
            self.need(need, &format!(" ({given})"));
        }
    }

    /// A need in full: what is to be allowed, why, and for which parts of the plan.
    fn need(&mut self, need: &Needed, state: &str) {
        self.line(1, &format!("{}{state}", need.grant));
        if !need.reason.is_empty() {
            self.line(3, &need.reason);
        }
        self.line(3, &format!("for: {}", need.used_by.join("; ")));
    }
}

/// What a plugin asks for, as it is shown before it is allowed. Nothing is cut: what is left out might be what matters.
pub(crate) fn needed(need: &Needed) -> String {
    let mut page = Page {
        text: String::new(),
    };
    page.need(need, "");
    page.text
}

fn place(location: &Location) -> String {
    match &location.base {
        Base::Root(root) => format!("{root}/{}", location.path),
        Base::Scratch => format!("{{scratch}}/{}", location.path),
    }
}
