//! The contract's rules for what a plugin hands over. What passes is safe to show and to carry out as far as form goes; whether it is
//! allowed is a matter of grants.
//!
//! A rule that is broken is returned as text that follows `the plugin's … broke the contract:`.

use std::collections::HashSet;

use crate::bindings::exports::copal::plugin::transform;
use crate::grants::Grant;
use crate::name;
use crate::placeholder::{Placeholder, expand};
use crate::text::clean;
use crate::types::{
    Action, BackupPlan, Base, Change, Command, Condition, Description, Detection, Fact, Failure,
    Finding, Fragment, HttpRequest, Location, PlacementContent, RestorePlan, SourceContent, Step,
    Variable, Verdict, Window,
};

mod order;

/// What is said of a rule that is broken.
type Rule<T = ()> = Result<T, String>;

/// Items that one list of an answer may have.
const MAX_ITEMS: usize = 1_000;

/// Bytes of one text for people.
const MAX_TEXT: usize = 16 << 10;

/// Bytes of a plan's state.
const MAX_STATE: usize = 1 << 20;

/// Bytes that one call of a filter may return.
const MAX_OUTPUT: usize = 16 << 20;

/// Bytes of one name, as Unix file systems have it.
const MAX_NAME: usize = 255;

/// The longest time that a command, request or wait may take: a week, in seconds.
const MAX_TIMEOUT: u32 = 604_800;

/// The longest pause between two looks of a wait, in seconds.
const MAX_INTERVAL: u32 = 3_600;

/// Checks that `holds`, or says which rule is broken.
fn rule(holds: bool, broken: impl FnOnce() -> String) -> Rule {
    if holds { Ok(()) } else { Err(broken()) }
}

/// A relative path: no leading or trailing slash, no `.` or `..`, and spelt as the contract says.
pub(crate) fn path(path: &str) -> Rule {
    if path.is_empty() {
        return Ok(());
    }
    path.split('/')
        .try_for_each(file_name)
        .map_err(|broken| format!("`{}`: {broken}", clean(path, MAX_NAME)))
}

/// One name of a path.
fn file_name(file: &str) -> Rule {
    rule(!matches!(file, "" | "." | ".."), || {
        "a path has no empty names, no `.` and no `..`".to_owned()
    })?;
    let bytes = name::unescape(file).map_err(|misspelt| misspelt.to_string())?;
    rule(bytes.len() <= MAX_NAME, || {
        format!("a name has at most {MAX_NAME} bytes")
    })?;
    rule(!bytes.contains(&0) && !bytes.contains(&b'/'), || {
        "a name has no NUL and no slash".to_owned()
    })
}

/// An identifier: lower-case letters, digits and `-`, at most 64.
fn identifier(what: &str, id: &str) -> Rule {
    let letters = id
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    rule(letters && (1..=64).contains(&id.len()), || {
        format!(
            "the {what} `{}` is not 1 to 64 lower-case letters, digits and `-`",
            clean(id, 64)
        )
    })
}

/// Takes each name once.
fn unique<'a>(what: &str, names: impl IntoIterator<Item = &'a str>) -> Rule {
    let mut seen = HashSet::new();
    names.into_iter().try_for_each(|name| {
        rule(seen.insert(name), || {
            format!("there are two {what} `{}`", clean(name, MAX_NAME))
        })
    })
}

fn few<T>(what: &str, items: &[T]) -> Rule {
    rule(items.len() <= MAX_ITEMS, || {
        format!("{} {what}, at most {MAX_ITEMS} are allowed", items.len())
    })
}

/// Text for people: bounded, and from now on without control characters.
fn text(text: &mut String) -> Rule {
    rule(text.len() <= MAX_TEXT, || {
        format!(
            "a text of {} bytes, at most {MAX_TEXT} are allowed",
            text.len()
        )
    })?;
    *text = clean(text, MAX_TEXT);
    Ok(())
}

fn texts<'a>(mut all: impl Iterator<Item = &'a mut String>) -> Rule {
    all.try_for_each(text)
}

