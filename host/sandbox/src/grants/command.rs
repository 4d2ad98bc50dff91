//! The commands that a grant covers.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::word::{self, NO_PROGRAM, Pattern, SETTING};
use crate::placeholder::shown;

/// Words that a grant or capability may have. The work to compare is bounded by it, whatever a plugin says.
const MAX_WORDS: usize = 128;

/// Groups of words that may be left out.
const MAX_OPTIONAL: usize = 8;

/// The commands that a grant covers: names of variables, then words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CommandRule {
    pub(super) variables: Vec<Variable>,
    pub(super) elements: Vec<Element>,
}

/// A variable that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Variable {
    pub(super) name: Names,
    pub(super) optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Names {
    One(String),
    /// The keys of the tables that these settings are, as many as there are.
    Settings(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Element {
    Program(Pattern),
    Word(Pattern),
    /// The words of one of these settings: of a list all of them, of a text the text. Not those of one that is empty or not set.
    Settings(Vec<String>),
    Optional(Vec<Element>),
}

impl CommandRule {
    pub(super) fn exact(variables: &[String], words: &[String]) -> Self {
        let variables = variables.iter().map(|name| Variable {
            name: Names::One(name.clone()),
            optional: false,
        });
        let elements = words.iter().enumerate().map(|(i, word)| match i {
            0 => Element::Program(Pattern::exact(word)),
            _ => Element::Word(Pattern::exact(word)),
        });
        Self {
            variables: variables.collect(),
            elements: elements.collect(),
        }
    }

    /// The same with a wildcard in the place of this text, in all words but the program.
    pub(super) fn with_any(&self, text: &str) -> Self {
        fn all(elements: &[Element], text: &str) -> Vec<Element> {
            let replace = |element: &Element| match element {
                Element::Word(pattern) => Element::Word(pattern.with_any(text)),
                Element::Optional(within) => Element::Optional(all(within, text)),
                other => other.clone(),
            };
            elements.iter().map(replace).collect()
        }
        Self {
            variables: self.variables.clone(),
            elements: all(&self.elements, text),
        }
    }

    pub(super) fn parse(text: &str, settings: bool) -> Result<Self, &'static str> {
        let words = word::split(text)?;
        if words.len() > MAX_WORDS {
            return Err("it has more than 128 words");
        }
        let mut parser = Parser {
            settings,
            rule: Self {
                variables: Vec::new(),
                elements: Vec::new(),
            },
            group: None,
            program: false,
        };
        words.into_iter().try_for_each(|raw| parser.word(raw))?;
        parser.finish()
    }

    /// Whether it covers a command with these variables, sorted, and these words.
    pub(super) fn covers(&self, variables: &[String], words: &[String], settings: &Value) -> bool {
        let covered = |name: &String| {
            self.variables.iter().any(|variable| match &variable.name {
                Names::One(own) => own == name,
                Names::Settings(keys) => found(settings, keys)
                    .iter()
                    .any(|table| table.get(name).is_some()),
            })
        };
        let there = |variable: &Variable| match &variable.name {
            Names::One(name) => variable.optional || variables.contains(name),
            Names::Settings(_) => true,
        };
        variables.iter().all(covered)
            && self.variables.iter().all(there)
            && follow(&self.elements, words, [0].into(), settings).contains(&words.len())
    }
}

/// How many words may have been covered once the elements are, where these numbers of them may have been before.
fn follow(
    elements: &[Element],
    words: &[String],
    mut reached: BTreeSet<usize>,
    settings: &Value,
) -> BTreeSet<usize> {
    for element in elements {
        if reached.is_empty() {
            break;
        }
        let one = |covers: &dyn Fn(&str) -> bool| {
            let fits = |at: &&usize| words.get(**at).is_some_and(|word| covers(word));
            reached.iter().filter(fits).map(|at| at + 1).collect()
        };
        reached = match element {
            Element::Program(pattern) => one(&|word| pattern.covers_program(word)),
            Element::Word(pattern) => one(&|word| pattern.covers(word)),
            Element::Optional(within) => {
                let mut with = follow(within, words, reached.clone(), settings);
                with.append(&mut reached);
                with
            }
            Element::Settings(keys) => {
                let mut after = BTreeSet::new();
                for own in settings_words(settings, keys) {
                    let fits = |at: &&usize| {
                        let there = words.get(**at..**at + own.len());
                        there.is_some_and(|there| {
                            there.iter().zip(&own).all(|(word, own)| is_same(word, own))
                        })
                    };
                    after.extend(reached.iter().filter(fits).map(|at| at + own.len()));
                }
                after
            }
        };
    }
    reached
}

/// Whether a word is that of a setting: as it is, with its placeholders, or quoted for a shell.
fn is_same(word: &str, setting: &str) -> bool {
    let quoted = || format!("'{}'", setting.replace('\'', r"'\''"));
    word == setting || word == shown(setting) || word == quoted()
}

/// The keys in `{setting:KEY|KEY}`.
pub(super) fn keys(raw: &str) -> Option<Vec<String>> {
    let keys = raw.strip_prefix(SETTING)?.strip_suffix('}')?;
    let plain = |key: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        !key.is_empty() && key.bytes().all(fits)
    };
    let mut keys = keys.split('|');
    keys.clone()
        .all(plain)
        .then(|| keys.by_ref().map(str::to_owned).collect())
}

