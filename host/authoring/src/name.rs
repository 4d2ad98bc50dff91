//! What a plugin may be called.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The publisher of the plugins that come with Copal.
const RESERVED: &str = "copal";

/// Letters of a publisher's or plugin's name; the contract allows no more.
const LIMIT: usize = 64;

/// A plugin's name: `publisher/name`, fit to be that of a crate, a folder and a component too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    publisher: String,
    name: String,
}

impl Name {
    /// Who publishes it.
    pub fn publisher(&self) -> &str {
        &self.publisher
    }

    /// What it is called among its publisher's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as that of a type: `MyApp` for `my-app`.
    pub fn type_name(&self) -> String {
        let words = self.name.split('-');
        words
            .filter_map(|word| {
                let mut letters = word.chars();
                let first = letters.next()?;
                Some(format!(
                    "{}{}",
                    first.to_ascii_uppercase(),
                    letters.as_str()
                ))
            })
            .collect()
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let broken = |rule| Error::Name {
            given: given.to_owned(),
            rule,
        };
        let (publisher, name) = given
            .split_once('/')
            .ok_or_else(|| broken("it says the publisher too, as PUBLISHER/NAME"))?;
        for part in [publisher, name] {
            rule(part).map_err(broken)?;
        }
        if publisher == RESERVED {
            return Err(broken("`copal/…` is for the plugins that come with Copal"));
        }
        Ok(Self {
            publisher: publisher.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.publisher, self.name)
    }
}

/// Says which rule a publisher's or plugin's name breaks.
fn rule(part: &str) -> std::result::Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if part.is_empty() {
        Err("neither the publisher nor the name is empty")
    } else if !part.bytes().all(allowed) {
        Err("it consists of lower-case letters, digits and `-`, with one `/`")
    } else if part.len() > LIMIT {
        Err("publisher and name have at most 64 letters each")
    } else if !part.starts_with(|first: char| first.is_ascii_lowercase()) {
        Err("publisher and name begin with a letter")
    } else if part.ends_with('-') || part.contains("--") {
        Err("each `-` stands between two letters or digits")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_publisher_and_becomes_a_type() {
        for (given, publisher, name, kind) in [
            ("acme/notebook", "acme", "notebook", "Notebook"),
            ("a1/my-app2-x", "a1", "my-app2-x", "MyApp2X"),
            ("acme/self", "acme", "self", "Self"),
        ] {
            let parsed: Name = given.parse().unwrap();
            assert_eq!((parsed.publisher(), parsed.name()), (publisher, name));
            assert_eq!(parsed.type_name(), kind);
            assert_eq!(parsed.to_string(), given);
        }
    }

    #[test]
    fn a_bad_name_is_refused_with_the_rule_that_it_breaks() {
        let long = format!("acme/{}", "a".repeat(65));
        for (given, rule) in [
            ("notebook", "PUBLISHER/NAME"),
            ("", "PUBLISHER/NAME"),
            ("/notebook", "is empty"),
            ("acme/", "is empty"),
            ("acme/Notebook", "lower-case letters"),
            ("acme/note_book", "lower-case letters"),
            ("acme/note book", "lower-case letters"),
            ("acme/note/book", "one `/`"),
            ("acme/../etc", "lower-case letters"),
            ("acme/nötebook", "lower-case letters"),
            (&long, "at most 64"),
            ("acme/2note", "begin with a letter"),
            ("-acme/notebook", "begin with a letter"),
            ("acme/note-", "between two"),
            ("acme/note--book", "between two"),
            ("copal/notebook", "come with Copal"),
        ] {
            let error = given.parse::<Name>().unwrap_err();
            assert_eq!(error.kind(), "plugin-name");
            assert!(error.to_string().contains(rule), "{given}: {error}");
        }
    }
}
