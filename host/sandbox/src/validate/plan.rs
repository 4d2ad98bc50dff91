//! The rules for plans.

use std::collections::HashSet;

use super::command::texts;
use super::{
    MAX_NAME, Rule, few, file_name, findings, identifier, order, path, plain_mode, rule, text,
    timeout, unique,
};
use crate::grants::Need;
use crate::placeholder::{Placeholder, expand};
use crate::text::clean;
use crate::types::{
    Action, BackupPlan, Base, Command, Condition, Fact, Fragment, HttpRequest, Location,
    PlacementContent, RestorePlan, Safeguard, SourceContent, Step, Variable, Window,
};

/// Bytes of a plan's state.
const MAX_STATE: usize = 1 << 20;

/// Bytes of the value of one fact. The longest that was seen is a history of migrations.
const MAX_FACT: usize = 8 << 20;

/// Headers that the host makes itself: by the first a request would reach another site of a server than the one that the grant names, and by the
/// others it could smuggle a second one.
const OWN_HEADERS: [&str; 5] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
];

/// The longest pause between two looks of a wait, in seconds.
const MAX_INTERVAL: u32 = 3_600;

/// A plan that can be carried out on the roots of these names: its sources are put in order, its texts are fit to be shown.
///
/// # Errors
/// The rule that is broken: roots that there are, paths within them, placeholders that have a value, steps and streams of different names, times of 1 s to
/// a week, at most 1,000 items in a list, 8 MiB of a fact and 1 MiB of state.
pub fn backup_plan(mut plan: BackupPlan, roots: &HashSet<String>) -> Result<BackupPlan, String> {
    plan.findings = findings(plan.findings)?;
    facts(&plan.facts)?;
    state(&plan.state)?;
    let scope = Scope { roots };
    scope.steps(&mut [&mut plan.quiesce])?;
    few("sources", &plan.sources)?;
    let mut streams = vec![];
    for source in &plan.sources {
        label(&source.name)?;
        match &source.content {
            SourceContent::Tree(root) => scope.root(root),
            SourceContent::Command(stream) => {
                streams.push(stream.name.as_str());
                file_name(&stream.name).and_then(|()| scope.command(&stream.command))
            }
        }
        .map_err(|broken| format!("the source `{}`: {broken}", source.name))?;
    }
    unique("streams", streams)?;
    plan.sources = order::sort(plan.sources, "source", |source| {
        (&source.name, &source.after)
    })?;
    let live: HashSet<_> = plan
        .sources
        .iter()
        .filter(|source| source.window == Window::Live)
        .map(|source| &source.name)
        .collect();
    for source in plan
        .sources
        .iter()
        .filter(|source| source.window == Window::Quiesced)
    {
        rule(
            !source.after.iter().any(|after| live.contains(after)),
            || {
                format!(
                    "the quiesced source `{}` comes after one that is live",
                    source.name
                )
            },
        )?;
    }
    Ok(plan)
}

/// A plan that can be carried out on the targets of these names, from a snapshot with the streams of these names: its placements are put in order, its texts
/// are fit to be shown.
///
/// # Errors
/// As [`backup_plan`]; or a step before all is in place alters a target.
pub fn restore_plan(
    mut plan: RestorePlan,
    targets: &HashSet<String>,
    streams: &HashSet<String>,
) -> Result<RestorePlan, String> {
    plan.findings = findings(plan.findings)?;
    state(&plan.state)?;
    let scope = Scope { roots: targets };
    scope.steps(&mut [&mut plan.before, &mut plan.after])?;
    for step in &plan.before {
        let actions = || std::iter::once(&step.action).chain(&step.undo);
        rule(!actions().any(alters_root), || {
            format!(
                "the step `{}` alters a root, and what does so belongs to `after`",
                step.id
            )
        })?;
    }
    few("safeguards", &plan.safeguards)?;
    for Safeguard {
        name,
        save,
        put_back,
    } in &plan.safeguards
    {
        file_name(name)
            .and_then(|()| scope.command(save))
            .and_then(|()| scope.fed(put_back))
            .map_err(|broken| format!("the safeguard `{}`: {broken}", clean(name, MAX_NAME)))?;
    }
    unique(
        "safeguards",
        plan.safeguards.iter().map(|guard| guard.name.as_str()),
    )?;
    few("placements", &plan.placements)?;
    for placement in &plan.placements {
        label(&placement.name)?;
        match &placement.content {
            PlacementContent::Tree(root) => scope.root(root),
            PlacementContent::Feed(feed) => rule(streams.contains(&feed.name), || {
                format!(
                    "the snapshot holds no stream `{}`",
                    clean(&feed.name, MAX_NAME)
                )
            })
            .and_then(|()| scope.fed(&feed.command)),
        }
        .map_err(|broken| format!("the placement `{}`: {broken}", placement.name))?;
    }
    plan.placements = order::sort(plan.placements, "placement", |placement| {
        (&placement.name, &placement.after)
    })?;
    Ok(plan)
}

