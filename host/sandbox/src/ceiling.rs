//! What a plugin may ask for at all: what it declared. What it did not declare is refused, whoever would allow it.

use std::sync::Arc;

use serde_json::Value;

use crate::Error;
use crate::grants::{CapabilityPattern, Need};
use crate::needs::Use;
use crate::types::Description;

/// The capabilities that a plugin declares, each with its reason.
pub(crate) type Declared = Arc<[(CapabilityPattern, String)]>;

/// What a plugin declares, under the settings of one call.
#[derive(Clone, Debug)]
pub struct Ceiling {
    plugin: String,
    declared: Declared,
    settings: Value,
}

impl Ceiling {
    pub(crate) fn new(plugin: &str, declared: Declared, config: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            declared,
            // The plugin itself says what is wrong with a configuration; in one that can't be read, no setting has words.
            settings: serde_json::from_str(config).unwrap_or_default(),
        }
    }

    /// Why the plugin asks for this, in its own words. Fails with [`Error::Undeclared`] where it does not say that it would.
    pub fn reason(&self, need: &Need) -> Result<&str, Error> {
        self.declared
            .iter()
            .find(|(pattern, _)| pattern.covers(need, &self.settings))
            .map(|(_, reason)| reason.as_str())
            .ok_or_else(|| Error::Undeclared {
                plugin: self.plugin.clone(),
                need: need.to_string(),
            })
    }

    /// Fails with the first of them that the plugin does not declare.
    pub(crate) fn check(&self, uses: &[Use]) -> Result<(), Error> {
        uses.iter()
            .try_for_each(|used| self.reason(&used.need).map(drop))
    }
}

/// The capabilities of a description that was checked.
pub(crate) fn declared(description: &Description) -> Declared {
    let pattern = |grant: &str| grant.parse::<CapabilityPattern>().ok();
    let capabilities = description.capabilities.iter();
    capabilities
        .filter_map(|capability| Some((pattern(&capability.grant)?, capability.reason.clone())))
        .collect()
}
