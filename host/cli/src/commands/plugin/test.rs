//! `copal plugin test`

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use copal_conformance::{Case, Difference, Report, Suite};
use copal_sandbox::Plugin;
use serde::Serialize;

use super::check::{for_author, report};
use crate::args::PluginTestArgs;
use crate::failure::{FAILED, Failure};
use crate::session::Session;
use crate::{Outcome, output, plugins};

/// What the tests brought.
#[derive(Serialize)]
struct Tested {
    plugin: Option<String>,
    #[serde(flatten)]
    report: Report,
    cases: Vec<Tried>,
}

/// What a case brought.
#[derive(Serialize)]
struct Tried {
    name: String,
    about: String,
    #[serde(flatten)]
    outcome: CaseOutcome,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum CaseOutcome {
    Passed,
    Updated {
        files: Vec<String>,
    },
    Differs {
        differences: Vec<Difference>,
    },
    Failed {
        kind: &'static str,
        message: String,
        advice: Option<String>,
    },
}

impl Tried {
    fn failed(&self) -> bool {
        matches!(
            self.outcome,
            CaseOutcome::Differs { .. } | CaseOutcome::Failed { .. }
        )
    }
}

pub(crate) fn run(args: &PluginTestArgs, session: &Session) -> Outcome {
    let (component, cases) = subject(args, session)?;
    let cases = match cases {
        Some(folder) => Case::all(&folder).map_err(for_author)?,
        None => Vec::new(),
    };
    let unknown = args
        .case
        .iter()
        .find(|name| !cases.iter().any(|case| case.name() == *name));
    if let Some(unknown) = unknown {
        return Err(Failure::usage(
            "case",
            format!("there is no case `{unknown}`"),
        ));
    }
    let inspection = copal_conformance::check(&session.engine()?, &component);
    let mut tested = Tested {
        plugin: inspection.description.map(|said| said.name),
        report: inspection.report,
        cases: Vec::new(),
    };
    if let Some(plugin) = inspection.plugin.filter(|_| tested.plugin.is_some()) {
        if args.case.is_empty() {
            let suite = Suite::new().cases(&cases).run(&plugin)?;
            tested.report.extend(suite);
        }
        let chosen =
            |case: &&Case| args.case.is_empty() || args.case.iter().any(|name| name == case.name());
        for case in cases.iter().filter(chosen) {
            tested.cases.push(try_out(case, &plugin, args.update)?);
        }
    }
    match session.global.json {
        true => output::json(&tested)?,
        false => output::print(&text(&tested))?,
    }
    let failed = tested.report.failed() || tested.cases.iter().any(Tried::failed);
    Ok(match failed {
        true => ExitCode::from(FAILED),
        false => ExitCode::SUCCESS,
    })
}

/// The component to test, and the folder of its cases.
fn subject(
    args: &PluginTestArgs,
    session: &Session,
) -> Result<(Cow<'static, [u8]>, Option<PathBuf>), Failure> {
    let project = Path::new(&args.plugin);
    if !project.is_dir() {
        return Ok((
            plugins::component(&session.trust, &args.plugin)?,
            args.cases.clone(),
        ));
    }
    let built = project.join(copal_authoring::OUTPUT);
    let mut components: Vec<PathBuf> = std::fs::read_dir(&built)
        .into_iter()
        .flatten()
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    components.sort();
    let [component] = components.as_slice() else {
        let message = match components.len() {
            0 => format!("there is no component in {}", built.display()),
            _ => format!("there are several components in {}", built.display()),
        };
        let advice = match components.len() {
            0 => "Build it with `copal plugin build`, or name a component.",
            _ => "Name the one to test, and its cases with --cases.",
        };
        return Err(Failure::usage("unknown-plugin", message).advise(advice));
    };
    let cases = args
        .cases
        .clone()
        .or_else(|| Some(project.join("cases")).filter(|cases| cases.is_dir()));
    Ok((
        plugins::component(&session.trust, &component.to_string_lossy())?,
        cases,
    ))
}

fn try_out(case: &Case, plugin: &Plugin, update: bool) -> Result<Tried, Failure> {
    let outcome = match case.run(plugin) {
        Ok(results) if update => {
            let changed = case.update(&results).map_err(for_author)?;
            let files: Vec<_> = changed.into_iter().map(|changed| changed.file).collect();
            match files.is_empty() {
                true => CaseOutcome::Passed,
                false => CaseOutcome::Updated { files },
            }
        }
        Ok(results) => {
            let differences = case.compare(&results).map_err(for_author)?;
            match differences.is_empty() {
                true => CaseOutcome::Passed,
                false => CaseOutcome::Differs { differences },
            }
        }
        Err(error) => CaseOutcome::Failed {
            kind: error.kind(),
            message: error.to_string(),
            advice: error.author_advice(),
        },
    };
    Ok(Tried {
        name: case.name().to_owned(),
        about: case.about().to_owned(),
        outcome,
    })
}

fn text(tested: &Tested) -> String {
    let mut text = String::new();
    if let Some(plugin) = &tested.plugin {
        text += &format!("{}\n\n", output::printable(plugin));
    }
    text += &report(&tested.report);
    if !tested.cases.is_empty() {
        text += "\nCases\n";
    }
    for case in &tested.cases {
        let name = output::printable(&case.name);
        text += &match &case.outcome {
            CaseOutcome::Passed => format!("passed   {name}\n"),
            CaseOutcome::Updated { files } => {
                format!(
                    "updated  {name}: {}\n",
                    output::printable(&files.join(", "))
                )
            }
            CaseOutcome::Failed {
                message, advice, ..
            } => {
                let advice = advice
                    .as_ref()
                    .map(|advice| format!("           {advice}\n"));
                let message = output::printable_lines(message);
                format!(
                    "FAILED   {name}: {message}\n{}",
                    output::printable_lines(&advice.unwrap_or_default())
                )
            }
            CaseOutcome::Differs { differences } => {
                let mut text = format!("FAILED   {name}: not as expected\n");
                for found in differences {
                    text += &format!("  {}\n", output::printable(&found.file));
                    for line in output::printable_lines(&found.difference).lines() {
                        text += &format!("    {line}\n");
                    }
                }
                text + "           Where this is right, `copal plugin test --update` makes it what is expected.\n"
            }
        };
    }
    text
}
