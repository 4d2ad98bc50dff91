//! The operator's configuration: a JSON object that becomes the plugin's own type.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// The configuration of a plugin that has nothing to configure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a configuration. Fails with `invalid-config` and names the key that is wrong.
pub fn parse<C: DeserializeOwned>(json: &str) -> Result<C, Failure> {
    let mut input = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let key = error.path().to_string();
        // The position in the JSON text means nothing to someone who set a key on a command line.
        let reason = error.inner().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Failure::invalid_config(
            "sdk.config.invalid",
            match key.as_str() {
                "." => format!("the configuration does not fit: {reason}"),
                _ => format!("the configuration's `{key}` does not fit: {reason}"),
            },
        )
        .remedy("`copal plugin info` shows the keys and what they take")
    })
}

/// The JSON Schema (draft 2020-12) of a configuration.
pub(crate) fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}
