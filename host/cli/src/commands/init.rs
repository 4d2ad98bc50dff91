//! `copal init`

use std::process::ExitCode;

use copal_repository::InitOptions;
use serde_json::json;

use crate::args::InitArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &InitArgs, session: &Session) -> Outcome {
    let polynomial = match (args.copy_chunker_params, args.source.is_said()) {
        (true, _) => Some(session.source(&args.source)?.polynomial()),
        (false, true) => {
            let message = "a new repository takes nothing but chunker parameters from another one";
            let advice = "Add --copy-chunker-params; `copal copy` then copies snapshots.";
            return Err(Failure::arguments(message, advice));
        }
        (false, false) => None,
    };
    let repository = session.init(&InitOptions {
        polynomial,
        ..InitOptions::default()
    })?;
    if session.global.json {
        output::json(&json!({"id": repository.id(), "repository": repository.location()}))?;
    } else {
        output::print(&format!(
            "Created repository {} at {}.\nKeep its password safe: without it nothing can be restored.",
            repository.id().short(),
            repository.location(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
