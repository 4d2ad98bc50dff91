//! What a plugin does to entries and bytes on their way into a snapshot or out of it.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::exports::copal::plugin::transform::{Change, Direction, Member, Verdict};
use crate::{Entry, Failure, Finding};

/// One worker's run over a tree.
///
/// The host starts several at once from the same state, and hands each some of the directories in no promised order. A verdict must depend on
/// the state and the entry alone, a filter's output on the state, the entry and the file's bytes.
///
/// A backup does not open a filter for a file that has not changed since the last one, if that was made by the same component from the same state and
/// its passes over the root had no findings: it takes over what the filter returned then. So findings must rest on the files that a pass is handed.
///
/// ```
/// use copal_sdk::testing::{MemoryTree, run_pass};
/// use copal_sdk::{Change, Direction, Entry, Failure, Glob, Pass, Verdict};
///
/// /// Leaves out what the operator names, and lets nobody else read keys once they are restored.
/// struct Sorted {
///     direction: Direction,
///     exclude: Vec<Glob>,
/// }
///
/// impl Pass for Sorted {
///     type State = Vec<Glob>;
///
///     fn start(direction: Direction, exclude: Vec<Glob>) -> Result<Self, Failure> {
///         Ok(Self { direction, exclude })
///     }
///
///     fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
///         if self.exclude.iter().any(|glob| glob.matches_entry(entry)) {
///             return Ok(Verdict::Skip);
///         }
///         Ok(match self.direction {
///             Direction::Restore if entry.name().ends_with(".key") => {
///                 Verdict::Change(Change { mode: Some(0o600), ..Change::none() })
///             }
///             _ => Verdict::Keep,
///         })
///     }
/// }
///
/// let home = MemoryTree::new("home").file("a.key", "").file("cache/b", "");
/// let state = br#"["cache/"]"#;
/// let (saved, _) = run_pass::<Sorted>(&home, Direction::Backup, state)?;
/// assert_eq!(saved.paths(), ["a.key"]);
/// # Ok::<(), Failure>(())
/// ```
pub trait Pass: Sized + 'static {
    /// What a plan hands to its passes, by [`BackupPlan::state`](crate::BackupPlan::state) and
    /// [`RestorePlan::state`](crate::RestorePlan::state). A plan without one hands over JSON's `null`.
    type State: Serialize + DeserializeOwned;

    /// Starts a pass.
    fn start(direction: Direction, state: Self::State) -> Result<Self, Failure>;

    /// What becomes of one entry of `root`. A skipped directory is left out with all beneath it.
    fn classify(&mut self, root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        let _ = (root, entry);
        Ok(Verdict::Keep)
    }

    /// One verdict for each entry, in their order; the entries are of one directory. Override it where looking at them together helps.
    fn classify_batch(&mut self, root: &str, entries: &[Entry]) -> Result<Vec<Verdict>, Failure> {
        entries
            .iter()
            .map(|entry| self.classify(root, entry))
            .collect()
    }

    /// Opens a filter for the content of a file whose verdict asked for one, unless a backup takes over what an earlier one stored of it.
    fn open(&mut self, root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        Err(Failure::internal(
            "sdk.filter.none",
            format!("this plugin has no filter for {root}/{}", entry.path),
        ))
    }

    /// Ends the pass: what it has to say to the operator.
    fn finish(self) -> Result<Vec<Finding>, Failure> {
        Ok(Vec::new())
    }
}

/// The pass of a plugin that changes nothing.
impl Pass for () {
    type State = ();

    fn start(_direction: Direction, _state: ()) -> Result<Self, Failure> {
        Ok(())
    }
}

/// Rewrites one file's content.
///
/// Chunks are cut anywhere, so a filter keeps what may belong to the next. Its output must be the same however its input is cut.
///
/// ```
/// use copal_sdk::testing::filter_all_chunkings;
/// use copal_sdk::{Failure, Filter};
///
/// /// Leaves out the lines that begin with `session=`.
/// #[derive(Default)]
/// struct WithoutSessions {
///     line: Vec<u8>,
/// }
///
/// impl WithoutSessions {
///     fn ended(&mut self, out: &mut Vec<u8>) {
///         if !self.line.starts_with(b"session=") {
///             out.extend(&self.line);
///         }
///         self.line.clear();
///     }
/// }
///
/// impl Filter for WithoutSessions {
///     fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
///         for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
///             self.line.extend(piece);
///             if piece.ends_with(b"\n") {
///                 self.ended(out);
///             }
///         }
///         Ok(())
///     }
///
///     fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
///         self.ended(out);
///         Ok(())
///     }
/// }
///
/// let output = filter_all_chunkings(|| Box::new(WithoutSessions::default()), b"a=1\nsession=x\nb=2")?;
/// assert_eq!(output, b"a=1\nb=2");
/// # Ok::<(), Failure>(())
/// ```
pub trait Filter {
    /// Takes the next bytes, cut anywhere, at most 1 MiB; appends what is ready to `out`, at most 16 MiB, perhaps nothing.
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure>;

    /// Says that the input is at its end; appends the rest to `out`.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let _ = out;
        Ok(())
    }

    /// The members that begin in what was appended since the last call, in their order and not overlapping; asked for after each `push` and
    /// after `finish`, in a backup. The file stays whole in the snapshot; its members are listed beside it, beneath `NAME.members`.
    fn members(&mut self) -> Vec<Member> {
        Vec::new()
    }
}

impl Verdict {
    /// Sends a file's content through [`Pass::open`].
    pub fn filter() -> Self {
        Self::Change(Change {
            filter: true,
            ..Change::none()
        })
    }
}

impl Change {
    /// A change that alters nothing, to fill in: `Change { mode: Some(0o600), ..Change::none() }`.
    pub fn none() -> Self {
        Self {
            name: None,
            mode: None,
            owner: None,
            modified: None,
            filter: false,
        }
    }
}

/// Starts a pass from the bytes of a plan's state.
pub(crate) fn start<P: Pass>(direction: Direction, state: &[u8]) -> Result<P, Failure> {
    let state = if state.is_empty() { b"null" } else { state };
    let state = serde_json::from_slice(state).map_err(|error| {
        Failure::internal(
            "sdk.state.decode",
            format!("the plan's state is not what its passes read: {error}"),
        )
    })?;
    P::start(direction, state)
}
