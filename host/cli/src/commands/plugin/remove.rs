//! `copal plugin remove`

use std::process::ExitCode;

use copal_trust::PluginName;
use serde_json::json;

use crate::args::PluginNameArgs;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &PluginNameArgs, session: &Session) -> Outcome {
    let name: PluginName = args.name.parse()?;
    let removal = session.trust.remove(&name)?;
    if session.global.json {
        output::json(&json!({
            "name": name,
            "version": removal.version.to_string(),
            "dropped": removal.dropped,
        }))?;
    } else {
        output::print(&format!(
            "{name} {} is removed; snapshots keep their own copies\n",
            removal.version
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
