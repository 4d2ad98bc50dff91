//! What a plugin proposes for a restore, held against what the operator allows.

use std::sync::Arc;

use copal_sandbox::types::{Fact, Intent, RestorePlan, RestoreRequest};
use copal_sandbox::{Directory, Grants, Plugin, Tree, needs};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::convert;
use crate::error::Error;
use crate::places::Root;
use crate::plan::{self, Needed, Needs};
use crate::probe::GrantedProbe;
use crate::restore::Extent;
use crate::settings::{Schema, Settings};

/// What there is to restore.
pub(crate) struct Offer {
    /// The trees that the plugin sees.
    pub(crate) trees: Vec<Arc<dyn Tree>>,
    /// What the backup noted.
    pub(crate) facts: Vec<Fact>,
    /// The names of the streams.
    pub(crate) streams: Vec<String>,
}

/// How the operator wants it.
pub(crate) struct Terms<'a> {
    pub(crate) intent: Option<Intent>,
    pub(crate) settings: &'a Settings,
    pub(crate) grants: &'a Grants,
    pub(crate) rehearsal: bool,
    /// Whether what is replaced is saved first.
    pub(crate) safety: bool,
    /// How much is restored.
    pub(crate) extent: &'a Extent,
}

/// A plan and what it needs.
pub(crate) struct Proposal {
    pub(crate) intent: Intent,
    /// The configuration as the plugin got it.
    pub(crate) settings: String,
    /// The same without secrets.
    pub(crate) config: Map<String, Value>,
    pub(crate) plan: RestorePlan,
    pub(crate) grants: Vec<Needed>,
}

/// Asks the plugin how it would restore into `targets`; what is `looked_at` it may read.
pub(crate) fn propose(
    plugin: &Plugin,
    offer: Offer,
    targets: &[Root],
    looked_at: &[Root],
    terms: &Terms<'_>,
    context: &Context,
) -> Result<Proposal, Error> {
    let description = plugin.describe()?;
    let intent = terms
        .intent
        .or(description.intents.first().copied())
        .unwrap_or(Intent::Recover);
    if !description.intents.contains(&intent) {
        let problem = format!(
            "{} does not know the intent `{}`",
            description.name,
            intent_word(intent)
        );
        return Err(Error::Roots(problem));
    }
    let schema = Schema::parse(&description.config_schema)?;
    let settings = schema.settings(terms.settings)?;
    let roots = [targets, looked_at].concat();
    let probe = Arc::new(GrantedProbe::new(
        terms.grants.clone(),
        &roots,
        context.cancel.clone(),
    ));
    let request = RestoreRequest {
        intent,
        config: Value::Object(settings.clone()).to_string(),
        now: convert::contract_time(Timestamp::now()),
        facts: offer.facts,
        streams: offer.streams,
        rehearsal: terms.rehearsal,
    };
    let config = request.config.clone();
    let ceiling = plugin.ceiling(&config)?;
    let planned = plugin.plan_restore(directories(&roots)?, offer.trees, probe.clone(), request);
    let mut plan = plan::after_probes(planned, &probe, &ceiling)?;
    terms.extent.trim(&mut plan, intent);
    let mut needs = Needs::new(terms.grants, &ceiling);
    // What is filled may be written to.
    let free = |root: &str| targets.iter().any(|target| target.name == root);
    needs.add(needs::of_restore(&plan, &free))?;
    if terms.safety {
        needs.add(needs::of_safeguards(&plan.safeguards))?;
    }
    Ok(Proposal {
        intent,
        config: schema.redact(&settings, terms.settings),
        settings: config,
        grants: needs.list(&probe)?,
        plan,
    })
}

/// The directories as the plugin sees them.
pub(crate) fn directories(roots: &[Root]) -> Result<Vec<Arc<dyn Tree>>, Error> {
    let open = |root: &Root| match Directory::open(&root.name, &root.path) {
        Ok(directory) => Ok(Arc::new(directory) as Arc<dyn Tree>),
        Err(failure) => Err(Error::Plugin(failure.into())),
    };
    roots.iter().map(open).collect()
}

/// An intent as the operator writes it.
pub fn intent_word(intent: Intent) -> &'static str {
    match intent {
        Intent::Recover => "recover",
        Intent::Migrate => "migrate",
        Intent::Clone => "clone",
    }
}
