//! Makes nodes of a parser's events, within limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Error, Limits, Node, Value};

pub(super) fn documents(bytes: &[u8], limits: Limits) -> Result<Vec<Node>, Error> {
    if bytes.len() > limits.bytes {
        let problem = format!("the file holds more than {} bytes", limits.bytes);
        return Err(error(&Marker::new(0, 1, 0), problem));
    }
    let text = std::str::from_utf8(bytes).map_err(|invalid| {
        let valid = String::from_utf8_lossy(&bytes[..invalid.valid_up_to()]);
        let line = valid.rsplit('\n').next().unwrap_or_default();
        let marker = Marker::new(0, valid.split('\n').count(), line.chars().count());
        error(&marker, "this is not UTF-8 text")
    })?;
    let mut builder = Builder {
        left: limits,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|scan| error(scan.marker(), scan.info()))?;
        builder.event(event, &span.start)?;
    }
    Ok(builder.documents)
}

fn error(at: &Marker, problem: impl Into<String>) -> Error {
    Error {
        line: at.line(),
        column: at.col() + 1,
        problem: problem.into(),
    }
}

struct Builder {
    /// What is left of the limits.
    left: Limits,
    /// The lists and mappings that are not at their end.
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: Vec<Node>,
}

/// A list or mapping that is not at its end; a mapping's keys and values stand in turn.
struct Open {
    nodes: Vec<Node>,
    is_map: bool,
    anchor: usize,
    start: Marker,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: &Marker) -> Result<(), Error> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(Size::scalar(&text), at)?;
                let plain = style == ScalarStyle::Plain && !tag.is_some_and(is_string);
                let text = text.into_owned();
                self.complete(node(at, Value::Scalar { text, plain }), anchor, at)
            }
            Event::Alias(anchor) => {
                let Some(copy) = self.anchors.get(&anchor).cloned() else {
                    return Err(error(at, "an alias stands within what it refers to"));
                };
                self.spend(Size::of(&copy), at)?;
                self.complete(copy, 0, at)
            }
            Event::MappingStart(anchor, _) => self.begin(true, anchor, at),
            Event::SequenceStart(anchor, _) => self.begin(false, anchor, at),
            Event::MappingEnd | Event::SequenceEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                self.left.depth += 1;
                let value = if open.is_map {
                    Value::Map(entries(open.nodes))
                } else {
                    Value::List(open.nodes)
                };
                self.complete(node(&open.start, value), open.anchor, at)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, is_map: bool, anchor: usize, at: &Marker) -> Result<(), Error> {
        self.spend(Size::COLLECTION, at)?;
        self.left.depth -= 1;
        self.open.push(Open {
            nodes: Vec::new(),
            is_map,
            anchor,
            start: *at,
        });
        Ok(())
    }

    /// Puts a node that is at its end where it belongs, and keeps what an alias may refer to.
    fn complete(&mut self, node: Node, anchor: usize, at: &Marker) -> Result<(), Error> {
        // The parser counts anchors from 1; 0 is none.
        if anchor != 0 {
            self.spend(Size::of(&node), at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }

    /// Takes a node's size off the limits; its depth must still fit here.
    fn spend(&mut self, size: Size, at: &Marker) -> Result<(), Error> {
        let Limits {
            bytes,
            depth,
            nodes,
        } = self.left;
        if size.depth > depth {
            return Err(error(at, "this is nested too deeply"));
        }
        let (Some(bytes), Some(nodes)) =
            (bytes.checked_sub(size.bytes), nodes.checked_sub(size.nodes))
        else {
            return Err(error(at, "up to here there is more than is read of a file"));
        };
        self.left.bytes = bytes;
        self.left.nodes = nodes;
        Ok(())
    }
}

/// What a node takes of the limits.
pub(super) struct Size {
    bytes: usize,
    pub(super) depth: usize,
    pub(super) nodes: usize,
}

impl Size {
    const COLLECTION: Self = Self {
        bytes: 0,
        depth: 1,
        nodes: 1,
    };

    fn scalar(text: &str) -> Self {
        Self {
            bytes: text.len(),
            depth: 0,
            nodes: 1,
        }
    }

    pub(super) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Scalar { text, .. } => Self::scalar(text),
            Value::List(elements) => Self::around(elements),
            Value::Map(entries) => {
                Self::around(entries.iter().flat_map(|(key, value)| [key, value]))
            }
        }
    }

    fn around<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        let inside = nodes.into_iter().map(Self::of);
        inside.fold(Self::COLLECTION, |all, inner| Self {
            bytes: all.bytes + inner.bytes,
            depth: all.depth.max(inner.depth + 1),
            nodes: all.nodes + inner.nodes,
        })
    }
}

fn node(at: &Marker, value: Value) -> Node {
    Node {
        line: at.line(),
        column: at.col() + 1,
        value,
    }
}

/// Pairs keys with values. What a merge key brings in comes before the mapping's own entries, which therefore count.
fn entries(nodes: Vec<Node>) -> Vec<(Node, Node)> {
    let mut merged = Vec::new();
    let mut own = Vec::new();
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        match value.value {
            Value::Map(entries) if key.plain() == Some("<<") => merged.extend(entries),
            // The first of a list counts, so it comes last.
            Value::List(maps) if key.plain() == Some("<<") => {
                for map in maps.into_iter().rev() {
                    if let Value::Map(entries) = map.value {
                        merged.extend(entries);
                    }
                }
            }
            _ => own.push((key, value)),
        }
    }
    merged.append(&mut own);
    merged
}

/// Whether a tag says that a scalar is text: `!` or `!!str`.
fn is_string(tag: Cow<'_, Tag>) -> bool {
    let core = tag.is_yaml_core_schema() && tag.suffix == "str";
    core || (tag.handle.is_empty() && tag.suffix == "!")
}
