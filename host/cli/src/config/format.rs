//! The forms that texts of `copal.toml` have. The schema of the file names them by `format`.

use std::borrow::Cow;
use std::sync::LazyLock;

use copal_job::Schema;
use copal_repository::forget::Period;
use copal_sandbox::Grant;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::types::File;
use crate::args;

/// Judges a text by its form. A form that is not known here fits: a plugin's schema may have its own.
pub(super) fn judge(format: &str, text: &str) -> Result<(), String> {
    let fits = |fits: bool, what: &str| {
        if fits {
            Ok(())
        } else {
            Err(format!("`{text}` is not {what}"))
        }
    };
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let identifier = (1..=64).contains(&text.len()) && text.chars().all(small);
    match format {
        "copal-grant" => text
            .parse::<Grant>()
            .map(drop)
            .map_err(|error| error.to_string()),
        "copal-job" => fits(
            identifier,
            "a job's name: 1 to 64 lower-case letters, digits and `-`",
        ),
        "copal-root" => fits(
            identifier,
            "a root's name: 1 to 64 lower-case letters, digits and `-`",
        ),
        "copal-stream" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            let fine = (1..=255).contains(&text.len())
                && text.chars().all(plain)
                && !text.starts_with('.');
            fits(
                fine,
                "a stream's name: letters, digits, `-`, `_` and `.`, which is not the first",
            )
        }
        "copal-tag" => args::tag(text).map(drop),
        "copal-storage" => fits(
            copal_storage::is_known(text),
            "a variable that a storage service reads: those begin with `AWS_`, `B2_`, `GOOGLE_` or `AZURE_`, as in their own tools, or it is \
             `COPAL_SSH`",
        ),
        "copal-variable" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let fine = text.chars().all(plain) && text.starts_with(|c: char| !c.is_ascii_digit());
            fits(
                fine,
                "a variable's name: letters, digits and `_`, no digit first",
            )
        }
        "copal-period" => text
            .parse::<Period>()
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

/// The JSON Schema of the file (draft 2020-12). What TOML can't say, null, is left out, and keys that are not known are refused.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>();
    RecursiveTransform(strict).transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(Value::Object(period)) = schema.pointer_mut("/$defs/Period") {
        period.insert("format".to_owned(), "copal-period".into());
    }
    schema
});

/// The same, to hold files against.
pub(super) fn schema() -> Schema {
    Schema::from(SCHEMA.clone())
}

fn strict(schema: &mut schemars::Schema) {
    let Some(rules) = schema.as_object_mut() else {
        return;
    };
    if rules.contains_key("properties") {
        rules.entry("additionalProperties").or_insert(false.into());
    }
    // Only what a person would not guess is a default to show, and the width of a number is none of theirs.
    let guessed = |value: &Value| match value {
        Value::Null | Value::Object(_) => true,
        value => [json!([]), json!(0), json!("")].contains(value),
    };
    rules.retain(|keyword, value| match keyword.as_str() {
        "default" => !guessed(value),
        "format" => !value
            .as_str()
            .is_some_and(|format| format.starts_with("uint")),
        _ => true,
    });
    if let Some(Value::String(text)) = rules.get_mut("description") {
        let paragraphs = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    if let Some(Value::Array(types)) = rules.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            rules.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(branches)) = rules.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type") != Some(&"null".into()));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            rules.remove("anyOf");
            for (keyword, value) in only {
                rules.entry(keyword).or_insert(value);
            }
        }
    }
}

macro_rules! text_form {
    ($name:ident, $format:literal, $what:literal) => {
        #[doc = $what]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
                json_schema!({"type": "string", "format": $format})
            }
        }
    };
}

text_form!(GrantText, "copal-grant", "A grant as it is written.");
text_form!(TagText, "copal-tag", "A tag.");
