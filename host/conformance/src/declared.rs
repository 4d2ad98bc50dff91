//! What a restore does to roots that it does not fill.

use std::sync::Arc;

use copal_sandbox::types::RestorePlan;
use copal_sandbox::{Error, Plugin, Tree, needs};

use crate::saved::STREAMS;

/// Fails with [`Error::Undeclared`] where the plan alters a target that the snapshot does not hold, and no capability of the plugin covers that: such
/// a target is a place to look at. All else that a plan needs the sandbox has seen to when it took the plan.
pub fn check_looked_at(
    plugin: &Plugin,
    config: &str,
    plan: &RestorePlan,
    snapshot: &[Arc<dyn Tree>],
) -> Result<(), Error> {
    let ceiling = plugin.ceiling(config)?;
    let held = |root: &str| snapshot.iter().any(|tree| tree.name() == root);
    let filled = |root: &str| root != STREAMS && held(root);
    for used in needs::of_restore(plan, &filled) {
        ceiling.reason(&used.need)?;
    }
    Ok(())
}
