//! What a plugin may ever ask for, and the hash that names exactly that.

use serde::{Deserialize, Serialize};

use crate::text::{line, sha256};

/// Capabilities of one plugin, and imports.
const MAX_ITEMS: usize = 256;
/// Bytes of a grant's pattern, and of the reason for it.
const MAX_TEXT: usize = 1024;
/// Bytes of an import.
const MAX_IMPORT: usize = 256;

/// What the imports begin with that every plugin is given.
const CONTRACT: &str = "copal:plugin/";

/// A grant that a plugin may ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The grant's pattern, such as `run:docker stop *`.
    pub grant: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// What a component says of itself: its imports, and what `describe` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `publisher/name`.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// As the component spells them.
    pub imports: Vec<String>,
    /// The grants that it may ask for.
    pub capabilities: Vec<Capability>,
}

/// What the operator approves: every import beyond the contract's own, and every grant, as sorted lines such as `import wasi:io/streams@0.2.3` and
/// `grant run:docker stop *`. Reasons are no part of it.
pub fn capability_lines(imports: &[String], capabilities: &[Capability]) -> Vec<String> {
    let grants = capabilities.iter().map(|c| format!("grant {}", c.grant));
    let imports = imports
        .iter()
        .filter(|import| !import.starts_with(CONTRACT))
        .map(|import| format!("import {import}"));
    let mut lines: Vec<String> = grants.chain(imports).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The capability hash: SHA-256, in hexadecimal digits, over the lines of [`capability_lines`], each ended by a line feed.
pub fn capability_hash(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    sha256(text.as_bytes())
}

/// Holds the lists to their bounds. No text passes that has a line feed, so no two lists have the same lines.
pub(crate) fn validate(imports: &[String], capabilities: &[Capability]) -> Result<(), String> {
    for (what, count) in [
        ("imports", imports.len()),
        ("capabilities", capabilities.len()),
    ] {
        if count > MAX_ITEMS {
            return Err(format!(
                "it has {count} {what}, at most {MAX_ITEMS} are allowed"
            ));
        }
    }
    for import in imports {
        line("import", import, MAX_IMPORT)?;
    }
    for capability in capabilities {
        line("grant", &capability.grant, MAX_TEXT)?;
        line("reason for a grant", &capability.reason, MAX_TEXT)?;
    }
    twice("import", imports.iter().map(String::as_str))?;
    twice("grant", capabilities.iter().map(|c| c.grant.as_str()))
}

/// Takes each of the texts once.
pub(crate) fn twice<'a>(what: &str, texts: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    match texts.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    }) {
        Some(text) => Err(format!("it has the {what} `{text}` twice")),
        None => Ok(()),
    }
}
