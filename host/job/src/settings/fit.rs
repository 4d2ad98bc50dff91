//! Whether a value fits a JSON Schema (draft 2020-12), and every place where it does not.
//!
//! Judged are `type`, `enum`, `const`, the limits of numbers, lengths and counts, `properties`, `additionalProperties`, `propertyNames`,
//! `required`, `items`, `prefixItems`, `allOf`, `anyOf`, `oneOf` and references within the schema. Other keywords say nothing here: who wrote
//! the schema checks them.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::schema::{Schema, Shape};

/// How deep schemas are followed into one another: deeper than any that a person writes.
const DEPTH: usize = 64;
/// How many schemas are held against values at most: a schema can be written that would never end.
const JUDGEMENTS: u32 = 100_000;

/// A place where a value does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The JSON Pointer (RFC 6901) of the value.
    pub pointer: String,
    /// Whether it is the key of that value that does not fit, rather than the value.
    pub is_key: bool,
    /// What does not fit, and what would.
    pub problem: String,
}

/// Judges a text by the name that `format` gives to its form.
pub type Formats = dyn Fn(&str, &str) -> Result<(), String>;

impl Schema {
    /// Every place where the value does not fit.
    pub fn mismatches(&self, value: &Value, formats: &Formats) -> Vec<Mismatch> {
        let fit = Fit {
            schema: self,
            formats,
            left: Cell::new(JUDGEMENTS),
        };
        fit.value(self.root(), value, "", 0)
    }
}

/// The pointer of what lies at a key, or at an index, beneath a pointer.
pub fn beneath(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

struct Fit<'a> {
    schema: &'a Schema,
    formats: &'a Formats,
    left: Cell<u32>,
}

impl Fit<'_> {
    fn value(&self, schema: &Value, value: &Value, pointer: &str, depth: usize) -> Vec<Mismatch> {
        let Value::Object(rules) = schema else {
            return match schema {
                Value::Bool(false) => vec![wrong(pointer, "nothing may stand here")],
                _ => Vec::new(),
            };
        };
        if depth > DEPTH || self.left.get() == 0 {
            return Vec::new();
        }
        self.left.set(self.left.get() - 1);
        let mut found = self.choices(rules, value, pointer, depth);
        let target = rules.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|reference| self.schema.target(reference)) {
            found.extend(self.value(target, value, pointer, depth + 1));
        }
        if !Shape::of(rules).admits(value) {
            found.push(self.unfit(schema, value, pointer));
            return found;
        }
        match value {
            Value::Object(members) => self.members(rules, members, pointer, depth, &mut found),
            Value::Array(items) => self.items(rules, items, pointer, depth, &mut found),
            Value::String(text) => {
                found.extend(length(
                    rules,
                    text.chars().count(),
                    "Length",
                    "characters",
                    pointer,
                ));
                found.extend(self.format(rules, text, pointer, false));
            }
            Value::Number(number) => found.extend(range(rules, number.as_f64(), pointer)),
            Value::Null | Value::Bool(_) => {}
        }
        found
    }

    /// `allOf`, `anyOf` and `oneOf`.
    fn choices(
        &self,
        rules: &Map<String, Value>,
        value: &Value,
        pointer: &str,
        depth: usize,
    ) -> Vec<Mismatch> {
        let list = |keyword: &str| rules.get(keyword).and_then(Value::as_array);
        let judge = |schema: &Value| self.value(schema, value, pointer, depth + 1);
        let mut found: Vec<_> = list("allOf")
            .into_iter()
            .flatten()
            .flat_map(judge)
            .collect();
        for branches in ["anyOf", "oneOf"].into_iter().filter_map(list) {
            // Of the branches that are of the value's type, the one that comes closest is what was meant.
            let of_type = branches.iter().filter(|branch| {
                let shape = self.schema.shape(branch);
                shape.admits(value)
            });
            match of_type.map(judge).min_by_key(Vec::len) {
                Some(closest) => found.extend(closest),
                None if branches.is_empty() => {}
                None => found.push(self.unfit(&Value::Object(rules.clone()), value, pointer)),
            }
        }
        found
    }

    fn unfit(&self, schema: &Value, value: &Value, pointer: &str) -> Mismatch {
        let shape = self.schema.shape(schema);
        let mut problem = match value {
            // What is not a word of the list is best shown; of other types the type says more, and tells no secret.
            Value::String(text) if !shape.any_string && !shape.words.is_empty() => {
                let near = nearest(text, shape.words.iter().map(String::as_str));
                let hint = near.map(|word| format!("; did you mean `{word}`?"));
                format!(
                    "`{text}` is not {}{}",
                    shape.in_a_file(),
                    hint.unwrap_or_default()
                )
            }
            value => format!(
                "this is {}, and must be {}",
                type_name(value),
                shape.in_a_file()
            ),
        };
        let description = schema.get("description").and_then(Value::as_str);
        if let Some(example) = description.and_then(|text| text.split_once("such as ")) {
            let example = example.1.split(". ").next().unwrap_or_default();
            problem += &format!(", such as {}", example.trim_end_matches('.'));
        }
        wrong(pointer, problem)
    }

    fn members(
        &self,
        rules: &Map<String, Value>,
        members: &Map<String, Value>,
        pointer: &str,
        depth: usize,
        found: &mut Vec<Mismatch>,
    ) {
        let empty = Map::new();
        let properties = rules.get("properties").and_then(Value::as_object);
        let properties = properties.unwrap_or(&empty);
        let others = rules.get("additionalProperties");
        let by_pattern = rules.contains_key("patternProperties");
        let names = rules.get("propertyNames").and_then(Value::as_object);
        for (key, value) in members {
            let place = beneath(pointer, key);
            if let Some(names) = names {
                found.extend(self.format(names, key, &place, true));
            }
            match (properties.get(key), others) {
                (Some(property), _) => found.extend(self.value(property, value, &place, depth + 1)),
                (None, _) if by_pattern => {}
                (None, Some(Value::Bool(false))) => found.push(unknown(key, properties, place)),
                (None, Some(schema)) => found.extend(self.value(schema, value, &place, depth + 1)),
                (None, None) => {}
            }
        }
        let required = rules.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(key) {
                found.push(wrong(pointer, format!("`{key}` is missing")));
            }
        }
        found.extend(length(rules, members.len(), "Properties", "keys", pointer));
    }

    fn items(
        &self,
        rules: &Map<String, Value>,
        items: &[Value],
        pointer: &str,
        depth: usize,
        found: &mut Vec<Mismatch>,
    ) {
        let first = rules.get("prefixItems").and_then(Value::as_array);
        let first = first.map(Vec::as_slice).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| rules.get("items")) {
                let place = format!("{pointer}/{index}");
                found.extend(self.value(schema, item, &place, depth + 1));
            }
        }
        found.extend(length(rules, items.len(), "Items", "items", pointer));
    }

    fn format(
        &self,
        rules: &Map<String, Value>,
        text: &str,
        pointer: &str,
        is_key: bool,
    ) -> Option<Mismatch> {
        let format = rules.get("format").and_then(Value::as_str)?;
        let problem = (self.formats)(format, text).err()?;
        Some(Mismatch {
            is_key,
            ..wrong(pointer, problem)
        })
    }
}

