//! A plugin's configuration from a file's values and from `KEY=VALUE` words, by the JSON Schema that the plugin describes it with.

mod fit;
mod schema;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use self::fit::{Formats, Mismatch, beneath, nearest};
pub use self::schema::Schema;

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
    /// A secret stands in a file.
    #[error(
        "the setting `{0}` is a secret and must not stand in the file: give {{ env = … }}, {{ file = … }} or {{ command = […] }}"
    )]
    Plain(String),
}

fn known_keys(keys: &[String]) -> String {
    if keys.is_empty() {
        "none".to_owned()
    } else {
        keys.join(", ")
    }
}

/// A plugin's settings as the operator gave them.
#[derive(Clone, Default)]
pub struct Settings {
    /// Values of a file, secrets included.
    pub values: Map<String, Value>,
    /// The JSON Pointers of the values that the file only refers to: they are shown nowhere.
    pub hidden: BTreeSet<String>,
    /// `KEY=VALUE` words. They go before the values.
    pub words: Vec<(String, String)>,
}

impl From<Vec<(String, String)>> for Settings {
    fn from(words: Vec<(String, String)>) -> Self {
        Self {
            words,
            ..Self::default()
        }
    }
}

impl Settings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.words.is_empty()
    }

    /// The same settings with words that go before them.
    pub fn and_words(mut self, words: Vec<(String, String)>) -> Self {
        self.words.extend(words);
        self
    }

    /// Whether a value, or what it lies in, is only referred to.
    pub fn hides(&self, pointer: &str) -> bool {
        let within = |hidden: &String| {
            let rest = pointer.strip_prefix(hidden.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.hidden.iter().any(within)
    }
}

impl Schema {
    /// Makes the configuration. A word takes the place of the file's value; a key given by words more than once makes a list.
    pub fn settings(&self, given: &Settings) -> Result<Map<String, Value>, SettingsError> {
        for key in given.values.keys() {
            self.property(key)?;
        }
        let plain = self.write_only(&given.values);
        if let Some(pointer) = plain.into_iter().find(|pointer| !given.hides(pointer)) {
            return Err(SettingsError::Plain(pointer.replace('/', ".").split_off(1)));
        }
        let mut settings = given.values.clone();
        let mut said = BTreeSet::new();
        for (key, text) in &given.words {
            let property = self.property(key)?;
            let shape = self.shape(property);
            let unfit = || SettingsError::Value {
                key: key.clone(),
                value: if self.is_secret(property) {
                    "***".into()
                } else {
                    text.clone()
                },
                expected: shape.in_words(),
            };
            let first = said.insert(key);
            match settings.get_mut(key).filter(|_| !first) {
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

    fn property(&self, key: &str) -> Result<&Value, SettingsError> {
        let known = || self.properties().map(|(name, _)| name.clone()).collect();
        let property = self.properties().find(|(name, _)| *name == key);
        property
            .map(|(_, property)| property)
            .ok_or_else(|| SettingsError::Unknown {
                key: key.to_owned(),
                known: known(),
            })
    }

    /// The configuration as it may be shown and kept: without the values that the schema marks `writeOnly`, and without those that the
    /// operator's file only refers to.
    pub fn redact(&self, settings: &Map<String, Value>, given: &Settings) -> Map<String, Value> {
        let mut shown = Value::Object(settings.clone());
        let secret = self
            .properties()
            .filter(|(_, property)| self.is_secret(property));
        let secret = secret.map(|(name, _)| beneath("", name));
        for pointer in given.hidden.iter().cloned().chain(secret) {
            if let Some(value) = shown.pointer_mut(&pointer) {
                *value = Value::from("***");
            }
        }
        match shown {
            Value::Object(shown) => shown,
            _ => Map::new(),
        }
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
        schema().settings(&words.into()).map(Value::Object)
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
        assert_eq!(
            settings(&[("exclude", "a,b\n  c \r\n\n")]).unwrap(),
            json!({"exclude": ["a,b", "c"]})
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
        let given = Settings::from(words);
        let settings = schema().settings(&given).unwrap();
        assert_eq!(
            Value::Object(schema().redact(&settings, &given)),
            json!({"password": "***", "wait": 1})
        );
    }

    fn of_file(values: Value, hidden: &[&str]) -> Settings {
        Settings {
            values: values.as_object().unwrap().clone(),
            hidden: hidden.iter().map(|&pointer| pointer.to_owned()).collect(),
            words: Vec::new(),
        }
    }

    #[test]
    fn a_word_takes_the_place_of_the_files_value_and_further_ones_add_to_it() {
        let file = of_file(
            json!({"exclude": ["a", "b"], "wait": 1, "stopped": true}),
            &[],
        );
        let words = [("exclude", "c"), ("exclude", "d"), ("wait", "2")];
        let words = words.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            Value::Object(schema().settings(&file.and_words(words.into())).unwrap()),
            json!({"exclude": ["c", "d"], "wait": 2, "stopped": true})
        );
    }

    #[test]
    fn a_secret_in_a_file_must_be_referred_to_and_is_not_shown() {
        let secret = json!({"password": "hunter2"});
        let refused = schema()
            .settings(&of_file(secret.clone(), &[]))
            .unwrap_err();
        assert!(matches!(refused, SettingsError::Plain(key) if key == "password"));
        let given = of_file(secret, &["/password"]);
        assert_eq!(
            schema().settings(&given).unwrap()["password"],
            json!("hunter2")
        );
    }

    #[test]
    fn what_is_referred_to_is_not_shown_whatever_the_schema_says() {
        let given = of_file(
            json!({"container": "c", "exclude": ["x", "y"]}),
            &["/container", "/exclude/1"],
        );
        let settings = schema().settings(&given).unwrap();
        assert_eq!(
            Value::Object(schema().redact(&settings, &given)),
            json!({"container": "***", "exclude": ["x", "***"]})
        );
    }

    #[test]
    fn a_key_of_a_file_that_the_plugin_does_not_know_is_refused() {
        assert!(
            schema()
                .settings(&of_file(json!({"stoped": true}), &[]))
                .is_err()
        );
    }

    #[test]
    fn secrets_are_found_wherever_the_schema_has_them() {
        let schema = json!({
            "properties": {
                "list": {"type": "array", "items": {"$ref": "#/$defs/Login"}},
                "map": {"additionalProperties": {"anyOf": [{"$ref": "#/$defs/Login"}, {"type": "null"}]}},
                "all": {"type": "object", "writeOnly": true},
            },
            "$defs": {"Login": {"properties": {"user": {}, "password": {"writeOnly": true}}}},
        });
        let login = json!({"user": "u", "password": "p"});
        let settings =
            json!({"list": [{}, login], "map": {"a/b": login}, "other": login, "all": {"x": [1]}});
        assert_eq!(
            Schema::parse(&schema.to_string())
                .unwrap()
                .write_only(settings.as_object().unwrap()),
            ["/all/x/0", "/list/1/password", "/map/a~1b/password"]
        );
    }
}
