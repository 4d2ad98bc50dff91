//! What the operator allows a plugin to have done.
//!
//! ```text
//! run:docker stop jpom-*          a command, word by word
//! http:GET 127.0.0.1:2122         a request, by method and by host and port
//! write:home/conf                 writing to a path of a root and to all beneath it
//! ```
//!
//! Words are separated by spaces and quoted with `"…"` or `'…'`. `*` outside quotes stands for any characters within one word, or
//! within one name of a path. A word that begins with `-` is only covered by a pattern that does, so a wildcard meant for a name lets
//! no option through.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// A grant that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{grant}` is not a grant: {reason}; write `run:PROGRAM ARGUMENT…`, `http:METHOD HOST:PORT` or `write:ROOT/PATH`"
)]
pub struct InvalidGrant {
    grant: String,
    reason: &'static str,
}

/// One permission, as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Grant {
    kind: Kind,
    words: Vec<Pattern>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Run,
    Http,
    Write,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Run, Self::Http, Self::Write];

    fn prefix(self) -> &'static str {
        match self {
            Self::Run => "run:",
            Self::Http => "http:",
            Self::Write => "write:",
        }
    }
}

impl Grant {
    /// The grant that covers exactly this command.
    pub fn for_command(argv: &[String]) -> Self {
        Self::exact(Kind::Run, argv.iter().map(String::as_str))
    }

    /// The grant that covers requests of this method to this URL's host; none where the URL is not one that a grant could cover.
    pub fn for_http(method: &str, url: &str) -> Option<Self> {
        Some(Self::exact(
            Kind::Http,
            [method.to_ascii_uppercase().as_str(), &authority(url)?],
        ))
    }

    /// The grant that covers writing to this path of a root and to all beneath it.
    pub fn for_write(root: &str, path: &str) -> Self {
        Self::exact(Kind::Write, names(root, path))
    }

    /// The same grant with any text in the place of this one.
    #[must_use]
    pub fn with_any(&self, text: &str) -> Self {
        let words = self.words.iter().map(|word| word.with_any(text));
        Self {
            kind: self.kind,
            words: words.collect(),
        }
    }

    fn exact<'a>(kind: Kind, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words = words.into_iter().map(Pattern::exact).collect();
        Self { kind, words }
    }

    fn covers(&self, kind: Kind, words: &[&str]) -> bool {
        let reach = match kind {
            Kind::Write => words.len() >= self.words.len(),
            Kind::Run | Kind::Http => words.len() == self.words.len(),
        };
        self.kind == kind
            && reach
            && self
                .words
                .iter()
                .zip(words)
                .all(|(pattern, word)| pattern.covers(word))
    }
}

/// The root and the names of the path within it.
fn names<'a>(root: &'a str, path: &'a str) -> impl Iterator<Item = &'a str> {
    std::iter::once(root).chain(path.split('/').filter(|name| !name.is_empty()))
}

/// `HOST:PORT` of an `http` or `https` URL; none for any other, and for one that carries a user or password.
fn authority(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return None;
    }
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(grant: &str) -> Result<Self, InvalidGrant> {
        let invalid = |reason| InvalidGrant {
            grant: grant.escape_debug().to_string(),
            reason,
        };
        let (kind, rest) = Kind::ALL
            .into_iter()
            .find_map(|kind| Some((kind, grant.strip_prefix(kind.prefix())?)))
            .ok_or_else(|| invalid("it begins with neither `run:`, `http:` nor `write:`"))?;
        let mut words = parse_words(rest).map_err(invalid)?;
        match kind {
            Kind::Run if words.first().is_none_or(Pattern::names_nothing) => {
                return Err(invalid("it must name the program"));
            }
            Kind::Http if words.len() != 2 => {
                return Err(invalid("it needs a method and `HOST:PORT`"));
            }
            Kind::Write => {
                let [path] = words.as_slice() else {
                    return Err(invalid("it needs one path; quote one that has spaces"));
                };
                words = path.split('/');
                let relative = |name: &Pattern| {
                    [".", "..", ""]
                        .iter()
                        .any(|bad| *name == Pattern::exact(bad))
                };
                if words.iter().any(relative) || words.first().is_some_and(Pattern::names_nothing) {
                    return Err(invalid(
                        "its path must be `ROOT` or `ROOT/PATH`, without `.` and `..`",
                    ));
                }
            }
            Kind::Run | Kind::Http => {}
        }
        Ok(Self { kind, words })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.prefix())?;
        let separator = if self.kind == Kind::Write { '/' } else { ' ' };
        for (i, word) in self.words.iter().enumerate() {
            if i > 0 {
                f.write_char(separator)?;
            }
            word.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidGrant;

    fn try_from(grant: String) -> Result<Self, InvalidGrant> {
        grant.parse()
    }
}

