//! `copal plugin verify`: what an operator would be shown of a release, without installing it.

use std::process::ExitCode;

use copal_trust::{Bundle, COMPONENT, Verified};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::describe::{asks, confirm_shape};
use super::export;
use super::install::terms;
use crate::args::VerifyArgs;
use crate::failure::{FAILED, Failure};
use crate::plugins::described;
use crate::session::Session;
use crate::{Outcome, output};

/// What this machine makes of a release.
#[derive(Serialize)]
struct Here {
    /// The version of the publisher's document that is known; none where it is not trusted.
    known: Option<u32>,
    /// Why it would not be installed here, by what is known of its publisher and of the plugin.
    refused: Option<String>,
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
    } else {
        output::print(&text(&verified, &here))?;
    }
    Ok(match here.refused.is_some() || here.revoked.is_some() {
        true => ExitCode::from(FAILED),
        false => ExitCode::SUCCESS,
    })
}

impl Here {
    fn of(verified: &Verified, bundle: &Bundle, session: &Session) -> Result<Self, Failure> {
        let (name, digest) = (&verified.statement.name, &verified.statement.sha256);
        let known = session.trust.publisher(name.publisher())?;
        let refused = match known {
            Some(_) => session.trust.check(bundle, &terms(None, None)?).err(),
            None => None,
        };
        let revoked = session.trust.revoked(name, digest, Some(bundle))?;
        Ok(Self {
            refused: refused.map(|refusal| refusal.to_string()),
            known: known.map(|known| known.document.version),
            revoked: revoked.map(|revocation| revocation.reason),
        })
    }

    fn lines(&self, verified: &Verified) -> String {
        let publisher = &verified.publisher.publisher;
        let mut lines = match (self.known, &self.refused) {
            (None, _) => format!("{publisher} is not trusted here: compare the fingerprint\n"),
            (Some(_), Some(problem)) => format!(
                "IT WOULD BE REFUSED HERE, where {publisher} is trusted: {}\n",
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
    let mut lines = asks(&statement.asks());
    if lines.is_empty() {
        lines = "  nothing\n".to_owned();
    }
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
