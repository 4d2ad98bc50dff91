//! Whether the schema of a configuration is a JSON Schema of draft 2020-12 that an operator can be helped by.

use serde_json::{Map, Value};

/// The dialect that the contract asks for.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How deep schemas may lie in one another.
const MAX_DEPTH: usize = 64;

/// The keywords whose value is one schema.
const SCHEMA: &[&str] = &[
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The keywords whose value is a list of schemas.
const SCHEMAS: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];

/// The keywords whose value maps names to schemas.
const NAMED: &[&str] = &[
    "$defs",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// The types that a value may have.
const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Keywords of older drafts, which 2020-12 does not read, and what it has instead.
const OLD: &[(&str, &str)] = &[
    ("definitions", "$defs"),
    ("additionalItems", "items"),
    ("dependencies", "dependentRequired"),
    ("$recursiveRef", "$dynamicRef"),
];

/// What is wrong with the schema; nothing where it is fine.
pub(crate) fn problems(schema: &str) -> Vec<String> {
    let root: Map<String, Value> = match serde_json::from_str(schema) {
        Ok(root) => root,
        Err(error) => return vec![format!("it is not a JSON object: {error}")],
    };
    let mut problems = Vec::new();
    match root.get("$schema") {
        None => {}
        Some(Value::String(dialect)) if dialect.trim_end_matches('#') == DIALECT => {}
        Some(other) => problems.push(format!("its `$schema` is {other}, not `{DIALECT}`")),
    }
    if root.get("type").and_then(Value::as_str) != Some("object") {
        problems.push("its `type` is not `object`".to_owned());
    }
    let root = Value::Object(root);
    let mut looking = Looking {
        root: &root,
        problems,
    };
    looking.at(&root, "", 0);
    looking.problems
}

/// Whether the schema refuses keys that it does not name.
pub(crate) fn is_closed(schema: &str) -> bool {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let closed = |keyword: &str| schema.get(keyword) == Some(&Value::Bool(false));
    closed("additionalProperties") || closed("unevaluatedProperties")
}

struct Looking<'a> {
    root: &'a Value,
    problems: Vec<String>,
}

impl Looking<'_> {
    fn problem(&mut self, place: &str, problem: &str) {
        let place = if place.is_empty() { "/" } else { place };
        self.problems.push(format!("at `{place}` {problem}"));
    }

    fn at(&mut self, schema: &Value, place: &str, depth: usize) {
        let schema = match schema {
            Value::Bool(_) => return,
            Value::Object(schema) => schema,
            other => return self.problem(place, &format!("stands {other} instead of a schema")),
        };
        if depth > MAX_DEPTH {
            return self.problem(place, "schemas lie too deep in one another");
        }
        for (keyword, value) in schema {
            let place = format!("{place}/{keyword}");
            let keyword = keyword.as_str();
            if let Some((_, now)) = OLD.iter().find(|(old, _)| *old == keyword) {
                self.problem(
                    &place,
                    &format!("is a keyword of an older draft; 2020-12 has `{now}`"),
                );
            } else if SCHEMA.contains(&keyword) {
                match value {
                    Value::Array(_) if keyword == "items" => {
                        self.problem(&place, "is a list; 2020-12 has `prefixItems` for that");
                    }
                    value => self.at(value, &place, depth + 1),
                }
            } else if SCHEMAS.contains(&keyword) {
                match value {
                    Value::Array(list) if !list.is_empty() => {
                        for (index, item) in list.iter().enumerate() {
                            self.at(item, &format!("{place}/{index}"), depth + 1);
                        }
                    }
                    _ => self.problem(&place, "is not a list of schemas"),
                }
            } else if NAMED.contains(&keyword) {
                match value {
                    Value::Object(named) => {
                        for (name, schema) in named {
                            self.at(schema, &format!("{place}/{name}"), depth + 1);
                        }
                    }
                    _ => self.problem(&place, "does not map names to schemas"),
                }
            } else {
                self.keyword(keyword, value, &place);
            }
        }
    }

    fn keyword(&mut self, keyword: &str, value: &Value, place: &str) {
        let texts = |value: &Value| {
            let all = value.as_array();
            all.is_some_and(|all| all.iter().all(Value::is_string))
        };
        match keyword {
            "type" => {
                let known =
                    |value: &Value| value.as_str().is_some_and(|kind| TYPES.contains(&kind));
                let fits = known(value)
                    || value
                        .as_array()
                        .is_some_and(|all| !all.is_empty() && all.iter().all(known));
                if !fits {
                    self.problem(place, &format!("{value} is no type"));
                }
            }
            "$ref" => {
                let target = value.as_str().and_then(|text| text.strip_prefix('#'));
                if target.is_none_or(|pointer| self.root.pointer(pointer).is_none()) {
                    self.problem(
                        place,
                        &format!("{value} refers to nothing within the schema"),
                    );
                }
            }
            "required" if !texts(value) => self.problem(place, "is not a list of names"),
            "enum" if !value.is_array() => self.problem(place, "is not a list"),
            "writeOnly" if !value.is_boolean() => {
                self.problem(place, "is neither `true` nor `false`");
            }
            "description" | "title" | "pattern" | "format" if !value.is_string() => {
                self.problem(place, "is not a text");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_as_the_sdk_makes_them_is_fine() {
        let schema = json!({
            "$schema": DIALECT,
            "type": "object",
            "properties": {
                "exclude": {"type": "array", "items": {"$ref": "#/$defs/Glob"}},
                "unit": {"type": ["string", "null"]},
                "anything": true,
            },
            "$defs": {"Glob": {"type": "string", "description": "A pattern."}},
            "additionalProperties": false,
        });
        assert_eq!(problems(&schema.to_string()), [""; 0]);
        assert!(is_closed(&schema.to_string()) && !is_closed("{}"));
    }

    #[test]
    fn what_no_operator_could_be_helped_by_is_found() {
        for (schema, found) in [
            (json!([]), "not a JSON object"),
            (json!({"type": "array"}), "`type` is not `object`"),
            (
                json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}),
                "draft-07",
            ),
            (json!({"type": "object", "definitions": {}}), "older draft"),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}),
                "refers to nothing",
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "text"}}}),
                "is no type",
            ),
            (
                json!({"type": "object", "properties": {"a": 7}}),
                "instead of a schema",
            ),
            (
                json!({"type": "object", "properties": {"a": {"items": [true]}}}),
                "prefixItems",
            ),
        ] {
            let problems = problems(&schema.to_string());
            assert!(
                problems.iter().any(|problem| problem.contains(found)),
                "{problems:?}"
            );
        }
    }
}
