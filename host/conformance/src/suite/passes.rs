//! Passes over trees: verdicts.

use std::collections::HashMap;

use copal_sandbox::types::{BackupPlan, Direction, Entry, Kind, SourceContent, Verdict};
use copal_sandbox::{Error, Pass, Tree};

use super::sample::Sample;
use super::{Run, rules};
use crate::error::told;
use crate::filter::content;
use crate::hostile;
use crate::memory::MemoryTree;
use crate::noise::Noise;
use crate::report::Rule;
use crate::saved::{STREAMS, stream_entry};
use crate::walk::{Decided, walk};

/// Files of one tree whose filters are looked at.
const MAX_FILTERED: usize = 12;

/// Bytes of a file whose filter is looked at: each is sent through it many times.
const MAX_CONTENT: u64 = 4 << 20;

/// Entries that are asked about one at a time.
const MAX_SINGLE: usize = 3_000;

impl Run<'_> {
    pub(super) fn passes_of_backup(&mut self, sample: &Sample<'_>, plan: &BackupPlan) {
        self.states(&sample.name, Direction::Backup, &plan.state, &sample.roots);
        for source in &plan.sources {
            match &source.content {
                SourceContent::Tree(root) => {
                    if let Some(tree) = sample.roots.iter().find(|tree| tree.name() == root) {
                        let place = format!("{}, root `{root}`", sample.name);
                        let survived = self.passes(&place, Direction::Backup, &plan.state, tree);
                        if sample.hostile && survived {
                            self.checks.held(&rules::CLASSIFY_SURVIVES);
                        }
                        if sample.case.is_some() {
                            self.hostile_passes(&place, Direction::Backup, &plan.state, root);
                        }
                    }
                }
                SourceContent::Command(stream) if stream.filter => {
                    let content = sample.case.and_then(|case| case.stream(&stream.name));
                    let place = format!("{}, stream `{}`", sample.name, stream.name);
                    self.filter(
                        &place,
                        (Direction::Backup, &plan.state),
                        (STREAMS, &stream_entry(&stream.name)),
                        content.unwrap_or_default(),
                    );
                }
                SourceContent::Command(_) => {}
            }
        }
    }

    /// Files of this error's pass into the rule that it breaks; a failure of the plugin's own breaks none, but for its form.
    pub(super) fn broken_pass(&mut self, place: &str, error: &crate::Error) {
        let rule = match error {
            crate::Error::Plugin(Error::Guest(failure)) => return self.failure(place, failure),
            crate::Error::Clash { .. } => &rules::CLASSIFY_NAMES,
            crate::Error::Plugin(error) => broken(error),
            _ => &rules::PASS_START,
        };
        self.checks.broken(rule, format!("{place}: {error}"));
    }

    /// States that no plan made.
    pub(super) fn states(
        &mut self,
        place: &str,
        direction: Direction,
        state: &[u8],
        trees: &[std::sync::Arc<MemoryTree>],
    ) {
        let half = state.get(..state.len() / 2).unwrap_or_default();
        let states = [
            ("an empty state", Vec::new()),
            ("half a state", half.to_vec()),
            ("a state of bytes without sense", Noise::new(5).bytes(1_000)),
            ("a state of other JSON", br#"{"no":["such"]}"#.to_vec()),
            ("a state of a number", b"7".to_vec()),
        ];
        for (what, state) in states {
            let place = format!("{place}, {what}");
            let started = self.plugin.start_pass(direction, &state);
            let Ok(mut pass) = self.survives(&rules::PASS_STATE, &place, started) else {
                continue;
            };
            for tree in trees {
                match walk(&mut pass, &**tree) {
                    Ok(_) => {}
                    Err(crate::Error::Plugin(Error::Guest(failure))) => {
                        self.failure(&place, &failure);
                    }
                    Err(error) => {
                        let problem = format!("{place}: {error}");
                        self.checks.broken(&rules::PASS_STATE, problem);
                        break;
                    }
                }
            }
        }
    }

    /// A pass that starts from the state of a plan.
    pub(super) fn started(
        &mut self,
        place: &str,
        direction: Direction,
        state: &[u8],
    ) -> Option<Pass> {
        match self.plugin.start_pass(direction, state) {
            Ok(pass) => {
                self.checks.held(&rules::PASS_START);
                Some(pass)
            }
            Err(error) => {
                let problem = format!("{place}: {}", told(&error.into()));
                self.checks.broken(&rules::PASS_START, problem);
                None
            }
        }
    }

    /// A hostile tree through passes that start from the state of a plan for another. Only such a tree shows what `classify` survives.
    pub(super) fn hostile_passes(
        &mut self,
        place: &str,
        direction: Direction,
        state: &[u8],
        root: &str,
    ) {
        let place = format!("{place}, which holds a hostile tree instead");
        if self.passes(&place, direction, state, &hostile::tree(root)) {
            self.checks.held(&rules::CLASSIFY_SURVIVES);
        }
    }

    /// All that can be seen of passes over one tree. Returns whether `classify` answered for all of it, or failed cleanly.
    pub(super) fn passes(
        &mut self,
        place: &str,
        direction: Direction,
        state: &[u8],
        tree: &MemoryTree,
    ) -> bool {
        let Some(mut pass) = self.started(place, direction, state) else {
            return false;
        };
        let decided = match walk(&mut pass, tree) {
            Ok(decided) => decided,
            Err(error) => {
                self.broken_pass(place, &error);
                let failed = matches!(error, crate::Error::Plugin(Error::Guest(_)));
                if failed {
                    let reason = format!("{place}: {}", told(&error));
                    for rule in rules::of_verdicts() {
                        self.checks.skipped(rule, &reason);
                    }
                }
                return failed;
            }
        };
        self.checks.held(&rules::CLASSIFY_TOTAL);
        for decided in &decided {
            let clash = decided.clash();
            self.checks
                .rule(&rules::CLASSIFY_NAMES, clash.is_none(), || {
                    format!("{place}: `{}`", clash.unwrap_or_default())
                });
        }
        self.again(place, &mut pass, tree.name(), &decided, Look::Second);
        if let (Some(mut one), Some(mut other)) = (
            self.started(place, direction, state),
            self.started(place, direction, state),
        ) {
            self.in_turns(place, [&mut one, &mut other], tree.name(), &decided);
        }
        if let Some(mut pass) = self.started(place, direction, state) {
            self.again(place, &mut pass, tree.name(), &decided, Look::Single);
        }
        let finished = pass.finish();
        if let Ok(findings) = self.survives(&rules::PASS_FINISH, place, finished) {
            self.findings(place, &findings);
        }
        self.filters(place, direction, state, tree, &decided);
        true
    }

    /// The same directories once more: whole, or entry by entry.
    fn again(&mut self, place: &str, pass: &mut Pass, root: &str, decided: &[Decided], look: Look) {
        let mut single = 0;
        for directory in decided {
            let (entries, verdicts) = parted(directory);
            let batches: Vec<&[Entry]> = match look {
                Look::Second => vec![&entries],
                // An uneven number, so that what was one batch of many becomes others.
                Look::Single if entries.len() > MAX_SINGLE - single => {
                    entries.chunks(251).collect()
                }
                Look::Single => {
                    single += entries.len();
                    entries.chunks(1).collect()
                }
            };
            let rule = match look {
                Look::Second => &rules::CLASSIFY_STABLE,
                Look::Single => &rules::CLASSIFY_BATCHES,
            };
            let mut answered = Vec::new();
            for batch in batches {
                match pass.classify(root, batch) {
                    Ok(answer) => answered.extend(answer),
                    Err(Error::Guest(failure)) => {
                        let how = look.words();
                        let problem = format!("{place}: {how}, it failed: {}", failure.message);
                        return self.checks.broken(rule, problem);
                    }
                    Err(error) => return self.broken_pass(place, &error.into()),
                }
            }
            let differs = differing(&entries, &verdicts, &answered);
            self.checks.rule(rule, differs.is_none(), || {
                let path = differs.unwrap_or_default();
                format!(
                    "{place}: {}, the verdict on `{path}` is another",
                    look.words()
                )
            });
        }
    }

    /// The directories in the opposite order, two passes taking turns.
    fn in_turns(
        &mut self,
        place: &str,
        mut passes: [&mut Pass; 2],
        root: &str,
        decided: &[Decided],
    ) {
        for directory in decided.iter().rev() {
            passes.reverse();
            let (entries, verdicts) = parted(directory);
            let [pass, _] = &mut passes;
            match pass.classify(root, &entries) {
                Ok(answered) => {
                    let differs = differing(&entries, &verdicts, &answered);
                    self.checks
                        .rule(&rules::CLASSIFY_STABLE, differs.is_none(), || {
                            let path = differs.unwrap_or_default();
                            format!("{place}: in another pass and another order, the verdict on `{path}` is another")
                        });
                }
                Err(Error::Guest(failure)) => {
                    let problem = format!(
                        "{place}: in another pass and another order, it failed: {}",
                        failure.message
                    );
                    return self.checks.broken(&rules::CLASSIFY_STABLE, problem);
                }
                Err(error) => return self.broken_pass(place, &error.into()),
            }
        }
    }

    /// The filters that the pass asks for.
    fn filters(
        &mut self,
        place: &str,
        direction: Direction,
        state: &[u8],
        tree: &MemoryTree,
        decided: &[Decided],
    ) {
        let asked = decided.iter().flat_map(Decided::kept);
        let asked = asked.filter(|(entry, _, change)| entry.kind == Kind::File && change.filter);
        // One of each ending first: those are likely to go through different filters.
        let mut endings: HashMap<&str, usize> = HashMap::new();
        let mut files: Vec<(usize, &Entry)> = asked
            .map(|(entry, ..)| {
                let ending = entry.path.rsplit(['.', '/']).next().unwrap_or_default();
                let seen = endings.entry(ending).or_default();
                *seen += 1;
                (*seen, entry)
            })
            .collect();
        files.sort_by_key(|(seen, _)| *seen);
        for (_, entry) in files.into_iter().take(MAX_FILTERED) {
            let place = format!("{place}, `{}`", entry.path);
            let stored = tree
                .get(&entry.path)
                .map_or(0, |(_, content)| content.len() as u64);
            if stored > MAX_CONTENT {
                self.checks.skipped(
                    &rules::FILTER_CHUNKS,
                    format!("{place} has more than {} MiB", MAX_CONTENT >> 20),
                );
                continue;
            }
            let content = content(tree, &entry.path).unwrap_or_default();
            self.filter(&place, (direction, state), (tree.name(), entry), &content);
        }
    }
}