/// All grants of a job; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<Grant>);

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl Extend<Grant> for Grants {
    fn extend<I: IntoIterator<Item = Grant>>(&mut self, grants: I) {
        self.0.extend(grants);
    }
}

impl Grants {
    /// Each grant, as it was given.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// Adds a grant.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// Whether this command may be run: one grant covers every word of it.
    pub fn allows_command(&self, argv: &[String]) -> bool {
        let words: Vec<_> = argv.iter().map(String::as_str).collect();
        self.covers(Kind::Run, &words)
    }

    /// Whether a request of this method may be sent to this URL's host.
    pub fn allows_http(&self, method: &str, url: &str) -> bool {
        authority(url).is_some_and(|authority| {
            self.covers(Kind::Http, &[&method.to_ascii_uppercase(), &authority])
        })
    }

    /// Whether this path of a root may be written to. The path must be without `.` and `..`, as the contract's paths are.
    pub fn allows_write(&self, root: &str, path: &str) -> bool {
        let words: Vec<_> = names(root, path).collect();
        self.covers(Kind::Write, &words)
    }

    fn covers(&self, kind: Kind, words: &[&str]) -> bool {
        self.0.iter().any(|grant| grant.covers(kind, words))
    }
}

/// One word with wildcards: literal parts, between each two of which stands a `*`. Never without a part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pattern(Vec<String>);

impl Pattern {
    fn exact(word: &str) -> Self {
        Self(vec![word.to_owned()])
    }

    fn with_any(&self, text: &str) -> Self {
        let parts = self.0.iter().flat_map(|part| part.split(text));
        Self(parts.map(str::to_owned).collect())
    }

    fn names_nothing(&self) -> bool {
        self.0.iter().all(String::is_empty)
    }

    fn covers(&self, word: &str) -> bool {
        let [first, rest @ ..] = self.0.as_slice() else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return first == word;
        };
        // What a `*` stands for can neither make an option of a word nor lead out of the folder that the pattern names.
        let leads_out = word.split('/').any(|name| name == "..");
        if leads_out || (word.starts_with('-') && !first.starts_with('-')) {
            return false;
        }
        let Some(mut left) = word
            .strip_prefix(first.as_str())
            .and_then(|w| w.strip_suffix(last.as_str()))
        else {
            return false;
        };
        for part in middle {
            let Some((_, after)) = left.split_once(part.as_str()) else {
                return false;
            };
            left = after;
        }
        true
    }

    /// The patterns between the literal separators of this one.
    fn split(&self, separator: char) -> Vec<Self> {
        let mut patterns = vec![];
        let mut parts = vec![];
        for part in &self.0 {
            let mut names = part.split(separator).map(str::to_owned);
            parts.extend(names.next());
            for name in names {
                patterns.push(Self(std::mem::replace(&mut parts, vec![name])));
            }
        }
        patterns.push(Self(parts));
        patterns
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('*')?;
            }
            let plain = |c: char| c.is_alphanumeric() || "_-.,:/@%+={}".contains(c);
            if part.chars().all(plain) && !(part.is_empty() && self.0.len() == 1) {
                f.write_str(part)?;
                continue;
            }
            f.write_char('"')?;
            for c in part.chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    // A grant is shown on terminals, where such a character could hide a part of it.
                    c if !c.is_alphanumeric() && !(' '..='~').contains(&c) => {
                        write!(f, "{}", c.escape_unicode())?
                    }
                    c => f.write_char(c)?,
                }
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

fn parse_words(text: &str) -> Result<Vec<Pattern>, &'static str> {
    let mut words = vec![];
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let mut parts = vec![];
        let mut part = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            match c {
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => part.push(chars.next().ok_or("it ends in a backslash")?),
                '\'' => loop {
                    match chars.next().ok_or("a quote is not closed")? {
                        '\'' => break,
                        c => part.push(c),
                    }
                },
                '"' => loop {
                    match chars.next().ok_or("a quote is not closed")? {
                        '"' => break,
                        '\\' => part.push(parse_escape(&mut chars)?),
                        c => part.push(c),
                    }
                },
                c => part.push(c),
            }
        }
        parts.push(part);
        words.push(Pattern(parts));
    }
}

/// What follows a backslash within double quotes: `\`, `"` or `u{HEX}`.
fn parse_escape(chars: &mut impl Iterator<Item = char>) -> Result<char, &'static str> {
    const UNKNOWN: &str = "within double quotes a backslash is followed by `\\`, `\"` or `u{…}`";
    match chars.next() {
        Some(c @ ('"' | '\\')) => Ok(c),
        Some('u') if chars.next() == Some('{') => {
            let digits: String = chars.take_while(|c| *c != '}').collect();
            u32::from_str_radix(&digits, 16)
                .ok()
                .and_then(char::from_u32)
                .ok_or(UNKNOWN)
        }
        _ => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests;
