//! A plugin's settings as they stand in the file: values, and references to values.

use std::convert::Infallible;
use std::path::Path;

use copal_job::{Schema, Settings, beneath};
use serde_json::{Map, Value, json};

use super::reference::Reference;
use crate::failure::Failure;

/// What stands for a value that is not shown, or not known yet.
const ELSEWHERE: &str = "***";

/// The settings with the values that they refer to.
pub(super) fn read(config: &Map<String, Value>) -> Result<Settings, Failure> {
    replace(config, |reference| {
        reference.read().map(|mut text| std::mem::take(&mut *text))
    })
}

/// The settings with a stand-in for every value that they refer to.
pub(super) fn unread(config: &Map<String, Value>) -> Settings {
    let Ok(settings) = replace::<Infallible>(config, |_| Ok(ELSEWHERE.to_owned()));
    settings
}

/// The settings as they stand, but for secrets that must not stand there.
pub(super) fn without_secrets(config: &Map<String, Value>, schema: &Schema) -> Map<String, Value> {
    let settings = unread(config);
    let secrets = schema.write_only(&settings.values);
    let plain = secrets.iter().filter(|secret| !settings.hides(secret));
    let mut shown = Value::Object(config.clone());
    for secret in plain {
        if let Some(value) = shown.pointer_mut(secret) {
            *value = ELSEWHERE.into();
        }
    }
    match shown {
        Value::Object(shown) => shown,
        _ => Map::new(),
    }
}

/// Takes the relative files that the settings refer to as ones beneath this directory.
pub(super) fn rebase(config: &mut Map<String, Value>, directory: &Path) {
    for value in config.values_mut() {
        rebase_value(value, directory);
    }
}

fn rebase_value(value: &mut Value, directory: &Path) {
    match (Reference::of(value), &mut *value) {
        (Some(Reference::File(path)), value) => *value = json!({"file": directory.join(path)}),
        (Some(_), _) => {}
        (None, Value::Object(members)) => rebase(members, directory),
        (None, Value::Array(items)) => {
            for item in items {
                rebase_value(item, directory);
            }
        }
        (None, _) => {}
    }
}

fn replace<E>(
    config: &Map<String, Value>,
    mut with: impl FnMut(&Reference) -> Result<String, E>,
) -> Result<Settings, E> {
    let mut settings = Settings {
        values: config.clone(),
        ..Settings::default()
    };
    let mut left: Vec<_> = settings
        .values
        .iter_mut()
        .map(|(key, value)| (beneath("", key), value))
        .collect();
    while let Some((pointer, value)) = left.pop() {
        if let Some(reference) = Reference::of(value) {
            *value = with(&reference)?.into();
            settings.hidden.insert(pointer);
            continue;
        }
        match value {
            Value::Object(members) => {
                let members = members.iter_mut();
                left.extend(members.map(|(key, value)| (beneath(&pointer, key), value)));
            }
            Value::Array(items) => {
                let items = items.iter_mut().enumerate();
                left.extend(items.map(|(index, item)| (format!("{pointer}/{index}"), item)));
            }
            _ => {}
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn values_are_put_in_for_references_wherever_they_lie() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "1\n").unwrap();
        let mut config = table(json!({
            "plain": {"env": "A", "other": "B"},
            "file": {"file": "a"},
            "list": ["x", {"command": ["echo", "2"]}],
            "map": {"a/b": {"file": "a"}},
        }));
        rebase(&mut config, directory.path());
        let read = read(&config).unwrap();
        let expected = json!({
            "plain": {"env": "A", "other": "B"}, "file": "1", "list": ["x", "2"], "map": {"a/b": "1"},
        });
        assert_eq!(Value::Object(read.values), expected);
        let hidden: Vec<_> = read.hidden.iter().map(String::as_str).collect();
        assert_eq!(hidden, ["/file", "/list/1", "/map/a~1b"]);
    }

    #[test]
    fn secrets_that_stand_in_the_file_are_not_shown_and_references_are() {
        let schema = json!({"properties": {
            "one": {"writeOnly": true},
            "two": {"writeOnly": true},
            "some": {"writeOnly": true, "type": "object"},
        }});
        let config = json!({
            "one": "hunter2", "two": {"env": "TWO"}, "three": 3,
            "some": {"a": {"file": "/a"}, "b": "hunter2"},
        });
        let shown = without_secrets(&table(config), &Schema::from(schema));
        let expected = json!({
            "one": "***", "two": {"env": "TWO"}, "three": 3,
            "some": {"a": {"file": "/a"}, "b": "***"},
        });
        assert_eq!(Value::Object(shown), expected);
    }
}
