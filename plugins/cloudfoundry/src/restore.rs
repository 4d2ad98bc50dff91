//! Plans a restore: checks first, then the blobstore, UAA's database and the Cloud Controller's, in this order.

use copal_sdk::{Failure, Finding, Placement, RestorePlan, RestoreRequest, Safeguard, Step};

use crate::blobstore::Buckets;
use crate::config::Config;
use crate::database::Database;
use crate::pair::Pair;
use crate::pass::Placing;
use crate::preconditions;
use crate::quiesce;
use crate::script::Script;
use crate::{BLOBSTORE, Loading};

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    let config = &request.config;
    config.check()?;
    let mut plan = RestorePlan::new();
    let mut uaa = Pair::new(request, Database::uaa(config))?;
    let mut cc = Pair::new(request, Database::cc(config))?;
    uaa.prepare(request, &mut plan)?;
    cc.prepare(request, &mut plan)?;
    preconditions::domain(request, &cc, &mut plan)?;
    preconditions::key(request, &cc, &mut plan)?;
    preconditions::admin(&uaa, &mut plan);
    preconditions::buildpacks(request, &cc, &mut plan);

    if !request.rehearsal {
        plan.before.extend(quiesce::steps(config));
        if !quiesce::is_quiesced(config) {
            plan.findings.push(quiesce::warning("restored"));
        }
    }
    let mut placing = Placing::default();
    if let (Some(source), Some(_)) = (
        request.snapshot.get(BLOBSTORE),
        request.targets.get(BLOBSTORE),
    ) {
        let (buckets, findings) = Buckets::plan(request, source, cc.source.domains())?;
        placing.buckets = buckets;
        plan.findings.extend(findings);
        plan.placements.push(Placement::tree(BLOBSTORE));
    }
    for pair in [&uaa, &cc] {
        load(pair, &mut plan, &mut placing);
    }
    if !uaa.is_bare() {
        plan.findings.push(
            Finding::info("cloudfoundry.admin.password", "The target's administrator has the source's password afterwards, as all users have.")
                .remedy("Restart the Cloud Controller and UAA, then log in and look at the apps."),
        );
    }
    plan.state(&Some(placing))
}

/// Adds what loads a database, and what compares it afterwards.
fn load(pair: &Pair<'_>, plan: &mut RestorePlan, placing: &mut Placing) {
    let database = &pair.database;
    let owner = database.owner;
    let mut feed = |stream: &str, loading: Loading| {
        let before = plan
            .placements
            .last()
            .map(|placement| placement.name.clone());
        plan.placements.push(
            Placement::feed(stream, database.load())
                .filtered()
                .after(before),
        );
        placing.streams.insert(stream.to_owned(), loading);
    };
    if pair.is_bare() {
        let loading = Loading {
            schema: true,
            ..Loading::default()
        };
        feed(owner.schema(), loading);
    }
    feed(owner.dump(), pair.loading.clone());
    if !pair.is_bare() {
        let name = format!("{}.dump", owner.name());
        plan.safeguards
            .push(Safeguard::new(name, database.save(), database.put_back()));
    }
    let loaded = pair.loaded().map(|table| {
        let columns = table.columns.iter().map(|column| column.name.clone());
        (table.name.clone(), columns.collect())
    });
    let survey = database.survey(&Script::RowsOf(loaded.collect()));
    let title = format!(
        "Compare the rows of {} with the snapshot's, and check its foreign keys",
        database.shown()
    );
    plan.after
        .push(Step::new(owner.check(), title, survey).captured());
}