/// How entries are looked at once more.
#[derive(Clone, Copy)]
enum Look {
    /// As before.
    Second,
    /// One at a time.
    Single,
}

impl Look {
    fn words(self) -> &'static str {
        match self {
            Self::Second => "on a second look",
            Self::Single => "asked one by one",
        }
    }
}

/// The rule that a pass breaks by ending like this.
fn broken(error: &Error) -> &'static Rule {
    match error {
        Error::Contract { call, .. } if *call == "pass.classify" => &rules::CLASSIFY_TOTAL,
        Error::Contract { call, .. } if *call == "filter.members" => &rules::FILTER_MEMBERS,
        Error::Trap { call, .. }
        | Error::Deadline { call, .. }
        | Error::Looking { call, .. }
        | Error::Memory { call, .. }
        | Error::Contract { call, .. } => match *call {
            "pass.start" => &rules::PASS_START,
            "pass.classify" => &rules::CLASSIFY_SURVIVES,
            "pass.finish" => &rules::PASS_FINISH,
            _ => &rules::FILTER_SURVIVES,
        },
        _ => &rules::PASS_START,
    }
}

fn parted(decided: &Decided) -> (Vec<Entry>, Vec<Verdict>) {
    decided.entries.iter().cloned().unzip()
}

/// The path of the first entry whose verdict is another.
fn differing(entries: &[Entry], verdicts: &[Verdict], answered: &[Verdict]) -> Option<String> {
    let mut all = entries.iter().zip(verdicts.iter().zip(answered));
    let differs = all.find(|(_, (before, now))| before != now);
    differs.map(|(entry, _)| entry.path.clone())
}
