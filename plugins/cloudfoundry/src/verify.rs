//! Compares what was loaded with what was saved.

use copal_sdk::{Failure, Finding, VerifyRequest};

use crate::config::Config;
use crate::database::{Database, Owner};
use crate::facts;
use crate::pair::{some, stored_survey};
use crate::survey::{Digest, Survey};

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let streams = request.snapshot.require("streams")?;
    // While a foundation is in use, the dump and the survey of a database are of two moments.
    let quiesced = request.facts.get(facts::QUIESCED)?.unwrap_or(false);
    let mut findings = Vec::new();
    for database in [
        Database::uaa(&request.config),
        Database::cc(&request.config),
    ] {
        let owner = database.owner;
        let source = stored_survey(streams, owner)?;
        let capture = request
            .captures
            .iter()
            .find(|capture| capture.step == owner.check());
        let Some(capture) = capture else {
            return Err(Failure::missing(
                "cloudfoundry.check.missing",
                format!("the step `{}` left nothing to compare", owner.check()),
            ));
        };
        let target = Survey::parse(&capture.output, &database.shown())?;
        findings.push(compare_rows(owner, &source, &target, quiesced));
        findings.push(check_keys(owner, &source, &target));
    }
    Ok(findings)
}

/// What is to be said of the rows of a database.
fn compare_rows(owner: Owner, source: &Survey, target: &Survey, quiesced: bool) -> Finding {
    let name = owner.name();
    let loaded = target.digests();
    let differ: Vec<_> = loaded
        .iter()
        .filter_map(|digest| difference(source.digests(), digest))
        .collect();
    if differ.is_empty() {
        let rows: u64 = loaded.iter().map(|digest| digest.rows).sum();
        return Finding::info(
            "cloudfoundry.rows.same",
            format!(
                "{name}: {rows} rows in {} tables are what the source had, by count and digest.",
                loaded.len()
            ),
        );
    }
    let message = format!(
        "{name}: {} of {} tables are not what the source had: {}.",
        differ.len(),
        loaded.len(),
        some(&differ)
    );
    match quiesced {
        true => Finding::error("cloudfoundry.rows.differ", message)
            .remedy("Something wrote to the target meanwhile, or a trigger of its schema changed rows. Keep it stopped, and restore again."),
        false => Finding::warning("cloudfoundry.rows.differ", message)
            .remedy("The source was in use while it was saved, which may be all. Back it up with `quiesce` or `stopped` to be sure."),
    }
}

fn difference(source: &[Digest], loaded: &Digest) -> Option<String> {
    let saved = source.iter().find(|digest| digest.table == loaded.table);
    match saved {
        Some(saved) if saved == loaded => None,
        Some(saved) if saved.rows == loaded.rows => {
            Some(format!("{} (other contents)", loaded.table))
        }
        saved => Some(format!(
            "{} ({} rows instead of {})",
            loaded.table,
            loaded.rows,
            saved.map_or(0, |saved| saved.rows)
        )),
    }
}

/// What is to be said of the foreign keys of a database.
fn check_keys(owner: Owner, source: &Survey, target: &Survey) -> Finding {
    let name = owner.name();
    let broken = target.violations();
    if broken.is_empty() {
        let keys = target.keys.unwrap_or_default();
        return Finding::info(
            "cloudfoundry.keys.hold",
            format!("{name}: {keys} foreign keys hold."),
        );
    }
    let named: Vec<_> = broken
        .iter()
        .map(|broken| format!("{} ({} rows of {})", broken.key, broken.rows, broken.table))
        .collect();
    let message = format!(
        "{name}: rows lead nowhere by the foreign keys {}.",
        some(&named)
    );
    match source.violations() == broken {
        true => Finding::warning("cloudfoundry.keys.broken", message).remedy("They did so in the source already. Remove them there or here."),
        false => Finding::error("cloudfoundry.keys.broken", message)
            .remedy("Rows that the target had of its own, in tables that are new in its release, may be the cause: install it anew, and restore again."),
    }
}
