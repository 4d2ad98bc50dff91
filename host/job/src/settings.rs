//! A plugin's configuration from `KEY=VALUE` words, by the JSON Schema that the plugin describes it with.

use serde_json::{Map, Value};

/// A configuration that does not fit the schema.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The plugin's own schema can't be read.
    #[error("the plugin's configuration schema is not a JSON Schema of an object: {0}")]
    Schema(String),
    /// The plugin knows no such key.
    #[error("the plugin has no setting `{key}`; it knows {}", known_keys(.known))]
    Unknown {
        /// The key given.
        key: String,
        /// The keys that the schema names.
        known: Vec<String>,
    },
    /// The value is not of the setting's type.
    #[error("`{value}` does not fit the setting `{key}`: give {expected}")]
    Value {
        /// The key given.
        key: String,
        /// The value given, or `***` for a secret.
        value: String,
        /// What would fit, in words.
        expected: String,
    },
}

fn known_keys(keys: &[String]) -> String {
    if keys.is_empty() {
        "none".to_owned()
    } else {
        keys.join(", ")
    }
}

/// A plugin's settings, as its schema describes them.
#[derive(Debug)]
pub struct Schema(Value);

impl Schema {
    /// Reads the schema that a plugin describes.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let schema: Value =
            serde_json::from_str(text).map_err(|e| SettingsError::Schema(e.to_string()))?;
        match schema {
            Value::Object(_) => Ok(Self(schema)),
            other => Err(SettingsError::Schema(format!("it is {other}"))),
        }
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    /// Turns words into a configuration. A key given more than once makes a list.
    pub fn settings(
        &self,
        words: &[(String, String)],
    ) -> Result<Map<String, Value>, SettingsError> {
        let mut settings = Map::new();
        for (key, text) in words {
            let property = self
                .properties()
                .find(|(name, _)| *name == key)
                .map(|(_, property)| property);
            let property = property.ok_or_else(|| SettingsError::Unknown {
                key: key.clone(),
                known: self.properties().map(|(name, _)| name.clone()).collect(),
            })?;
            let shape = self.shape(property);
            let unfit = || SettingsError::Value {
                key: key.clone(),
                value: if self.is_secret(property) {
                    "***".into()
                } else {
                    text.clone()
                },
                expected: shape.words(),
            };
            match settings.get_mut(key) {
                None => {
                    settings.insert(key.clone(), shape.value(text).ok_or_else(unfit)?);
                }
                Some(Value::Array(list)) => list.extend(shape.list(text).ok_or_else(unfit)?),
                Some(first) if shape.array => {
                    let mut list = vec![first.take()];
                    list.extend(shape.list(text).ok_or_else(unfit)?);
                    *first = Value::Array(list);
                }
                Some(_) => return Err(unfit()),
            }
        }
        Ok(settings)
    }

    /// The configuration as it may be shown and kept: without the values that the schema marks `writeOnly`.
    pub fn redact(&self, settings: &Map<String, Value>) -> Map<String, Value> {
        let mut shown = settings.clone();
        for (name, property) in self.properties() {
            if self.is_secret(property)
                && let Some(value) = shown.get_mut(name)
            {
                *value = Value::from("***");
            }
        }
        shown
    }

    fn shape(&self, property: &Value) -> Shape {
        let mut shape = Shape::default();
        for schema in self.reachable(property, &["anyOf", "oneOf", "allOf"]) {
            shape.widen(schema);
        }
        shape
    }

    fn is_secret(&self, property: &Value) -> bool {
        let all = [
            "anyOf",
            "oneOf",
            "allOf",
            "properties",
            "items",
            "prefixItems",
            "additionalProperties",
        ];
        let mut reachable = self.reachable(property, &all).into_iter();
        reachable.any(|schema| schema.get("writeOnly") == Some(&Value::Bool(true)))
    }

    /// The schemas that a schema refers to, itself first, by references and through these keywords. Each once: a schema may refer to itself.
    fn reachable<'s>(&'s self, schema: &'s Value, keywords: &[&str]) -> Vec<&'s Value> {
        let mut reached: Vec<&Value> = vec![schema];
        let mut next = 0;
        while let Some(&schema) = reached.get(next) {
            next += 1;
            let reference = schema.get("$ref").and_then(Value::as_str);
            let target = reference.and_then(|text| self.0.pointer(text.strip_prefix('#')?));
            let beneath = keywords
                .iter()
                .filter_map(|keyword| schema.get(keyword))
                .flat_map(|found| match found {
                    Value::Array(list) => list.iter().collect::<Vec<_>>(),
                    // `properties` maps names to schemas; every other object is a schema.
                    Value::Object(map) if schema.get("properties") == Some(found) => {
                        map.values().collect()
                    }
                    other => vec![other],
                });
            for found in target.into_iter().chain(beneath) {
                if !reached.iter().any(|other| std::ptr::eq(*other, found)) {
                    reached.push(found);
                }
            }
        }
        reached
    }
}

/// The types that a setting may have.
#[derive(Debug, Default)]
struct Shape {
    any_string: bool,
    words: Vec<String>,
    boolean: bool,
    integer: bool,
    number: bool,
    array: bool,
    object: bool,
}

