//! Builders for steps: the actions of a plan.

pub use crate::bindings::copal::plugin::plan::{
    Action, Base, Condition, CopyEntry, HttpRequest, Location, RenameEntry, Step, WaitUntil,
    WriteFile,
};
use crate::command::text;
use crate::{Command, Fragment, Variable};

impl Step {
    /// A step without undo. `id` is lower-case letters, digits and `-`, unique within the plan; `title` says what the step does as a person would.
    ///
    /// ```
    /// use copal_sdk::{Command, HttpRequest, Location, Step, WaitUntil, WriteFile};
    ///
    /// let pause = HttpRequest::new("POST", "http://127.0.0.1:8080/pause").expect([204]);
    /// let resume = HttpRequest::new("POST", "http://127.0.0.1:8080/resume").expect([204]);
    /// let quiesce = [
    ///     Step::new("pause", "Pause the queue", pause).undo(resume),
    ///     Step::new(
    ///         "drained",
    ///         "Wait until the queue is empty",
    ///         WaitUntil::new(Command::new(["wikictl", "queue", "--is-empty"]), 2, 120),
    ///     ),
    /// ];
    /// let after = Step::new(
    ///     "address",
    ///     "Write the new address",
    ///     WriteFile::new(Location::root("home", "conf/address"), ["https://wiki.example.org"]),
    /// );
    /// assert_eq!(quiesce.len(), 2);
    /// assert!(quiesce[0].undo.is_some() && after.undo.is_none());
    /// ```
    pub fn new(id: impl Into<String>, title: impl Into<String>, action: impl Into<Action>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            action: action.into(),
            undo: None,
            capture: false,
        }
    }

    /// What takes the step back. Must be harmless where there is nothing to undo, and hold no secret.
    #[must_use]
    pub fn undo(mut self, action: impl Into<Action>) -> Self {
        self.undo = Some(action.into());
        self
    }

    /// Keeps what the command or request answers, for `verify`.
    #[must_use]
    pub fn captured(mut self) -> Self {
        self.capture = true;
        self
    }
}

impl From<Command> for Action {
    fn from(command: Command) -> Self {
        Self::Run(command)
    }
}

impl From<WriteFile> for Action {
    fn from(write: WriteFile) -> Self {
        Self::Write(write)
    }
}

impl From<CopyEntry> for Action {
    fn from(copy: CopyEntry) -> Self {
        Self::Copy(copy)
    }
}

impl From<RenameEntry> for Action {
    fn from(rename: RenameEntry) -> Self {
        Self::Rename(rename)
    }
}

impl From<HttpRequest> for Action {
    fn from(request: HttpRequest) -> Self {
        Self::Http(request)
    }
}

impl From<WaitUntil> for Action {
    fn from(wait: WaitUntil) -> Self {
        Self::Wait(wait)
    }
}

impl Location {
    /// A path within a root.
    pub fn root(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            base: Base::Root(name.into()),
            path: path.into(),
        }
    }

    /// A path within the job's scratch folder.
    pub fn scratch(path: impl Into<String>) -> Self {
        Self {
            base: Base::Scratch,
            path: path.into(),
        }
    }
}

impl WriteFile {
    /// Writes `content` to `to`, with the permissions of the file that it replaces, or 0o600.
    pub fn new<F: Into<Fragment>>(to: Location, content: impl IntoIterator<Item = F>) -> Self {
        Self {
            to,
            content: text(content),
            mode: None,
        }
    }

    /// Sets the permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }
}

impl HttpRequest {
    /// A request without headers or body, given a minute.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            expect: Vec::new(),
            timeout: 60,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header<F: Into<Fragment>>(
        mut self,
        name: impl Into<String>,
        value: impl IntoIterator<Item = F>,
    ) -> Self {
        self.headers.push(Variable {
            name: name.into(),
            value: text(value),
        });
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body<F: Into<Fragment>>(mut self, fragments: impl IntoIterator<Item = F>) -> Self {
        self.body = Some(text(fragments));
        self
    }

    /// Takes these status codes for success, instead of 200 to 299.
    #[must_use]
    pub fn expect(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
        self.expect = codes.into_iter().collect();
        self
    }

    /// Seconds after which it counts as failed: 1 to 604,800.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = seconds;
        self
    }
}

impl WaitUntil {
    /// Looks every `interval` seconds (1 to 3,600), for at most `timeout` seconds (1 to 604,800).
    pub fn new(condition: impl Into<Condition>, interval: u32, timeout: u32) -> Self {
        Self {
            condition: condition.into(),
            interval,
            timeout,
        }
    }
}

impl From<Command> for Condition {
    fn from(command: Command) -> Self {
        Self::CommandSucceeds(command)
    }
}

impl From<HttpRequest> for Condition {
    fn from(request: HttpRequest) -> Self {
        Self::Responds(request)
    }
}
