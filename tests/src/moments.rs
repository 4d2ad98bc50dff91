//! The moments of a program: each change that it is about to make beneath a directory, and each program that it is about to start. They are
//! counted, so that it can be killed right before any one of them, or be out of quota from then on. Its reads are counted likewise, so that they can fail.
//!
//! The kernel stops a traced program at every system call (ptrace(2)). Its threads are followed, the programs that it starts are not.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::programs;
use crate::run::{Outcome, Program};

/// One change, start or read that a program was about to make: the system call and the path beneath the directory, or nothing for a start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// What the system call does.
    pub call: &'static str,
    /// The file, relative to the directory.
    pub path: PathBuf,
}

impl Moment {
    /// Whether it can fail for want of space.
    pub fn takes_space(&self) -> bool {
        let takes = [
            "write", "create", "mkdir", "mknod", "symlink", "link", "allocate",
        ];
        takes.contains(&self.call)
    }
}

/// What becomes of the program at the moment of a number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Nothing,
    /// It is killed before it.
    Killed(usize),
    /// From then on its quota is used up: what takes space fails.
    OutOfQuota(usize),
    /// Nothing, but its reads are counted rather than its changes.
    Read,
    /// This read fails.
    Unread(usize),
    /// From then on every read fails.
    Unreadable(usize),
}

impl Fate {
    /// Whether reads are what is counted.
    fn is_of_reads(self) -> bool {
        matches!(self, Self::Read | Self::Unread(_) | Self::Unreadable(_))
    }

    /// What the system call at the moment of this number fails with, if it does.
    fn refuses(self, number: usize, moment: &Moment) -> Option<Errno> {
        match self {
            Self::OutOfQuota(first) if first <= number && moment.takes_space() => {
                Some(Errno::EDQUOT)
            }
            Self::Unread(one) if one == number => Some(Errno::EIO),
            Self::Unreadable(first) if first <= number => Some(Errno::EIO),
            _ => None,
        }
    }
}

/// Runs the program to its end and gives its moments.
pub fn of(program: Program, below: &Path) -> (Vec<Moment>, Outcome) {
    trace(program, below, Fate::Nothing)
}

/// Kills the program right before its moment of this number, counted from 0. The last of the moments that are given is the one.
pub fn kill_before(number: usize, program: Program, below: &Path) -> (Vec<Moment>, Outcome) {
    trace(program, below, Fate::Killed(number))
}

/// Whether calls of the system can be made to fail: they can be taken away on x86-64 alone; says so elsewhere.
pub fn can_refuse() -> bool {
    let can = cfg!(target_arch = "x86_64");
    if !can {
        programs::missing("a call of the system can be refused on x86-64 alone");
    }
    can
}

/// From its moment of this number on, counted from 0, whatever of the program's takes space beneath the directory fails as it does where a quota is
/// used up.
pub fn out_of_quota(number: usize, program: Program, below: &Path) -> (Vec<Moment>, Outcome) {
    trace(program, below, Fate::OutOfQuota(number))
}

/// Runs the program to its end and gives the moments at which it opens a file or a folder to read it.
pub fn reads_of(program: Program, below: &Path) -> (Vec<Moment>, Outcome) {
    trace(program, below, Fate::Read)
}

/// The read of this number, counted from 0, fails as on a broken disk; where it is broken for good, so does every one after it.
pub fn unread(
    number: usize,
    for_good: bool,
    program: Program,
    below: &Path,
) -> (Vec<Moment>, Outcome) {
    let fate = if for_good {
        Fate::Unreadable(number)
    } else {
        Fate::Unread(number)
    };
    trace(program, below, fate)
}

