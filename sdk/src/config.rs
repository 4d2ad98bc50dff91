//! The operator's configuration: a JSON object that becomes the plugin's own type.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Failure;

/// The configuration of a plugin that has nothing to configure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A setting that is shown nowhere: not in plans, logs and manifests, and not by `Debug`. Its schema says so to the host.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true})
    }
}

/// Reads a configuration. Fails with `invalid-config` and names the key that is wrong, but never shows its value, which may be a secret; so what a
/// type's own reading says of it is not shown either.
pub fn parse<C: DeserializeOwned>(json: &str) -> Result<C, Failure> {
    // By way of a map, because serde would take a list for an object's values in their order.
    let config: Map<String, Value> =
        serde_json::from_str(json).map_err(|_| invalid("is not a JSON object"))?;
    serde_path_to_error::deserialize(Value::Object(config)).map_err(|error| {
        let reason = without_value(&error.inner().to_string());
        match error.path().to_string().as_str() {
            "." => invalid(&format!("does not fit: {reason}")),
            key => invalid(&format!("has a wrong `{key}`: {reason}")),
        }
    })
}

/// What serde says, without the value that it says it of.
fn without_value(reason: &str) -> String {
    let begins = |all: &[&str]| all.iter().any(|begin| reason.starts_with(begin));
    match reason.rsplit_once(", expected ") {
        // These name a key alone.
        _ if begins(&["unknown field `", "missing field `", "duplicate field `"]) => {
            reason.to_owned()
        }
        Some((_, expected))
            if begins(&[
                "invalid type: ",
                "invalid value: ",
                "invalid length ",
                "unknown variant `",
            ]) =>
        {
            format!("must be {expected}")
        }
        _ => "is not what it must be".to_owned(),
    }
}

fn invalid(problem: &str) -> Failure {
    Failure::invalid_config("sdk.config.invalid", format!("the configuration {problem}"))
        .remedy("`copal plugin info` shows the keys and what they take")
}

/// The JSON Schema (draft 2020-12) of a configuration.
pub(crate) fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        /// How to stop it.
        stop: Stop,
        keep: Vec<u32>,
        mode: Mode,
        port: Port,
    }

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        #[default]
        Slow,
        Fast,
    }

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(try_from = "String")]
    struct Port(u16);

    impl TryFrom<String> for Port {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            let port = text.parse().map_err(|_| format!("no port: {text}"));
            port.map(Self)
        }
    }

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Stop {
        unit: Option<String>,
    }

    #[test]
    fn what_fits_is_read() {
        let config: Config = parse(r#"{"stop": {"unit": "a"}, "keep": [1, 2]}"#).unwrap();
        assert_eq!(config.stop.unit.as_deref(), Some("a"));
        assert_eq!(config.keep, [1, 2]);
        assert_eq!(parse::<Config>("{}").unwrap(), Config::default());
        assert_eq!(parse::<NoConfig>("{}").unwrap(), NoConfig {});
    }

    #[test]
    fn a_secret_is_marked_in_the_schema_and_shown_nowhere() {
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(default)]
        struct Login {
            password: Option<Secret>,
        }
        let schema: Value = serde_json::from_str(&schema::<Login>()).unwrap();
        assert_eq!(schema["properties"]["password"]["writeOnly"], true);
        let login: Login = parse(r#"{"password": "hunter2"}"#).unwrap();
        assert_eq!(login.password, Some(Secret("hunter2".to_owned())));
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn a_message_names_the_key_that_does_not_fit() {
        for (json, message) in [
            (
                r#"{"kep": []}"#,
                "has a wrong `kep`: unknown field `kep`, expected one of `stop`, `keep`, `mode`, `port`",
            ),
            (
                r#"{"stop": {"unit": 7}}"#,
                "has a wrong `stop.unit`: must be a string",
            ),
            (
                r#"{"keep": [1, "hush, expected"]}"#,
                "has a wrong `keep[1]`: must be u32",
            ),
            (
                r#"{"mode": "hush"}"#,
                "has a wrong `mode`: must be `slow` or `fast`",
            ),
            (
                r#"{"mode": "hush`, expected `hush"}"#,
                "has a wrong `mode`: must be `slow` or `fast`",
            ),
            (
                r#"{"port": "hush"}"#,
                "has a wrong `port`: is not what it must be",
            ),
            ("[]", "is not a JSON object"),
            ("{", "is not a JSON object"),
        ] {
            let failure = parse::<Config>(json).unwrap_err();
            assert_eq!(failure.code, "sdk.config.invalid");
            assert_eq!(failure.message, format!("the configuration {message}"));
            assert!(!failure.message.contains("hush"));
        }
    }

    #[test]
    fn the_schema_has_descriptions_and_refuses_other_keys() {
        let schema: Value = serde_json::from_str(&schema::<Config>()).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(
            schema["properties"]["stop"]["description"],
            "How to stop it."
        );
    }
}
