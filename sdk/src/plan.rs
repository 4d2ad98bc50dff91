//! Builders for plans.

use serde::Serialize;
use serde_json::Value;

pub use crate::bindings::copal::plugin::plan::{
    BackupPlan, Fact, Feed, Placement, PlacementContent, RestorePlan, Safeguard, Source,
    SourceContent, StreamSource, Window,
};
use crate::{Command, Failure, Finding, Step, Trees};

fn encode(state: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(state).map_err(|error| {
        Failure::internal(
            "sdk.state.encode",
            format!("the plan's state can't be written as JSON: {error}"),
        )
    })
}

fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

impl BackupPlan {
    /// A plan that reads all roots, while the application is quiesced.
    pub fn whole(roots: &Trees) -> Self {
        roots.iter().fold(Self::new(), |plan, root| {
            plan.source(Source::tree(root.name()))
        })
    }

    /// A plan that does nothing yet.
    ///
    /// ```
    /// use copal_sdk::{BackupPlan, Command, Finding, Source, Step};
    ///
    /// let stop = Step::new("stop", "Stop the wiki", Command::new(["systemctl", "stop", "wiki.service"]))
    ///     .undo(Command::new(["systemctl", "start", "wiki.service"]));
    /// let dump = Command::new(["pg_dump", "--format=custom", "wiki"]).timeout(3_600);
    /// let plan = BackupPlan::new()
    ///     .finding(Finding::info("wiki.version", "This is wiki 2.4.1."))
    ///     .fact("version", "2.4.1")
    ///     .quiesce(stop)
    ///     .source(Source::stream("wiki.dump", dump))
    ///     .source(Source::tree("home").after(["wiki.dump"]));
    /// assert_eq!(plan.sources.len(), 2);
    /// ```
    #[expect(clippy::new_without_default, reason = "one way to begin a plan")]
    pub fn new() -> Self {
        Self {
            findings: Vec::new(),
            facts: Vec::new(),
            quiesce: Vec::new(),
            sources: Vec::new(),
            state: Vec::new(),
        }
    }

    /// Reports a finding; one of severity `error` keeps the host from carrying the plan out.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Records what a later restore needs to know. The name is camelCase; the value never a secret.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.facts.push(Fact::new(name, value));
        self
    }

    /// Adds a step that comes before the quiesced sources; its undo is the thaw.
    #[must_use]
    pub fn quiesce(mut self, step: Step) -> Self {
        self.quiesce.push(step);
        self
    }

    /// Adds something to read.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// The [state](crate::Pass::State) that every pass of this backup starts from. At most 1 MiB as JSON. Without times, random numbers and the like:
    /// where it is another than in the last backup, all filters run again. Nor may it hold a secret that can be guessed, since the snapshot keeps its
    /// SHA-256.
    pub fn state(mut self, state: &impl Serialize) -> Result<Self, Failure> {
        self.state = encode(state)?;
        Ok(self)
    }
}

impl RestorePlan {
    /// A plan that puts the trees of a snapshot in their places: those for which there is a target. The host names the others.
    pub fn whole(snapshot: &Trees, targets: &Trees) -> Self {
        let placed = snapshot
            .iter()
            .filter(|root| targets.get(&root.name()).is_some());
        placed.fold(Self::new(), |plan, root| {
            plan.placement(Placement::tree(root.name()))
        })
    }

    /// A plan that does nothing yet.
    ///
    /// ```
    /// use copal_sdk::{Command, Placement, RestorePlan, Safeguard, Step};
    ///
    /// let load = || Command::new(["pg_restore", "--clean", "--single-transaction", "--dbname", "wiki"]);
    /// let plan = RestorePlan::new()
    ///     .safeguard(Safeguard::new("wiki.dump", Command::new(["pg_dump", "--format=custom", "wiki"]), load()))
    ///     .before(
    ///         Step::new("stop", "Stop the wiki", Command::new(["systemctl", "stop", "wiki.service"]))
    ///             .undo(Command::new(["systemctl", "start", "wiki.service"])),
    ///     )
    ///     .placement(Placement::tree("home"))
    ///     .placement(Placement::feed("wiki.dump", load()).after(["home"]));
    /// assert_eq!(plan.placements.len(), 2);
    /// ```
    #[expect(clippy::new_without_default, reason = "one way to begin a plan")]
    pub fn new() -> Self {
        Self {
            findings: Vec::new(),
            safeguards: Vec::new(),
            before: Vec::new(),
            placements: Vec::new(),
            after: Vec::new(),
            state: Vec::new(),
        }
    }

    /// Reports a finding; one of severity `error` keeps the host from carrying the plan out.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Says how to save something outside the targets' directories that this restore replaces.
    #[must_use]
    pub fn safeguard(mut self, safeguard: Safeguard) -> Self {
        self.safeguards.push(safeguard);
        self
    }