fn state(state: &[u8]) -> Rule {
    rule(state.len() <= MAX_STATE, || {
        format!(
            "a state of {} bytes, at most {MAX_STATE} are allowed",
            state.len()
        )
    })
}

/// The name of a source or placement: it is shown.
fn label(name: &str) -> Rule {
    let fine = (1..=MAX_NAME).contains(&name.len())
        && clean(name, MAX_NAME) == name
        && !name.contains(['\n', '\t']);
    rule(fine, || {
        format!(
            "`{}` is not 1 to {MAX_NAME} bytes of text on one line",
            clean(name, MAX_NAME)
        )
    })
}

fn facts(facts: &[Fact]) -> Rule {
    few("facts", facts)?;
    for Fact { name, value } in facts {
        let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_alphanumeric());
        rule(camel && name.len() <= 64, || {
            format!("the fact `{}` is not named in camelCase", clean(name, 64))
        })?;
        rule(value.len() <= MAX_FACT, || {
            format!(
                "the fact `{name}` has {} bytes, at most {MAX_FACT} are allowed",
                value.len()
            )
        })?;
        // As it is read for the manifest, which fails where it is nested too deeply.
        serde_json::from_str::<serde_json::Value>(value)
            .map_err(|error| format!("the value of the fact `{name}` is not JSON: {error}"))?;
    }
    unique("facts", facts.iter().map(|fact| fact.name.as_str()))
}

/// The roots that steps may name.
struct Scope<'a> {
    roots: &'a HashSet<String>,
}

