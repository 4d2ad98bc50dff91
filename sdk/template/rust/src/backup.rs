//! Plans a backup.

use copal_sdk::{BackupPlan, BackupRequest, Failure, Source};

use crate::running::Running;
use crate::settings::{SETTINGS, Settings};
use crate::{Config, FORMAT, HOME};

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let home = request.roots.require(HOME)?;
    let Some(settings) = Settings::read(home)? else {
        return Err(Failure::missing(
            "{{name}}.not-found",
            format!("there is no {SETTINGS} in {}", home.location()),
        )
        .remedy("give the folder that holds settings.ini and notes"));
    };
    let plan = BackupPlan::new()
        .fact(FORMAT, settings.format)
        .source(Source::tree(HOME));
    Ok(match Running::of(home, &request.config)? {
        Running::No => plan,
        Running::Stopped(step) => plan.quiesce(*step),
        Running::Open(finding) => plan.finding(finding),
    })
}
