//! A TOML document as JSON, with the place of every key and value.

use std::collections::BTreeMap;
use std::ops::Range;

use copal_job::beneath;
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

/// A document that was read as far as it can be.
pub(super) struct Document {
    pub(super) value: Value,
    /// What is not TOML: where, and why.
    pub(super) errors: Vec<(Range<usize>, String)>,
    /// By JSON Pointers.
    places: BTreeMap<String, Place>,
    /// Where each line begins.
    lines: Vec<usize>,
    text: String,
}

struct Place {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl Document {
    pub(super) fn parse(text: String) -> Self {
        let mut document = Self {
            value: Value::Null,
            errors: Vec::new(),
            places: BTreeMap::new(),
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
            text: String::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let end = text.len()..text.len();
        document.errors = errors
            .iter()
            .map(|error| {
                (
                    error.span().unwrap_or(end.clone()),
                    error.message().replace('\n', "; "),
                )
            })
            .collect();
        document.value = document.table(table.get_ref(), "");
        document.text = text;
        document
    }

    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let mut members = Map::new();
        for (key, value) in table {
            let place = beneath(pointer, key.get_ref());
            let converted = self.value(value.get_ref(), value.span(), &place);
            self.places.insert(
                place,
                Place {
                    key: Some(key.span()),
                    value: value.span(),
                },
            );
            members.insert(key.get_ref().to_string(), converted);
        }
        Value::Object(members)
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, pointer: &str) -> Value {
        match value {
            DeValue::String(text) => text.to_string().into(),
            DeValue::Boolean(boolean) => (*boolean).into(),
            DeValue::Datetime(datetime) => datetime.to_string().into(),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Ok(number) => number.into(),
                    Err(_) => {
                        self.errors
                            .push((span, "the number is too large".to_owned()));
                        Value::Null
                    }
                }
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(Number::from_f64);
                match number {
                    Some(number) => number.into(),
                    None => {
                        self.errors
                            .push((span, "the number is not finite".to_owned()));
                        Value::Null
                    }
                }
            }
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{pointer}/{index}");
                    let converted = self.value(item.get_ref(), item.span(), &place);
                    self.places.insert(
                        place,
                        Place {
                            key: None,
                            value: item.span(),
                        },
                    );
                    list.push(converted);
                }
                list.into()
            }
            DeValue::Table(table) => self.table(table, pointer),
        }
    }

    /// Where a value stands, or its key. What stands nowhere is looked for in what it would lie in.
    pub(super) fn place(&self, pointer: &str, of_key: bool) -> Range<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                // A table that has a header is best shown by it.
                let of_key = of_key
                    || matches!(self.text.as_bytes().get(place.value.start), Some(b'['))
                        && self.value.pointer(pointer).is_some_and(Value::is_object);
                return match (&place.key, of_key) {
                    (Some(key), true) => key.clone(),
                    _ => place.value.clone(),
                };
            }
            match pointer.rsplit_once('/') {
                Some((above, _)) => pointer = above,
                None => return 0..0,
            }
        }
    }

    /// The line and the column, in characters, of an offset; both begin at 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self
            .text
            .get(start..offset.min(self.text.len()))
            .unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TEXT: &str = "top = 1\n\n[jobs.a]\nroots = { \"höme\" = \"/x\", y = [1, 2.5] }\n[[jobs.a.streams]]\nname = 'n'\n";

    fn at(document: &Document, pointer: &str, of_key: bool) -> (usize, usize) {
        document.position(document.place(pointer, of_key).start)
    }

    #[test]
    fn values_become_json_and_keep_their_places() {
        let document = Document::parse(TEXT.to_owned());
        assert!(document.errors.is_empty());
        let roots = json!({"höme": "/x", "y": [1, 2.5]});
        let expected =
            json!({"top": 1, "jobs": {"a": {"roots": roots, "streams": [{"name": "n"}]}}});
        assert_eq!(document.value, expected);
        assert_eq!(at(&document, "/top", true), (1, 1));
        assert_eq!(at(&document, "/top", false), (1, 7));
        assert_eq!(at(&document, "/jobs/a/roots/höme", false), (4, 20));
        assert_eq!(at(&document, "/jobs/a/roots/y", true), (4, 26));
        assert_eq!(at(&document, "/jobs/a/roots/y/1", false), (4, 34));
        assert_eq!(at(&document, "/jobs/a/streams/0/name", false), (6, 8));
        assert_eq!(at(&document, "/jobs/a/streams/0/command", false).0, 5);
        assert_eq!(at(&document, "/jobs/a", false).0, 3);
    }

    #[test]
    fn all_that_is_no_toml_is_named_and_the_rest_is_read() {
        let document = Document::parse(
            "a = \nb = 99999999999999999999\nc = nan\nd = 1\nd = 2\ne = 3".to_owned(),
        );
        let lines: Vec<_> = document
            .errors
            .iter()
            .map(|(span, _)| document.position(span.start).0)
            .collect();
        assert_eq!(lines.len(), 4, "{:?}", document.errors);
        assert_eq!(document.value["e"], json!(3));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[\\[\\]a-c.=\"'{}, \n0-9é#-]{0,60}") {
            let document = Document::parse(text);
            for (span, _) in &document.errors {
                document.position(span.start);
            }
            document.place("/a/b/0", true);
        }
    }
}