    /// Adds a step that comes before the placements; its undo comes last of all, whatever happens. It makes the application hold still or
    /// checks something: what alters the target belongs [after](Self::after) the placements, because the target is saved between the two.
    #[must_use]
    pub fn before(mut self, step: Step) -> Self {
        self.before.push(step);
        self
    }

    /// Adds something to put in place.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placements.push(placement);
        self
    }

    /// Adds a step that comes after the placements.
    #[must_use]
    pub fn after(mut self, step: Step) -> Self {
        self.after.push(step);
        self
    }

    /// The [state](crate::Pass::State) that every pass of this restore starts from. At most 1 MiB as JSON.
    pub fn state(mut self, state: &impl Serialize) -> Result<Self, Failure> {
        self.state = encode(state)?;
        Ok(self)
    }
}

impl Fact {
    /// A fact of a camelCase name and any JSON value, never a secret.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            value: value.into().to_string(),
        }
    }
}

impl Safeguard {
    /// What `save` writes is stored under `name`; `put_back` reads it on its standard input, and leaves what there was and nothing else.
    pub fn new(name: impl Into<String>, save: Command, put_back: Command) -> Self {
        Self {
            name: name.into(),
            save,
            put_back,
        }
    }
}

impl Source {
    fn new(name: String, content: SourceContent) -> Self {
        Self {
            name,
            after: Vec::new(),
            window: Window::Quiesced,
            content,
        }
    }

    /// Reads the root `name` through the plan's passes, while the application is quiesced.
    pub fn tree(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::new(name.clone(), SourceContent::Tree(name))
    }

    /// Stores a command's output as the stream `name`, while the application is quiesced.
    pub fn stream(name: impl Into<String>, command: Command) -> Self {
        let name = name.into();
        let stream = StreamSource {
            name: name.clone(),
            command,
            filter: false,
        };
        Self::new(name, SourceContent::Command(stream))
    }

    /// Sends a stream through the plan's passes, with the root `streams` and the stream's name as its path. A tree always goes through them.
    #[must_use]
    pub fn filtered(mut self) -> Self {
        if let SourceContent::Command(stream) = &mut self.content {
            stream.filter = true;
        }
        self
    }

    /// Reads it after thaw, while the application runs again.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.window = Window::Live;
        self
    }

    /// Names the sources that must be finished first.
    #[must_use]
    pub fn after<S: Into<String>>(mut self, sources: impl IntoIterator<Item = S>) -> Self {
        self.after = strings(sources);
        self
    }
}

impl Placement {
    fn new(name: String, content: PlacementContent) -> Self {
        Self {
            name,
            after: Vec::new(),
            content,
        }
    }

    /// Puts the snapshot's tree of the root `name` through the plan's passes into the target of that name.
    pub fn tree(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::new(name.clone(), PlacementContent::Tree(name))
    }

    /// Feeds the stream `name` to a command's standard input.
    pub fn feed(name: impl Into<String>, command: Command) -> Self {
        let name = name.into();
        let feed = Feed {
            name: name.clone(),
            command,
            filter: false,
        };
        Self::new(name, PlacementContent::Feed(feed))
    }

    /// Sends a stream through the plan's passes first. A tree always goes through them.
    #[must_use]
    pub fn filtered(mut self) -> Self {
        if let PlacementContent::Feed(feed) = &mut self.content {
            feed.filter = true;
        }
        self
    }

    /// Names the placements that must be finished first.
    #[must_use]
    pub fn after<S: Into<String>>(mut self, placements: impl IntoIterator<Item = S>) -> Self {
        self.after = strings(placements);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Facts;

    #[test]
    fn facts_come_back_as_they_were_recorded() {
        let plan = BackupPlan::new()
            .fact("installId", "a\"b")
            .fact("format", 2)
            .fact("paths", json!({"home": ["x"]}));
        let facts = Facts::from(plan.facts);
        assert_eq!(facts.require::<String>("installId").unwrap(), "a\"b");
        assert_eq!(facts.get::<u8>("format").unwrap(), Some(2));
        assert_eq!(facts.get::<u8>("none").unwrap(), None);
        assert_eq!(
            facts.require::<u8>("installId").unwrap_err().code,
            "sdk.fact.shape"
        );
        assert_eq!(
            facts.require::<u8>("none").unwrap_err().code,
            "sdk.fact.missing"
        );
    }

    #[test]
    fn what_a_source_says_of_itself_reaches_the_plan() {
        let dump = Source::stream("db.sql", Command::new(["dump"])).filtered();
        let tree = Source::tree("home").live().after(["db.sql"]);
        let plan = BackupPlan::new().source(dump).source(tree);
        let [dump, tree] = &plan.sources[..] else {
            panic!("two sources");
        };
        assert!(matches!(
            &dump.content,
            SourceContent::Command(stream) if stream.filter && stream.name == "db.sql"
        ));
        assert_eq!((dump.window, tree.window), (Window::Quiesced, Window::Live));
        assert_eq!(tree.after, ["db.sql"]);
    }
}
