//! `copal plugin export`, and the roads that releases take.

use std::process::ExitCode;

use copal_registry::{Destination, Published, Source};
use copal_trust::{Bundle, PluginName};
use serde_json::json;

use crate::args::ExportArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &ExportArgs, session: &Session) -> Outcome {
    let installed = match args.what.parse::<PluginName>() {
        Ok(name) => session.trust.installed(&name)?,
        Err(_) => None,
    };
    let bundle = match installed {
        Some(installed) => installed.bundle()?,
        None => fetch(&args.what, session)?,
    };
    let published = publish(&bundle, &args.destination, args.replace, session)?;
    if session.global.json {
        output::json(&json!({"place": published.place, "digest": published.digest}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let digest = published.digest.map(|digest| format!("\n{digest}"));
    output::print(&format!(
        "{}{}\n",
        output::printable(&published.place),
        digest.unwrap_or_default()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Brings a release here. Nothing of it is believed yet.
pub(in crate::commands) fn fetch(source: &str, session: &Session) -> Result<Bundle, Failure> {
    let source = Source::parse(source)?;
    Ok(session
        .context
        .runtime
        .block_on(copal_registry::fetch(&source))?)
}

/// Brings a release there.
pub(super) fn publish(
    bundle: &Bundle,
    destination: &str,
    replace: bool,
    session: &Session,
) -> Result<Published, Failure> {
    let destination = Destination::parse(destination)?;
    copal_trust::read_documents(bundle)?;
    let published = copal_registry::publish(bundle, &destination, replace);
    Ok(session.context.runtime.block_on(published)?)
}
