//! One connection to a server of SFTP: the program `ssh`, and the protocol over its standard input and output.

use std::fmt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use russh_sftp::client::rawsession::Limits;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::extensions::{FSYNC, HardlinkExtension, LIMITS};
use russh_sftp::protocol::{File, FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::failure::Failure;
use super::place::Place;
use crate::limit::Limit;
use crate::transport::slices;

/// Replaces the target, which the protocol's own renaming does not: PROTOCOL of OpenSSH, section 4.3.
const RENAME: &str = "posix-rename@openssh.com";

/// What every server takes and gives at a time.
const LENGTH: u64 = 32 << 10;

/// What is asked of one that takes and gives more.
const MOST: u64 = 64 << 10;

/// Requests of one file that are under way at the same time. With [`MOST`] that hides the way there and back, and is little enough
/// that the last of them is answered in time over a slow line.
const PIPELINE: usize = 16;

/// What is kept of what `ssh` says: the last of it.
const SAID: usize = 4 << 10;

/// How long `ssh` may take to end once the connection is closed.
const END: Duration = Duration::from_secs(5);

/// A connection.
pub(super) struct Session {
    sftp: RawSftpSession,
    /// Bytes that are read, and written, at a time.
    read: u64,
    write: usize,
    can_sync: bool,
    can_replace: bool,
    /// Ends with this.
    _ssh: Child,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects.
    pub(super) async fn open(place: &Place, timeout: Duration) -> Result<Self, Failure> {
        let (program, arguments) = place.command();
        let cannot = |error: std::io::Error| Failure::Program {
            program: program.to_owned(),
            reason: match error.kind() {
                std::io::ErrorKind::NotFound => "it is not installed".to_owned(),
                _ => error.to_string(),
            },
        };
        let mut ssh = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt on the terminal is for Copal, which has yet to tidy up.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let (Some(input), Some(output), Some(errors)) =
            (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
        else {
            return Err(Failure::Strange("it has no pipes".to_owned()));
        };
        let said = Arc::new(Mutex::new(String::new()));
        let listener = tokio::spawn(listen(errors, said.clone()));
        let config = Config {
            request_timeout_secs: timeout.as_secs().max(1),
            ..Config::default()
        };
        let mut sftp = RawSftpSession::new_with_config(tokio::io::join(output, input), config);
        let version = match sftp.init().await {
            Ok(version) => version,
            Err(_) => {
                drop(sftp);
                // What it said last is why.
                let ended = async { (ssh.wait().await, listener.await) };
                if tokio::time::timeout(END, ended).await.is_err() {
                    return Err(Failure::Lost("the server does not answer".to_owned()));
                }
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(Failure::of_ssh(&said));
            }
        };
        let offers = |name: &str| version.extensions.contains_key(name);
        let (can_sync, can_replace) = (offers(FSYNC), offers(RENAME));
        let mut limits = Limits::default();
        if offers(LIMITS) {
            limits = sftp.limits().await?.into();
            sftp.set_limits(limits);
        }
        let length = |limit: Option<u64>| limit.unwrap_or(LENGTH).clamp(1, MOST);
        Ok(Self {
            sftp,
            read: length(limits.read_len),
            write: usize::try_from(length(limits.write_len)).unwrap_or(LENGTH as usize),
            can_sync,
            can_replace,
            _ssh: ssh,
        })
    }

    /// The attributes of what lies at `path`.
    pub(super) async fn stat(&self, path: &str) -> Result<FileAttributes, Failure> {
        Ok(self.sftp.stat(path).await?.attrs)
    }

    /// What lies in a directory, without `.` and `..`.
    pub(super) async fn entries(&self, path: &str) -> Result<Vec<File>, Failure> {
        let handle = self.sftp.opendir(path).await?.handle;
        let mut entries = Vec::new();
        let read = loop {
            match self.sftp.readdir(&handle).await.map_err(Failure::from) {
                Ok(names) => entries.extend(names.files),
                Err(failure) if failure.has_code(StatusCode::Eof) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        self.sftp.close(handle).await?;
        read?;
        entries.retain(|entry| !matches!(entry.filename.as_str(), "." | ".."));
        Ok(entries)
    }

    /// Removes a file.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Failure> {
        self.sftp.remove(path).await?;
        Ok(())
    }

    /// Makes a directory and those above it that are missing, for their owner alone.
    pub(super) async fn make_directories(&self, path: &str) -> Result<(), Failure> {
        let attributes = || FileAttributes {
            permissions: Some(0o700),
            ..FileAttributes::empty()
        };
        // From the innermost outwards until one can be made, and back.
        let mut missing = vec![path];
        while let Some(path) = missing.last() {
            let made = self.sftp.mkdir(*path, attributes()).await;
            match made.map_err(Failure::from) {
                Ok(_) => {
                    missing.pop();
                }
                Err(failure) if failure.is_not_found() => match path.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => missing.push(above),
                    _ => return Err(failure),
                },
                // There is one already, perhaps since a moment ago; every server says so in its own way.
                Err(failure) => match self.stat(path).await {
                    Ok(found) if found.is_dir() => {
                        missing.pop();
                    }
                    _ => return Err(failure),
                },
            }
        }
        Ok(())
    }

    /// Opens a file that is to be made, for its owner alone.
    pub(super) async fn create(&self, path: &str) -> Result<String, Failure> {
        let attributes = FileAttributes {
            permissions: Some(0o600),
            ..FileAttributes::empty()
        };
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        Ok(self.sftp.open(path, flags, attributes).await?.handle)
    }

    /// Writes all of a file, has it written to the disk where the server can, and closes it.
    pub(super) async fn fill(
        &self,
        handle: &str,
        content: impl Iterator<Item = Bytes> + Send,
        limit: Option<&Limit>,
    ) -> Result<(), Failure> {
        let size = limit.map_or(self.write, |limit| limit.slice().min(self.write));
        let mut offset = 0;
        let slices = content.flat_map(|bytes| slices(bytes, size)).map(|slice| {
            let start = offset;
            offset += slice.len() as u64;
            (start, slice)
        });
        let written = stream::iter(slices)
            .map(|(offset, slice)| async move {
                if let Some(limit) = limit {
                    limit.take(slice.len()).await;
                }
                self.sftp.write(handle, offset, slice.to_vec()).await?;
                Ok::<_, Failure>(())
            })
            .buffered(PIPELINE)
            .try_collect::<()>()
            .await;
        let synced = match written {
            Ok(()) if self.can_sync => self.sftp.fsync(handle).await.map(drop).map_err(Into::into),
            written => written,
        };
        let closed = self.sftp.close(handle).await;
        synced?;
        closed?;
        Ok(())
    }

    /// Gives a file another name, that of another file too.
    pub(super) async fn replace(&self, from: &str, to: &str) -> Result<(), Failure> {
        if !self.can_replace {
            match self.remove(to).await {
                Err(failure) if !failure.is_not_found() => return Err(failure),
                _ => return self.rename(from, to).await,
            }
        }
        // Two strings, as with a hard link.
        let names = HardlinkExtension {
            oldpath: from.to_owned(),
            newpath: to.to_owned(),
        };
        let names = russh_sftp::ser::to_bytes(&names)
            .map_err(|error| Failure::Strange(error.to_string()))?;
        match self.sftp.extended(RENAME, names.to_vec()).await? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(russh_sftp::client::error::Error::Status(status).into()),
            _ => Err(Failure::Strange("no status".to_owned())),
        }
    }

    /// Gives a file another name, which must be free.
    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        self.sftp.rename(from, to).await?;
        Ok(())
    }
}

