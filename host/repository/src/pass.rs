//! What a caller may do to entries and bytes on their way into a snapshot or out of it.

use std::error::Error as StdError;

use crate::error::Error;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};
use crate::progress::display;

/// One worker's run over a tree. Verdicts and output must depend on the input alone, or deduplication is lost.
pub trait Pass: Send {
    /// One verdict for each of 1 to 1,024 entries of one directory, in their order. `directory` is relative to the
    /// root: raw bytes separated by `/`, empty for the root itself.
    ///
    /// # Errors
    /// [`PassError::Item`] leaves these entries out and names the directory.
    fn classify(&mut self, directory: &[u8], entries: &[Node]) -> Result<Vec<Verdict>, PassError>;

    /// Begins a file's content, which ends with [`Pass::finish_file`] or with the next `open`. `node` is as it was
    /// handed to `classify`.
    ///
    /// # Errors
    /// [`PassError::Item`] leaves this file out and names it.
    fn open(&mut self, path: &[u8], node: &Node) -> Result<(), PassError>;

    /// Takes the next bytes, cut anywhere, at most 1 MiB; returns what is ready, perhaps nothing.
    ///
    /// # Errors
    /// As `open`.
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError>;

    /// Ends the file's content and returns the rest.
    ///
    /// # Errors
    /// As `open`.
    fn finish_file(&mut self) -> Result<Vec<u8>, PassError>;

    /// The members that begin in what was returned since the last call: asked for after each [`Pass::push`] and after
    /// [`Pass::finish_file`] where content goes into a snapshot. Ascending, and not overlapping.
    ///
    /// # Errors
    /// As `open`.
    fn members(&mut self) -> Result<Vec<Member>, PassError> {
        Ok(Vec::new())
    }
}

/// A part of what a filter returned that is a file by itself, such as a member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative to the archive: raw bytes separated by `/`.
    pub path: Vec<u8>,
    /// Where it begins, counted from the beginning of the file's output.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// Starts passes, one for each worker thread.
pub trait Passes: Sync {
    /// A pass of its own for the calling thread.
    ///
    /// # Errors
    /// Any failure ends the whole operation.
    fn start(&self) -> Result<Box<dyn Pass>, PassError>;

    /// When the backup that made the parent snapshot of a backup began, if its passes did what these would do. What came of a filter then
    /// is taken over where the file has not changed since long enough before that, and no filter is opened for it.
    fn same_since(&self) -> Option<Timestamp> {
        None
    }
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Goes through as it is.
    Keep,
    /// Left out; a directory with all beneath it.
    Skip,
    /// Goes through altered.
    Change(Change),
}

/// What to alter of an entry; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Another name within the same directory.
    pub name: Option<Vec<u8>>,
    /// Permission bits, 0 to 0o7777. A file gets no set-user-ID or set-group-ID bit that it has not, and loses both where its owner or content is altered.
    pub mode: Option<u32>,
    /// Another owner.
    pub owner: Option<Owner>,
    /// Another time of modification.
    pub modified: Option<Timestamp>,
    /// Send the content of this file through [`Pass::open`]. Ignored for other kinds.
    pub filter: bool,
}

impl Change {
    /// Alters what is known of `node`; its content is not its concern.
    ///
    /// A file runs as its owner or group only if it did so before and is still the same owner's and the same content: else a pass, which may alter
    /// everything about its own files, could make a program that runs as root.
    pub(crate) fn apply(self, node: &mut Node) {
        let runs_as =
            match self.owner.as_ref().is_some_and(|owner| !owner.owns(node)) || self.filter {
                true => 0,
                false => node.mode & SET_ID,
            };
        if let Some(name) = self.name {
            node.name = name;
        }
        if let Some(mode) = self.mode {
            node.mode = mode & 0o7777;
        }
        if let Some(owner) = self.owner {
            node.uid = owner.uid;
            node.gid = owner.gid;
            node.user = owner.user;
            node.group = owner.group;
        }
        if let Some(modified) = self.modified {
            node.modified = modified;
            node.accessed = modified;
        }
        if node.kind == NodeKind::File {
            node.mode &= !SET_ID | runs_as;
        }
    }
}