impl Scope<'_> {
    /// All lists of steps of a plan.
    fn steps(&self, lists: &mut [&mut Vec<Step>]) -> Rule {
        for step in lists.iter_mut().flat_map(|steps| steps.iter_mut()) {
            identifier("step", &step.id)?;
            text(&mut step.title)
                .and_then(|()| self.action(&step.action))
                .and_then(|()| step.undo.as_ref().map_or(Ok(()), |undo| self.undo(undo)))
                .map_err(|broken| format!("the step `{}`: {broken}", step.id))?;
        }
        lists.iter().try_for_each(|steps| few("steps", steps))?;
        unique(
            "steps",
            lists
                .iter()
                .flat_map(|steps| steps.iter())
                .map(|step| step.id.as_str()),
        )
    }

    /// A command that reads a stream on its standard input.
    fn fed(&self, command: &Command) -> Rule {
        rule(command.stdin.is_none(), || {
            "a command that is fed has no `stdin`".to_owned()
        })?;
        self.command(command)
    }

    fn action(&self, action: &Action) -> Rule {
        match action {
            Action::Run(command) => self.command(command),
            Action::Write(write) => {
                write.mode.map_or(Ok(()), plain_mode)?;
                self.text(&write.content)?;
                self.file(&write.to)
            }
            Action::Copy(copy) => self.location(&copy.from).and_then(|()| self.file(&copy.to)),
            Action::Rename(rename) => {
                rule(rename.from.base == rename.to.base, || {
                    "it renames from one base to another".to_owned()
                })?;
                self.file(&rename.from).and_then(|()| self.file(&rename.to))
            }
            Action::Remove(location) => self.file(location),
            Action::Http(request) => self.request(request),
            Action::Wait(wait) => {
                timeout(wait.timeout)?;
                rule((1..=MAX_INTERVAL).contains(&wait.interval), || {
                    format!(
                        "an interval of {} s is not 1 to {MAX_INTERVAL}",
                        wait.interval
                    )
                })?;
                match &wait.condition {
                    Condition::CommandSucceeds(command) => self.command(command),
                    Condition::Responds(request) => self.request(request),
                }
            }
        }
    }

    /// An action that is written to the journal, so it must not hold a secret.
    fn undo(&self, undo: &Action) -> Rule {
        self.action(undo)?;
        rule(!holds_secret(undo), || {
            "its undo holds a secret, and would be written to the journal".to_owned()
        })
    }

    fn command(&self, command: &Command) -> Rule {
        super::command(command)?;
        let count = command.descriptors.len();
        command
            .argv
            .iter()
            .try_for_each(|word| self.placeholders(word, count))?;
        texts(command).try_for_each(|fragment| self.fragment(fragment, count))
    }

    fn request(&self, request: &HttpRequest) -> Rule {
        few("headers", &request.headers)?;
        few("status codes", &request.expect)?;
        let token = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        Need::http(request).map_err(str::to_owned)?;
        rule(
            request.expect.iter().all(|code| (100..=599).contains(code)),
            || "a status code is 100 to 599".to_owned(),
        )?;
        for Variable { name, .. } in &request.headers {
            let own = OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
            rule(!name.is_empty() && token(name) && !own, || {
                format!("`{}` can't be a header of a request", clean(name, MAX_NAME))
            })?;
        }
        request
            .headers
            .iter()
            .try_for_each(|header| self.text(&header.value))?;
        request
            .body
            .as_deref()
            .map_or(Ok(()), |body| self.text(body))?;
        timeout(request.timeout)
    }

    /// A location that is not a whole base.
    fn file(&self, location: &Location) -> Rule {
        rule(!location.path.is_empty(), || {
            "its path is a whole root or the scratch folder itself".to_owned()
        })?;
        self.location(location)
    }

    fn location(&self, location: &Location) -> Rule {
        if let Base::Root(root) = &location.base {
            self.root(root)?;
        }
        path(&location.path)
    }

    fn root(&self, root: &str) -> Rule {
        rule(self.roots.contains(root), || {
            format!("no root `{}` was given", clean(root, MAX_NAME))
        })
    }

    /// A text that belongs to no command.
    fn text(&self, text: &[Fragment]) -> Rule {
        text.iter()
            .try_for_each(|fragment| self.fragment(fragment, 0))
    }

    fn fragment(&self, fragment: &Fragment, descriptors: usize) -> Rule {
        match fragment {
            Fragment::Plain(text) => self.placeholders(text, descriptors),
            Fragment::Secret(_) => Ok(()),
        }
    }

    fn placeholders(&self, text: &str, descriptors: usize) -> Rule {
        expand(text, |placeholder| match placeholder {
            Placeholder::Scratch => Some(String::new()),
            Placeholder::Root(root) => self.roots.contains(root).then(String::new),
            Placeholder::Descriptor(number) => (number < descriptors).then(String::new),
        })
        .map(drop)
        .map_err(|invalid| invalid.to_string())
    }
}

/// Whether it writes, moves or removes files elsewhere than in the scratch folder.
fn alters_root(action: &Action) -> bool {
    let to = match action {
        Action::Write(write) => &write.to,
        Action::Copy(copy) => &copy.to,
        Action::Rename(rename) => &rename.to,
        Action::Remove(location) => location,
        Action::Run(_) | Action::Http(_) | Action::Wait(_) => return false,
    };
    matches!(to.base, Base::Root(_))
}

fn holds_secret(action: &Action) -> bool {
    let text = |text: &[Fragment]| {
        text.iter()
            .any(|fragment| matches!(fragment, Fragment::Secret(_)))
    };
    let command =
        |command: &Command| texts(command).any(|fragment| matches!(fragment, Fragment::Secret(_)));
    let request = |request: &HttpRequest| {
        let mut headers = request.headers.iter();
        headers.any(|header| text(&header.value)) || request.body.as_deref().is_some_and(text)
    };
    match action {
        Action::Run(run) => command(run),
        Action::Write(write) => text(&write.content),
        Action::Http(http) => request(http),
        Action::Wait(wait) => match &wait.condition {
            Condition::CommandSucceeds(run) => command(run),
            Condition::Responds(http) => request(http),
        },
        Action::Copy(_) | Action::Rename(_) | Action::Remove(_) => false,
    }
}
