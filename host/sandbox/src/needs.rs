//! What the parts of a plan need to be allowed.

use crate::grants::Need;
use crate::types::{
    Action, BackupPlan, Base, Command, Condition, HttpRequest, Location, PlacementContent,
    RestorePlan, Safeguard, SourceContent, Step,
};

/// Something that a plan needs, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What has to be allowed.
    pub need: Need,
    /// The title of the step, or the name of the stream.
    pub by: String,
}

/// What a backup needs.
pub fn of_backup(plan: &BackupPlan) -> Vec<Use> {
    let mut uses = of_steps(&plan.quiesce, &|_| false);
    for source in &plan.sources {
        if let SourceContent::Command(stream) = &source.content {
            uses.push(run(&stream.command, format!("the stream {}", stream.name)));
        }
    }
    uses
}

/// What a restore needs but for its safeguards. Writing into the roots that are `free` needs nothing.
pub fn of_restore(plan: &RestorePlan, free: &dyn Fn(&str) -> bool) -> Vec<Use> {
    let mut uses = of_steps(&plan.before, free);
    for placement in &plan.placements {
        if let PlacementContent::Feed(feed) = &placement.content {
            uses.push(run(&feed.command, format!("the stream {}", feed.name)));
        }
    }
    uses.extend(of_steps(&plan.after, free));
    uses
}

/// What it needs to save what a restore replaces, and to put it back.
pub fn of_safeguards(safeguards: &[Safeguard]) -> Vec<Use> {
    let both = |guard: &Safeguard| {
        let name = &guard.name;
        [
            run(&guard.save, format!("saving {name} before it is replaced")),
            run(
                &guard.put_back,
                format!("putting {name} back in a rollback"),
            ),
        ]
    };
    safeguards.iter().flat_map(both).collect()
}

/// What steps and their undoing need. Writing into the roots that are `free` needs nothing.
pub fn of_steps(steps: &[Step], free: &dyn Fn(&str) -> bool) -> Vec<Use> {
    let mut uses = Vec::new();
    for step in steps {
        for action in std::iter::once(&step.action).chain(&step.undo) {
            of_action(action, &step.title, free, &mut uses);
        }
    }
    uses
}

fn of_action(action: &Action, title: &str, free: &dyn Fn(&str) -> bool, uses: &mut Vec<Use>) {
    let by = || title.to_owned();
    let written = |location: &Location| match &location.base {
        Base::Root(root) if !free(root) => Some(Use {
            need: Need::write(root, &location.path),
            by: by(),
        }),
        _ => None,
    };
    // The validator refuses URLs for which there can be no grant.
    let sent = |request: &HttpRequest| {
        let need = Need::http(request).ok()?;
        Some(Use { need, by: by() })
    };
    match action {
        Action::Run(command) => uses.push(run(command, by())),
        Action::Http(request) => uses.extend(sent(request)),
        Action::Wait(wait) => match &wait.condition {
            Condition::CommandSucceeds(command) => uses.push(run(command, by())),
            Condition::Responds(request) => uses.extend(sent(request)),
        },
        Action::Write(write) => uses.extend(written(&write.to)),
        Action::Copy(copy) => uses.extend(written(&copy.to)),
        Action::Remove(location) => uses.extend(written(location)),
        Action::Rename(rename) => {
            uses.extend(written(&rename.from));
            uses.extend(written(&rename.to));
        }
    }
}

fn run(command: &Command, by: String) -> Use {
    Use {
        need: Need::run(command),
        by,
    }
}
