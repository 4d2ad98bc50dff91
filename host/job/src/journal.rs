//! What a job is about to do, on disk before it does it, so that `copal resume` can take back what a crash left.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use copal_sandbox::types::{Action, Step};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::places::Root;
use crate::process::{Started, Witness};

/// How a job describes itself in its journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The job's id, unique on this machine.
    pub job: String,
    /// Such as `backup`, `restore` or `drill`.
    pub kind: String,
    /// The plugin, as `publisher/name`.
    pub plugin: String,
    /// When it began.
    pub time: Timestamp,
    /// The roots that its steps may name.
    pub roots: Vec<Root>,
    /// Its scratch folder.
    pub scratch: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Begun(Begun),
    Starting {
        step: String,
        title: String,
        undo: Option<Action>,
    },
    Running(Started),
    Undone {
        step: String,
    },
}

/// A step that was started and not yet taken back.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) step: String,
    pub(crate) title: String,
    pub(crate) undo: Action,
}

/// The journal of a running job. Its file is locked for as long as the job lives.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins the journal of a job in the folder `state`.
    pub(crate) fn begin(state: &Path, begun: &Begun) -> io::Result<Self> {
        let folder = folder(state);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let path = folder.join(format!("{}.jsonl", begun.job));
        // Nobody sees it before it is locked and says what it is of.
        let new = path.with_extension("new");
        let file = create(&new)?;
        let begin = || {
            let journal = Self { file, path };
            journal.append(&Record::Begun(begun.clone()))?;
            std::fs::rename(&new, &journal.path)?;
            File::open(&folder)?.sync_all()?;
            Ok(journal)
        };
        begin().inspect_err(|_| drop(std::fs::remove_file(&new)))
    }

    /// Notes that a step is about to start. Once this returns, a crash can't forget its undo.
    pub(crate) fn starting(&self, step: &Step) -> io::Result<()> {
        let (id, title) = (step.id.clone(), step.title.clone());
        self.append(&Record::Starting {
            step: id,
            title,
            undo: step.undo.clone(),
        })
    }

    /// Notes that a step was taken back.
    pub(crate) fn undone(&self, step: &str) -> io::Result<()> {
        self.append(&Record::Undone {
            step: step.to_owned(),
        })
    }

    /// Removes the journal of a job that left nothing to take back.
    pub(crate) fn close(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    fn append(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let end = self.file.metadata()?.len();
        let written = (&self.file)
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Whatever follows begins a line of its own.
            self.file.set_len(end)?;
        }
        written
    }
}

impl Witness for Journal {
    fn started(&self, command: Started) {
        if let Err(error) = self.append(&Record::Running(command)) {
            tracing::warn!("the journal can't be written: {error}");
        }
    }
}

/// A job that was cut off.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) begun: Begun,
    /// In the order in which they were started.
    pub(crate) pending: Vec<Pending>,
    /// The commands that it started, which may still run.
    pub(crate) running: Vec<Started>,
    pub(crate) journal: Journal,
}

/// The jobs whose process is gone, and what is wrong with journals that can't be read, which stay. A job that still runs holds its
/// journal's lock and is left alone.
pub(crate) fn interrupted(state: &Path) -> io::Result<(Vec<Interrupted>, Vec<String>)> {
    let (mut jobs, mut damaged) = (Vec::new(), Vec::new());
    for path in files(state, "jsonl")? {
        match open(&path) {
            Ok(Some(job)) => jobs.push(job),
            Ok(None) => {}
            Err(error) => damaged.push(format!(
                "the journal {} can't be read: {error}",
                path.display()
            )),
        }
    }
    Ok((jobs, damaged))
}