/// The values of settings by their keys, `outer.inner` for one within a table or within each table of a list.
fn found<'v>(settings: &'v Value, keys: &[String]) -> Vec<&'v Value> {
    let mut all = Vec::new();
    for key in keys {
        let mut values = vec![settings];
        for name in key.split('.') {
            let tables = values.into_iter().flat_map(|value| match value {
                Value::Array(items) => items.iter().collect(),
                other => vec![other],
            });
            values = tables.filter_map(|table| table.get(name)).collect();
        }
        all.extend(values);
    }
    all
}

/// The words of settings by their keys; those that have some.
pub(super) fn settings_words<'v>(settings: &'v Value, keys: &[String]) -> Vec<Vec<&'v str>> {
    let words = found(settings, keys)
        .into_iter()
        .filter_map(|value| match value {
            Value::String(word) => Some(vec![word.as_str()]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        });
    words.filter(|words| !words.is_empty()).collect()
}

/// Reads a command word by word.
struct Parser {
    settings: bool,
    rule: CommandRule,
    /// What is in the brackets that are open, and whether these are variables.
    group: Option<(Vec<Element>, bool)>,
    /// Whether the program has been named.
    program: bool,
}

impl Parser {
    fn word(&mut self, raw: &str) -> Result<(), &'static str> {
        let mut rest = raw;
        if let Some(within) = rest.strip_prefix('[') {
            if self.group.is_some() {
                return Err("brackets stand within brackets");
            }
            self.group = Some((Vec::new(), false));
            rest = within;
        }
        let closed = match &self.group {
            Some(_) => rest.strip_suffix(']').filter(|rest| !rest.ends_with('\\')),
            None => None,
        };
        self.item(closed.unwrap_or(rest))?;
        if closed.is_some() {
            self.close()?;
        }
        Ok(())
    }

    fn item(&mut self, raw: &str) -> Result<(), &'static str> {
        if raw.is_empty() {
            return Err("there is nothing within brackets; quote a bracket that is meant as such");
        }
        if let Some(name) = self.variable(raw)? {
            let optional = match &mut self.group {
                Some((elements, variables)) if elements.is_empty() => {
                    *variables = true;
                    true
                }
                Some(_) => return Err(MIXED),
                None => false,
            };
            self.rule.variables.push(Variable { name, optional });
            return Ok(());
        }
        let element = match keys(raw) {
            Some(_) if !self.settings => {
                return Err(
                    "only a plugin's own description names settings; quote a brace that is meant as such",
                );
            }
            Some(keys) => Element::Settings(keys),
            None => {
                let pattern = Pattern::parse(raw)?;
                let begins = self
                    .group
                    .as_ref()
                    .is_none_or(|(within, _)| within.is_empty());
                // What may stand before the program, such as `[docker exec *]`, begins with one itself.
                if self.program || !begins {
                    Element::Word(pattern)
                } else {
                    pattern.check_program()?;
                    Element::Program(pattern)
                }
            }
        };
        match &mut self.group {
            Some((_, true)) => return Err(MIXED),
            Some((elements, _)) => elements.push(element),
            None => {
                self.program = true;
                self.rule.elements.push(element);
            }
        }
        Ok(())
    }

    /// `NAME=` before the program.
    fn variable(&self, raw: &str) -> Result<Option<Names>, &'static str> {
        let Some(name) = raw.strip_suffix('=') else {
            return Ok(None);
        };
        if self.program || !self.rule.elements.is_empty() {
            return Ok(None);
        }
        match keys(name) {
            Some(keys) if self.settings => Ok(Some(Names::Settings(keys))),
            _ if is_variable(name) => Ok(Some(Names::One(name.to_owned()))),
            _ => Err("the name of a variable is letters, digits and `_`"),
        }
    }

    fn close(&mut self) -> Result<(), &'static str> {
        if let Some((elements, false)) = self.group.take() {
            self.rule.elements.push(Element::Optional(elements));
        }
        let groups = self.rule.elements.iter();
        let groups = groups.filter(|element| matches!(element, Element::Optional(_)));
        if groups.count() > MAX_OPTIONAL {
            return Err("it has more than 8 groups of words that may be left out");
        }
        Ok(())
    }

    fn finish(mut self) -> Result<CommandRule, &'static str> {
        if self.group.is_some() {
            return Err("a bracket is not closed; quote one that is meant as such");
        }
        if !self.program {
            return Err(NO_PROGRAM);
        }
        self.rule.variables.sort();
        self.rule.variables.dedup();
        Ok(self.rule)
    }
}

const MIXED: &str = "variables and words stand in the same brackets";

/// Whether a text can be the name of a variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

impl fmt::Display for CommandRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for variable in &self.variables {
            f.write_str(std::mem::replace(&mut separator, " "))?;
            let name = match &variable.name {
                Names::One(name) => name.clone(),
                Names::Settings(keys) => setting(keys),
            };
            match variable.optional {
                true => write!(f, "[{name}=]")?,
                false => write!(f, "{name}=")?,
            }
        }
        for element in &self.elements {
            f.write_str(std::mem::replace(&mut separator, " "))?;
            element.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(pattern) | Self::Word(pattern) => pattern.fmt(f),
            Self::Settings(keys) => f.write_str(&setting(keys)),
            Self::Optional(within) => {
                for (i, element) in within.iter().enumerate() {
                    f.write_str(if i == 0 { "[" } else { " " })?;
                    element.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

fn setting(keys: &[String]) -> String {
    format!("{SETTING}{}}}", keys.join("|"))
}
