//! Restores by what nobody expects: facts, snapshots and targets that no backup of the plugin made.

use std::sync::Arc;

use copal_sandbox::Tree as _;
use copal_sandbox::types::{Fact, RestoreRequest};

use super::Run;
use super::restores::{Backup, of_roots};
use super::sample::Sample;
use crate::hostile;
use crate::memory::MemoryTree;

/// Values of facts, each with what it is.
const VALUES: [(&str, &str); 4] = [
    ("null", "null"),
    ("text", "\"\\u0000x\""),
    ("lists", "[[{}]]"),
    ("numbers", "-1e308"),
];

impl Run<'_> {
    /// Restores of snapshots, into targets and by facts that nobody expects.
    pub(super) fn odd_restores(
        &mut self,
        sample: &Sample<'_>,
        backup: &Backup,
        targets: &[Arc<MemoryTree>],
    ) {
        let bare = |make: &dyn Fn(&str) -> MemoryTree| {
            backup.other(
                of_roots(&backup.snapshot, make),
                RestoreRequest {
                    streams: Vec::new(),
                    ..backup.request.clone()
                },
            )
        };
        let with = |facts: Vec<Fact>| {
            let request = RestoreRequest {
                facts,
                ..backup.request.clone()
            };
            backup.other(backup.snapshot.clone(), request)
        };
        let same = || with(backup.request.facts.clone());
        let beside = self.beside(targets);
        let hostile = of_roots(&backup.snapshot, hostile::tree);
        let mut odd = vec![
            ("into a hostile tree".to_owned(), same(), &*hostile),
            ("beside empty roots to look at".to_owned(), same(), &*beside),
            (
                "of an empty snapshot".to_owned(),
                bare(&|root| MemoryTree::new(root, "")),
                targets,
            ),
            (
                "of a hostile snapshot".to_owned(),
                bare(&|root| hostile::tree(root).named(root, "")),
                targets,
            ),
            ("without facts".to_owned(), with(Vec::new()), targets),
        ];
        let nested = String::from_utf8(hostile::nested_lists()).unwrap_or_default();
        for (what, value) in VALUES.into_iter().chain([("lists in lists", &*nested)]) {
            let facts = backup.request.facts.iter().map(|fact| Fact {
                name: fact.name.clone(),
                value: value.to_owned(),
            });
            odd.push((
                format!("with facts of {what}"),
                with(facts.collect()),
                targets,
            ));
        }
        for (what, backup, targets) in odd {
            let place = format!("{}, a restore {what}", sample.name);
            let _ = self.restore_planned(&place, sample, &backup, targets, &backup.request);
            self.verify(&place, sample, targets, &backup.snapshot, &backup.request);
        }
    }

    /// These targets, and an empty one for each further root of the plugin that can be given beside them. A snapshot holds none of those, so a restore
    /// may look at them and not more.
    fn beside(&self, targets: &[Arc<MemoryTree>]) -> Vec<Arc<MemoryTree>> {
        let mut all = targets.to_vec();
        for root in &self.description.roots {
            let excluded = all.iter().any(|other| {
                let other = other.name();
                let specs = self.description.roots.iter();
                let mut others = specs.filter(|spec| spec.name == other);
                root.name == other
                    || root.conflicts.iter().any(|name| name == other)
                    || others.any(|spec| spec.conflicts.contains(&root.name))
            });
            if !excluded {
                let location = format!("/beside/{}", root.name);
                all.push(Arc::new(MemoryTree::new(&root.name, location)));
            }
        }
        all
    }
}
