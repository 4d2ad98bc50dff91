//! Patterns that paths match.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Unit, units};
use crate::{Entry, Failure};

/// A pattern for paths within a root.
///
/// - `*` stands for any characters of one name, `?` for one, `[a-z]` for one of a class, `[!a-z]` for one outside it. Every other character stands
///   for itself; `[*]` for a star. Names that are not UTF-8 are spelled as [`crate::name`] says, also in patterns.
/// - `**` between slashes stands for any number of directories, also for none; `logs/**` for all that is beneath `logs`.
/// - A pattern without a slash matches a name in every directory; `/` before it ties it to the root. A slash within does so too.
/// - A slash at the end lets it match directories only.
///
/// It matches what it names, not what lies beneath; but whoever skips a directory skips all of it. Matching takes no memory, and time
/// in proportion to the pattern's length times the path's at worst.
///
/// As a part of a configuration it is a string, checked when the configuration is read.
///
/// ```
/// use copal_sdk::Glob;
///
/// let glob: Glob = "cache/**/*.tmp".parse()?;
/// assert!(glob.matches("cache/a/b/c.tmp", false));
/// assert!(!glob.matches("other/cache/c.tmp", false));
/// # Ok::<(), copal_sdk::Failure>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    inline,
    description = "A pattern such as `*.tmp`, `/cache` or `logs/**/*.gz`."
)]
pub struct Glob {
    pattern: String,
    segments: Vec<Segment>,
    directories_only: bool,
}

#[derive(Clone, Debug)]
enum Segment {
    /// Any number of names: `**`.
    Any,
    Name(Vec<Token>),
}

#[derive(Clone, Debug)]
enum Token {
    Unit(Unit),
    /// Any one: `?`.
    One,
    /// Any number: `*`.
    Many,
    Class {
        negated: bool,
        ranges: Vec<(Unit, Unit)>,
    },
}

impl Glob {
    /// Whether the path of a directory, or of anything else, is one that the pattern stands for. The root itself never is.
    pub fn matches(&self, path: &str, directory: bool) -> bool {
        if path.is_empty() || (self.directories_only && !directory) {
            return false;
        }
        let name_fits = |tokens: &[Token], name| {
            fits(
                tokens,
                units(name),
                |token| matches!(token, Token::Many),
                Token::matches,
            )
        };
        // By far the commonest: a name in any directory.
        if let [Segment::Any, Segment::Name(tokens)] = &self.segments[..] {
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            return name_fits(tokens, name);
        }
        fits(
            &self.segments,
            path.split('/'),
            |segment| matches!(segment, Segment::Any),
            |segment, name| match segment {
                Segment::Any => true,
                Segment::Name(tokens) => name_fits(tokens, name),
            },
        )
    }

    /// Whether it [matches](Self::matches) the entry.
    pub fn matches_entry(&self, entry: &Entry) -> bool {
        self.matches(&entry.path, entry.is_directory())
    }
}

impl Token {
    fn matches(&self, unit: &Unit) -> bool {
        match self {
            Self::Unit(own) => own == unit,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                *negated
                    != ranges
                        .iter()
                        .any(|(first, last)| (first..=last).contains(&unit))
            }
        }
    }
}

/// Whether `items` fit `pattern`, of which the parts that are `many` stand for any number of items, and every other for the one that it fits.
fn fits<P, I: Iterator + Clone>(
    pattern: &[P],
    mut items: I,
    many: impl Fn(&P) -> bool,
    one: impl Fn(&P, &I::Item) -> bool,
) -> bool {
    let mut rest = pattern;
    // The latest `many`: what follows it, and the first item that it has not taken yet. An earlier one never needs to take more.
    let mut retry: Option<(&[P], I)> = None;
    loop {
        if let Some((part, after)) = rest.split_first()
            && many(part)
        {
            rest = after;
            retry = Some((after, items.clone()));
            continue;
        }
        let mut ahead = items.clone();
        match (rest.split_first(), ahead.next()) {
            (None, None) => return true,
            (Some((part, after)), Some(item)) if one(part, &item) => {
                rest = after;
                items = ahead;
            }
            _ => {
                let Some((after, from)) = &mut retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                rest = after;
                items = from.clone();
            }
        }
    }
}

impl FromStr for Glob {
    type Err = Failure;

    fn from_str(pattern: &str) -> Result<Self, Failure> {
        let invalid = |reason: &str| {
            Failure::invalid_config(
                "sdk.glob.invalid",
                format!("the pattern `{pattern}` {reason}"),
            )
        };
        let (body, directories_only) = match pattern.strip_suffix('/') {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let mut segments = Vec::new();
        let body = match body.strip_prefix('/') {
            Some(body) => body,
            None => {
                if !body.contains('/') {
                    segments.push(Segment::Any);
                }
                body
            }
        };
        for segment in body.split('/') {
            segments.push(match segment {
                "" => return Err(invalid("has an empty name")),
                "." | ".." => return Err(invalid("has `.` or `..`, which no path has")),
                "**" => Segment::Any,
                name => {
                    Segment::Name(tokens(name).ok_or_else(|| invalid("has a `[` without its `]`"))?)
                }
            });
        }
        if let Some(Segment::Any) = segments.last() {
            // At the end it stands for what is beneath, so for at least one name.
            segments.push(Segment::Name(vec![Token::Many]));
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            segments,
            directories_only,
        })
    }
}

/// The tokens of one name's pattern, or `None` where a class does not end.
fn tokens(name: &str) -> Option<Vec<Token>> {
    let mut units = units(name);
    let mut tokens = Vec::new();
    while let Some(unit) = units.next() {
        tokens.push(match unit {
            Unit::Char('?') => Token::One,
            Unit::Char('*') => Token::Many,
            Unit::Char('[') => class(&mut units)?,
            unit => Token::Unit(unit),
        });
    }
    Some(tokens)
}

/// The class whose `[` has just been read. A `]` right after the beginning stands for itself, and so does a `-` at either end.
fn class(units: &mut (impl Iterator<Item = Unit> + Clone)) -> Option<Token> {
    let mut first = units.next()?;
    let negated = matches!(first, Unit::Char('!' | '^'));
    if negated {
        first = units.next()?;
    }
    let mut ranges = Vec::new();
    loop {
        let mut ahead = units.clone();
        match (ahead.next()?, ahead.next()) {
            (Unit::Char('-'), Some(last)) if last != Unit::Char(']') => {
                ranges.push((first, last));
                *units = ahead;
            }
            _ => ranges.push((first, first)),
        }
        first = units.next()?;
        if first == Unit::Char(']') {
            return Some(Token::Class { negated, ranges });
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = Failure;

    fn try_from(pattern: String) -> Result<Self, Failure> {
        pattern.parse()
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.pattern
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Glob {}

#[cfg(test)]
mod tests;
