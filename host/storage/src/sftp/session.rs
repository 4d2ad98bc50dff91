//! One connection to a server of SFTP: the program `ssh`, and what is done over it.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};

use super::channel::{Channel, strange};
use super::failure::Failure;
use super::place::Place;
use super::protocol::{self, Answer, Attributes, END_OF_FILE, Request};
use crate::limit::Limit;
use crate::transport::slices;

/// Extensions of OpenSSH, by its PROTOCOL, section 4: what a server takes and gives at a time, renaming that replaces the target as the
/// protocol's own does not, and writing to the disk.
const LIMITS: &str = "limits@openssh.com";
const REPLACE: &str = "posix-rename@openssh.com";
const SYNC: &str = "fsync@openssh.com";

/// What every server takes and gives at a time.
const LENGTH: u64 = 32 << 10;

/// What is asked of one that takes and gives more.
const MOST: u64 = 64 << 10;

/// Requests of one file that are under way at the same time: as many as hide the way there and back.
const PIPELINE: usize = 16;

/// What is kept of what `ssh` says: the last of it.
const SAID: usize = 4 << 10;

/// How long `ssh` may take to end once the connection is closed.
const END: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    channel: Channel,
    /// Bytes that are read, and written, at a time.
    read: u64,
    write: usize,
    can_sync: bool,
    can_replace: bool,
    /// Ends with this.
    _ssh: Child,
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
        let (channel, extensions) = match Channel::open(output, input, timeout).await {
            Ok(opened) => opened,
            Err(failure) => {
                // What it says in the end is why.
                let ended = async { (ssh.wait().await, listener.await) };
                if tokio::time::timeout(END, ended).await.is_err() {
                    return Err(failure);
                }
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(Failure::of_ssh(&said));
            }
        };
        let offers = |name: &str| extensions.iter().any(|extension| extension == name);
        let mut most = [LENGTH; 2];
        if offers(LIMITS) {
            let asked = channel.answer(Request::new(protocol::EXTENDED).text(LIMITS));
            if let Ok(Answer::Extended(answer)) = asked.await
                && let Some([_, read, write]) = protocol::limits(answer)
            {
                most = [read, write].map(|limit| match limit {
                    0 => LENGTH,
                    limit => limit.min(MOST),
                });
            }
        }
        Ok(Self {
            channel,
            read: most[0],
            write: usize::try_from(most[1]).unwrap_or(LENGTH as usize),
            can_sync: offers(SYNC),
            can_replace: offers(REPLACE),
            _ssh: ssh,
        })
    }

    /// The attributes of what lies at `path`.
    pub(super) async fn stat(&self, path: &str) -> Result<Attributes, Failure> {
        self.attributes(Request::new(protocol::STAT).text(path))
            .await
    }

    async fn attributes(&self, request: Request) -> Result<Attributes, Failure> {
        match self.channel.answer(request).await? {
            Answer::Attributes(attributes) => Ok(attributes),
            _ => Err(strange()),
        }
    }

    async fn close(&self, handle: &Bytes) -> Result<(), Failure> {
        let close = Request::new(protocol::CLOSE).text(handle);
        self.channel.perform(close).await
    }

    /// What lies in a directory, without `.` and `..`.
    pub(super) async fn entries(&self, path: &str) -> Result<Vec<(String, Attributes)>, Failure> {
        let open = Request::new(protocol::OPENDIR).text(path);
        let handle = self.channel.handle(open).await?;
        let mut entries = Vec::new();
        let read = loop {
            let more = Request::new(protocol::READDIR).text(&handle);
            match self.channel.answer(more).await {
                Ok(Answer::Names(names)) => entries.extend(names),
                Ok(_) => break Err(strange()),
                Err(failure) if failure.has_code(END_OF_FILE) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        self.close(&handle).await?;
        read?;
        entries.retain(|(name, _)| !matches!(name.as_str(), "." | ".."));
        Ok(entries)
    }

    /// Removes a file.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Failure> {
        let remove = Request::new(protocol::REMOVE).text(path);
        self.channel.perform(remove).await
    }

    /// Makes a directory and those above it that are missing, for their owner alone.
    pub(super) async fn make_directories(&self, path: &str) -> Result<(), Failure> {
        // From the innermost outwards until one can be made, and back.
        let mut missing = vec![path];
        while let Some(path) = missing.last() {
            let make = Request::new(protocol::MKDIR).text(path).permissions(0o700);
            match self.channel.perform(make).await {
                Ok(()) => {
                    missing.pop();
                }
                Err(failure) if failure.is_not_found() => match path.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => missing.push(above),
                    _ => return Err(failure),
                },
                // There is one already, perhaps since a moment ago; every server says so in its own way.
                Err(failure) => match self.stat(path).await {
                    Ok(found) if found.is_directory() => {
                        missing.pop();
                    }
                    _ => return Err(failure),
                },
            }
        }
        Ok(())
    }

    /// Opens a file that is to be made, for its owner alone.
    pub(super) async fn create(&self, path: &str) -> Result<Bytes, Failure> {
        let create = Request::new(protocol::OPEN)
            .text(path)
            .number(protocol::NEW_FOR_WRITING)
            .permissions(0o600);
        self.channel.handle(create).await
    }

    /// Writes all of a file, has it written to the disk where the server can, and closes it.
    pub(super) async fn fill(
        &self,
        handle: &Bytes,
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
                let write = Request::new(protocol::WRITE)
                    .text(handle)
                    .offset(offset)
                    .text(&slice);
                self.channel.perform(write).await
            })
            .buffered(PIPELINE)
            .try_collect::<()>()
            .await;
        let synced = match written {
            Ok(()) if self.can_sync => {
                let sync = Request::new(protocol::EXTENDED).text(SYNC).text(handle);
                self.channel.perform(sync).await
            }
            written => written,
        };
        let closed = self.close(handle).await;
        synced.and(closed)
    }

    /// Gives a file another name, that of another file too.
    pub(super) async fn replace(&self, from: &str, to: &str) -> Result<(), Failure> {
        if self.can_replace {
            let replace = Request::new(protocol::EXTENDED).text(REPLACE);
            return self.channel.perform(replace.text(from).text(to)).await;
        }
        match self.remove(to).await {
            Err(failure) if !failure.is_not_found() => Err(failure),
            _ => self.rename(from, to).await,
        }
    }

    /// Gives a file another name, which must be free.
    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        let rename = Request::new(protocol::RENAME).text(from).text(to);
        self.channel.perform(rename).await
    }
}

