//! Plans a restore.

use copal_sdk::{Failure, Finding, RestorePlan, RestoreRequest};

use crate::running::Running;
use crate::settings::{SETTINGS, Settings};
use crate::{Config, FORMAT, HOME};

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    let plan = RestorePlan::whole(&request.snapshot, &request.targets);
    let target = request.targets.require(HOME)?;
    let saved: u32 = request.facts.require(FORMAT)?;
    let plan = match Running::of(target, &request.config)? {
        Running::No => plan,
        Running::Stopped(step) => plan.before(*step),
        Running::Open(finding) => plan.finding(finding),
    };
    // Settings that can't be read are no reason to refuse: a restore may be what mends them.
    Ok(match Settings::read(target) {
        Ok(Some(there)) if there.format > saved => plan.finding(
            Finding::error(
                "{{name}}.target.newer",
                format!(
                    "The target's notes have format {}, newer than the snapshot's {saved}.",
                    there.format
                ),
            )
            .at(format!("{HOME}/{SETTINGS}"))
            .remedy("Restore into an empty folder, or move this one away."),
        ),
        _ => plan,
    })
}
