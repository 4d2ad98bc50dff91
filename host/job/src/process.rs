//! Running a plugin's commands: without a shell, in a clean environment, for a bounded time.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use copal_sandbox::types::{Command, Fragment, Output, Text};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::places::{PlaceError, Places};

pub(crate) mod descriptors;
mod started;

pub(crate) use self::started::Started;

/// What the host passes on from its own environment; nothing else reaches a command.
const PASSED_ON: &[&str] = &["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"];
const STDOUT_LIMIT: usize = 1 << 20;
const STDERR_LIMIT: usize = 64 << 10;
/// How long a command may go on after it was asked to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long a finished command's output is waited for: a daemon that it started may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);

/// Why a command did not come to its own end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A placeholder could not be put in.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The program could not be started.
    #[error("can't start `{program}`: {source}")]
    Start {
        /// The first word of the command.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It ran longer than the plan allows.
    #[error("`{program}` was ended after its timeout of {seconds} s")]
    Timeout {
        /// The first word of the command.
        program: String,
        /// The plan's limit.
        seconds: u32,
    },
    /// The operator interrupted the job.
    #[error("`{0}` was ended because the job was interrupted")]
    Interrupted(String),
    /// It ended, but not well.
    #[error("`{program}` ended with exit code {code}{}", tail(.stderr))]
    Failed {
        /// The first word of the command.
        program: String,
        /// Its exit code; 128 + N where signal N ended it.
        code: i32,
        /// The end of what it wrote to its standard error.
        stderr: String,
    },
    /// Its pipes failed.
    #[error("the pipe of `{program}` failed: {source}")]
    Pipe {
        /// The first word of the command.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}

/// Who may end a command early, and who is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Supervisor<'a> {
    /// Set when the operator interrupts the work.
    pub(crate) cancel: &'a Arc<AtomicBool>,
    /// None where nobody would look for the command later.
    pub(crate) witness: Option<&'a dyn Witness>,
    /// Whether the command is to come to its own end also where the work has come to its own before.
    pub(crate) lasts: bool,
}

impl<'a> From<&'a Arc<AtomicBool>> for Supervisor<'a> {
    fn from(cancel: &'a Arc<AtomicBool>) -> Self {
        Self {
            cancel,
            witness: None,
            lasts: false,
        }
    }
}

/// Keeps in mind which commands were started, beyond the end of this process.
pub(crate) trait Witness {
    /// The command runs now.
    fn started(&self, command: Started);
}

/// Runs a command to its end and keeps a bounded part of its output. A non-zero exit code is not an error here.
pub(crate) fn run<'a>(
    command: &Command,
    places: &Places,
    supervisor: impl Into<Supervisor<'a>>,
) -> Result<Output, ProcessError> {
    let mut running = Running::start(command, places, supervisor.into(), Mode::Read)?;
    let stdout = running
        .child
        .stdout
        .take()
        .map(|pipe| Collector::start(pipe, STDOUT_LIMIT, Keep::First));
    let code = running.finish()?;
    let (stdout, truncated) = stdout.map(Collector::take).unwrap_or_default();
    Ok(Output {
        code,
        stdout,
        stderr: running.stderr().into_bytes(),
        truncated,
    })
}

/// Runs a command that must exit with 0.
pub(crate) fn run_checked<'a>(
    command: &Command,
    places: &Places,
    supervisor: impl Into<Supervisor<'a>>,
) -> Result<Output, ProcessError> {
    let output = run(command, places, supervisor)?;
    if output.code == 0 {
        return Ok(output);
    }
    let stderr = printable_tail(&String::from_utf8_lossy(&output.stderr));
    Err(ProcessError::Failed {
        program: program(command),
        code: output.code,
        stderr,
    })
}

/// Starts a command whose standard output is read as a stream. Reading its end waits for the command, and fails unless it exited with 0.
pub(crate) fn stream(
    command: &Command,
    places: &Places,
    supervisor: Supervisor<'_>,
) -> Result<impl Read + Send + use<>, ProcessError> {
    Ok(StreamReader {
        running: Running::start(command, places, supervisor, Mode::Read)?,
        ended: false,
    })
}

/// Starts a command and lets `write` fill its standard input; it must then exit with 0.
///
/// `write` gets a broken pipe when the command ends early; the command's own failure is then what is reported.
pub(crate) fn feed<E: From<ProcessError>>(
    command: &Command,
    places: &Places,
    supervisor: Supervisor<'_>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let mut running = Running::start(command, places, supervisor, Mode::Write)?;
    let mut stdin = running.child.stdin.take();
    let written = match &mut stdin {
        Some(stdin) => write(stdin),
        None => Ok(()),
    };
    if written.is_err() && !running.ends_within(GRACE) {
        // What could not be written is the cause. The command still waits for more, and must be gone before its input ends: to many, such as
        // psql, an end says that what came so far is to be kept.
        running.end();
        running.finish().ok();
        return written;
    }
    drop(stdin);
    running.succeed()?;
    written
}

