//! Changelogs in YAML, and in JSON, which Liquibase reads with its reader of YAML too.

use copal_sdk::yaml::{self, Limits, Node};

use super::{Attributes, Document, Item, scalar};

/// Change sets hold data too.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    depth: 64,
    nodes: 1_000_000,
};

pub(super) fn parse(bytes: &[u8]) -> Result<Document, String> {
    let root = yaml::parse(bytes, LIMITS).map_err(|error| error.to_string())?;
    let Some(entries) = root.get("databaseChangeLog") else {
        return Err("it has no `databaseChangeLog`".to_owned());
    };
    let items = entries.list().iter().flat_map(Node::map);
    let items = items.filter_map(|(name, value)| {
        let name = name.text()?.to_owned();
        // `logicalFilePath: …` stands for itself.
        let attributes = match scalar::text(value) {
            Some(text) => Attributes::from([(name.clone(), text)]),
            None => attributes(value),
        };
        Some(Item { name, attributes })
    });
    let mut items: Vec<Item> = items.collect();
    // Contexts of the whole file stand as items of their own.
    let mut whole = Attributes::new();
    items.retain_mut(|item| {
        let own = matches!(
            item.name.as_str(),
            "logicalFilePath" | "context" | "contextFilter"
        );
        if own {
            whole.append(&mut item.attributes);
        }
        !own
    });
    Ok(Document {
        attributes: whole,
        items,
    })
}

fn attributes(node: &Node) -> Attributes {
    let pairs = node.map().iter();
    pairs
        .filter_map(|(key, value)| Some((key.text()?.to_owned(), scalar::text(value)?)))
        .collect()
}
