//! Checks that a restored database holds the snapshot's history, and that its changelog has nothing more.

use std::collections::HashSet;

use copal_sdk::{Failure, Finding, VerifyRequest};

use crate::compare::{self, Severe};
use crate::config::Config;
use crate::history::{History, Survey};
use crate::postgres::Database;
use crate::recorder;
use crate::restore::PENDING_STEP;
use crate::{CHANGELOG, STREAM, STREAMS};

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let config = &request.config;
    let saved = recorder::read(request.snapshot.require(STREAMS)?, STREAM)?;
    let database = Database::of(config)?;
    let survey = Survey::of(&database, config, request.probe)?;
    let now = History::of(&database, config, &survey, request.probe)?;

    let mut findings = kept(&saved, &now);
    if let Some(lock) = now
        .liquibase
        .as_ref()
        .and_then(|liquibase| liquibase.lock.as_ref())
    {
        findings.push(
            Finding::warning("liquibase.verify.lock", format!("The lock of the restored database is held by {}.", lock.shown()))
                .remedy("If the application has been started it may be migrating; otherwise run `liquibase release-locks`."),
        );
    }
    let migrated = request
        .captures
        .iter()
        .any(|capture| capture.step == PENDING_STEP);
    if let Some(tree) = request.targets.get(CHANGELOG) {
        let compared = compare::compare(tree, config, &now)?;
        findings.extend(
            compared.findings(match (migrated, config.allow_unexpected) {
                (true, false) => Severe::Always,
                (true, true) => Severe::Pending,
                (false, false) => Severe::Unexpected,
                (false, true) => Severe::Never,
            }),
        );
    }
    Ok(findings)
}

/// Whether all that the snapshot's history knows is there.
fn kept(saved: &History, now: &History) -> Vec<Finding> {
    let identities = |history: &History| {
        let liquibase = history
            .liquibase
            .iter()
            .flat_map(|liquibase| &liquibase.change_sets);
        let flyway = history.flyway.iter().flat_map(|flyway| &flyway.migrations);
        let sets: HashSet<String> = liquibase
            .map(|ran| ran.shown())
            .chain(
                flyway
                    .map(|installed| format!("{} {}", installed.installed_rank, installed.script)),
            )
            .collect();
        sets
    };
    let (saved, now) = (identities(saved), identities(now));
    let lost: Vec<&str> = saved.difference(&now).map(String::as_str).collect();
    vec![if lost.is_empty() {
        Finding::info(
            "liquibase.verify.history",
            format!(
                "The database holds all {} entries of the snapshot's history, and {} that are new.",
                saved.len(),
                now.len() - saved.len()
            ),
        )
    } else {
        Finding::error(
            "liquibase.verify.lost",
            format!(
                "The database lacks entries of the snapshot's history: {}.",
                compare::some(&lost)
            ),
        )
        .remedy("See what else wrote to the database meanwhile, and restore again.")
    }]
}