/// The plugin's failure as an error, fit to be shown.
pub(crate) fn failure(failure: Failure) -> crate::Error {
    crate::Error::Guest(Failure {
        kind: failure.kind,
        code: clean(&failure.code, MAX_NAME),
        message: clean(&failure.message, MAX_TEXT),
        remedy: failure.remedy.map(|remedy| clean(&remedy, MAX_TEXT)),
    })
}

pub(crate) fn findings(mut findings: Vec<Finding>) -> Rule<Vec<Finding>> {
    few("findings", &findings)?;
    for finding in &mut findings {
        texts(
            [&mut finding.code, &mut finding.message]
                .into_iter()
                .chain(&mut finding.remedy)
                .chain(&mut finding.path),
        )?;
    }
    Ok(findings)
}

pub(crate) fn description(mut description: Description) -> Rule<Description> {
    let (publisher, name) = description
        .name
        .split_once('/')
        .ok_or("its name is not `publisher/name`")?;
    identifier("publisher", publisher)?;
    identifier("name", name)?;
    few("roots", &description.roots)?;
    few("capabilities", &description.capabilities)?;
    few("applications", &description.applications)?;
    for root in &mut description.roots {
        identifier("root", &root.name)?;
        text(&mut root.description)?;
    }
    unique(
        "roots",
        description.roots.iter().map(|root| root.name.as_str()),
    )?;
    for capability in &mut description.capabilities {
        capability
            .grant
            .parse::<Grant>()
            .map_err(|invalid| invalid.to_string())?;
        text(&mut capability.reason)?;
    }
    for application in &mut description.applications {
        texts([&mut application.name, &mut application.versions].into_iter())?;
    }
    texts([&mut description.version, &mut description.summary].into_iter())?;
    rule(!description.version.is_empty(), || {
        "its version is empty".to_owned()
    })?;
    rule(!description.intents.is_empty(), || {
        "it names no intent".to_owned()
    })?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&description.config_schema)
        .map_err(|error| {
            format!("the schema of its configuration is not a JSON object: {error}")
        })?;
    Ok(description)
}

pub(crate) fn detection(mut detection: Option<Detection>) -> Rule<Option<Detection>> {
    if let Some(detection) = &mut detection {
        identifier("root", &detection.root)?;
        rule((1..=100).contains(&detection.confidence), || {
            "a confidence is 1 to 100".to_owned()
        })?;
        few("reasons", &detection.because)?;
        texts(
            [&mut detection.application]
                .into_iter()
                .chain(&mut detection.version)
                .chain(&mut detection.because),
        )?;
    }
    Ok(detection)
}

/// What a filter returned.
pub(crate) fn output(output: Vec<u8>) -> Rule<Vec<u8>> {
    rule(output.len() <= MAX_OUTPUT, || {
        format!(
            "{} bytes at once, at most {MAX_OUTPUT} are allowed",
            output.len()
        )
    })?;
    Ok(output)
}

/// One verdict for each entry.
pub(crate) fn verdicts(verdicts: Vec<transform::Verdict>, entries: usize) -> Rule<Vec<Verdict>> {
    rule(verdicts.len() == entries, || {
        format!("{} verdicts for {entries} entries", verdicts.len())
    })?;
    verdicts
        .into_iter()
        .map(|verdict| {
            let verdict = Verdict::from(verdict);
            if let Verdict::Change(change) = &verdict {
                self::change(change)?;
            }
            Ok(verdict)
        })
        .collect()
}

fn change(change: &Change) -> Rule {
    change.name.as_deref().map_or(Ok(()), file_name)?;
    change.mode.map_or(Ok(()), mode)?;
    let nanoseconds = change.modified.map_or(0, |modified| modified.nanoseconds);
    rule(nanoseconds < 1_000_000_000, || {
        "nanoseconds are 0 to 999,999,999".to_owned()
    })
}

fn mode(mode: u32) -> Rule {
    rule(mode <= 0o7777, || {
        format!("the mode 0o{mode:o} has more than permission bits")
    })
}

