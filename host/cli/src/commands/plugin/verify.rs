//! `copal plugin verify`: what an operator would be shown of a release, without installing it.

use std::process::ExitCode;

use copal_trust::{COMPONENT, Verified};
use jiff::Timestamp;
use serde_json::json;

use super::describe::described;
use super::export;
use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &VerifyArgs, session: &Session) -> Outcome {
    let bundle = export::fetch(&args.release, session)?;
    let Verified {
        statement,
        publisher,
        fingerprint,
    } = copal_trust::verify(&bundle, Timestamp::now())?;
    let component = bundle.get(COMPONENT).map(|bytes| bytes.to_vec());
    let plugin = session.engine()?.load(&component.unwrap_or_default())?;
    statement.confirm(&described(&plugin)?)?;
    if session.global.json {
        output::json(&json!({
            "statement": statement,
            "capability_hash": statement.capability_hash(),
            "publisher": publisher,
            "fingerprint": fingerprint,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines = statement.capability_lines();
    let lines: String = match lines.is_empty() {
        true => "  nothing\n".to_owned(),
        false => lines
            .iter()
            .map(|line| format!("  {}\n", output::printable(line)))
            .collect(),
    };
    output::print(&format!(
        "{} {}\n{}\nsha256 {}\nsigned for {} by {} of {} keys, until {}\nfingerprint {fingerprint}\n\nIt may ask for\n{lines}capabilities {}\n",
        statement.name,
        statement.version,
        output::printable(&statement.description),
        statement.sha256,
        publisher.publisher,
        publisher.threshold,
        publisher.keys.len(),
        output::time(publisher.not_after),
        statement.capability_hash(),
    ))?;
    Ok::<_, Failure>(ExitCode::SUCCESS)
}
