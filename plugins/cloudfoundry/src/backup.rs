//! Plans a backup.

use copal_sdk::{BackupPlan, BackupRequest, Failure, Finding, Source};
use serde_json::json;

use crate::BLOBSTORE;
use crate::blobstore;
use crate::config::Config;
use crate::database::{Database, Owner};
use crate::encryption::{self, Trial};
use crate::facts::{self, KeyCheck};
use crate::quiesce;
use crate::script::Script;
use crate::survey::Survey;

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let (cc, uaa) = (Database::cc(config), Database::uaa(config));
    let (controller, accounts) = (
        cc.look(request.probe, None)?,
        uaa.look(request.probe, None)?,
    );
    for (database, survey) in [(&cc, &controller), (&uaa, &accounts)] {
        refuse_other(database, survey)?;
    }

    let mut plan = BackupPlan::new();
    plan.quiesce.extend(quiesce::steps(config));
    if !quiesce::is_quiesced(config) {
        plan.findings.push(quiesce::warning("saved"));
    }
    for database in [&uaa, &cc] {
        let owner = database.owner;
        plan.sources.extend([
            Source::stream(owner.schema(), database.dump_schema()),
            Source::stream(owner.dump(), database.dump()),
            Source::stream(owner.survey(), database.survey(&Script::Rows)),
        ]);
    }
    match request.roots.get(BLOBSTORE) {
        Some(tree) => {
            let buckets = blobstore::buckets(tree)?;
            if buckets.is_empty() {
                return Err(Failure::missing(
                    "cloudfoundry.blobstore.not-found",
                    format!("{} holds no bucket such as cc-droplets", tree.location()),
                )
                .remedy("give the folder of the buckets, such as /var/vcap/store/shared"));
            }
            plan = plan
                .fact(facts::BLOBSTORE, tree.location())
                .fact(facts::BUCKETS, json!(buckets))
                // Blobs are stored before rows name them, and their rows go before them.
                .source(Source::tree(BLOBSTORE).after([Owner::CloudController.dump()]));
        }
        None => plan.findings.push(
            Finding::warning(
                "cloudfoundry.blobstore.none",
                "The blobstore is not saved: without its droplets and packages no app starts.",
            )
            .remedy("Give its folder as the root `blobstore`, or save it in another way."),
        ),
    }
    key(&mut plan, config, &controller);
    identity(&mut plan, config, &controller, &accounts);
    let newest = |survey: &Survey| survey.migrations().last().cloned();
    Ok(plan
        .fact(
            facts::MIGRATIONS,
            json!({"ccdb": newest(&controller), "uaadb": newest(&accounts)}),
        )
        .fact(
            facts::SERVERS,
            json!({"ccdb": controller.server, "uaadb": accounts.server}),
        )
        .fact(
            facts::SURVEYS,
            json!({"ccdb": controller.without_sealed(), "uaadb": accounts.without_sealed()}),
        )
        .fact(facts::QUIESCED, quiesce::is_quiesced(config)))
}

/// Refuses a database that is not the one that it is taken for.
pub(crate) fn refuse_other(database: &Database<'_>, survey: &Survey) -> Result<(), Failure> {
    let tables: &[&str] = match database.owner {
        Owner::CloudController => &["organizations", "spaces", "domains", "apps"],
        Owner::Uaa => &["identity_zone", "oauth_client_details", "users"],
    };
    match tables.iter().find(|table| survey.table(table).is_none()) {
        None => Ok(()),
        Some(table) => Err(Failure::unsupported(
            "cloudfoundry.database.other",
            format!(
                "the database {} has no table `{table}`, so it is not {}'s",
                database.shown(),
                match database.owner {
                    Owner::CloudController => "the Cloud Controller",
                    Owner::Uaa => "UAA",
                }
            ),
        )
        .remedy("set `ccdb` and `uaadb` to the names of the two databases")),
    }
}

/// Records how the encryption key can be told, and says what is known of it.
fn key(plan: &mut BackupPlan, config: &Config, survey: &Survey) {
    let encrypted = survey.sealed().next().is_some();
    plan.findings.extend(labelled(survey));
    let mut record = |name: &str, value: serde_json::Value| {
        plan.facts.push(copal_sdk::Fact::new(name, value));
    };
    record(facts::ENCRYPTED, encrypted.into());
    let Some(key) = &config.db_encryption_key else {
        if encrypted {
            plan.findings.push(
                Finding::warning("cloudfoundry.key.unproven", "The database holds encrypted values, and nothing proves that their key is kept.")
                    .remedy("Set `db_encryption_key`, which is checked and not stored, and keep it apart from the backup: nothing opens those values without it."),
            );
        }
        return;
    };
    let salt = survey.domains().join(" ");
    let value = encryption::check_value(&key.0, &salt);
    record(facts::KEY_CHECK, json!(KeyCheck { salt, value }));
    if encryption::try_key(&key.0, survey) == Trial::Fails {
        plan.findings.push(
            Finding::error("cloudfoundry.key.wrong", "`db_encryption_key` does not open what this Cloud Controller has encrypted.")
                .remedy("Take it from the manifest that this foundation was deployed with: properties.cc.db_encryption_key."),
        );
    }
}

/// What is said where values are encrypted by keys that `db_encryption_key` is not.
pub(crate) fn labelled(survey: &Survey) -> Option<Finding> {
    survey.sealed().any(encryption::is_labelled).then(|| {
        Finding::warning("cloudfoundry.key.labelled", "Some values are encrypted by keys that have labels, which can't be tried.")
            .remedy("See that the target has the same keys under the same labels in cc.database_encryption.")
    })
}

/// Records whose foundation it is.
fn identity(plan: &mut BackupPlan, config: &Config, controller: &Survey, accounts: &Survey) {
    let domains = controller.domains();
    let mut record = |name: &str, value: serde_json::Value| {
        plan.facts.push(copal_sdk::Fact::new(name, value));
    };
    record(facts::DOMAINS, json!(domains));
    if let Some(admin) = accounts.admins().first() {
        record(facts::ADMIN, admin.id.clone().into());
    }
    if let Some(domain) = &config.system_domain {
        record(facts::SYSTEM_DOMAIN, domain.clone().into());
        if !domains.contains(domain) {
            plan.findings.push(
                Finding::error(
                    "cloudfoundry.domain.unknown",
                    format!(
                        "`system_domain` is {domain}, but the shared domains are {}.",
                        domains.join(", ")
                    ),
                )
                .remedy("See that `ccdb` is this foundation's database."),
            );
        }
    }
    if accounts.admins().is_empty() {
        plan.findings.push(
            Finding::warning(
                "cloudfoundry.admin.none",
                "UAA has no user `admin` of its own.",
            )
            .remedy("See that somebody can log in to a foundation restored from this."),
        );
    }
}
