//! What is stated of a plugin: held against the component, and shown to an operator.

use copal_sandbox::Plugin;
use copal_trust::{Asked, Statement};

use crate::failure::Failure;
use crate::output;

/// Holds a statement against a component of which nothing has run yet.
pub(super) fn confirm_shape(statement: &Statement, plugin: &Plugin) -> Result<(), Failure> {
    let contract = copal_conformance::contract(plugin).unwrap_or_default();
    let world = copal_conformance::WORLD;
    Ok(statement.confirm_shape(&contract, world, plugin.imports())?)
}

/// What a plugin may ask for, a line each in full, what is new marked where something is not.
pub(super) fn asks(asks: &[Asked]) -> String {
    let some_known = asks.iter().any(|asked| !asked.new);
    asks.iter()
        .map(|asked| {
            let mark = if asked.new && some_known { "new: " } else { "" };
            let reason = asked.reason.as_ref();
            let reason = reason.map(|reason| format!("\n      {}", output::printable(reason)));
            format!(
                "  {mark}{}{}\n",
                output::printable(&asked.line),
                reason.unwrap_or_default()
            )
        })
        .collect()
}