impl Shape {
    fn widen(&mut self, schema: &Value) {
        let words = schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .chain(schema.get("const"));
        let words: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        let types = schema.get("type");
        let listed = types
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .chain(types.filter(|t| t.is_string()));
        for name in listed.filter_map(Value::as_str) {
            match name {
                "string" if words.is_empty() => self.any_string = true,
                "boolean" => self.boolean = true,
                "integer" => self.integer = true,
                "number" => self.number = true,
                "array" => self.array = true,
                "object" => self.object = true,
                _ => {}
            }
        }
        self.words.extend(words);
    }

    fn value(&self, text: &str) -> Option<Value> {
        self.scalar(text)
            .or_else(|| self.structure(text))
            .or_else(|| self.any_string.then(|| text.into()))
            .or_else(|| {
                let list = self.array.then(|| self.list(text)).flatten()?;
                Some(Value::Array(list))
            })
    }

    fn scalar(&self, text: &str) -> Option<Value> {
        if self.words.iter().any(|word| word == text) {
            return Some(text.into());
        }
        match serde_json::from_str(text).ok()? {
            value @ Value::Bool(_) if self.boolean => Some(value),
            Value::Number(number) if self.number || (self.integer && !number.is_f64()) => {
                Some(number.into())
            }
            _ => None,
        }
    }

    fn structure(&self, text: &str) -> Option<Value> {
        match serde_json::from_str(text).ok()? {
            value @ Value::Array(_) if self.array => Some(value),
            value @ Value::Object(_) if self.object => Some(value),
            _ => None,
        }
    }

    /// A list as JSON, or as words parted by commas.
    fn list(&self, text: &str) -> Option<Vec<Value>> {
        if !self.array {
            return None;
        }
        match serde_json::from_str(text) {
            Ok(Value::Array(list)) => Some(list),
            _ => Some(
                text.split(',')
                    .map(|word| Value::from(word.trim()))
                    .collect(),
            ),
        }
    }

    fn words(&self) -> String {
        let mut choices: Vec<String> = self.words.iter().map(|word| format!("`{word}`")).collect();
        let kinds = [
            (self.any_string, "a text"),
            (self.boolean, "`true` or `false`"),
            (self.integer || self.number, "a number"),
            (self.array, "a list such as `a,b`"),
            (self.object, "a JSON object"),
        ];
        choices.extend(
            kinds
                .iter()
                .filter(|(fits, _)| *fits)
                .map(|(_, kind)| (*kind).to_owned()),
        );
        choices.join(", or ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let schema = json!({
            "type": "object",
            "properties": {
                "stopped": {"type": "boolean"},
                "wait": {"type": ["integer", "null"]},
                "container": {"type": ["string", "null"]},
                "password": {"type": "string", "writeOnly": true},
                "exclude": {"type": "array", "items": {"type": "string"}},
                "build": {"$ref": "#/$defs/Build"},
            },
            "$defs": {"Build": {"anyOf": [{"type": "string", "enum": ["all", "none"]}, {"type": "array"}]}},
        });
        Schema::parse(&schema.to_string()).unwrap()
    }

    fn settings(words: &[(&str, &str)]) -> Result<Value, SettingsError> {
        let words: Vec<_> = words
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        schema().settings(&words).map(Value::Object)
    }

    #[test]
    fn words_take_the_type_that_the_schema_says() {
        let words = [
            ("stopped", "true"),
            ("wait", "7"),
            ("container", "123"),
            ("exclude", "*.log, b"),
            ("build", "none"),
        ];
        let expected = json!({
            "stopped": true, "wait": 7, "container": "123", "exclude": ["*.log", "b"], "build": "none",
        });
        assert_eq!(settings(&words).unwrap(), expected);
        assert_eq!(
            settings(&[("build", "x1,x2")]).unwrap(),
            json!({"build": ["x1", "x2"]})
        );
        assert_eq!(
            settings(&[("exclude", r#"["a,b"]"#)]).unwrap(),
            json!({"exclude": ["a,b"]})
        );
    }

    #[test]
    fn a_key_given_twice_makes_a_list_where_a_list_fits() {
        assert_eq!(
            settings(&[("exclude", "a"), ("exclude", "b")]).unwrap(),
            json!({"exclude": ["a", "b"]})
        );
        assert!(settings(&[("stopped", "true"), ("stopped", "false")]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        let error = settings(&[("stoped", "true")]).unwrap_err().to_string();
        assert!(
            error.contains("`stoped`") && error.contains("stopped"),
            "{error}"
        );
        let error = settings(&[("stopped", "yes")]).unwrap_err().to_string();
        assert!(error.contains("`true` or `false`"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let words = vec![
            ("password".to_owned(), "hunter2".to_owned()),
            ("wait".to_owned(), "1".to_owned()),
        ];
        let settings = schema().settings(&words).unwrap();
        assert_eq!(
            Value::Object(schema().redact(&settings)),
            json!({"password": "***", "wait": 1})
        );
    }
}
