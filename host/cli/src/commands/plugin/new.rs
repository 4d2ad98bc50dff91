//! `copal plugin new` and `copal plugin renew`

use std::path::Path;
use std::process::ExitCode;

use copal_authoring::New;
use serde_json::json;

use crate::args::{PluginNewArgs, PluginRenewArgs};
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn new(args: &PluginNewArgs, session: &Session) -> Outcome {
    let beside = Path::new(args.name.name());
    let created = copal_authoring::create(&New {
        directory: args.directory.as_deref().unwrap_or(beside),
        name: &args.name,
        language: args.lang,
    })?;
    let directory = created.directory.display().to_string();
    if session.global.json {
        output::json(&json!({
            "name": args.name.to_string(),
            "language": args.lang.as_str(),
            "directory": directory,
            "files": created.files,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&output::printable_lines(&format!(
        "{} lies in {directory}. It builds as it is: `copal plugin build {directory}`.\n\
         README.md in it says what is where, and how to test and try it.",
        args.name
    )))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn renew(args: &PluginRenewArgs, session: &Session) -> Outcome {
    let renewed = copal_authoring::renew(&args.directory)?;
    let directory = renewed.directory.display().to_string();
    if session.global.json {
        output::json(&json!({
            "directory": directory,
            "language": renewed.language.as_str(),
            "version": renewed.version,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&output::printable_lines(&format!(
        "{directory} holds the contract and the SDK of Copal {} now.",
        renewed.version
    )))?;
    Ok(ExitCode::SUCCESS)
}