/// The bits by which a program runs as its owner or group.
const SET_ID: u32 = 0o6000;

/// Who owns an entry. Names are empty where none are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name.
    pub user: String,
    /// Group by name.
    pub group: String,
}

impl Owner {
    fn owns(&self, node: &Node) -> bool {
        (self.uid, self.gid, &*self.user, &*self.group)
            == (node.uid, node.gid, &*node.user, &*node.group)
    }
}

/// Why a pass could not do its work.
#[derive(Debug)]
pub enum PassError {
    /// This one item could not be transformed. It is named and left out, and the rest goes on.
    Item(String),
    /// Nothing more can be transformed: the operation ends.
    Fatal(Box<dyn StdError + Send + Sync>),
}

/// How many entries one call of [`Pass::classify`] may bring.
const BATCH: usize = 1024;

/// How many bytes one call of [`Pass::push`] may bring.
pub(crate) const PUSH: usize = 1 << 20;

/// One worker's pass, started when it is first needed.
pub(crate) struct LazyPass<'a> {
    passes: Option<&'a dyn Passes>,
    pass: Option<Box<dyn Pass>>,
}

impl<'a> LazyPass<'a> {
    pub(crate) fn new(passes: Option<&'a dyn Passes>) -> Self {
        Self { passes, pass: None }
    }

    /// The pass, or nothing where everything is kept as it is.
    pub(crate) fn get(&mut self) -> Result<Option<&mut (dyn Pass + 'static)>, PassError> {
        if let (None, Some(passes)) = (&self.pass, self.passes) {
            self.pass = Some(passes.start().map_err(|error| match error {
                PassError::Item(message) => PassError::Fatal(message.into()),
                fatal => fatal,
            })?);
        }
        Ok(self.pass.as_deref_mut())
    }

    /// A verdict for each of `entries`, all of one directory, or what is wrong with the batch it is in.
    pub(crate) fn classify(
        &mut self,
        directory: &[u8],
        entries: &[Node],
    ) -> Result<Vec<Result<Verdict, String>>, Error> {
        let Some(pass) = self.get().map_err(fatal)? else {
            return Ok(vec![Ok(Verdict::Keep); entries.len()]);
        };
        let mut verdicts = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            match pass.classify(directory, batch) {
                Ok(answer) if answer.len() == batch.len() => {
                    verdicts.extend(answer.into_iter().map(Ok));
                }
                Ok(answer) => {
                    return Err(Error::Pass(
                        format!(
                            "{} verdicts for {} entries of `{}`",
                            answer.len(),
                            batch.len(),
                            display(directory)
                        )
                        .into(),
                    ));
                }
                Err(PassError::Item(message)) => {
                    verdicts.extend(batch.iter().map(|_| Err(message.clone())));
                }
                Err(error) => return Err(fatal(error)),
            }
        }
        Ok(verdicts)
    }
}

/// Why one item's content could not be had: its own fault, or the end of all.
pub(crate) enum Trouble {
    Item(String),
    End(Error),
}

impl From<Error> for Trouble {
    /// What is damaged or missing in the repository is one item's trouble; a storage that fails is everyone's.
    fn from(error: Error) -> Self {
        match error.is_loss() {
            true => Self::Item(error.to_string()),
            false => Self::End(error),
        }
    }
}

impl From<PassError> for Trouble {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Item(message) => Self::Item(message),
            error => Self::End(fatal(error)),
        }
    }
}

/// `error` where it can only end the operation.
pub(crate) fn fatal(error: PassError) -> Error {
    Error::Pass(match error {
        PassError::Item(message) => message.into(),
        PassError::Fatal(error) => error,
    })
}

/// Whether `name` can stand in a directory: not empty, not `.` or `..`, without `/` and NUL, at most 255 bytes.
pub(crate) fn is_file_name(name: &[u8]) -> bool {
    !matches!(name, [] | b"." | b"..")
        && name.len() <= 255
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
