//! The rules for commands, wherever they stand.

use std::collections::BTreeSet;

use super::{MAX_NAME, Rule, rule, timeout, unique};
use crate::grants::{check_program, is_variable};
use crate::placeholder::{Placeholder, expand, shown};
use crate::text::clean;
use crate::types::{Command, Fragment};

/// Further descriptors of one command.
const MAX_DESCRIPTORS: usize = 16;

/// Bytes that all of them hold together.
const MAX_DESCRIBED: usize = 1 << 20;

/// A command that can be run, as far as its form goes. Which roots it names, the caller looks at.
pub(crate) fn command(command: &Command) -> Rule {
    let program = command.argv.first().map_or("", String::as_str);
    rule(!program.is_empty(), || {
        "a command names no program".to_owned()
    })?;
    check_program(&shown(program))
        .map_err(|reason| format!("the program `{}`: {reason}", clean(program, MAX_NAME)))?;
    rule(!command.argv.iter().any(|word| word.contains('\0')), || {
        "a command has a NUL in an argument".to_owned()
    })?;
    let names = || command.environment.iter().map(|variable| &variable.name);
    for name in names() {
        rule(is_variable(name), || {
            let name = clean(name, MAX_NAME);
            format!("`{name}` can't be the name of a variable: it is letters, digits and `_`")
        })?;
    }
    unique("variables", names().map(String::as_str))?;
    descriptors(command)?;
    timeout(command.timeout)
}

/// Each descriptor is bounded, and named somewhere: nothing else tells the program of it.
fn descriptors(command: &Command) -> Rule {
    let count = command.descriptors.len();
    rule(count <= MAX_DESCRIPTORS, || {
        format!("{count} descriptors, at most {MAX_DESCRIPTORS} are allowed")
    })?;
    let bytes: usize = command.descriptors.iter().flatten().map(length).sum();
    rule(bytes <= MAX_DESCRIBED, || {
        format!("descriptors of {bytes} bytes, at most {MAX_DESCRIBED} are allowed")
    })?;
    let mut named = BTreeSet::new();
    let plain = texts(command).filter_map(|fragment| match fragment {
        Fragment::Plain(text) => Some(text.as_str()),
        Fragment::Secret(_) => None,
    });
    for text in command.argv.iter().map(String::as_str).chain(plain) {
        let note = |placeholder: Placeholder<'_>| {
            if let Placeholder::Descriptor(number) = placeholder {
                named.insert(number);
            }
            Some(String::new())
        };
        expand(text, note).map_err(|invalid| invalid.to_string())?;
    }
    match named.last() {
        Some(last) if *last >= count => Err(format!(
            "it names `{{fd:{last}}}` and has {count} descriptors, which are counted from 0"
        )),
        _ => rule(named.len() == count, || {
            "it has a descriptor that no `{fd:N}` names".to_owned()
        }),
    }
}

/// The fragments of all texts of a command.
pub(super) fn texts(command: &Command) -> impl Iterator<Item = &Fragment> {
    let values = command.environment.iter().map(|variable| &variable.value);
    values
        .chain(&command.stdin)
        .chain(&command.descriptors)
        .flatten()
}

fn length(fragment: &Fragment) -> usize {
    match fragment {
        Fragment::Plain(text) | Fragment::Secret(text) => text.len(),
    }
}