fn wrong(pointer: &str, problem: impl Into<String>) -> Mismatch {
    Mismatch {
        pointer: pointer.to_owned(),
        is_key: false,
        problem: problem.into(),
    }
}

fn unknown(key: &str, properties: &Map<String, Value>, pointer: String) -> Mismatch {
    let known = || properties.keys().map(String::as_str);
    let hint = match nearest(key, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if properties.is_empty() => "no keys are known here".to_owned(),
        None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Mismatch {
        is_key: true,
        ..wrong(&pointer, format!("unknown key `{key}`; {hint}"))
    }
}

/// The one of the words that was probably meant.
pub fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let slips = words.map(|word| (strsim::damerau_levenshtein(text, word), word));
    let (slips, word) = slips.min_by_key(|(slips, _)| *slips)?;
    (slips <= (word.chars().count() / 3).max(1)).then_some(word)
}

fn length(
    rules: &Map<String, Value>,
    count: usize,
    what: &str,
    unit: &str,
    pointer: &str,
) -> Option<Mismatch> {
    let limit = |side: &str| rules.get(&format!("{side}{what}")).and_then(Value::as_u64);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let problem = match (limit("min"), limit("max")) {
        (Some(1), _) if count == 0 => "this is empty".to_owned(),
        (Some(least), _) if count < least => {
            format!("there are {count} {unit}, and must be at least {least}")
        }
        (_, Some(most)) if count > most => {
            format!("there are {count} {unit}, and may be at most {most}")
        }
        _ => return None,
    };
    Some(wrong(pointer, problem))
}

