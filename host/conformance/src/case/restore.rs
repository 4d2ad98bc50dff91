//! How a case has its backup restored.

use std::sync::Arc;

use copal_sandbox::Tree as _;
use copal_sandbox::types::{Fact, Intent, RestoreRequest};
use serde_json::{Map, Value};

use super::Case;
use crate::memory::MemoryTree;
use crate::saved::STREAMS;

impl Case {
    /// Whether what was saved is restored too.
    pub(crate) fn is_restored(&self) -> bool {
        self.manifest.restore.is_some()
    }

    /// The request of the restore of a backup that noted these facts; none where the case restores nothing. `intent` is the plugin's first.
    pub(crate) fn restore_request(
        &self,
        planned: &[Fact],
        snapshot: &[Arc<MemoryTree>],
        intent: Intent,
    ) -> Option<RestoreRequest> {
        let restore = self.manifest.restore.as_ref()?;
        Some(RestoreRequest {
            intent: restore.intent.unwrap_or(intent),
            config: restore.config.as_ref().map_or_else(
                || self.backup_request().config,
                |config| Value::Object(config.clone()).to_string(),
            ),
            now: self.now,
            facts: facts(planned, &restore.facts),
            streams: stream_names(snapshot),
            rehearsal: restore.rehearsal,
        })
    }

    /// The case's targets, and an absent directory for each root of the snapshot that has none.
    pub(crate) fn targets(&self, snapshot: &[Arc<MemoryTree>]) -> Vec<Arc<MemoryTree>> {
        let mut targets = self.targets.clone();
        for tree in snapshot.iter().filter(|tree| tree.name() != STREAMS) {
            let name = tree.name();
            if !targets.iter().any(|target| target.name() == name) {
                let location = format!("/case/targets/{name}");
                targets.push(Arc::new(MemoryTree::new(name, location)));
            }
        }
        targets
    }
}

/// The facts of a plan with the case's own put over them.
fn facts(planned: &[Fact], own: &Map<String, Value>) -> Vec<Fact> {
    let kept = planned.iter().filter(|fact| !own.contains_key(&fact.name));
    let own = own.iter().map(|(name, value)| Fact {
        name: name.clone(),
        value: value.to_string(),
    });
    let mut facts: Vec<_> = kept.cloned().chain(own).collect();
    facts.sort_by(|one, other| one.name.cmp(&other.name));
    facts
}

/// The names of the streams that a snapshot holds.
pub(crate) fn stream_names(snapshot: &[Arc<MemoryTree>]) -> Vec<String> {
    let streams = snapshot.iter().find(|tree| tree.name() == STREAMS);
    let streams = streams.into_iter().flat_map(|tree| tree.iter());
    streams.map(|(entry, _)| entry.path.clone()).collect()
}
