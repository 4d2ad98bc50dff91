//! Changelogs in XML.

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::{Attributes, Document, Item};

pub(super) fn parse(bytes: &[u8]) -> Result<Document, String> {
    let mut reader = Reader::from_reader(bytes);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    let mut document = None;
    let mut depth = 0_usize;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| at(bytes, reader.error_position(), error))?;
        match event {
            Event::Start(element) => {
                depth += 1;
                let name = local_name(&element);
                match (depth, &mut document) {
                    (1, document) if name == "databaseChangeLog" => {
                        *document = Some(Document {
                            attributes: attributes(&element)
                                .map_err(|error| at(bytes, reader.buffer_position(), error))?,
                            items: Vec::new(),
                        });
                    }
                    (2, Some(document)) => document.items.push(Item {
                        name,
                        attributes: attributes(&element)
                            .map_err(|error| at(bytes, reader.buffer_position(), error))?,
                    }),
                    _ => {}
                }
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if depth > 0 => {
                return Err(at(bytes, bytes.len() as u64, "its end is missing"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    document.ok_or_else(|| "it has no `databaseChangeLog`".to_owned())
}

/// A problem with its line.
fn at(bytes: &[u8], position: u64, problem: impl std::fmt::Display) -> String {
    let read = usize::try_from(position)
        .ok()
        .and_then(|position| bytes.get(..position))
        .unwrap_or(bytes);
    let line = 1 + read.iter().filter(|&&byte| byte == b'\n').count();
    format!("line {line}: {problem}")
}

fn local_name(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().as_ref()).into_owned()
}

fn attributes(element: &BytesStart<'_>) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        let value =
            std::str::from_utf8(&attribute.value).map_err(|_| "it is not UTF-8 text".to_owned())?;
        let value = quick_xml::escape::unescape(value).map_err(|error| error.to_string())?;
        attributes.insert(name, value.into_owned());
    }
    Ok(attributes)
}
