//! What the operator adds to a plugin's plan: commands whose output is stored, and commands that read it again. They are the operator's own
//! words, so they need no grant.

use copal_sandbox::types::{
    BackupPlan, Command, Feed, Finding, Fragment, Placement, PlacementContent, RestorePlan,
    Severity, Source, SourceContent, StreamSource, Variable, Window,
};

use crate::error::Error;
use crate::plan::finding;

/// A command whose output is stored as a stream.
#[derive(Clone)]
pub struct OperatorStream {
    /// The stream's name: one name of a file.
    pub name: String,
    /// Whose output it is.
    pub command: Command,
    /// When it is read.
    pub window: Window,
}

/// A command that a stored stream is fed to.
#[derive(Clone)]
pub struct OperatorFeed {
    /// The stream's name.
    pub name: String,
    /// Reads it on its standard input.
    pub command: Command,
}

/// A command of the operator's, word by word: nothing in it is a placeholder. `timeout` is in seconds.
pub fn command(
    argv: &[String],
    environment: impl IntoIterator<Item = (String, Fragment)>,
    timeout: u32,
) -> Command {
    let literal = |text: &str| text.replace('{', "{{").replace('}', "}}");
    let environment = environment.into_iter().map(|(name, value)| {
        let value = match value {
            Fragment::Plain(text) => Fragment::Plain(literal(&text)),
            secret => secret,
        };
        Variable {
            name,
            value: vec![value],
        }
    });
    Command {
        argv: argv.iter().map(|word| literal(word)).collect(),
        environment: environment.collect(),
        stdin: None,
        descriptors: Vec::new(),
        timeout,
    }
}

/// Adds the operator's streams to what the plugin reads.
pub(crate) fn add_streams(plan: &mut BackupPlan, streams: &[OperatorStream]) -> Result<(), Error> {
    for OperatorStream {
        name,
        command,
        window,
    } in streams
    {
        let label = format!("{name} of the operator");
        let taken = |source: &Source| match &source.content {
            SourceContent::Command(stream) => stream.name == *name,
            SourceContent::Tree(_) => source.name == label,
        };
        if plan.sources.iter().any(taken) {
            let problem = format!("there are two streams `{name}`: give yours another name");
            return Err(Error::Streams(problem));
        }
        plan.sources.push(Source {
            name: label,
            after: Vec::new(),
            window: *window,
            content: SourceContent::Command(StreamSource {
                name: name.clone(),
                command: command.clone(),
                filter: false,
            }),
        });
    }
    Ok(())
}

/// Adds the operator's commands to a restore, after what the plugin puts in place; `held` are the operator's streams that the snapshot has.
pub(crate) fn add_feeds(plan: &mut RestorePlan, feeds: &[OperatorFeed], held: &[String]) {
    for OperatorFeed { name, command } in feeds {
        if !held.contains(name) {
            let message =
                format!("The snapshot has no stream `{name}` of yours to feed to a command.");
            plan.findings
                .push(warning("copal.stream.absent", message, None));
            continue;
        }
        plan.placements.push(Placement {
            name: format!("{name} of the operator"),
            after: Vec::new(),
            content: PlacementContent::Feed(Feed {
                name: name.clone(),
                command: command.clone(),
                filter: false,
            }),
        });
    }
    for name in held {
        if !feeds.iter().any(|feed| feed.name == *name) {
            let message = format!("The stream `{name}` of yours is not restored.");
            let remedy = format!(
                "Name a command for it in copal.toml, or take it out with `copal dump SNAPSHOT streams/{name}`."
            );
            plan.findings
                .push(warning("copal.stream.left-out", message, Some(remedy)));
        }
    }
}

fn warning(code: &str, message: String, remedy: Option<String>) -> Finding {
    finding(Severity::Warning, code, message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> OperatorStream {
        OperatorStream {
            name: name.to_owned(),
            command: command(&["dump".to_owned()], [], 60),
            window: Window::Live,
        }
    }

    fn backup() -> BackupPlan {
        BackupPlan {
            findings: Vec::new(),
            facts: Vec::new(),
            quiesce: Vec::new(),
            sources: Vec::new(),
            state: Vec::new(),
        }
    }

    #[test]
    fn nothing_in_an_operators_command_is_a_placeholder() {
        let environment = [("A".to_owned(), Fragment::Plain("{scratch}".to_owned()))];
        let command = command(
            &["echo".to_owned(), "{{.State}}".to_owned()],
            environment,
            1,
        );
        assert_eq!(
            copal_sandbox::placeholder::shown(&command.argv[1]),
            "{{.State}}"
        );
        let [Fragment::Plain(value)] = command.environment[0].value.as_slice() else {
            panic!("{command:?}");
        };
        assert_eq!(copal_sandbox::placeholder::shown(value), "{scratch}");
    }

    #[test]
    fn two_streams_of_one_name_are_refused() {
        let mut plan = backup();
        add_streams(&mut plan, &[stream("a"), stream("b")]).unwrap();
        assert_eq!(plan.sources.len(), 2);
        assert!(add_streams(&mut plan, &[stream("a")]).is_err());
    }

    #[test]
    fn a_feed_without_its_stream_and_a_stream_without_a_feed_are_named() {
        let mut plan = RestorePlan {
            findings: Vec::new(),
            safeguards: Vec::new(),
            before: Vec::new(),
            placements: Vec::new(),
            after: Vec::new(),
            state: Vec::new(),
        };
        let feed = |name: &str| OperatorFeed {
            name: name.to_owned(),
            command: command(&["load".to_owned()], [], 60),
        };
        add_feeds(
            &mut plan,
            &[feed("a"), feed("b")],
            &["b".to_owned(), "c".to_owned()],
        );
        let codes: Vec<_> = plan
            .findings
            .iter()
            .map(|finding| finding.code.as_str())
            .collect();
        assert_eq!(codes, ["copal.stream.absent", "copal.stream.left-out"]);
        assert_eq!(plan.placements.len(), 1);
    }
}
