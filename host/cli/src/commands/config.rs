//! `copal config check`, `copal config schema` and `copal config show`

use std::process::ExitCode;

use copal_job::Schema;
use serde_json::json;

use crate::config::{Level, SCHEMA};
use crate::failure::{FAILED, Failure};
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn check(session: &Session) -> Outcome {
    let config = session.config()?;
    let problems = config.check(session);
    let count = |level| {
        problems
            .iter()
            .filter(|problem| problem.level == level)
            .count()
    };
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if session.global.json {
        output::json(&json!({"file": config.path, "problems": problems}))?;
    } else {
        let lines = problems.iter().map(|problem| {
            let line = output::printable_lines(&problem.line(&config.path));
            format!("{}\n", line.replace('\n', "\n    "))
        });
        let summary = match (errors, warnings) {
            (0, 0) => format!(
                "{}: {} jobs, no mistakes",
                config.path.display(),
                config.all_names().len()
            ),
            _ => format!(
                "{}: {errors} errors, {warnings} warnings",
                config.path.display()
            ),
        };
        output::print(&format!(
            "{}{}",
            lines.collect::<String>(),
            output::printable(&summary)
        ))?;
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Prints JSON in any case: that is what it is.
pub(crate) fn schema() -> Outcome {
    output::json(&*SCHEMA)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints JSON in any case. What stands elsewhere is shown as where it stands.
pub(crate) fn show(session: &Session) -> Outcome {
    let job = session.job()?;
    let job = job.ok_or_else(|| Failure::arguments("no job is named", "Give --job NAME."))?;
    let plugin = session.plugin_of(&session.engine()?, &job)?;
    let schema =
        Schema::parse(&plugin.describe()?.config_schema).map_err(copal_job::Error::from)?;
    output::json(&job.without_secrets(&schema))?;
    Ok(ExitCode::SUCCESS)
}
