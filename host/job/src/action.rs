//! Performing one action of a plan.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use copal_sandbox::types::{
    Action, Condition, CopyEntry, HttpRequest, Location, RenameEntry, WaitUntil, WriteFile,
};
use rustix::fs::{Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, mkdirat, openat};
use tokio::runtime::Handle;

use crate::places::{self, PlaceError, Places};
use crate::process::{self, ProcessError, Supervisor};

/// What an answer is cut to.
const ANSWER_LIMIT: usize = 1 << 20;

/// Why an action was not performed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// A location or placeholder means nothing here.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A command.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file.
    #[error("can't {what} `{path}`: {source}")]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// The path beneath its base.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A request.
    #[error("{method} {url} failed: {problem}")]
    Http {
        /// Such as `GET`.
        method: String,
        /// The request's URL.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// A condition that never held.
    #[error("the condition did not hold within {seconds} s; the last look said: {last}")]
    Wait {
        /// How long was waited.
        seconds: u32,
        /// The last look's problem.
        last: String,
    },
    /// The operator interrupted the job.
    #[error("interrupted")]
    Interrupted,
}

/// What actions need of the job.
pub(crate) struct Hands<'a> {
    pub(crate) places: &'a Places,
    pub(crate) runtime: &'a Handle,
    pub(crate) supervisor: Supervisor<'a>,
}

