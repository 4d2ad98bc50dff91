//! `copal plugin verify`: what an operator would be shown of a release, without installing it.

use std::process::ExitCode;

use copal_trust::{Bundle, COMPONENT, Verified};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::describe::confirm_shape;
use super::export;
use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::plugins::described;
use crate::session::Session;
use crate::{Outcome, output};

/// What this machine makes of a release.
#[derive(Serialize)]
struct Here {
    /// The version of the publisher's document that is known; none where it is not trusted.
    known: Option<u32>,
    /// Why the release's document does not go with that.
    disagrees: Option<String>,
    /// Why the publisher, as it is known here, took the release back.
    revoked: Option<String>,
}

pub(super) fn run(args: &VerifyArgs, session: &Session) -> Outcome {
    let bundle = export::fetch(&args.release, session)?;
    let verified = copal_trust::verify(&bundle, Timestamp::now())?;
    let statement = &verified.statement;
    let component = bundle.get(COMPONENT).map(|bytes| bytes.to_vec());
    let plugin = session.engine()?.load(&component.unwrap_or_default())?;
    confirm_shape(statement, &plugin)?;
    statement.confirm(&described(&plugin)?)?;
    let here = Here::of(&verified, &bundle, session)?;
    if session.global.json {
        output::json(&json!({
            "statement": statement,
            "capability_hash": statement.capability_hash(),
            "publisher": verified.publisher,
            "fingerprint": verified.fingerprint,
            "signed": verified.signed,
            "here": here,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&text(&verified, &here))?;
    Ok(ExitCode::SUCCESS)
}

impl Here {
    fn of(verified: &Verified, bundle: &Bundle, session: &Session) -> Result<Self, Failure> {
        let (name, digest) = (&verified.statement.name, &verified.statement.sha256);
        let known = session.trust.publisher(name.publisher())?;
        let introduced = session.trust.introduce(bundle, Timestamp::now());
        let revoked = session.trust.revoked(name, digest, Some(bundle))?;
        Ok(Self {
            disagrees: match (&known, introduced) {
                (Some(_), Err(refusal)) => Some(refusal.to_string()),
                _ => None,
            },
            known: known.map(|known| known.document.version),
            revoked: revoked.map(|revocation| revocation.reason),
        })
    }

    fn lines(&self, verified: &Verified) -> String {
        let publisher = &verified.publisher.publisher;
        let mut lines = match (self.known, &self.disagrees) {
            (None, _) => format!("{publisher} is not trusted here: compare the fingerprint\n"),
            (Some(_), Some(problem)) => format!(
                "IT IS NOT BY THE {publisher} THAT IS TRUSTED HERE, OR IS OUT OF DATE: {}\n",
                output::printable(problem)
            ),
            (Some(known), None) => format!(
                "{publisher} is trusted here by version {known} of its document, and this is version {}, which agrees\n",
                verified.publisher.version
            ),
        };
        if let Some(reason) = &self.revoked {
            lines += &format!("REVOKED, as is known here: {}\n", output::printable(reason));
        }
        lines
    }
}

fn text(verified: &Verified, here: &Here) -> String {
    let Verified {
        statement,
        publisher,
        fingerprint,
        signed,
    } = verified;
    let lines = statement.capability_lines();
    let lines: String = match lines.is_empty() {
        true => "  nothing\n".to_owned(),
        false => lines
            .iter()
            .map(|line| format!("  {}\n", output::printable(line)))
            .collect(),
    };
    format!(
        "{} {}\n{}\nsha256 {}\nsigned for {} by {signed} of its {} keys, and {} must; until {}\nfingerprint {fingerprint}\n{}\nIt may ask for\n{lines}capabilities {}\n",
        statement.name,
        statement.version,
        output::printable(&statement.description),
        statement.sha256,
        publisher.publisher,
        publisher.keys.len(),
        publisher.threshold,
        output::time(publisher.not_after),
        here.lines(verified),
        statement.capability_hash(),
    )
}
