//! Changelogs in SQL. Liquibase reads them by lines, comments and literals notwithstanding, so this does too.

use super::{Attributes, Document, Item};

pub(super) fn parse(bytes: &[u8]) -> Result<Document, String> {
    // Data in other encodings does not matter: what is read here is ASCII in all that Liquibase can be told to use.
    let text = String::from_utf8_lossy(bytes);
    let mut document = Document::default();
    let mut formatted = false;
    let mut ignored = Ignored::None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let Some(comment) = line.trim_start().strip_prefix("--").map(str::trim_start) else {
            ignored.pass();
            continue;
        };
        if let Some(rest) = keyword(comment, "liquibase formatted sql") {
            formatted = true;
            document.attributes.extend(attributes(rest));
        } else if let Some(rest) = keyword(comment, "ignoreLines:") {
            ignored = Ignored::until(rest.trim());
        } else if ignored != Ignored::None {
            ignored.pass();
        } else if let Some(rest) =
            keyword(comment, "changeset ").or(keyword(comment, "changeset\t"))
        {
            document.items.push(change_set(rest)?);
        } else if let Some(rest) = keyword(comment, "property ") {
            document.items.push(Item {
                name: "property".to_owned(),
                attributes: attributes(rest),
            });
        }
    }
    if formatted {
        return Ok(document);
    }
    // SQL without a header is one change set, which Liquibase names itself.
    let identity = [("id", "raw"), ("author", "includeAll")];
    Ok(Document {
        attributes: Attributes::new(),
        items: vec![Item {
            name: "changeSet".to_owned(),
            attributes: identity
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        }],
    })
}

/// Lines that Liquibase is told to pass over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignored {
    None,
    Lines(usize),
    ToEnd,
}

impl Ignored {
    fn until(what: &str) -> Self {
        match what.to_ascii_lowercase().as_str() {
            "start" => Self::ToEnd,
            "end" => Self::None,
            count => count.parse().map_or(Self::None, Self::Lines),
        }
    }

    /// Notes that a line has been passed over.
    fn pass(&mut self) {
        if let Self::Lines(left) = self {
            *self = match left.saturating_sub(1) {
                0 => Self::None,
                left => Self::Lines(left),
            };
        }
    }
}

/// What follows a keyword, whatever its case.
fn keyword<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// `author:id attribute:value …`, each of which may be quoted.
fn change_set(text: &str) -> Result<Item, String> {
    let broken = || format!("`--changeset {text}` has no author and id");
    let (author, rest) = word(text.trim_start(), |c| c == ':').ok_or_else(broken)?;
    let rest = rest.trim_start().strip_prefix(':').ok_or_else(broken)?;
    let (id, rest) = word(rest.trim_start(), char::is_whitespace).ok_or_else(broken)?;
    let mut attributes = attributes(rest);
    attributes.insert("author".to_owned(), author.trim().to_owned());
    attributes.insert("id".to_owned(), id.to_owned());
    Ok(Item {
        name: "changeSet".to_owned(),
        attributes,
    })
}

/// `name:value name:"a value" …`.
fn attributes(text: &str) -> Attributes {
    let mut attributes = Attributes::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == ':' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        rest = match behind
            .strip_prefix(':')
            .and_then(|value| word(value.trim_start(), char::is_whitespace))
        {
            Some((value, behind)) => {
                attributes.insert(spelled(name).to_owned(), value.to_owned());
                behind
            }
            None => behind.trim_start_matches(':'),
        }
        .trim_start();
    }
    attributes
}

/// Names of attributes as the other formats spell them; here their case does not matter.
fn spelled(name: &str) -> &str {
    let known = [
        "logicalFilePath",
        "context",
        "contextFilter",
        "labels",
        "dbms",
        "ignore",
        "name",
        "value",
    ];
    known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or(name)
}

/// The first word, quoted or up to what ends it, and the rest.
fn word(text: &str, ends: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"');
    }
    let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (!word.is_empty()).then_some((word, rest))
}