/// A file that is being read. Closed when dropped.
pub(super) struct Reading {
    session: Arc<Session>,
    handle: String,
    runtime: tokio::runtime::Handle,
    /// The file's attributes when it was opened.
    pub(super) attributes: FileAttributes,
}

impl Reading {
    pub(super) async fn open(session: Arc<Session>, path: &str) -> Result<Self, Failure> {
        let sftp = &session.sftp;
        let opened = sftp.open(path, OpenFlags::READ, FileAttributes::empty());
        let mut reading = Self {
            handle: opened.await?.handle,
            session: session.clone(),
            runtime: tokio::runtime::Handle::current(),
            attributes: FileAttributes::empty(),
        };
        reading.attributes = sftp.fstat(&reading.handle).await?.attrs;
        Ok(reading)
    }

    /// The bytes from `start` to `end`, in order, many of them on their way at the same time.
    pub(super) fn bytes(
        self,
        start: u64,
        end: u64,
    ) -> stream::BoxStream<'static, Result<Bytes, Failure>> {
        let step = self.session.read;
        let reading = Arc::new(self);
        let parts = (start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        stream::iter(parts)
            .map(move |from| reading.clone().part(from, end.min(from + step)))
            .buffered(PIPELINE)
            .boxed()
    }

    /// One part, however many answers the server makes of it.
    async fn part(self: Arc<Self>, start: u64, end: u64) -> Result<Bytes, Failure> {
        let mut part = Vec::new();
        loop {
            let from = start + part.len() as u64;
            let length = u32::try_from(end - from).unwrap_or(u32::MAX);
            let read = self.session.sftp.read(&self.handle, from, length).await;
            let data = match read.map_err(Failure::from) {
                Ok(data) if !data.data.is_empty() => data.data,
                Err(failure) if !failure.has_code(StatusCode::Eof) => return Err(failure),
                _ => return Err(Failure::Short),
            };
            match part.is_empty() {
                true => part = data,
                false => part.extend(data),
            }
            if part.len() as u64 >= end - start {
                return Ok(part.into());
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let session = self.session.clone();
        let handle = std::mem::take(&mut self.handle);
        self.runtime.spawn(async move {
            if let Err(error) = session.sftp.close(handle).await {
                tracing::debug!(%error, "a file that was read cannot be closed");
            }
        });
    }
}

/// Takes down what `ssh` says.
async fn listen(errors: ChildStderr, said: Arc<Mutex<String>>) {
    let mut errors = BufReader::new(errors);
    let mut buffer = [0; 1 << 10];
    while let Ok(count @ 1..) = errors.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..count]);
        tracing::debug!(target: "ssh", "{}", text.trim_end());
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&text);
        let excess = said.len().saturating_sub(SAID);
        let cut = (excess..)
            .find(|at| said.is_char_boundary(*at))
            .unwrap_or_default();
        said.drain(..cut);
    }
}
