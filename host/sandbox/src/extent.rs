//! What an instance of a component takes of the host beside its memories and tables, which are limited while it runs.

use wasmparser::{
    BinaryReaderError, ElementItems, ElementSectionReader, Encoding, Instance, Parser, Payload,
};

/// Core instances that one instance of a component may have. Of what was seen, a component made from Python has the most: 14, one for each of its libraries.
pub(crate) const MAX_INSTANCES: usize = 64;

/// Bytes that each global, function, import, table, segment and element of one takes, at the most: wasmtime needs 32 for the largest of them.
const BYTES_PER_ITEM: u64 = 64;

/// Bytes that one instance of the component takes at the most for what its core modules define. Nothing can stop their instantiation half-way, so
/// they are counted before it.
pub(crate) fn overhead(component: &[u8]) -> Result<u64, BinaryReaderError> {
    let mut largest = 0_u64;
    let mut instances = 0_usize;
    // The items of each module and component that the parser is within, from the outermost on.
    let mut within: Vec<u64> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let items = match payload? {
            Payload::Version { encoding, .. } => {
                within.push(0);
                u64::from(encoding == Encoding::Module)
            }
            Payload::End(_) => {
                largest = largest.max(within.pop().unwrap_or_default());
                0
            }
            Payload::ImportSection(section) => section.count().into(),
            Payload::FunctionSection(section) => section.count().into(),
            Payload::TableSection(section) => section.count().into(),
            Payload::MemorySection(section) => section.count().into(),
            Payload::TagSection(section) => section.count().into(),
            Payload::GlobalSection(section) => section.count().into(),
            Payload::DataSection(section) => section.count().into(),
            Payload::ElementSection(section) => elements(section)?,
            Payload::InstanceSection(section) => {
                for instance in section {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        instances += match within.len() {
                            1 => 1,
                            // A component within may be instantiated any number of times.
                            _ => MAX_INSTANCES,
                        };
                    }
                }
                0
            }
            _ => 0,
        };
        if let Some(counted) = within.last_mut() {
            *counted = counted.saturating_add(items);
        }
    }
    let instances = instances.min(MAX_INSTANCES) as u64;
    Ok(instances
        .saturating_mul(largest)
        .saturating_mul(BYTES_PER_ITEM))
}

/// How many segments there are, and elements in them: those of a passive one are kept by each instance.
fn elements(section: ElementSectionReader<'_>) -> Result<u64, BinaryReaderError> {
    section.into_iter().try_fold(0_u64, |sum, element| {
        let count = match element?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        Ok(sum.saturating_add(u64::from(count) + 1))
    })
}
