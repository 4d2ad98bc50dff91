//! Commands that the operator has run around a job's work, without a shell.

use std::sync::Arc;

use copal_sandbox::types::Fragment;

use crate::context::Context;
use crate::error::Error;
use crate::operator::command;
use crate::places::Places;
use crate::process;

/// Lists of commands, each a program with its arguments.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Run first; where one fails, nothing else of the job is done.
    pub before: Vec<Vec<String>>,
    /// Run after work that succeeded completely.
    pub after: Vec<Vec<String>>,
    /// Run after work that failed, was refused or is incomplete, and where a `before` failed.
    pub failed: Vec<Vec<String>>,
    /// Run last in any case.
    pub finally: Vec<Vec<String>>,
    /// Seconds that each command may take.
    pub timeout: u32,
}

/// What the hooks after the work are told of it.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Whether everything was done that was to be done.
    pub complete: bool,
    /// The snapshot that was made or restored, in full.
    pub snapshot: Option<String>,
}

/// How work between its hooks ended.
#[derive(Debug)]
pub struct Around<T, E> {
    /// How the work itself ended.
    pub work: Result<T, E>,
    /// The hooks after it that failed.
    pub hooks: Vec<Error>,
}

impl Hooks {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        [&self.before, &self.after, &self.failed, &self.finally]
            .iter()
            .all(|commands| commands.is_empty())
    }

    /// Does the work between its hooks; `say` hears the name of each that begins. Each is told `COPAL_JOB`, `COPAL_OPERATION` and, after the work, `COPAL_STATUS` (`succeeded`,
    /// `incomplete` or `failed`) and `COPAL_SNAPSHOT`, empty where there is none.
    pub fn around<T, E: From<Error>>(
        &self,
        job: &str,
        operation: &str,
        context: &Context,
        say: &dyn Fn(&str),
        work: impl FnOnce() -> Result<T, E>,
        ended: impl FnOnce(&T) -> Ended,
    ) -> Around<T, E> {
        let about = [("COPAL_JOB", job), ("COPAL_OPERATION", operation)];
        let run = |hook, argv: &[String], more: &[(&str, &str)], cancel: &Arc<_>| {
            say(hook);
            let variables = about.iter().chain(more);
            let variables = variables
                .map(|(name, value)| ((*name).to_owned(), Fragment::Plain((*value).to_owned())));
            let command = command(argv, variables, self.timeout);
            let done = process::run_checked(&command, &Places::default(), cancel);
            done.map(drop)
                .map_err(|source| Error::Hook { hook, source })
        };
        let before = self
            .before
            .iter()
            .try_for_each(|argv| run("before", argv, &[], &context.cancel));
        let work = before.map_err(E::from).and_then(|()| work());
        let (status, ended, then) = match work.as_ref().ok().map(ended) {
            Some(ended) if ended.complete => ("succeeded", ended, ("after", &self.after)),
            Some(ended) => ("incomplete", ended, ("failed", &self.failed)),
            None => ("failed", Ended::default(), ("failed", &self.failed)),
        };
        let snapshot = ended.snapshot.unwrap_or_default();
        let more = [
            ("COPAL_STATUS", status),
            ("COPAL_SNAPSHOT", snapshot.as_str()),
        ];
        // An interrupt ends the work, not what is told of it. One that fails does not keep the others from running.
        let undisturbed = Arc::default();
        let hooks = [then, ("finally", &self.finally)].into_iter();
        let hooks =
            hooks.flat_map(|(hook, commands)| commands.iter().map(move |argv| (hook, argv)));
        let hooks = hooks.filter_map(|(hook, argv)| run(hook, argv, &more, &undisturbed).err());
        Around {
            hooks: hooks.collect(),
            work,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use copal_repository::Identity;
    use copal_sandbox::{Grant, Plugin};

    use super::*;
    use crate::authority::{Authority, Refusal, Release, Use};
    use crate::manifest::PluginIdentity;

    /// Hooks have no plugin to ask about.
    #[derive(Debug)]
    struct Nobody;

    impl Authority for Nobody {
        fn admit(&self, _: &PluginIdentity, _: Release, _: Use) -> Result<Release, Refusal> {
            unreachable!("a hook asked about a plugin")
        }

        fn allowed(&self, _: &Plugin) -> Result<Vec<Grant>, Refusal> {
            unreachable!("a hook asked about a plugin")
        }
    }

    /// Hooks that each add a line with what they are told to a file.
    fn hooks(file: &Path) -> Hooks {
        let line = |hook: &str| {
            let script = format!(
                "echo {hook} $COPAL_JOB $COPAL_OPERATION $COPAL_STATUS $COPAL_SNAPSHOT >> {}",
                file.display()
            );
            vec![["sh", "-c", &script].map(str::to_owned).to_vec()]
        };
        Hooks {
            before: line("before"),
            after: line("after"),
            failed: line("failed"),
            finally: line("finally"),
            timeout: 60,
        }
    }

    /// What the hooks wrote, and what failed.
    fn run(
        change: impl FnOnce(&mut Hooks),
        work: Result<Ended, Error>,
    ) -> (Vec<String>, usize, bool) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lines");
        let mut hooks = hooks(&file);
        change(&mut hooks);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let context = Context {
            runtime: runtime.handle().clone(),
            state: directory.path().to_owned(),
            cancel: Arc::default(),
            identity: Identity::of_this_process(),
            program: String::new(),
            authority: Arc::new(Nobody),
        };
        let around = hooks.around("j", "backup", &context, &|_| (), || work, Clone::clone);
        let lines = std::fs::read_to_string(file).unwrap_or_default();
        (
            lines.lines().map(str::to_owned).collect(),
            around.hooks.len(),
            around.work.is_ok(),
        )
    }

    fn ended(complete: bool) -> Result<Ended, Error> {
        let snapshot = Some("abc".to_owned());
        Ok(Ended { complete, snapshot })
    }

    #[test]
    fn hooks_run_around_the_work_and_are_told_how_it_ended() {
        let (lines, failures, done) = run(|_| {}, ended(true));
        let expected = [
            "before j backup",
            "after j backup succeeded abc",
            "finally j backup succeeded abc",
        ];
        assert_eq!(
            (lines, failures, done),
            (expected.map(str::to_owned).to_vec(), 0, true)
        );
        let (lines, ..) = run(|_| {}, ended(false));
        assert_eq!(lines[1], "failed j backup incomplete abc");
        let (lines, _, done) = run(|_| {}, Err(Error::interrupted()));
        assert_eq!(
            lines[1..],
            ["failed j backup failed", "finally j backup failed"]
        );
        assert!(!done);
    }

    #[test]
    fn a_before_that_fails_stops_the_job_and_the_rest_is_told() {
        let fail = |hooks: &mut Hooks| hooks.before.insert(0, vec!["false".to_owned()]);
        let (lines, _, done) = run(fail, ended(true));
        assert_eq!(lines, ["failed j backup failed", "finally j backup failed"]);
        assert!(!done);
    }

    #[test]
    fn a_hook_that_fails_afterwards_is_reported_and_stops_no_other() {
        let fail = |hooks: &mut Hooks| hooks.after.insert(0, vec!["false".to_owned()]);
        let (lines, failures, done) = run(fail, ended(true));
        assert_eq!((lines.len(), failures, done), (3, 1, true));
    }
}
