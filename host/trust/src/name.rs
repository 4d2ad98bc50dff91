//! Names of plugins and their publishers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::text::shown;

/// Bytes of a publisher's name, and of a plugin's name beneath it.
const MAX_PART: usize = 64;

/// The publisher of the plugins that are embedded in the program; nobody else may use the name.
pub const RESERVED: &str = "copal";

/// The name of a plugin, `publisher/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PluginName(String);

impl PluginName {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its publisher.
    pub fn publisher(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether the name belongs to the plugins that are embedded in the program.
    pub fn is_reserved(&self) -> bool {
        self.publisher() == RESERVED
    }
}

impl FromStr for PluginName {
    type Err = Refusal;

    fn from_str(full: &str) -> Result<Self, Refusal> {
        let refused = || Refusal::Name {
            what: "plugin",
            name: shown(full),
            form: "`publisher/name`, each",
        };
        let (publisher, name) = full.split_once('/').ok_or_else(refused)?;
        if !is_part(publisher) || !is_part(name) {
            return Err(refused());
        }
        Ok(Self(full.to_owned()))
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<PluginName> for String {
    fn from(name: PluginName) -> Self {
        name.0
    }
}

impl TryFrom<String> for PluginName {
    type Error = Refusal;

    fn try_from(full: String) -> Result<Self, Refusal> {
        full.parse()
    }
}

/// Refuses what is no publisher's name. One that passes is safe as the name of a folder.
pub(crate) fn publisher(name: &str) -> Result<(), Refusal> {
    if is_part(name) {
        return Ok(());
    }
    Err(Refusal::Name {
        what: "publisher",
        name: shown(name),
        form: "a word of",
    })
}

/// Lower-case letters, digits and `-`; what begins with `-` would be taken for an option.
fn is_part(part: &str) -> bool {
    let letters = part
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    letters && (1..=MAX_PART).contains(&part.len()) && !part.starts_with('-')
}