fn program(command: &Command) -> String {
    command.argv.first().cloned().unwrap_or_default()
}

/// The text with its secrets, for the eyes alone of a file, a request, or a command with so many descriptors.
pub(crate) fn reveal(
    text: &Text,
    places: &Places,
    descriptors: usize,
) -> Result<Vec<u8>, PlaceError> {
    let mut out = Vec::new();
    for fragment in text {
        match fragment {
            Fragment::Plain(text) => {
                out.extend_from_slice(places.expand(text, descriptors)?.as_bytes());
            }
            // A secret stands for itself: a brace in a password is no placeholder.
            Fragment::Secret(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
    Ok(out)
}

/// The last lines of what a command wrote, without control characters.
fn printable_tail(text: &str) -> String {
    let text = text.trim_end();
    let start = text.char_indices().rev().nth(999).map_or(0, |(at, _)| at);
    text[start..]
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect()
}

const RUNNING: u8 = 0;
const TIMED_OUT: u8 = 1;
const INTERRUPTED: u8 = 2;

/// The secrets that a command is given.
fn secrets(command: &Command) -> Vec<String> {
    let values = command.environment.iter().map(|variable| &variable.value);
    let texts = values.chain(&command.stdin).chain(&command.descriptors);
    let fragments = texts.flatten();
    let secret = |fragment: &Fragment| match fragment {
        Fragment::Secret(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    fragments.filter_map(secret).collect()
}

/// What the caller does with a command's pipes.
enum Mode {
    /// Reads its standard output; its standard input is what the plan says.
    Read,
    /// Writes its standard input; its standard output is dropped.
    Write,
}

/// A started command with its watchdog, which ends the whole process group when time is up or the job is interrupted.
struct Running {
    child: Child,
    program: String,
    timeout: u32,
    stderr: Option<Collector>,
    ended_by: Arc<AtomicU8>,
    /// Must not be repeated from what the command says.
    secrets: Vec<String>,
    watchdog: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Running {
    fn start(
        command: &Command,
        places: &Places,
        supervisor: Supervisor<'_>,
        mode: Mode,
    ) -> Result<Self, ProcessError> {
        let count = command.descriptors.len();
        let words: Vec<_> = command
            .argv
            .iter()
            .map(|word| places.expand(word, count))
            .collect::<Result<_, _>>()?;
        let (program_path, arguments) = words.split_first().ok_or_else(|| ProcessError::Start {
            program: String::new(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"),
        })?;
        let stdin = command
            .stdin
            .as_ref()
            .map(|text| reveal(text, places, count))
            .transpose()?;
        let contents = command.descriptors.iter();
        let contents: Vec<_> = contents
            .map(|text| reveal(text, places, count))
            .collect::<Result<_, _>>()?;
        let (stdin_pipe, stdout) = match mode {
            Mode::Read => (stdin.is_some(), Stdio::piped()),
            Mode::Write => (true, Stdio::null()),
        };
        let mut builder = std::process::Command::new(program_path);
        builder
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .process_group(0);
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                builder.env(name, value);
            }
        }
        for variable in &command.environment {
            let value = reveal(&variable.value, places, count)?;
            builder.env(&variable.name, OsStr::from_bytes(&value));
        }
        builder
            .stdin(if stdin_pipe {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = descriptors::hand_over(&mut builder, &contents)
            .and_then(|()| builder.spawn())
            .map_err(|source| ProcessError::Start {
                program: program(command),
                source,
            })?;
        if let Some(witness) = supervisor.witness
            && let Some(started) = Started::now(child.id(), command.timeout, supervisor.lasts)
        {
            witness.started(started);
        }
        if let Some(bytes) = stdin
            && let Some(mut pipe) = child.stdin.take()
        {
            // A command may end without reading all of it; its exit code tells whether that was right. Nobody waits for this
            // thread: a daemon that the command leaves behind may hold the pipe.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stderr = child
            .stderr
            .take()
            .map(|pipe: ChildStderr| Collector::start(pipe, STDERR_LIMIT, Keep::Last));
        let ended_by = Arc::new(AtomicU8::new(RUNNING));
        let watchdog = watch(
            &child,
            command.timeout,
            supervisor.cancel.clone(),
            ended_by.clone(),
        );
        Ok(Self {
            child,
            program: program(command),
            timeout: command.timeout,
            stderr,
            ended_by,
            watchdog: Some(watchdog),
            secrets: secrets(command),
        })
    }
}

impl Running {
    /// Whether the command comes to its end within this time.
    fn ends_within(&self, time: Duration) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) else {
            return true;
        };
        let limit = Instant::now() + time;
        while matches!(waitid(WaitId::Pid(pid), options), Ok(None)) {
            if Instant::now() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Asks the command to end now.
    fn end(&self) {
        signal_group(&self.child, Signal::TERM);
    }

    /// Waits for the end and gives the exit code.
    fn finish(&mut self) -> Result<i32, ProcessError> {
        // The process is waited for without being reaped first, so that the watchdog can't signal a stranger that got its number.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                waitid(WaitId::Pid(pid), options),
                Err(rustix::io::Errno::INTR)
            ) {}
        }
        if let Some((stop, thread)) = self.watchdog.take() {
            drop(stop);
            thread.join().ok();
        }
        if self.ended_by.load(Ordering::Acquire) != RUNNING {
            // The program may be gone and a child of it not. The number is still taken by the one not yet reaped.
            signal_group(&self.child, Signal::KILL);
        }
        let pipe_error = |source| ProcessError::Pipe {
            program: self.program.clone(),
            source,
        };
        let status = self.child.wait().map_err(pipe_error)?;
        match self.ended_by.load(Ordering::Acquire) {
            TIMED_OUT => Err(ProcessError::Timeout {
                program: self.program.clone(),
                seconds: self.timeout,
            }),
            INTERRUPTED => Err(ProcessError::Interrupted(self.program.clone())),
            _ => Ok(exit_code(status)),
        }
    }

    /// Waits for the end, which must be exit code 0.
    fn succeed(&mut self) -> Result<(), ProcessError> {
        match self.finish()? {
            0 => Ok(()),
            code => {
                let stderr = printable_tail(&self.stderr());
                Err(ProcessError::Failed {
                    program: self.program.clone(),
                    code,
                    stderr,
                })
            }
        }
    }

    /// The end of what the command wrote to its standard error, without its secrets.
    fn stderr(&mut self) -> String {
        let (bytes, _) = self.stderr.take().map(Collector::take).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.watchdog.is_some() {
            signal_group(&self.child, Signal::KILL);
            self.finish().ok();
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // A group that is gone needs no signal.
        kill_process_group(group, signal).ok();
    }
}

/// Ends the process group at the deadline or at the operator's interrupt; stops when the sender is dropped.
fn watch(
    child: &Child,
    timeout: u32,
    cancel: Arc<AtomicBool>,
    ended_by: Arc<AtomicU8>,
) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel::<()>();
    let group = Pid::from_raw(child.id().cast_signed());
    let deadline = Instant::now() + Duration::from_secs(u64::from(timeout));
    let thread = std::thread::spawn(move || {
        let mut kill_at = None;
        while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            let signal = match kill_at {
                Some(at) if now >= at => Signal::KILL,
                Some(_) => continue,
                None if cancel.load(Ordering::Relaxed) => {
                    ended_by.store(INTERRUPTED, Ordering::Release);
                    Signal::TERM
                }
                None if now >= deadline => {
                    ended_by.store(TIMED_OUT, Ordering::Release);
                    Signal::TERM
                }
                None => continue,
            };
            kill_at = Some(now + GRACE);
            if let Some(group) = group {
                kill_process_group(group, signal).ok();
            }
        }
    });
    (stop, thread)
}

/// Reads a pipe to its end on a thread of its own and keeps the first bytes or the last.
struct Collector {
    kept: Arc<Mutex<(Vec<u8>, bool)>>,
    done: mpsc::Receiver<()>,
}

/// Which part of a long output is kept.
#[derive(Clone, Copy)]
enum Keep {
    First,
    Last,
}

impl Collector {
    fn start(mut pipe: impl Read + Send + 'static, limit: usize, keep: Keep) -> Self {
        let kept = Arc::new(Mutex::new((Vec::new(), false)));
        let (finished, done) = mpsc::channel();
        let shared = kept.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let surplus = (kept.0.len() + length).saturating_sub(limit);
                kept.1 |= surplus > 0;
                match keep {
                    Keep::First => kept
                        .0
                        .extend_from_slice(&buffer[..length - surplus.min(length)]),
                    Keep::Last => {
                        kept.0.extend_from_slice(&buffer[..length]);
                        kept.0.drain(..surplus);
                    }
                }
            }
            drop(finished);
        });
        Self { kept, done }
    }

    /// What came, and whether more came than is kept.
    fn take(self) -> (Vec<u8>, bool) {
        self.done.recv_timeout(DRAIN).ok();
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A command's standard output, at whose end its exit code must be 0.
struct StreamReader {
    running: Running,
    ended: bool,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let length = match &mut self.running.child.stdout {
            Some(pipe) => pipe.read(buffer)?,
            None => 0,
        };
        if length == 0 {
            self.running.succeed().map_err(io::Error::other)?;
            self.ended = true;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