/// A plan that can be carried out on these roots; its sources are put in order.
pub(crate) fn backup_plan(mut plan: BackupPlan, roots: &HashSet<String>) -> Rule<BackupPlan> {
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

/// A plan that can be carried out on these targets; its placements are put in order.
pub(crate) fn restore_plan(
    mut plan: RestorePlan,
    targets: &HashSet<String>,
    streams: &HashSet<String>,
) -> Rule<RestorePlan> {
    plan.findings = findings(plan.findings)?;
    state(&plan.state)?;
    let scope = Scope { roots: targets };
    scope.steps(&mut [&mut plan.before, &mut plan.after])?;
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
            .and_then(|()| {
                rule(feed.command.stdin.is_none(), || {
                    "a command that is fed has no `stdin`".to_owned()
                })
            })
            .and_then(|()| scope.command(&feed.command)),
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
        serde_json::from_str::<serde::de::IgnoredAny>(value)
            .map_err(|error| format!("the value of the fact `{name}` is not JSON: {error}"))?;
    }
    unique("facts", facts.iter().map(|fact| fact.name.as_str()))
}

/// A command of a probe.
pub(crate) fn command(command: &Command) -> Rule {
    let program = command
        .argv
        .first()
        .is_some_and(|program| !program.is_empty());
    rule(program, || "a command names no program".to_owned())?;
    rule(!command.argv.iter().any(|word| word.contains('\0')), || {
        "a command has a NUL in an argument".to_owned()
    })?;
    variables(&command.environment, |name| !name.contains(['=', '\0']))?;
    timeout(command.timeout)
}

fn variables(variables: &[Variable], fits: impl Fn(&str) -> bool) -> Rule {
    variables.iter().try_for_each(|Variable { name, .. }| {
        rule(!name.is_empty() && fits(name), || {
            format!(
                "`{}` can't be the name of a variable or header",
                clean(name, MAX_NAME)
            )
        })
    })
}

fn timeout(seconds: u32) -> Rule {
    rule((1..=MAX_TIMEOUT).contains(&seconds), || {
        format!("a timeout of {seconds} s is not 1 to {MAX_TIMEOUT}")
    })
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

    fn action(&self, action: &Action) -> Rule {
        match action {
            Action::Run(command) => self.command(command),
            Action::Write(write) => {
                write.mode.map_or(Ok(()), mode)?;
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
        self::command(command)?;
        command
            .argv
            .iter()
            .try_for_each(|word| self.placeholders(word))?;
        command
            .environment
            .iter()
            .try_for_each(|variable| self.text(&variable.value))?;
        command
            .stdin
            .as_deref()
            .map_or(Ok(()), |stdin| self.text(stdin))
    }

    fn request(&self, request: &HttpRequest) -> Rule {
        let token = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        rule(!request.method.is_empty() && token(&request.method), || {
            "it has no HTTP method".to_owned()
        })?;
        rule(
            Grant::for_http(&request.method, &request.url).is_some(),
            || {
                "its URL is not `http://` or `https://` with a host and without a password"
                    .to_owned()
            },
        )?;
        rule(
            request.expect.iter().all(|code| (100..=599).contains(code)),
            || "a status code is 100 to 599".to_owned(),
        )?;
        variables(&request.headers, token)?;
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

    fn text(&self, text: &[Fragment]) -> Rule {
        text.iter().try_for_each(|fragment| match fragment {
            Fragment::Plain(text) => self.placeholders(text),
            Fragment::Secret(_) => Ok(()),
        })
    }

    fn placeholders(&self, text: &str) -> Rule {
        expand(text, |placeholder| match placeholder {
            Placeholder::Scratch => Some(String::new()),
            Placeholder::Root(root) => self.roots.contains(root).then(String::new),
        })
        .map(drop)
        .map_err(|invalid| invalid.to_string())
    }
}

fn holds_secret(action: &Action) -> bool {
    let text = |text: &[Fragment]| {
        text.iter()
            .any(|fragment| matches!(fragment, Fragment::Secret(_)))
    };
    let values = |variables: &[Variable]| variables.iter().any(|variable| text(&variable.value));
    let command = |command: &Command| {
        values(&command.environment) || command.stdin.as_deref().is_some_and(text)
    };
    let request = |request: &HttpRequest| {
        values(&request.headers) || request.body.as_deref().is_some_and(text)
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

#[cfg(test)]
mod tests;
