//! What a plan would have done, held against what the plugin declares.

use copal_sandbox::grants::command_words;
use copal_sandbox::types::{
    Action, Base, Command, Condition, Description, HttpRequest, Location, Step,
};
use copal_sandbox::{Grant, Grants};

/// The grants that the steps and commands need and that no capability covers. Writing into a target needs no grant.
pub(crate) fn undeclared(
    description: &Description,
    steps: &[Step],
    commands: &[&Command],
    targets: &[&str],
) -> Vec<String> {
    let declared = description.capabilities.iter();
    let declared = declared.filter_map(|capability| capability.grant.parse::<Grant>().ok());
    let mut needs = Needs {
        declared: declared.collect(),
        targets,
        undeclared: Vec::new(),
    };
    for command in commands {
        needs.command(command);
    }
    for action in steps
        .iter()
        .flat_map(|step| std::iter::once(&step.action).chain(&step.undo))
    {
        needs.action(action);
    }
    needs.undeclared
}

struct Needs<'a> {
    declared: Grants,
    targets: &'a [&'a str],
    undeclared: Vec<String>,
}

impl Needs<'_> {
    fn action(&mut self, action: &Action) {
        match action {
            Action::Run(command) => self.command(command),
            Action::Http(request) => self.http(request),
            Action::Wait(wait) => match &wait.condition {
                Condition::CommandSucceeds(command) => self.command(command),
                Condition::Responds(request) => self.http(request),
            },
            Action::Write(write) => self.location(&write.to),
            Action::Copy(copy) => self.location(&copy.to),
            Action::Remove(location) => self.location(location),
            Action::Rename(rename) => {
                self.location(&rename.from);
                self.location(&rename.to);
            }
        }
    }

    fn command(&mut self, command: &Command) {
        let words = command_words(command);
        if !self.declared.allows_command(&words) {
            self.undeclared.push(Grant::for_command(&words).to_string());
        }
    }

    fn http(&mut self, request: &HttpRequest) {
        let (method, url) = (&request.method, &request.url);
        if !self.declared.allows_http(method, url)
            && let Some(grant) = Grant::for_http(method, url)
        {
            self.undeclared.push(grant.to_string());
        }
    }

    fn location(&mut self, location: &Location) {
        let Base::Root(root) = &location.base else {
            return;
        };
        let (root, path) = (root.as_str(), location.path.as_str());
        if !self.targets.contains(&root) && !self.declared.allows_write(root, path) {
            self.undeclared.push(Grant::for_write(root, path).to_string());
        }
    }
}
