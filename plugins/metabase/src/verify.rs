//! Checks that a restored Metabase is whole, and ready to be started.

use copal_sdk::{Failure, Finding, Intent, VerifyRequest};

use crate::config::Config;
use crate::inspection::Inspection;
use crate::layout::{DATA, Database};
use crate::preconditions::recorded;
use crate::restore::READ_STEP;

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    if let Some(data) = request.targets.get(DATA)
        && request.config.db_dbname.is_none()
    {
        findings.extend(header(&request.config, data)?);
    }
    let captured = request
        .captures
        .iter()
        .find(|capture| capture.step == READ_STEP);
    let Some(captured) = captured else {
        findings.push(
            Finding::info(
                "metabase.verify.unread",
                "What is in the restored database was not read.",
            )
            .remedy("Set `java`, and `jar` or `h2_jar`, to have it checked."),
        );
        return Ok(findings);
    };
    let Some(now) = Inspection::parse(&captured.output) else {
        findings.push(Finding::error(
            "metabase.verify.database",
            "The restored database has no history of schema changes, so it is none of a Metabase.",
        ));
        return Ok(findings);
    };
    findings.extend(ready(request.intent, &now));
    if let Some(saved) = recorded(&request.snapshot)? {
        findings.extend(compare(&saved, &now));
    }
    if findings.is_empty() {
        let contents: Vec<_> = now
            .contents()
            .iter()
            .filter_map(|(what, count)| count.map(|count| format!("{count} {what}")))
            .collect();
        findings.push(Finding::info(
            "metabase.verify.whole",
            format!(
                "The restored database holds what was saved: {}.",
                contents.join(", ")
            ),
        ));
    }
    Ok(findings)
}

/// The H2 database's file must be there, and closed again.
fn header(config: &Config, data: &dyn copal_sdk::Tree) -> Result<Option<Finding>, Failure> {
    let Some(database) = Database::find(config, data)? else {
        return Ok(Some(Finding::error(
            "metabase.verify.missing",
            "The restored database's file is not there.",
        )));
    };
    let at = format!("{DATA}/{}", database.file());
    Ok(match &database.header {
        Err(error) => Some(
            Finding::error("metabase.verify.header", format!("The restored database can't be read: {error}.")).at(at),
        ),
        Ok(header) if !header.clean => Some(
            Finding::warning("metabase.verify.unclean", "The restored database is not closed: it was not when it was saved, or something has opened it since.").at(at),
        ),
        Ok(_) => None,
    })
}

/// Whether nothing is left in the database of the Metabase that it was saved from.
fn ready(intent: Intent, now: &Inspection) -> Vec<Finding> {
    let mut left = Vec::new();
    let mut note = |there: bool, what: &str| {
        if there {
            left.push(what.to_owned());
        }
    };
    note(now.sessions > 0, "people are logged in");
    note(now.nodes > 0, "its scheduler knows of nodes");
    note(now.fired > 0, "its scheduler is at work");
    note(now.changing > 0, "the lock of its schema is held");
    note(
        now.migrating > 0,
        "a migration to Metabase Cloud is under way",
    );
    note(now.quiesced, "a backup keeps it paused");
    note(now.read_only.is_some(), "it is in read-only mode");
    if intent == Intent::Clone {
        note(now.identity > 0, "it has the identity of the original");
        note(now.unpaused > 0, "its scheduler is not paused");
    }
    let finding = |what: String| {
        Finding::error(
            "metabase.verify.left",
            format!("The restored database is not ready: {what}."),
        )
        .remedy("Restore again. If a Metabase was started on it meanwhile, stop that first.")
    };
    left.into_iter().map(finding).collect()
}

/// Whether the same is in it as was saved.
fn compare(saved: &Inspection, now: &Inspection) -> Vec<Finding> {
    let pairs = saved.contents().into_iter().zip(now.contents());
    let differ = pairs.filter(|(saved, now)| saved.1.is_some() && saved.1 != now.1);
    differ
        .map(|((what, saved), (_, now))| {
            let count = |count: Option<u64>| count.map_or_else(|| "no".to_owned(), |n| n.to_string());
            Finding::warning(
                "metabase.verify.differs",
                format!("{} {what} were saved, and {} are in the restored database.", count(saved), count(now)),
            )
            .remedy("Look whether they are what you expect: somebody may have worked while they were saved.")
        })
        .collect()
}
