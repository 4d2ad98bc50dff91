//! What a plugin's JSON Schema says of its settings.

use serde_json::{Map, Value};

use super::SettingsError;
use super::fit::beneath;

/// The keywords under which stand schemas of the same value.
const CHOICES: &[&str] = &["anyOf", "oneOf", "allOf"];

/// A plugin's settings, as its schema describes them.
#[derive(Debug)]
pub struct Schema(Value);

impl From<Value> for Schema {
    fn from(schema: Value) -> Self {
        Self(schema)
    }
}

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

    /// The schema as JSON.
    pub fn root(&self) -> &Value {
        &self.0
    }

    pub(super) fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    /// What a reference within the schema refers to.
    pub(super) fn target(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    pub(super) fn shape(&self, property: &Value) -> Shape {
        let mut shape = Shape::default();
        for schema in self.reachable(property, CHOICES) {
            if let Value::Object(rules) = schema {
                shape.widen(rules);
            }
        }
        shape
    }

    /// Whether the property is `writeOnly`, or something within it can be.
    pub(super) fn is_secret(&self, property: &Value) -> bool {
        let within = ["properties", "items", "prefixItems", "additionalProperties"];
        let reachable = self.reachable(property, &[CHOICES, &within].concat());
        reachable.into_iter().any(is_write_only)
    }

    /// The JSON Pointers of the values that the schema marks `writeOnly`, by themselves or with the list or table that they lie in.
    pub fn write_only(&self, settings: &Map<String, Value>) -> Vec<String> {
        let mut found = Vec::new();
        for (name, property) in self.properties() {
            if let Some(value) = settings.get(name) {
                self.find_write_only(&[property], false, value, beneath("", name), &mut found);
            }
        }
        found
    }

    fn find_write_only(
        &self,
        schemas: &[&Value],
        in_secret: bool,
        value: &Value,
        pointer: String,
        found: &mut Vec<String>,
    ) {
        let schemas: Vec<_> = schemas
            .iter()
            .flat_map(|schema| self.reachable(schema, CHOICES))
            .collect();
        let secret = in_secret || schemas.iter().copied().any(is_write_only);
        let get = |keyword: &str, key: &str| -> Vec<&Value> {
            let named = schemas
                .iter()
                .filter_map(|schema| schema.get(keyword)?.get(key));
            named.collect()
        };
        let all = |keyword: &str| -> Vec<&Value> {
            schemas
                .iter()
                .filter_map(|schema| schema.get(keyword))
                .collect()
        };
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let named = get("properties", key);
                    let schemas = if named.is_empty() {
                        all("additionalProperties")
                    } else {
                        named
                    };
                    self.find_write_only(&schemas, secret, value, beneath(&pointer, key), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let first = schemas
                        .iter()
                        .filter_map(|schema| schema.get("prefixItems")?.get(index));
                    let schemas: Vec<_> = first.chain(all("items")).collect();
                    let place = format!("{pointer}/{index}");
                    self.find_write_only(&schemas, secret, item, place, found);
                }
            }
            _ if secret => found.push(pointer),
            _ => {}
        }
    }

    /// The schemas that a schema refers to, itself first, by references and through these keywords. Each once: a schema may refer to itself.
    fn reachable<'s>(&'s self, schema: &'s Value, keywords: &[&str]) -> Vec<&'s Value> {
        let mut reached: Vec<&Value> = vec![schema];
        let mut next = 0;
        while let Some(&schema) = reached.get(next) {
            next += 1;
            let reference = schema.get("$ref").and_then(Value::as_str);
            let target = reference.and_then(|text| self.target(text));
            let beneath = keywords
                .iter()
                .filter_map(|keyword| Some((*keyword, schema.get(keyword)?)))
                .flat_map(|found| match found {
                    (_, Value::Array(list)) => list.iter().collect::<Vec<_>>(),
                    // It maps names to schemas; every other object is a schema.
                    ("properties", Value::Object(map)) => map.values().collect(),
                    (_, other) => vec![other],
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

fn is_write_only(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// The types that a value may have.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) any_string: bool,
    /// The texts of an enumeration.
    pub(super) words: Vec<String>,
    /// What an enumeration has besides texts.
    values: Vec<Value>,
    boolean: bool,
    integer: bool,
    number: bool,
    pub(super) array: bool,
    object: bool,
    null: bool,
    /// Whether anything is said at all.
    limited: bool,
}

impl Shape {
    /// What these keywords themselves say.
    pub(super) fn of(rules: &Map<String, Value>) -> Self {
        let mut shape = Self::default();
        shape.widen(rules);
        shape
    }

    fn widen(&mut self, rules: &Map<String, Value>) {
        let listed = rules.get("enum").and_then(Value::as_array);
        let constants: Vec<_> = listed
            .into_iter()
            .flatten()
            .chain(rules.get("const"))
            .collect();
        let types = rules.get("type");
        let several = types.and_then(Value::as_array).into_iter().flatten();
        self.limited |= types.is_some() || !constants.is_empty();
        for name in several.chain(types).filter_map(Value::as_str) {
            match name {
                "string" if constants.is_empty() => self.any_string = true,
                "boolean" => self.boolean = true,
                "integer" => self.integer = true,
                "number" => self.number = true,
                "array" => self.array = true,
                "object" => self.object = true,
                "null" => self.null = true,
                _ => {}
            }
        }
        for constant in constants {
            match constant {
                Value::String(word) => self.words.push(word.clone()),
                other => self.values.push(other.clone()),
            }
        }
    }

    /// Whether a value is of one of the types.
    pub(super) fn admits(&self, value: &Value) -> bool {
        let of_type = match value {
            Value::Null => self.null,
            Value::Bool(_) => self.boolean,
            Value::Number(number) => self.number || (self.integer && !number.is_f64()),
            Value::String(text) => self.any_string || self.words.contains(text),
            Value::Array(_) => self.array,
            Value::Object(_) => self.object,
        };
        !self.limited || of_type || self.values.contains(value)
    }

    /// The types as a person writes them in a file.
    pub(super) fn in_a_file(&self) -> String {
        self.choices(
            [
                (self.any_string, "a string"),
                (self.boolean, "`true` or `false`"),
                (self.number, "a number"),
                (self.integer && !self.number, "an integer"),
                (self.array, "a list"),
                (self.object, "a table"),
            ],
            " or ",
        )
    }

    /// The types as a person writes them on the command line.
    pub(super) fn in_words(&self) -> String {
        self.choices(
            [
                (self.any_string, "a text"),
                (self.boolean, "`true` or `false`"),
                (self.integer || self.number, "a number"),
                (self.array, "a list such as `a,b`"),
                (self.object, "a JSON object"),
            ],
            ", or ",
        )
    }

    fn choices<const N: usize>(&self, kinds: [(bool, &str); N], or: &str) -> String {
        let words = self.words.iter().map(|word| format!("`{word}`"));
        let values = self.values.iter().map(|value| format!("`{value}`"));
        let kinds = kinds.iter().filter(|(fits, _)| *fits);
        let kinds = kinds.map(|(_, kind)| (*kind).to_owned());
        words
            .chain(values)
            .chain(kinds)
            .collect::<Vec<_>>()
            .join(or)
    }

    pub(super) fn value(&self, text: &str) -> Option<Value> {
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

    /// A list as JSON, line by line, or as words parted by commas.
    pub(super) fn list(&self, text: &str) -> Option<Vec<Value>> {
        if !self.array {
            return None;
        }
        match serde_json::from_str(text) {
            Ok(Value::Array(list)) => Some(list),
            _ if text.contains('\n') => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                Some(lines.map(Value::from).collect())
            }
            _ => Some(
                text.split(',')
                    .map(|word| Value::from(word.trim()))
                    .collect(),
            ),
        }
    }
}
