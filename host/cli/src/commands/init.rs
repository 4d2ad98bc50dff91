//! `copal init`

use std::process::ExitCode;

use serde_json::json;

use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(session: &Session) -> Outcome {
    let repository = session.init()?;
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
