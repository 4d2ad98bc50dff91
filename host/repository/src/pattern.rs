//! Patterns for paths in snapshots, with the meaning that they have for restic's `--include`, `--exclude` and `find`.

use std::fmt;

/// A pattern for paths.
///
/// - `*` stands for any characters of one name, `?` for one, `[a-z]` for one of a class, `[^a-z]` for one outside it; `\` takes away the meaning of
///   what follows. What is not UTF-8 is matched byte by byte.
/// - `**` between slashes stands for any number of directories, also for none.
/// - A pattern that begins with `/` is tied to the top of the snapshot; any other fits at every depth.
/// - It matches what it names and all that lies beneath.
/// - With `!` before it, it takes back what patterns before it matched; `\!` is a name that begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
    anchored: bool,
    negated: bool,
    ignore_case: bool,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pattern: {1}")]
pub struct InvalidPattern(String, &'static str);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of names: `**`.
    Any,
    /// Exactly this name.
    Name(Vec<u8>),
    Glob(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Unit(u32),
    /// Any one: `?`.
    One,
    /// Any number: `*`.
    Many,
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

impl Pattern {
    /// Reads a pattern. With `ignore_case`, capital and small letters are the same.
    ///
    /// # Errors
    /// It is empty, or a class or an escape in it has no end.
    pub fn new(text: &[u8], ignore_case: bool) -> Result<Self, InvalidPattern> {
        let shown = crate::progress::display(text);
        let invalid = |why| InvalidPattern(shown.clone(), why);
        let folded = fold(text, ignore_case);
        let (negated, rest) = match folded.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, &folded[..]),
        };
        let names = rest.split(|&byte| byte == b'/');
        let parts = names
            .filter(|name| !matches!(*name, b"" | b"."))
            .map(|name| Part::parse(name).map_err(invalid))
            .collect::<Result<Vec<_>, _>>()?;
        let anchored = rest.starts_with(b"/");
        if parts.is_empty() && !anchored {
            return Err(invalid("it is empty"));
        }
        Ok(Self {
            text: shown,
            parts,
            anchored,
            negated,
            ignore_case,
        })
    }

    /// Whether it takes back what those before it say: it begins with `!`.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether it matches the path, whose names are separated by `/`.
    pub fn matches(&self, path: &[u8]) -> bool {
        let path = fold(path, self.ignore_case);
        self.matches_names(&names(&path))
    }

    /// Whether it could match something beneath the directory at `path`.
    pub fn may_match_beneath(&self, path: &[u8]) -> bool {
        if !self.anchored {
            return true;
        }
        let path = fold(path, self.ignore_case);
        let names = names(&path);
        let fixed = self.parts.iter().take_while(|part| **part != Part::Any);
        // Up to the first `**`, which stands for anything.
        fixed.zip(&names).all(|(part, name)| part.matches(name))
    }

    /// Whether whether it matches depends on the last name of a path alone, as long as it matches none of the directories above.
    fn is_of_one_name(&self) -> bool {
        !self.anchored && matches!(self.parts[..], [Part::Name(_) | Part::Glob(_)])
    }

    fn matches_names(&self, names: &[&[u8]]) -> bool {
        match self.anchored {
            true => fits(&self.parts, names),
            false => (0..names.len()).any(|start| fits(&self.parts, &names[start..])),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn names(path: &[u8]) -> Vec<&[u8]> {
    let names = path.split(|&byte| byte == b'/');
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether the parts match a beginning of the names. `**` goes on for as long as it must; nothing else takes more than one name, so going back to the
/// last `**` is enough.
fn fits(parts: &[Part], names: &[&[u8]]) -> bool {
    let (mut part, mut name) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match parts.get(part) {
            None => return true,
            Some(Part::Any) => {
                back = Some((part + 1, name));
                part += 1;
                continue;
            }
            Some(wanted) if names.get(name).is_some_and(|name| wanted.matches(name)) => {
                part += 1;
                name += 1;
                continue;
            }
            Some(_) => {}
        }
        match back {
            Some((after, from)) if from < names.len() => {
                back = Some((after, from + 1));
                (part, name) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

impl Part {
    fn parse(name: &[u8]) -> Result<Self, &'static str> {
        if name == b"**" {
            return Ok(Self::Any);
        }
        if !name
            .iter()
            .any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
        {
            return Ok(Self::Name(name.to_vec()));
        }
        let mut units = Units(name);
        let mut tokens = Vec::new();
        while let Some(unit) = units.next() {
            tokens.push(match char::from_u32(unit) {
                Some('*') => Token::Many,
                Some('?') => Token::One,
                Some('[') => class(&mut units)?,
                Some('\\') => Token::Unit(units.next().ok_or("it ends with a backslash")?),
                _ => Token::Unit(unit),
            });
        }
        Ok(Self::Glob(tokens))
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => own == name,
            Self::Glob(tokens) => glob(tokens, &Units(name).collect::<Vec<_>>()),
        }
    }
}

/// What stands between `[` and `]`.
fn class(units: &mut Units<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` has no `]`";
    let mut rest = units.clone();
    let negated = rest.next() == Some('^'.into());
    if negated {
        *units = rest;
    }
    let mut ranges = Vec::new();
    let end = |units: &mut Units<'_>| match units.next() {
        Some(unit) if unit == u32::from('\\') => units.next().ok_or(OPEN),
        unit => unit.ok_or(OPEN),
    };
    loop {
        let mut ahead = units.clone();
        if ahead.next() == Some(']'.into()) && !ranges.is_empty() {
            *units = ahead;
            return Ok(Token::Class { negated, ranges });
        }
        let first = end(units)?;
        let mut ahead = units.clone();
        let last = match ahead.next() == Some('-'.into()) {
            true => {
                *units = ahead;
                end(units)?
            }
            false => first,
        };
        ranges.push((first, last));
    }
}

/// Whether the tokens match all units. Only `*` takes other than one unit, so going back to the last one is enough.
fn glob(tokens: &[Token], units: &[u32]) -> bool {
    let (mut token, mut unit) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), units.get(unit)) {
            (None, None) => return true,
            (Some(Token::Many), _) => {
                back = Some((token + 1, unit));
                token += 1;
                continue;
            }
            (Some(wanted), Some(found)) if wanted.matches(*found) => {
                token += 1;
                unit += 1;
                continue;
            }
            _ => {}
        }
        match back {
            Some((after, from)) if from < units.len() => {
                back = Some((after, from + 1));
                (token, unit) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

impl Token {
    fn matches(&self, unit: u32) -> bool {
        match self {
            Self::Unit(own) => *own == unit,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                let within = |(first, last): &(u32, u32)| (first..=last).contains(&&unit);
                *negated != ranges.iter().any(within)
            }
        }
    }
}

/// The characters of a name; each byte that is not UTF-8 by itself, as a number that no character has.
#[derive(Clone)]
struct Units<'a>(&'a [u8]);

impl Iterator for Units<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first()?;
        let text = self
            .0
            .utf8_chunks()
            .next()
            .map_or("", |chunk| chunk.valid());
        let (unit, length) = match text.chars().next() {
            Some(character) => (character.into(), character.len_utf8()),
            None => (0x11_0000 + u32::from(*first), 1),
        };
        self.0 = self.0.get(length..).unwrap_or(rest);
        Some(unit)
    }
}

/// The text with its capital letters made small, where that is asked for.
fn fold(text: &[u8], ignore_case: bool) -> std::borrow::Cow<'_, [u8]> {
    if !ignore_case {
        return text.into();
    }
    let mut folded = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        folded.extend_from_slice(chunk.valid().to_lowercase().as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    folded.into()
}

/// Patterns of which the last that has a say decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they match the path.
    pub fn match_path(&self, path: &[u8]) -> bool {
        self.0
            .iter()
            .fold(false, |matched, pattern| match pattern.negated {
                false => matched || pattern.matches(path),
                true => matched && !pattern.matches(path),
            })
    }

    /// Whether they could match something beneath the directory at `path`.
    pub fn may_match_beneath(&self, path: &[u8]) -> bool {
        self.0
            .iter()
            .fold(false, |may, pattern| match pattern.negated {
                false => may || pattern.may_match_beneath(path),
                true => may && !pattern.matches(path),
            })
    }

    /// Whether what they match beneath a directory that they don't match does not depend on where that directory is.
    pub(crate) fn are_of_one_name(&self) -> bool {
        self.0.iter().all(Pattern::is_of_one_name)
    }

    /// The patterns, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

/// Which part of a snapshot something is about: what is included, without what is excluded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// What it is about; all if empty.
    pub include: Patterns,
    /// What it is not about, nor what lies beneath.
    pub exclude: Patterns,
}

impl Choice {
    /// Whether it is all.
    pub fn is_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether what has this path in the snapshot is chosen.
    pub fn has(&self, path: &[u8]) -> bool {
        (self.include.is_empty() || self.include.match_path(path)) && !self.exclude.match_path(path)
    }

    /// Whether something beneath the directory at `path` could be chosen.
    pub fn may_have_beneath(&self, path: &[u8]) -> bool {
        (self.include.is_empty() || self.include.may_match_beneath(path))
            && !self.exclude.match_path(path)
    }
}

#[cfg(test)]
mod tests;
