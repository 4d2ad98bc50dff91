//! One word of a grant, in which `*` outside quotes stands for any characters.

use std::fmt::{self, Write as _};

/// A word with wildcards: literal parts, between each two of which stands a `*`. Never without a part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    /// The pattern of this word alone.
    pub(super) fn exact(word: &str) -> Self {
        Self(vec![word.to_owned()])
    }

    /// The literal parts, between each two of which stands a `*`.
    pub(super) fn parts(&self) -> &[String] {
        &self.0
    }

    /// Reads one word as [`split`] cut it.
    pub(super) fn parse(raw: &str) -> Result<Self, &'static str> {
        let mut parts = vec![];
        let mut part = String::new();
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => part.push(chars.next().ok_or(BACKSLASH)?),
                '\'' => loop {
                    match chars.next().ok_or(QUOTE)? {
                        '\'' => break,
                        c => part.push(c),
                    }
                },
                '"' => loop {
                    match chars.next().ok_or(QUOTE)? {
                        '"' => break,
                        '\\' => part.push(parse_escape(&mut chars)?),
                        c => part.push(c),
                    }
                },
                c => part.push(c),
            }
        }
        parts.push(part);
        Ok(Self(parts))
    }

    /// The word itself, where nothing in it is a wildcard.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [word] => Some(word),
            _ => None,
        }
    }

    /// Whether it is nothing but wildcards.
    pub(super) fn is_any(&self) -> bool {
        self.0.len() > 1 && self.0.iter().all(String::is_empty)
    }

    /// The same with a wildcard in the place of this text.
    pub(super) fn with_any(&self, text: &str) -> Self {
        let parts = self.0.iter().flat_map(|part| part.split(text));
        Self(parts.map(str::to_owned).collect())
    }

    /// Whether the word is of this form. One that is empty is only of the form that is.
    pub(super) fn fits(&self, word: &str) -> bool {
        let [first, rest @ ..] = self.0.as_slice() else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return first == word;
        };
        let within = word
            .strip_prefix(first.as_str())
            .and_then(|word| word.strip_suffix(last.as_str()));
        let Some(mut left) = within.filter(|_| !word.is_empty()) else {
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

    /// Whether a command may have this argument in its place. What a `*` stands for can neither make an option of a word, nor a file that
    /// options are read from (`@FILE`), nor lead out of the folder that the pattern names: neither by a `..` between what separates names,
    /// whatever that is to the program (`/`, `:`, `,`, `=`), nor by one right behind the pattern's beginning, as in `-C..`.
    pub(super) fn covers(&self, word: &str) -> bool {
        let [first, rest @ ..] = self.0.as_slice() else {
            return false;
        };
        let [next, ..] = rest else {
            return first == word;
        };
        let leads_out = has_parent(word)
            || word
                .strip_prefix(first.as_str())
                .is_some_and(begins_with_parent);
        let option = ['-', '@']
            .into_iter()
            .any(|sign| word.starts_with(sign) && !first.starts_with(sign));
        if leads_out || option {
            return false;
        }
        let in_any_folder = first.is_empty() && next.starts_with('/');
        self.fits(word) || (in_any_folder && self.fits(&format!("/{word}")))
    }

    /// Whether a command's program may be this one: name by name of its path.
    pub(super) fn covers_program(&self, program: &str) -> bool {
        let names = self.split('/');
        let asked: Vec<_> = program.split('/').collect();
        let (names, in_any_folder) = match names.as_slice() {
            [first, rest @ ..] if first.is_any() && !rest.is_empty() => (rest, true),
            names => (names, false),
        };
        let as_long = match in_any_folder {
            true => asked.len() >= names.len(),
            false => asked.len() == names.len(),
        };
        let mut pairs = names.iter().rev().zip(asked.iter().rev());
        as_long && pairs.all(|(name, asked)| name.fits(asked))
    }

    /// Checks that it may stand for a program: its name is written out, and its path leads somewhere alone.
    pub(super) fn check_program(&self) -> Result<(), &'static str> {
        let names = self.split('/');
        let Some((last, folders)) = names.split_last() else {
            return Err(NO_PROGRAM);
        };
        let last = last.literal().ok_or(
            "the program's own name must be written out: a `*` may stand for a folder of its path",
        )?;
        if last.is_empty() {
            return Err(NO_PROGRAM);
        }
        if last.contains('=') {
            return Err("a program's name has no `=`");
        }
        let relative = |name: &str| matches!(name, "" | "." | "..");
        let (first, within) = match folders {
            [] => return Ok(()),
            [first, within @ ..] => (first, within),
        };
        let absolute = match first.literal() {
            Some(first) => first.is_empty() || first.starts_with('{'),
            None => first.is_any(),
        };
        let straight = within
            .iter()
            .all(|name| name.literal().is_none_or(|name| !relative(name)));
        if absolute && straight && !relative(last) {
            Ok(())
        } else {
            Err("its program is neither a name nor an absolute path")
        }
    }

    /// The patterns between the literal separators of this one.
    pub(super) fn split(&self, separator: char) -> Vec<Self> {
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

/// That no program is named.
pub(super) const NO_PROGRAM: &str = "it must name the program";
const BACKSLASH: &str = "it ends in a backslash";
const QUOTE: &str = "a quote is not closed";

/// Checks the program of a command that is to be run.
pub(crate) fn check_program(program: &str) -> Result<(), &'static str> {
    Pattern::exact(program).check_program()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('*')?;
            }
            let plain = |c: char| is_letter(c) || "_-.,:/@%+={}".contains(c);
            let empty = part.is_empty() && self.0.len() == 1;
            if part.chars().all(plain) && !empty && !part.contains(SETTING) {
                f.write_str(part)?;
                continue;
            }
            f.write_char('"')?;
            for c in part.chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    // A grant is shown on terminals, where such a character could hide a part of it.
                    c if !is_letter(c) && !(' '..='~').contains(&c) => {
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

/// How a setting begins.
pub(super) const SETTING: &str = "{setting:";

/// Whether a `..` stands somewhere in a word as a whole name.
fn has_parent(word: &str) -> bool {
    word.match_indices("..").any(|(at, _)| {
        let (before, from) = word.split_at(at);
        !before.ends_with(is_of_name) && begins_with_parent(from)
    })
}

/// Whether a text begins with the whole name `..`.
fn begins_with_parent(text: &str) -> bool {
    text.strip_prefix("..")
        .is_some_and(|after| !after.starts_with(is_of_name))
}

/// A character that makes another name of a `..` beside it.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c)
}

/// A letter or digit that can be seen.
fn is_letter(c: char) -> bool {
    // Fillers of Hangul are letters to Unicode, and blank.
    c.is_alphanumeric() && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Cuts a text into its words, with their quotes and escapes.
pub(super) fn split(text: &str) -> Result<Vec<&str>, &'static str> {
    let mut words = vec![];
    let mut begin = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(begin.take().and_then(|begin| text.get(begin..at)));
            continue;
        }
        begin.get_or_insert(at);
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => drop(chars.next().ok_or(BACKSLASH)?),
            _ => {}
        }
    }
    if quote.is_some() {
        return Err(QUOTE);
    }
    words.extend(begin.and_then(|begin| text.get(begin..)));
    Ok(words)
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