#[expect(clippy::zombie_processes, reason = "`follow` waits for what is traced")]
fn trace(program: Program, below: &Path, fate: Fate) -> (Vec<Moment>, Outcome) {
    let output = || tempfile::tempfile().unwrap();
    let (stdout, stderr) = (output(), output());
    // It waits at a gate until it is traced.
    let mut command = program.behind("/bin/sh", ["-c", "read -r go; exec \"$@\"", "gate"]);
    command
        .stdin(Stdio::piped())
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap());
    let what = format!("{command:?}");
    let trace = || {
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE;
        ptrace::seize(pid, options).expect("tests may trace what they start");
        ptrace::interrupt(pid).unwrap();
        let gate = child.stdin.take().unwrap();
        follow(pid, below, fate, move || {
            std::io::Write::write_all(&mut &gate, b"\n").unwrap();
        })
    };
    // On a thread of its own, which has no other children to wait for.
    let (moments, status) =
        std::thread::scope(|scope| scope.spawn(trace).join().expect("it can be traced"));
    let outcome = Outcome {
        status,
        stdout: content(&stdout),
        stderr: String::from_utf8_lossy(&content(&stderr)).into_owned(),
        peak: 0,
        what,
    };
    (moments, outcome)
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn follow(
    process: Pid,
    below: &Path,
    fate: Fate,
    begin: impl FnOnce(),
) -> (Vec<Moment>, ExitStatus) {
    let mut begin = Some(begin);
    let mut moments = Vec::new();
    let mut killed = false;
    // Threads in a system call that was taken from them, and what it fails with.
    let mut refused = HashMap::new();
    loop {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let (thread, signal) = match waitpid(None, Some(flags)).unwrap() {
            WaitStatus::PtraceSyscall(thread) => {
                if let Some(error) = refused.remove(&thread) {
                    answer(thread, error);
                } else if let Some(moment) =
                    moment(thread, below, fate.is_of_reads()).filter(|_| !killed)
                {
                    killed = fate == Fate::Killed(moments.len());
                    if killed {
                        kill(process, Signal::SIGKILL).unwrap();
                    }
                    if let Some(error) = fate.refuses(moments.len(), &moment) {
                        skip(thread);
                        refused.insert(thread, error);
                    }
                    moments.push(moment);
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::Exited(pid, code) if pid == process => {
                return (moments, ExitStatus::from_raw(code << 8));
            }
            WaitStatus::Signaled(pid, signal, _) if pid == process => {
                return (moments, ExitStatus::from_raw(signal as i32));
            }
            _ => continue,
        };
        match ptrace::syscall(thread, signal) {
            // It was killed in the meantime.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("{thread} can't be traced: {error}"),
        }
        if let Some(begin) = begin.take() {
            begin();
        }
    }
}

/// Has the kernel pass over the system call that a thread is about to make.
#[cfg(target_arch = "x86_64")]
fn skip(thread: Pid) {
    let mut registers = ptrace::getregs(thread).unwrap();
    registers.orig_rax = u64::MAX;
    ptrace::setregs(thread, registers).unwrap();
}

/// Has a system call that was passed over fail so.
#[cfg(target_arch = "x86_64")]
fn answer(thread: Pid, error: Errno) {
    let mut registers = ptrace::getregs(thread).unwrap();
    registers.rax = i64::from(-(error as i32)).cast_unsigned();
    ptrace::setregs(thread, registers).unwrap();
}

#[cfg(not(target_arch = "x86_64"))]
fn skip(_: Pid) {}

#[cfg(not(target_arch = "x86_64"))]
fn answer(_: Pid, _: Errno) {}

/// What a system call is about.
enum Object {
    /// The file of the path that is this argument.
    Path(usize),
    /// The same, but relative to the directory before it.
    At(usize),
    /// The same, with the flags of this argument: they make or empty the file, or open it to read.
    Open(usize, usize),
    /// The same with the flags in memory.
    Open2(usize, usize),
    /// The file of this descriptor.
    Descriptor(usize),
    /// Nothing, but it starts a program unless these flags say that it starts a thread.
    Clone(usize),
    /// The same with the flags in memory.
    Clone3(usize),
}

const CALLS: &[(c_long, &str, Object)] = &[
    (libc::SYS_renameat2, "rename", Object::At(2)),
    (libc::SYS_linkat, "link", Object::At(2)),
    (libc::SYS_symlinkat, "symlink", Object::At(1)),
    (libc::SYS_unlinkat, "unlink", Object::At(0)),
    (libc::SYS_mkdirat, "mkdir", Object::At(0)),
    (libc::SYS_mknodat, "mknod", Object::At(0)),
    (libc::SYS_openat, "create", Object::Open(0, 2)),
    (libc::SYS_openat2, "create", Object::Open2(0, 2)),
    (libc::SYS_truncate, "truncate", Object::Path(0)),
    (libc::SYS_fchmodat, "mode", Object::At(0)),
    (libc::SYS_fchmod, "mode", Object::Descriptor(0)),
    (libc::SYS_ftruncate, "truncate", Object::Descriptor(0)),
    (libc::SYS_fallocate, "allocate", Object::Descriptor(0)),
    (libc::SYS_write, "write", Object::Descriptor(0)),
    (libc::SYS_writev, "write", Object::Descriptor(0)),
    (libc::SYS_pwrite64, "write", Object::Descriptor(0)),
    (libc::SYS_pwritev, "write", Object::Descriptor(0)),
    (libc::SYS_copy_file_range, "write", Object::Descriptor(2)),
    (libc::SYS_clone, "start", Object::Clone(0)),
    (libc::SYS_clone3, "start", Object::Clone3(0)),
];

/// Those that newer machines do without.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(c_long, &str, Object)] = &[
    (libc::SYS_rename, "rename", Object::Path(1)),
    (libc::SYS_renameat, "rename", Object::At(2)),
    (libc::SYS_link, "link", Object::Path(1)),
    (libc::SYS_symlink, "symlink", Object::Path(1)),
    (libc::SYS_unlink, "unlink", Object::Path(0)),
    (libc::SYS_rmdir, "unlink", Object::Path(0)),
    (libc::SYS_mkdir, "mkdir", Object::Path(0)),
    (libc::SYS_chmod, "mode", Object::Path(0)),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(c_long, &str, Object)] = &[];

/// The moment that a thread is at, if it is at one: it has just made a system call that is not done yet.
fn moment(thread: Pid, below: &Path, reads: bool) -> Option<Moment> {
    if ptrace::syscall_info(thread).ok()?.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // proc_pid_syscall(5).
    let text = std::fs::read_to_string(format!("/proc/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number: c_long = words.next()?.parse().ok()?;
    let (_, call, object) = CALLS
        .iter()
        .chain(OLD_CALLS)
        .find(|(known, ..)| *known == number)?;
    let call = *call;
    let arguments: Vec<u64> = words
        .filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .collect();
    let at = Arguments {
        thread,
        values: &arguments,
    };
    let opens = match *object {
        Object::Open(_, flags) => Some(*arguments.get(flags)?),
        Object::Open2(_, flags) => Some(at.number(flags)?),
        _ => None,
    };
    if reads != opens.is_some_and(|flags| !makes(flags)) {
        return None;
    }
    let path = match *object {
        Object::Path(path) => at.path("cwd".to_owned(), path)?,
        Object::At(directory) | Object::Open(directory, _) | Object::Open2(directory, _) => {
            at.relative(directory)?
        }
        Object::Descriptor(descriptor) => at.link(&at.descriptor(descriptor)?)?,
        Object::Clone(flags) => return starts(call, *arguments.get(flags)?),
        Object::Clone3(flags) => return starts(call, at.number(flags)?),
    };
    let path = path.strip_prefix(below).ok()?.to_owned();
    let call = if reads { "read" } else { call };
    Some(Moment { call, path })
}

fn makes(flags: u64) -> bool {
    flags & (libc::O_CREAT | libc::O_TRUNC) as u64 != 0
}

fn starts(call: &'static str, flags: u64) -> Option<Moment> {
    let path = PathBuf::new();
    (flags & libc::CLONE_THREAD as u64 == 0).then_some(Moment { call, path })
}

/// The arguments of the system call that a thread is at.
struct Arguments<'a> {
    thread: Pid,
    values: &'a [u64],
}

impl Arguments<'_> {
    /// A number in the program's memory.
    fn number(&self, argument: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        self.memory(argument, &mut bytes)?;
        Some(u64::from_ne_bytes(bytes))
    }

    /// The path of this argument, relative to the directory in the one before.
    fn relative(&self, directory: usize) -> Option<PathBuf> {
        let base = match self.values.get(directory)? {
            number if *number as i32 == libc::AT_FDCWD => "cwd".to_owned(),
            _ => self.descriptor(directory)?,
        };
        self.path(base, directory + 1)
    }

    fn path(&self, base: String, argument: usize) -> Option<PathBuf> {
        let mut bytes = [0; 4096];
        let count = self.memory(argument, &mut bytes)?;
        let path = bytes[..count].split(|byte| *byte == 0).next()?;
        Some(self.link(&base)?.join(OsStr::from_bytes(path)))
    }

    fn descriptor(&self, argument: usize) -> Option<String> {
        Some(format!("fd/{}", *self.values.get(argument)? as i32))
    }

    fn link(&self, name: &str) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/{name}", self.thread)).ok()
    }

    fn memory(&self, argument: usize, into: &mut [u8]) -> Option<usize> {
        let memory = File::open(format!("/proc/{}/mem", self.thread)).ok()?;
        memory.read_at(into, *self.values.get(argument)?).ok()
    }
}

/// The numbers of the moments that a test tries: all of them where tests may take long, else a few, no two alike if that can be.
pub fn chosen(moments: &[Moment]) -> Vec<usize> {
    const FEW: usize = 4;
    if programs::may_take_long() {
        return (0..moments.len()).collect();
    }
    let kind = |moment: &Moment| (moment.call, moment.path.iter().next().map(OsStr::to_owned));
    let is_last = |number: &usize| {
        let mut later = moments[number + 1..].iter();
        !later.any(|later| kind(later) == kind(&moments[*number]))
    };
    let kinds: Vec<usize> = (0..moments.len()).filter(is_last).collect();
    let few = FEW.min(kinds.len());
    (0..few).map(|at| kinds[at * kinds.len() / few]).collect()
}