impl Hands<'_> {
    /// Performs the action; gives what a command or request answered, at most 1 MiB.
    pub(crate) fn perform(&self, action: &Action) -> Result<Vec<u8>, ActionError> {
        match action {
            Action::Run(command) => {
                let done = process::run_checked(command, self.places, self.supervisor)?;
                return Ok(done.stdout);
            }
            Action::Http(request) => return self.request(request),
            Action::Wait(wait) => self.wait(wait)?,
            Action::Write(write) => self.write(write)?,
            Action::Copy(copy) => self.copy(copy)?,
            Action::Rename(rename) => self.rename(rename)?,
            Action::Remove(location) => self.remove(location)?,
        }
        Ok(Vec::new())
    }

    /// Takes something back, also where it was cut off before it was done: then there is nothing to rename back.
    pub(crate) fn undo(&self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::Rename(rename) if self.is_renamed(rename) => Ok(()),
            action => self.perform(action).map(drop),
        }
    }

    fn is_renamed(&self, rename: &RenameEntry) -> bool {
        let at = |location| self.places.resolve(location, false).ok();
        match (at(&rename.from), at(&rename.to)) {
            (Some((from_dir, from)), Some((to_dir, to))) => {
                absent(&from_dir, &from).is_ok() && to_dir.symlink_metadata(&to).is_ok()
            }
            _ => false,
        }
    }

    fn write(&self, write: &WriteFile) -> Result<(), ActionError> {
        let content = process::reveal(&write.content, self.places, 0)?;
        let (dir, path) = self.places.resolve(&write.to, true)?;
        replace(&dir, &path, &content, write.mode).map_err(file("write", &write.to))
    }

    fn copy(&self, copy: &CopyEntry) -> Result<(), ActionError> {
        let within = Path::new(&copy.to.path).starts_with(&copy.from.path);
        if copy.from.base == copy.to.base && within {
            let source = io::Error::new(
                io::ErrorKind::InvalidInput,
                "it can't be copied into itself",
            );
            return Err(file("copy", &copy.from)(source));
        }
        let (from_dir, from) = self.places.resolve(&copy.from, false)?;
        let (to_dir, to) = self.places.resolve(&copy.to, true)?;
        absent(&to_dir, &to).map_err(file("copy to", &copy.to))?;
        copy_entry(&from_dir, from.as_ref(), &to_dir, to.as_ref()).map_err(file("copy", &copy.from))
    }

    fn rename(&self, rename: &RenameEntry) -> Result<(), ActionError> {
        let (from_dir, from) = self.places.resolve(&rename.from, false)?;
        let (to_dir, to) = self.places.resolve(&rename.to, false)?;
        absent(&to_dir, &to).map_err(file("rename to", &rename.to))?;
        from_dir
            .rename(&from, &to_dir, &to)
            .map_err(file("rename", &rename.from))
    }

    fn remove(&self, location: &Location) -> Result<(), ActionError> {
        let (dir, path) = match self.places.resolve(location, false) {
            Err(PlaceError::Open(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            resolved => resolved?,
        };
        let removed = dir.symlink_metadata(&path).and_then(|metadata| {
            if metadata.is_dir() {
                dir.remove_dir_all(&path)
            } else {
                dir.remove_file(&path)
            }
        });
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(file("remove", location)),
        }
    }

    fn request(&self, request: &HttpRequest) -> Result<Vec<u8>, ActionError> {
        let failed = |problem: String| ActionError::Http {
            method: request.method.clone(),
            url: request.url.clone(),
            problem,
        };
        // As the grant has it.
        let method = request.method.to_ascii_uppercase();
        let method =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|e| failed(e.to_string()))?;
        let timeout = Duration::from_secs(u64::from(request.timeout));
        // A redirect would lead past the grant, which names the host.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Nor does a proxy stand in the grant.
            .no_proxy()
            .timeout(timeout)
            .build();
        let mut builder = client
            .map_err(|e| failed(chain(&e)))?
            .request(method, &request.url);
        for header in &request.headers {
            let value = process::reveal(&header.value, self.places, 0)?;
            let mut value = reqwest::header::HeaderValue::from_bytes(&value)
                .map_err(|e| failed(format!("the header {}: {e}", header.name)))?;
            // Whoever logs a request leaves out what is marked so.
            value.set_sensitive(true);
            builder = builder.header(&header.name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(process::reveal(body, self.places, 0)?);
        }
        let cancel = self.supervisor.cancel.clone();
        self.runtime.block_on(async {
            let answer = async {
                let mut response = builder.send().await.map_err(|e| failed(chain(&e)))?;
                let status = response.status();
                let expected = match request.expect.as_slice() {
                    [] => status.is_success(),
                    codes => codes.contains(&status.as_u16()),
                };
                if !expected {
                    return Err(failed(format!("the server answered {status}")));
                }
                let mut body = Vec::new();
                while body.len() < ANSWER_LIMIT
                    && let Some(chunk) = response.chunk().await.map_err(|e| failed(chain(&e)))?
                {
                    body.extend_from_slice(&chunk);
                }
                body.truncate(ANSWER_LIMIT);
                Ok(body)
            };
            tokio::select! {
                result = answer => result,
                () = interrupted(cancel) => Err(ActionError::Interrupted),
            }
        })
    }

    fn wait(&self, wait: &WaitUntil) -> Result<(), ActionError> {
        let deadline = Instant::now() + Duration::from_secs(u64::from(wait.timeout));
        loop {
            let last = match self.look(&wait.condition) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if self.supervisor.cancel.load(Ordering::Relaxed) {
                return Err(ActionError::Interrupted);
            }
            let next = Instant::now() + Duration::from_secs(u64::from(wait.interval));
            if next > deadline {
                return Err(ActionError::Wait {
                    seconds: wait.timeout,
                    last: last.to_string(),
                });
            }
            while Instant::now() < next && !self.supervisor.cancel.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn look(&self, condition: &Condition) -> Result<(), ActionError> {
        match condition {
            Condition::CommandSucceeds(command) => {
                process::run_checked(command, self.places, self.supervisor)?;
            }
            Condition::Responds(request) => {
                self.request(request)?;
            }
        }
        Ok(())
    }
}

fn file(what: &'static str, location: &Location) -> impl Fn(io::Error) -> ActionError {
    let path = location.path.clone();
    move |source| ActionError::File {
        what,
        path: path.clone(),
        source,
    }
}

/// The error with its causes; reqwest's own text leaves them out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn interrupted(cancel: Arc<AtomicBool>) {
    while !cancel.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn absent(dir: &Dir, path: &Path) -> io::Result<()> {
    match dir.symlink_metadata(path) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file beside the old one, with the old one's owner, then renames it over the old one. It never runs as its owner, whatever the old one did.
pub(crate) fn replace(dir: &Dir, path: &Path, content: &[u8], mode: Option<u32>) -> io::Result<()> {
    // A symlink is replaced, and its own mode says nothing.
    let old = dir.symlink_metadata(path).ok().filter(|old| old.is_file());
    let mode = mode
        .or(old.as_ref().map(|old| old.permissions().mode()))
        .unwrap_or(0o600)
        & 0o777;
    let beside = beside(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = dir.open_with(&beside, &options).and_then(|mut file| {
        file.write_all(content)?;
        if let Some(old) = old {
            use cap_std::fs::MetadataExt;
            let owner = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
            fchown(&file, Some(owner.0), Some(owner.1))?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        dir.rename(&beside, dir, path)
    });
    if written.is_err() {
        dir.remove_file(&beside).ok();
    }
    written
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary =
        std::ffi::OsString::from(format!(".copal-tmp-{:016x}-", rand::random::<u64>()));
    // The original name would make the temporary one too long where it is near the file system's limit.
    temporary.push(if name.len() > 200 {
        std::ffi::OsStr::new("long")
    } else {
        name
    });
    Ok(path.with_file_name(temporary))
}

/// Copies an entry with all beneath it; neither name leads anywhere but into its folder, and no symlink is followed. Nobody else can look into a copy
/// before it has its mode.
pub(crate) fn copy_entry(from_dir: &Dir, from: &OsStr, to_dir: &Dir, to: &OsStr) -> io::Result<()> {
    let metadata = from_dir.symlink_metadata(from)?;
    if metadata.is_dir() {
        let source = places::enter(from_dir, from, false)?;
        mkdirat(to_dir, to, Mode::RWXU)?;
        let copy = places::enter(to_dir, to, false)?;
        for entry in source.entries()? {
            let name = entry?.file_name();
            copy_entry(&source, &name, &copy, &name)?;
        }
        settle(copy.as_fd(), &fstat(&source)?)
    } else if metadata.is_symlink() {
        to_dir.symlink_contents(from_dir.read_link_contents(from)?, to)
    } else if metadata.is_file() {
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut source = File::from(openat(from_dir, from, read, Mode::empty())?);
        let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut copy = File::from(openat(to_dir, to, write, Mode::RUSR | Mode::WUSR)?);
        io::copy(&mut source, &mut copy)?;
        settle(copy.as_fd(), &fstat(&source)?)
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only files, folders and symlinks can be copied",
        ))
    }
}

/// Gives a copy the owner and mode of what it was made of. Where its owner has to be another, it loses the bits by which a program runs as its owner:
/// they would not mean the same.
fn settle(copy: BorrowedFd<'_>, of: &Stat) -> io::Result<()> {
    let mut mode = Mode::from_raw_mode(of.st_mode);
    let made = fstat(copy)?;
    if (made.st_uid, made.st_gid) != (of.st_uid, of.st_gid) {
        let (owner, group) = (Uid::from_raw(of.st_uid), Gid::from_raw(of.st_gid));
        if fchown(copy, Some(owner), Some(group)).is_err() {
            mode.remove(Mode::SUID | Mode::SGID);
        }
    }
    Ok(fchmod(copy, mode)?)
}

#[cfg(test)]
mod tests;
