//! `copal detect`

use std::cmp::Reverse;
use std::process::ExitCode;

use copal_sandbox::types::Detection;
use serde::Serialize;

use crate::args::DetectArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, bundled, output};

#[derive(Serialize)]
struct Found {
    plugin: String,
    #[serde(flatten)]
    detection: Detection,
}

pub(crate) fn run(args: &DetectArgs, session: &Session) -> Outcome {
    let engine = session.engine()?;
    let path = std::fs::canonicalize(&args.path).map_err(|e| {
        Failure::usage(
            "roots",
            format!("can't look at {}: {e}", args.path.display()),
        )
    })?;
    if !path.is_dir() {
        let message = format!("{} is not a directory", path.display());
        return Err(Failure::usage("roots", message));
    }
    let mut found = Vec::new();
    let embedded = bundled::all().map(|(name, _)| name.to_owned());
    for name in embedded.chain(installed(session)) {
        let detected = session
            .plugin(&engine, &name)
            .and_then(|plugin| Ok(copal_job::detect(&plugin, &path, &session.context)?));
        match detected {
            Ok(Some(detection)) => found.push(Found {
                plugin: name,
                detection,
            }),
            Ok(None) => {}
            // One plugin that can't be used does not keep the others from looking.
            Err(failure) => tracing::warn!("{name} was left out: {failure}"),
        }
    }
    found.sort_by_key(|found| Reverse(found.detection.confidence));
    if session.global.json {
        output::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for Found { plugin, detection } in &found {
        let version = detection
            .version
            .as_ref()
            .map(|version| format!(" {version}"))
            .unwrap_or_default();
        let line = format!(
            "{plugin}: {}{version}, as the root `{}` ({} %)",
            detection.application, detection.root, detection.confidence
        );
        text += &format!("{}\n", output::printable(&line));
        for reason in &detection.because {
            text += &format!("  {}\n", output::printable(reason));
        }
    }
    if let Some(best) = found.first() {
        text += &format!(
            "\nTry: copal plan backup {} {}\n",
            best.plugin,
            copal_job::shell_quote(&path.to_string_lossy())
        );
    } else {
        text += "No plugin fits.\n";
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The names of the plugins installed, without those that their publishers took back. Where that can't be known, what comes with Copal still looks.
fn installed(session: &Session) -> Vec<String> {
    let installed = session.trust.list().unwrap_or_else(|refusal| {
        tracing::warn!("the plugins installed were left out: {refusal}");
        Vec::new()
    });
    let usable = installed.into_iter().filter(|installed| {
        let (name, digest) = (&installed.name, &installed.digest);
        match session.trust.revoked(name, digest, None) {
            Ok(None) => true,
            Ok(Some(revocation)) => {
                tracing::warn!(
                    "{name} was left out, since its publisher took it back: {}",
                    revocation.reason
                );
                false
            }
            Err(refusal) => {
                tracing::warn!("{name} was left out: {refusal}");
                false
            }
        }
    });
    usable.map(|installed| installed.name.to_string()).collect()
}
