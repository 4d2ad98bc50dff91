//! What a component says of itself, and what it may ask for, as the trust room wants it.

use copal_sandbox::Plugin;
use copal_trust::{Asked, Capability, Described};

use crate::failure::Failure;
use crate::output;

/// What the component says of itself. It is run for that, with nothing granted.
pub(in crate::commands) fn described(plugin: &Plugin) -> Result<Described, Failure> {
    let description = plugin.describe()?;
    let capabilities = description.capabilities.iter();
    Ok(Described {
        name: description.name.clone(),
        version: description.version.clone(),
        imports: plugin.imports().to_vec(),
        capabilities: capabilities
            .map(|capability| Capability {
                grant: capability.grant.clone(),
                reason: capability.reason.clone(),
            })
            .collect(),
    })
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