/// A file that is being read. Closed when dropped.
#[derive(Debug)]
pub(super) struct Reading {
    session: Arc<Session>,
    handle: Bytes,
    runtime: tokio::runtime::Handle,
    /// The file's attributes when it was opened.
    pub(super) attributes: Attributes,
}

impl Reading {
    pub(super) async fn open(session: Arc<Session>, path: &str) -> Result<Self, Failure> {
        let open = Request::new(protocol::OPEN)
            .text(path)
            .number(protocol::FOR_READING)
            .no_attributes();
        let mut reading = Self {
            handle: session.channel.handle(open).await?,
            session,
            runtime: tokio::runtime::Handle::current(),
            attributes: Attributes::default(),
        };
        let stat = Request::new(protocol::FSTAT).text(&reading.handle);
        reading.attributes = reading.session.attributes(stat).await?;
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
        let mut part = BytesMut::new();
        loop {
            let from = start + part.len() as u64;
            let length = u32::try_from(end - from).unwrap_or(u32::MAX);
            let read = Request::new(protocol::READ)
                .text(&self.handle)
                .offset(from)
                .number(length);
            let data = match self.session.channel.answer(read).await {
                Ok(Answer::Data(data)) if data.len() as u64 > end - from => return Err(strange()),
                Ok(Answer::Data(data)) if !data.is_empty() => data,
                Ok(Answer::Data(_)) => return Err(Failure::Short),
                Ok(_) => return Err(strange()),
                Err(failure) if failure.has_code(END_OF_FILE) => return Err(Failure::Short),
                Err(failure) => return Err(failure),
            };
            if part.is_empty() && data.len() as u64 == end - start {
                return Ok(data);
            }
            part.extend_from_slice(&data);
            if part.len() as u64 == end - start {
                return Ok(part.freeze());
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let session = self.session.clone();
        let handle = self.handle.clone();
        self.runtime.spawn(async move {
            if let Err(failure) = session.close(&handle).await {
                tracing::debug!(%failure, "a file that was read cannot be closed");
            }
        });
    }
}

/// Takes down what `ssh` says.
async fn listen(mut errors: ChildStderr, said: Arc<Mutex<String>>) {
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
