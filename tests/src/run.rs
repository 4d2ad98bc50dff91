//! Starting a program, waiting for it with a limit, and judging what it did.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

/// No test waits longer than this for a program, unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(180);

/// A program about to run, with nothing inherited but what is set here.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// A program with an empty environment and input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env_clear().process_group(0);
        Self {
            command,
            input: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Waits as long as this for the program's end.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets variables.
    pub fn envs<V: AsRef<OsStr>>(
        mut self,
        variables: impl IntoIterator<Item = (String, V)>,
    ) -> Self {
        self.command.envs(variables);
        self
    }

    /// Takes a variable away.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory.
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets what the program reads on its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// The same surroundings for a line of shell.
    pub fn through_shell(self, line: &str) -> Self {
        let mut shell = self.surroundings("/bin/sh");
        shell.args(["-c", line]);
        Self {
            command: shell,
            input: self.input,
            limit: self.limit,
        }
    }

    /// The same program without the superuser's right to read what permissions forbid, so that a file of mode 0 is unreadable to it
    /// whoever runs the tests.
    pub fn bound_by_permissions(self) -> Self {
        if !crate::programs::is_root() {
            return self;
        }
        let (input, limit) = (self.input.clone(), self.limit);
        let arguments = ["--bounding-set=-dac_override,-dac_read_search"];
        Self {
            command: self.behind("setpriv", arguments),
            input,
            limit,
        }
    }

    /// The same program by a clock that is ahead by so many days, or says that it can't be had without faketime. The times of files are real.
    pub fn days_ahead(self, days: u32) -> Option<Self> {
        crate::programs::require("faketime", "faketime")?;
        // The program `faketime` would be another process than the one that a test signals.
        let library = "/usr/$LIB/faketime/libfaketimeMT.so.1";
        let program = self.env("LD_PRELOAD", library);
        let program = program.env("FAKETIME", format!("+{days}d"));
        Some(program.env("NO_FAKE_STAT", "1"))
    }

    /// The same program as the last arguments of another, which is to run it.
    pub(crate) fn behind<const N: usize>(self, program: &str, arguments: [&str; N]) -> Command {
        let mut command = self.surroundings(program);
        command
            .args(arguments)
            .arg(self.command.get_program())
            .args(self.command.get_args());
        command
    }

    /// Another program with the same variables and working directory.
    fn surroundings(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().process_group(0);
        for (name, value) in self.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(directory) = self.command.get_current_dir() {
            command.current_dir(directory);
        }
        command
    }

    /// Starts the program.
    pub fn start(mut self) -> Running {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{:?} can't be started: {error}", self.command.get_program())
            });
        let mut stdin = child.stdin.take();
        if let Some(mut pipe) = stdin.take_if(|_| !self.input.is_empty()) {
            // A program that does not want its input closes the pipe: its own affair.
            std::thread::spawn(move || pipe.write_all(&self.input));
        }
        let (lines, received) = channel();
        Running {
            stdout: Some(collect(child.stdout.take().unwrap(), None)),
            stderr: Some(collect(child.stderr.take().unwrap(), Some(lines))),
            errors: received,
            stdin,
            what: describe(&self.command),
            started: Instant::now(),
            limit: self.limit,
            peak: 0,
            child,
        }
    }

    /// Runs the program to its end.
    pub fn run(self) -> Outcome {
        let mut running = self.start();
        running.close_input();
        running.wait()
    }
}

/// The command line, for messages.
fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect::<Vec<_>>()
        .join(OsStr::new(" "))
        .to_string_lossy()
        .into_owned()
}

/// Reads a pipe to its end on a thread of its own, handing on whole lines where someone asked for them.
fn collect(
    mut pipe: impl Read + Send + 'static,
    lines: Option<std::sync::mpsc::Sender<String>>,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut handed_on = 0;
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            while let (Some(lines), Some(length)) = (
                &lines,
                all[handed_on..].iter().position(|byte| *byte == b'\n'),
            ) {
                // Nobody listening any more is no reason to stop collecting.
                let _ = lines.send(
                    String::from_utf8_lossy(&all[handed_on..handed_on + length]).into_owned(),
                );
                handed_on += length + 1;
            }
        }
        all
    })
}

/// A program that runs. Dropping it kills it and its children.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    errors: Receiver<String>,
    what: String,
    started: Instant,
    limit: Duration,
    peak: u64,
}

impl Running {
    /// Sends bytes to the program's standard input, which stays open.
    pub fn send(&mut self, bytes: &[u8]) {
        let pipe = self.stdin.as_mut().expect("the input is open");
        pipe.write_all(bytes).expect("the program reads its input");
        pipe.flush().expect("the program reads its input");
    }

    /// Ends the program's standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits until the program writes a line that contains `text` to its standard error.
    pub fn wait_for_error_line(&self, text: &str) {
        loop {
            match self.errors.recv_timeout(LIMIT) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(_) => panic!("{} never wrote {text:?} to its standard error", self.what),
            }
        }
    }

    /// Sends a signal to the program alone, not to its children.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the program still runs");
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end.
    pub fn wait(mut self) -> Outcome {
        let status = loop {
            self.look_at_memory();
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                self.started.elapsed() < self.limit,
                "{} has not ended in {:?}",
                self.what,
                self.limit
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        // Children that outlive their parent hold the pipes open.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        Outcome {
            status,
            stdout: self.stdout.take().unwrap().join().unwrap(),
            stderr: String::from_utf8_lossy(&self.stderr.take().unwrap().join().unwrap())
                .into_owned(),
            what: self.what.clone(),
            peak: self.peak,
        }
    }

    /// Notes the most memory that the program has had so far.
    fn look_at_memory(&mut self) {
        // proc_pid_status(5). Of one that has ended there is nothing to read.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes =
            peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
        self.peak = self.peak.max(kibibytes.unwrap_or(0) << 10);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a finished program left.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
    /// The most memory that it had, in bytes, as far as it was seen while it ran.
    pub peak: u64,
    pub(crate) what: String,
}

impl Outcome {
    /// Fails the test unless the program exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\nsignal: {:?}\nstdout: {}\nstderr: {}",
            self.what,
            self.status.signal(),
            self.text(),
            self.stderr,
        );
        self
    }

    /// Fails the test unless the program exited with 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless the standard error contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{} does not say {text:?}\nstdout: {}\nstderr: {}",
            self.what,
            self.text(),
            self.stderr
        );
        self
    }

    /// The standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{}: no JSON document: {error}\n{}\n{}",
                self.what,
                self.text(),
                self.stderr
            )
        })
    }

    /// The `error` object that a failed command with `--json` leaves as the last line of its standard error.
    #[track_caller]
    pub fn error(&self) -> Value {
        let line = self.stderr.trim_end().lines().last().unwrap_or_default();
        let document: Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{}: no error document: {error}\n{}", self.what, self.stderr)
        });
        document["error"].clone()
    }
}

/// Joins words to the arguments of a program.
pub fn words<'a>(text: &'a str) -> impl Iterator<Item = OsString> + 'a {
    text.split_whitespace().map(OsString::from)
}