fn range(rules: &Map<String, Value>, number: Option<f64>, pointer: &str) -> Option<Mismatch> {
    let number = number?;
    let limit = |keyword: &str| rules.get(keyword).and_then(Value::as_f64);
    let broken = [
        (
            "minimum",
            "at least",
            number >= limit("minimum").unwrap_or(number),
        ),
        (
            "maximum",
            "at most",
            number <= limit("maximum").unwrap_or(number),
        ),
        (
            "exclusiveMinimum",
            "more than",
            limit("exclusiveMinimum").is_none_or(|least| number > least),
        ),
        (
            "exclusiveMaximum",
            "less than",
            limit("exclusiveMaximum").is_none_or(|most| number < most),
        ),
    ];
    let (keyword, word, _) = broken.into_iter().find(|(_, _, holds)| !holds)?;
    let limit = rules.get(keyword).unwrap_or(&Value::Null);
    Some(wrong(
        pointer,
        format!("{number} is out of range: it must be {word} {limit}"),
    ))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let schema = json!({
            "type": "object",
            "required": ["plugin"],
            "additionalProperties": false,
            "properties": {
                "plugin": {"type": "string", "minLength": 1},
                "timeout": {"type": "integer", "minimum": 1, "maximum": 9},
                "window": {"enum": ["live", "quiesced"]},
                "value": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Reference"}]},
                "grants": {"type": "array", "items": {"type": "string", "format": "even"}},
                "roots": {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "null"]},
                    "propertyNames": {"format": "even"},
                },
                "again": {"$ref": "#"},
            },
            "$defs": {"Reference": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
            }},
        });
        Schema::parse(&schema.to_string()).unwrap()
    }

    fn even(format: &str, text: &str) -> Result<(), String> {
        assert_eq!(format, "even");
        match text.len() % 2 {
            0 => Ok(()),
            _ => Err("odd".to_owned()),
        }
    }

    fn problems(value: Value) -> Vec<String> {
        let line = |mismatch: Mismatch| {
            let mark = if mismatch.is_key { " (key)" } else { "" };
            format!("{}{mark}: {}", mismatch.pointer, mismatch.problem)
        };
        schema()
            .mismatches(&value, &even)
            .into_iter()
            .map(line)
            .collect()
    }

    #[test]
    fn what_fits_has_no_mismatch() {
        let fitting = json!({
            "plugin": "p", "timeout": 9, "window": "live", "value": {"env": "A"}, "grants": ["ab", ""],
            "roots": {"ab": "x", "cd": null}, "again": {"plugin": "q", "value": "plain"},
        });
        assert_eq!(problems(fitting), Vec::<String>::new());
    }

    #[test]
    fn every_mismatch_is_named_with_its_place_and_what_would_fit() {
        let cases = [
            (json!({}), ": `plugin` is missing"),
            (json!({"plugin": ""}), "/plugin: this is empty"),
            (
                json!({"plugin": "p", "plugn": 1}),
                "/plugn (key): unknown key `plugn`; did you mean `plugin`?",
            ),
            (
                json!({"plugin": "p", "a/b~": 1}),
                "/a~1b~0 (key): unknown key `a/b~`; known are again, grants, plugin, roots, timeout, value, window",
            ),
            (
                json!({"plugin": "p", "timeout": "1"}),
                "/timeout: this is a string, and must be an integer",
            ),
            (
                json!({"plugin": "p", "timeout": 10}),
                "/timeout: 10 is out of range: it must be at most 9",
            ),
            (
                json!({"plugin": "p", "window": "life"}),
                "/window: `life` is not `live` or `quiesced`; did you mean `live`?",
            ),
            (
                json!({"plugin": "p", "value": {"evn": "A"}}),
                "/value/evn (key): unknown key `evn`; did you mean `env`?",
            ),
            (json!({"plugin": "p", "value": {}}), "/value: this is empty"),
            (
                json!({"plugin": "p", "value": 1}),
                "/value: this is an integer, and must be a string or a table",
            ),
            (
                json!({"plugin": "p", "grants": ["ab", "c"]}),
                "/grants/1: odd",
            ),
            (
                json!({"plugin": "p", "roots": {"c": "d"}}),
                "/roots/c (key): odd",
            ),
            (
                json!({"plugin": "p", "again": {"plugin": true}}),
                "/again/plugin: this is a boolean, and must be a string",
            ),
        ];
        for (value, problem) in cases {
            assert_eq!(problems(value.clone()), [problem], "{value}");
        }
    }

    #[test]
    fn all_mismatches_are_found_not_the_first_alone() {
        let value = json!({"plugn": "p", "timeout": 0, "grants": "x"});
        assert_eq!(problems(value).len(), 4);
    }

    #[test]
    fn a_schema_that_refers_to_itself_for_ever_ends() {
        let endless = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "type": "object"});
        let schema = Schema::parse(&endless.to_string()).unwrap();
        assert_eq!(schema.mismatches(&json!({}), &even), Vec::new());
    }
}
