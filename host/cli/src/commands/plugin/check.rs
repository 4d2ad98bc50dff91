//! `copal plugin check`

use std::fmt::Write as _;
use std::process::ExitCode;

use copal_conformance::{Inspection, Report};
use copal_sandbox::MAX_COMPONENT;

use crate::args::PluginCheckArgs;
use crate::failure::{FAILED, Failure};
use crate::session::Session;
use crate::{Outcome, output, plugins};

pub(crate) fn run(args: &PluginCheckArgs, session: &Session) -> Outcome {
    let component = plugins::component(&session.trust, &args.plugin)?;
    let inspection = copal_conformance::check(&session.engine()?, &component);
    match session.global.json {
        true => output::json(&inspection)?,
        false => output::print(&text(&inspection))?,
    }
    Ok(code(&inspection.report))
}

/// The exit code that a report stands for.
pub(super) fn code(report: &Report) -> ExitCode {
    match report.failed() {
        true => ExitCode::from(FAILED),
        false => ExitCode::SUCCESS,
    }
}

/// An error of a plugin as its author needs it: with the contract's rule rather than with what an operator could do.
pub(super) fn for_author(error: copal_conformance::Error) -> Failure {
    let advice = error.author_advice();
    let failure = Failure::usage(error.kind(), error.to_string());
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn text(inspection: &Inspection) -> String {
    let mut text = match &inspection.description {
        Some(description) => format!(
            "{} {}\n{}\n",
            output::printable(&description.name),
            output::printable(&description.version),
            output::printable(&description.summary)
        ),
        None => "A component that does not say what it is\n".to_owned(),
    };
    text += &format!("sha256 {}\n\n", inspection.digest);
    let mut line = |name: &str, value: String| {
        // Writing to a String never fails.
        let _ = writeln!(text, "{name:9} {}", output::printable(&value));
    };
    if let (Some(contract), Some(world)) = (&inspection.contract, inspection.world) {
        line("contract", format!("{contract}, world {world}"));
    }
    let size = output::bytes(inspection.size as u64);
    let most = output::bytes(MAX_COMPONENT as u64);
    line("size", format!("{size} of at most {most}"));
    line(
        "loading",
        format!(
            "{:.0?}, compiling included where that was not done before",
            inspection.load
        ),
    );
    if let Some(describe) = inspection.describe {
        line("start", format!("{describe:.1?}, `describe` included"));
    }
    if let Some(memory) = inspection.memory {
        let memory = output::bytes(memory as u64);
        let most = output::bytes(inspection.memory_limit as u64);
        line(
            "memory",
            format!("{memory} of at most {most} after `describe`"),
        );
    }
    if !inspection.imports.is_empty() {
        text += "\nImports\n";
        for import in &inspection.imports {
            text += &format!("  {}\n", output::printable(import));
        }
    }
    if let Some(description) = &inspection.description
        && !description.capabilities.is_empty()
    {
        text += "\nMay ask for\n";
        for capability in &description.capabilities {
            text += &format!("  {}\n", output::printable(&capability.grant));
            text += &format!("      {}\n", output::printable(&capability.reason));
        }
    }
    text += "\nChecks\n";
    text += &report(&inspection.report);
    let error = inspection.error.as_ref();
    if let Some(advice) = error.and_then(copal_sandbox::Error::author_advice) {
        text += &format!("\n{advice}\n");
    }
    text
}

/// A report's lines for people.
pub(super) fn report(report: &Report) -> String {
    output::printable_lines(&report.to_string())
}
