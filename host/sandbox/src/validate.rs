//! The contract's rules for what a plugin hands over. What passes is safe to show and to carry out as far as form goes; whether it is
//! allowed is a matter of grants.
//!
//! [`crate::Plugin`] holds every answer to them. A rule that is broken is returned as text that follows `the plugin's … broke the contract:`.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::bindings::exports::copal::plugin::transform;
use crate::grants::CapabilityPattern;
use crate::name;
use crate::text::clean;
use crate::types::{Change, Description, Detection, Failure, Finding, Member, Verdict};

mod command;
mod order;
mod plan;

pub(crate) use self::command::command;
pub use self::plan::{backup_plan, restore_plan};

/// What is said of a rule that is broken.
type Rule<T = ()> = Result<T, String>;

/// Items that one list of an answer may have.
const MAX_ITEMS: usize = 1_000;

/// Capabilities that a plugin may declare. The work to compare is bounded by it.
const MAX_CAPABILITIES: usize = 200;

/// Bytes of the pattern of one capability.
const MAX_PATTERN: usize = 4 << 10;

/// Bytes of a plugin's version.
const MAX_VERSION: usize = 64;

/// Bytes of one text for people.
const MAX_TEXT: usize = 16 << 10;

/// Bytes that one call of a filter may return.
const MAX_OUTPUT: usize = 16 << 20;

/// Members that may be named at once: as many as a tar archive can hold in the most that a filter returns.
const MAX_MEMBERS: usize = MAX_OUTPUT / 512;

/// Bytes of the path of one member.
const MAX_PATH: usize = 4096;

/// Bytes of one name, as Unix file systems have it.
const MAX_NAME: usize = 255;

/// The longest time that a command, request or wait may take: a week, in seconds.
const MAX_TIMEOUT: u32 = 604_800;

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

/// What a plugin says of itself, fit to be shown: texts without what would alter a terminal, capabilities in the one spelling that shows all of them.
///
/// # Errors
/// The rule that is broken: names, a semantic version, a schema that is a JSON object, at least one intent, at most 1,000 items in a list, 200
/// capabilities of at most 4 KiB each.
pub fn description(mut description: Description) -> Result<Description, String> {
    let (publisher, name) = description
        .name
        .split_once('/')
        .ok_or("its name is not `publisher/name`")?;
    identifier("publisher", publisher)?;
    identifier("name", name)?;
    few("roots", &description.roots)?;
    let capabilities = description.capabilities.len();
    rule(capabilities <= MAX_CAPABILITIES, || {
        format!("{capabilities} capabilities, at most {MAX_CAPABILITIES} are allowed")
    })?;
    few("applications", &description.applications)?;
    few("intents", &description.intents)?;
    for root in &mut description.roots {
        identifier("root", &root.name)?;
        few("conflicts", &root.conflicts)?;
        root.conflicts
            .iter()
            .try_for_each(|other| identifier("root", other))?;
        text(&mut root.description)?;
    }
    unique(
        "roots",
        description.roots.iter().map(|root| root.name.as_str()),
    )?;
    for capability in &mut description.capabilities {
        rule(capability.grant.len() <= MAX_PATTERN, || {
            format!("the pattern of a capability has at most {MAX_PATTERN} bytes")
        })?;
        let pattern = capability.grant.parse::<CapabilityPattern>();
        let pattern = pattern.map_err(|invalid| invalid.to_string())?;
        // From now on in the one spelling that shows all of it.
        capability.grant = pattern.to_string();
        text(&mut capability.reason)?;
    }
    for application in &mut description.applications {
        texts([&mut application.name, &mut application.versions].into_iter())?;
    }
    text(&mut description.summary)?;
    rule(description.version.len() <= MAX_VERSION, || {
        format!("its version has more than {MAX_VERSION} bytes")
    })?;
    semver::Version::parse(&description.version).map_err(|error| {
        let version = clean(&description.version, MAX_VERSION);
        format!("its version {version:?} is not a semantic one: {error}")
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

/// Members that begin in `span`, a part of what a filter has returned; also where the last of them ends.
pub(crate) fn members(
    members: Vec<transform::Member>,
    span: RangeInclusive<u64>,
) -> Rule<(Vec<Member>, u64)> {
    rule(members.len() <= MAX_MEMBERS, || {
        format!(
            "{} members at once, at most {MAX_MEMBERS} are allowed",
            members.len()
        )
    })?;
    let mut taken = *span.start();
    for member in &members {
        rule((1..=MAX_PATH).contains(&member.path.len()), || {
            format!("the path of a member has 1 to {MAX_PATH} bytes")
        })?;
        path(&member.path)?;
        let fits = (taken..=*span.end()).contains(&member.offset);
        let end = member.offset.checked_add(member.length);
        taken = end.filter(|_| fits).ok_or_else(|| {
            format!(
                "the member `{}`, {} bytes from {} on, does not begin between {taken} and {}",
                clean(&member.path, MAX_NAME),
                member.length,
                member.offset,
                span.end()
            )
        })?;
    }
    Ok((members.into_iter().map(Member::from).collect(), taken))
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

/// The mode of a file that a step writes: it runs as nobody else.
fn plain_mode(mode: u32) -> Rule {
    rule(mode <= 0o777, || {
        format!(
            "the mode 0o{mode:o} of a file that is written has more than read, write and execute"
        )
    })
}

fn mode(mode: u32) -> Rule {
    rule(mode <= 0o7777, || {
        format!("the mode 0o{mode:o} has more than permission bits")
    })
}

fn timeout(seconds: u32) -> Rule {
    rule((1..=MAX_TIMEOUT).contains(&seconds), || {
        format!("a timeout of {seconds} s is not 1 to {MAX_TIMEOUT}")
    })
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
