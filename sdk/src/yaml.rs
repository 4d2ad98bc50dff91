//! Reading YAML, and JSON as a part of it: configuration and metadata that applications write, which may be hostile.
//!
//! A document becomes a small tree of [`Node`]s, each with its position. Aliases are written out and merge keys (`<<`) followed, within
//! [`Limits`]: so a file can't take more memory or stack than they allow. What a plain scalar stands for is for the reader to ask
//! ([`Node::text`], [`Node::boolean`], [`Node::symbol`]), because the applications' YAML libraries disagree.
//!
//! ```
//! use copal_sdk::yaml::{self, Limits};
//!
//! let information = b":gitlab_version: 17.2.1\n:skipped: tar,uploads\n:db_version: 20240701\n";
//! let information = yaml::parse(information, Limits::default())?;
//! let skipped = information.get_symbol("skipped").and_then(|node| node.text());
//! assert_eq!(skipped, Some("tar,uploads"));
//!
//! let error = yaml::parse(b"a: 1\nb: [1", Limits::default()).unwrap_err();
//! assert_eq!(error.line, 3);
//! # Ok::<(), yaml::Error>(())
//! ```

mod build;
#[cfg(test)]
mod tests;

use std::fmt;

/// How much is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, and of all scalars together once aliases are written out.
    pub bytes: usize,
    /// Lists and mappings within one another.
    pub depth: usize,
    /// Scalars, lists and mappings together once aliases are written out.
    pub nodes: usize,
}

impl Default for Limits {
    /// 4 MiB, 64 deep, 250,000 nodes.
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            depth: 64,
            nodes: 250_000,
        }
    }
}

/// What is wrong with a file, and where. Never shows a scalar, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The problem, as the end of a sentence.
    pub problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            problem,
        } = self;
        write!(f, "line {line}, column {column}: {problem}")
    }
}

impl std::error::Error for Error {}

/// A scalar, list or mapping, and where it begins.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text; `plain` where it is neither quoted nor tagged as a string, and so may stand for null, a boolean, a number or a symbol.
    Scalar {
        /// Without quotes and escapes.
        text: String,
        /// Whether it may stand for something else than text.
        plain: bool,
    },
    /// Elements in their order.
    List(Vec<Node>),
    /// Keys and values in their order. Where a key stands twice, the last counts.
    Map(Vec<(Node, Node)>),
}

/// Reads a file of one document. An empty file is null; of several documents the first is returned.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Node, Error> {
    let first = parse_all(bytes, limits)?.into_iter().next();
    Ok(first.unwrap_or(Node {
        line: 1,
        column: 1,
        value: Value::Scalar {
            text: String::new(),
            plain: true,
        },
    }))
}

/// Reads all documents of a file; the limits hold for them together.
pub fn parse_all(bytes: &[u8], limits: Limits) -> Result<Vec<Node>, Error> {
    build::documents(bytes, limits)
}

impl Node {
    /// The text of a scalar other than null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing: an empty plain scalar, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// A boolean as YAML 1.1 spells it, and so what Java's and Ruby's libraries take for one.
    pub fn boolean(&self) -> Option<bool> {
        match self.plain()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// The name of a Ruby symbol: `:name`, or `:"a name"`.
    pub fn symbol(&self) -> Option<&str> {
        let name = self.plain()?.strip_prefix(':')?;
        let quoted = ['"', '\'']
            .iter()
            .find_map(|&quote| name.strip_prefix(quote)?.strip_suffix(quote));
        Some(quoted.unwrap_or(name)).filter(|name| !name.is_empty())
    }

    /// The elements of a list; none where it is something else.
    pub fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The keys and values of a mapping; none where it is something else.
    pub fn map(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key in a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.find(|node| node.text() == Some(key))
    }

    /// The value of a Ruby symbol in a mapping: `get_symbol("skipped")` for `:skipped: …`.
    pub fn get_symbol(&self, name: &str) -> Option<&Node> {
        self.find(|node| node.symbol() == Some(name))
    }

    fn find(&self, is_key: impl Fn(&Node) -> bool) -> Option<&Node> {
        let found = self.map().iter().rfind(|(key, _)| is_key(key));
        found.map(|(_, value)| value)
    }

    fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }
}

/// Never the text: it may be a password.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.value {
            Value::Scalar { .. } => "scalar",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        };
        write!(f, "Node({kind} at {}:{})", self.line, self.column)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar { .. } => f.write_str("Scalar(***)"),
            Self::List(elements) => f.debug_tuple("List").field(elements).finish(),
            Self::Map(entries) => f.debug_tuple("Map").field(entries).finish(),
        }
    }
}
