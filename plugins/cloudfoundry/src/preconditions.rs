//! Whether the target is to the source what a restore needs: the same domain, key and administrator.

use copal_sdk::{Failure, Finding, Intent, RestorePlan, RestoreRequest};

use crate::backup::labelled;
use crate::config::{Buildpacks, Config};
use crate::encryption::{self, Trial};
use crate::facts::{self, KeyCheck};
use crate::pair::{Pair, some};

/// Checks that the target is the same foundation to its users: the same domain.
pub(crate) fn domain(
    request: &RestoreRequest<'_, Config>,
    cc: &Pair<'_>,
    plan: &mut RestorePlan,
) -> Result<(), Failure> {
    if cc.is_bare() {
        return Ok(());
    }
    let (source, target) = (cc.source.domains(), cc.target.domains());
    let named: Option<String> = match &request.config.system_domain {
        Some(domain) => Some(domain.clone()),
        None => request.facts.get(facts::SYSTEM_DOMAIN)?,
    };
    if !is_same(named.as_deref(), source, target) {
        let named = named
            .map(|domain| format!("; the system domain is {domain}"))
            .unwrap_or_default();
        plan.findings.push(
            Finding::error(
                "cloudfoundry.domain.differs",
                format!("The snapshot's shared domains are {}, the target's {}{named}.", source.join(", "), target.join(", ")),
            )
            .remedy("Deploy the target with the source's system domain: routes, tokens and the blobstore's buckets are named after it."),
        );
        return Ok(());
    }
    let lost: Vec<_> = target
        .iter()
        .filter(|domain| !source.contains(domain))
        .cloned()
        .collect();
    if !lost.is_empty() {
        plan.findings.push(
            Finding::warning("cloudfoundry.domain.lost", format!("The target's shared domains {} are not in the snapshot, and go.", some(&lost)))
                .remedy("Make them again with `cf create-shared-domain` where the target's release needs them."),
        );
    }
    Ok(())
}

/// Whether the target serves the system domain: the one that was `named`, else the first of the source's, which its installation made. Domains for
/// containers, such as `apps.internal`, are the same everywhere.
fn is_same(named: Option<&str>, source: &[String], target: &[String]) -> bool {
    let has = |domains: &[String], wanted: &str| domains.iter().any(|domain| domain == wanted);
    let first = || source.iter().find(|domain| !domain.ends_with(".internal"));
    named
        .or_else(|| first().map(String::as_str))
        .is_some_and(|domain| has(source, domain) && has(target, domain))
}

/// Checks that the target opens what the source has encrypted.
pub(crate) fn key(
    request: &RestoreRequest<'_, Config>,
    cc: &Pair<'_>,
    plan: &mut RestorePlan,
) -> Result<(), Failure> {
    plan.findings.extend(labelled(&cc.source));
    let Some(key) = &request.config.db_encryption_key else {
        if request.facts.get(facts::ENCRYPTED)? == Some(true) {
            let message = "The snapshot holds encrypted values, and nothing proves that the target has their key.";
            let found = match request.intent == Intent::Migrate && !request.rehearsal {
                true => Finding::error("cloudfoundry.key.needed", message),
                false => Finding::warning("cloudfoundry.key.needed", message),
            };
            plan.findings.push(found.remedy(
                "Set `db_encryption_key` to the target's, which is tried and stored nowhere.",
            ));
        }
        return Ok(());
    };
    let check: Option<KeyCheck> = request.facts.get(facts::KEY_CHECK)?;
    let proven = check.map(|check| encryption::check_value(&key.0, &check.salt) == check.value);
    if proven == Some(false) || encryption::try_key(&key.0, &cc.source) == Trial::Fails {
        plan.findings.push(
            Finding::error("cloudfoundry.key.differs", "`db_encryption_key` does not open what the source has encrypted: apps would lose their environment, brokers their passwords.")
                .remedy("Deploy the target with the source's db_encryption_key."),
        );
    }
    match encryption::try_key(&key.0, &cc.target) {
        Trial::Opens => {}
        Trial::Fails => plan.findings.push(
            Finding::error("cloudfoundry.key.target", "`db_encryption_key` is not the target's: it does not open what the target has encrypted.")
                .remedy("Deploy the target with the source's db_encryption_key, and give that."),
        ),
        Trial::Nothing => plan.findings.push(
            Finding::info("cloudfoundry.key.untried", "The target has encrypted nothing yet, so that `db_encryption_key` is its own is taken on trust."),
        ),
    }
    Ok(())
}

/// Checks that there is an administrator on both sides.
pub(crate) fn admin(uaa: &Pair<'_>, plan: &mut RestorePlan) {
    if uaa.source.admins().is_empty() {
        plan.findings.push(
            Finding::error("cloudfoundry.admin.source", "The snapshot's UAA has no user `admin` of its own, so nobody could administer the target.")
                .remedy("Make one in the source, and back it up again."),
        );
    } else if uaa.target.admins().is_empty() && !uaa.is_bare() {
        plan.findings.push(
            Finding::error("cloudfoundry.admin.target", "The target's UAA has no user `admin` of its own, so it is not installed completely.")
                .remedy("Deploy the target with the source's administrator and password, and start it once."),
        );
    }
}

/// Names the buildpacks that the target does not have, where its own are kept.
pub(crate) fn buildpacks(
    request: &RestoreRequest<'_, Config>,
    cc: &Pair<'_>,
    plan: &mut RestorePlan,
) {
    if request.config.buildpacks() == Buildpacks::Source || cc.is_bare() {
        return;
    }
    let there = cc.target.buildpacks();
    let lost: Vec<_> = cc
        .source
        .buildpacks()
        .iter()
        .filter(|name| !there.contains(name))
        .cloned()
        .collect();
    if !lost.is_empty() {
        plan.findings.push(
            Finding::warning(
                "cloudfoundry.buildpacks.lost",
                format!(
                    "The target keeps its own buildpacks, and does not have {}.",
                    some(&lost)
                ),
            )
            .remedy("Upload them with `cf create-buildpack`, or set `buildpacks=source`."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_domain_is_the_one_named_or_the_sources_first() {
        let same = |named, source: &[&str], target: &[&str]| {
            let domains = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let (source, target): (Vec<_>, Vec<_>) = (domains(source), domains(target));
            is_same(named, &source, &target)
        };
        let source = ["apps.internal", "a.example", "shared.example"];
        assert!(same(None, &source, &["a.example"]));
        assert!(!same(
            None,
            &source,
            &["b.example", "apps.internal", "shared.example"]
        ));
        assert!(same(Some("shared.example"), &source, &["shared.example"]));
        assert!(!same(Some("b.example"), &source, &["b.example"]));
        assert!(!same(None, &["apps.internal"], &["apps.internal"]));
        assert!(!same(None, &[], &[]));
    }
}