/// A new file, locked.
fn create(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        // Before it was locked it may have been taken for what a killed job left.
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Removes what jobs left that were killed before their journals were any. One that is just beginning holds its lock.
pub(crate) fn remove_unbegun(state: &Path) -> io::Result<()> {
    for path in files(state, "new")? {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The files of journals with this extension, in the order of their names.
fn files(state: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder(state)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

/// The job of a journal; none where it still runs or has just ended.
fn open(path: &Path) -> io::Result<Option<Interrupted>> {
    let file = match OpenOptions::new().read(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let metadata = file.metadata()?;
    // The steps in it are performed, so nobody else may have written them.
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others could have written to it",
        ));
    }
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
        || file.metadata()?.nlink() == 0
    {
        return Ok(None);
    }
    let Recorded {
        begun,
        pending,
        running,
    } = read(&file)?;
    Ok(Some(Interrupted {
        begun,
        pending,
        running,
        journal: Journal {
            file,
            path: path.to_owned(),
        },
    }))
}

fn folder(state: &Path) -> PathBuf {
    state.join("jobs")
}

/// What the records of a journal come to.
struct Recorded {
    begun: Begun,
    pending: Vec<Pending>,
    running: Vec<Started>,
}

/// Reads all records. A last line without an end was not synced, so what it says was not started, and it is cut off.
fn read(mut file: &File) -> io::Result<Recorded> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let (mut begun, mut running) = (None, Vec::new());
    let mut pending: Vec<Pending> = Vec::new();
    let end = text.iter().rposition(|&byte| byte == b'\n');
    let end = end.map_or(0, |last| last + 1);
    if end < text.len() {
        file.set_len(end as u64)?;
    }
    for line in text[..end].split_inclusive(|&byte| byte == b'\n') {
        match serde_json::from_slice(line)? {
            Record::Begun(header) => begun = Some(header),
            Record::Starting {
                step,
                title,
                undo: Some(undo),
            } => pending.push(Pending { step, title, undo }),
            Record::Starting { undo: None, .. } => {}
            Record::Running(started) => running.push(started),
            Record::Undone { step } => pending.retain(|other| other.step != step),
        }
    }
    let begun =
        begun.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no beginning"))?;
    Ok(Recorded {
        begun,
        pending,
        running,
    })
}

#[cfg(test)]
mod tests {
    use copal_sandbox::types::{Base, Location};

    use super::*;

    fn step(id: &str) -> Step {
        let remove = |path: &str| {
            Action::Remove(Location {
                base: Base::Scratch,
                path: path.into(),
            })
        };
        Step {
            id: id.into(),
            title: id.into(),
            action: remove("a"),
            undo: Some(remove(id)),
            capture: false,
        }
    }

    fn begun() -> Begun {
        let time = Timestamp::UNIX_EPOCH;
        let (job, kind, plugin) = ("j1".into(), "backup".into(), "copal/jpom".into());
        Begun {
            job,
            kind,
            plugin,
            time,
            roots: Vec::new(),
            scratch: "/tmp/copal-j1".into(),
        }
    }

    #[test]
    fn a_cut_off_job_gives_back_the_steps_not_yet_undone() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::begin(state.path(), &begun()).unwrap();
        for id in ["one", "two", "three"] {
            journal.starting(&step(id)).unwrap();
        }
        journal.undone("three").unwrap();
        (&journal.file)
            .write_all(b"{\"starting\":{\"step\":\"torn")
            .unwrap();
        assert!(
            interrupted(state.path()).unwrap().0.is_empty(),
            "a job that still runs is left alone"
        );
        drop(journal);
        // A process that another test is just starting holds a copy of the lock until it runs its program.
        let job = || {
            let jobs = std::iter::repeat_with(|| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                interrupted(state.path()).unwrap().0
            });
            let mut jobs = jobs.take(200).find(|jobs| !jobs.is_empty()).unwrap();
            assert_eq!(jobs.len(), 1);
            jobs.remove(0)
        };
        let pending = |job: &Interrupted| -> Vec<_> {
            let pending = job.pending.iter();
            pending.map(|pending| pending.step.clone()).collect()
        };
        let again = job();
        assert_eq!(pending(&again), ["one", "two"]);
        // What comes after the torn record is read again, too.
        again.journal.undone("two").unwrap();
        drop(again);
        assert_eq!(pending(&job()), ["one"]);
    }

    #[test]
    fn a_closed_journal_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        Journal::begin(state.path(), &begun())
            .unwrap()
            .close()
            .unwrap();
        assert!(interrupted(state.path()).unwrap().0.is_empty());
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_named_and_stays() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::begin(state.path(), &begun()).unwrap();
        (&journal.file)
            .write_all(b"{\"from\": \"another version\"}\n")
            .unwrap();
        let path = journal.path.clone();
        drop(journal);
        let damaged = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            interrupted(state.path()).unwrap().1
        });
        let damaged = damaged
            .take(200)
            .find(|damaged| !damaged.is_empty())
            .unwrap();
        assert!(damaged[0].contains("j1.jsonl"), "{damaged:?}");
        assert!(path.exists());
    }
}
