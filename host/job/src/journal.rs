//! What a job is about to do, on disk before it does it, so that `copal resume` can take back what a crash left.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use copal_sandbox::types::{Action, Step};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::places::Root;

/// How a job describes itself in its journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The job's id, unique on this machine.
    pub job: String,
    /// `backup` or `restore`.
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
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut journal = Self { file, path };
        journal.append(&Record::Begun(begun.clone()))?;
        File::open(&folder)?.sync_all()?;
        Ok(journal)
    }

    /// Notes that a step is about to start. Once this returns, a crash can't forget its undo.
    pub(crate) fn starting(&mut self, step: &Step) -> io::Result<()> {
        let (id, title) = (step.id.clone(), step.title.clone());
        self.append(&Record::Starting {
            step: id,
            title,
            undo: step.undo.clone(),
        })
    }

    /// Notes that a step was taken back.
    pub(crate) fn undone(&mut self, step: &str) -> io::Result<()> {
        self.append(&Record::Undone {
            step: step.to_owned(),
        })
    }

    /// Removes the journal of a job that left nothing to take back.
    pub(crate) fn close(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

/// A job that was cut off.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) begun: Begun,
    /// In the order in which they were started.
    pub(crate) pending: Vec<Pending>,
    pub(crate) journal: Journal,
}

/// The jobs whose process is gone. A job that still runs holds its file's lock and is left alone.
pub(crate) fn interrupted(state: &Path) -> io::Result<Vec<Interrupted>> {
    let entries = match std::fs::read_dir(folder(state)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    });
    paths.sort();
    let mut jobs = Vec::new();
    for path in paths {
        let file = OpenOptions::new().read(true).append(true).open(&path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        match read(&file)? {
            Some((begun, pending)) => jobs.push(Interrupted {
                begun,
                pending,
                journal: Journal { file, path },
            }),
            // Cut off before its first line was whole: nothing had been started.
            None => std::fs::remove_file(&path)?,
        }
    }
    Ok(jobs)
}

fn folder(state: &Path) -> PathBuf {
    state.join("jobs")
}

/// Reads up to the first line that is not whole: what was not synced was not started.
fn read(file: &File) -> io::Result<Option<(Begun, Vec<Pending>)>> {
    let mut begun = None;
    let mut pending: Vec<Pending> = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(Record::Begun(header)) => begun = Some(header),
            Ok(Record::Starting {
                step,
                title,
                undo: Some(undo),
            }) => pending.push(Pending { step, title, undo }),
            Ok(Record::Starting { undo: None, .. }) => {}
            Ok(Record::Undone { step }) => pending.retain(|other| other.step != step),
            Err(_) => break,
        }
    }
    Ok(begun.map(|begun| (begun, pending)))
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
        let mut journal = Journal::begin(state.path(), &begun()).unwrap();
        for id in ["one", "two", "three"] {
            journal.starting(&step(id)).unwrap();
        }
        journal.undone("three").unwrap();
        journal
            .file
            .write_all(b"{\"starting\":{\"step\":\"torn")
            .unwrap();
        assert!(
            interrupted(state.path()).unwrap().is_empty(),
            "a job that still runs is left alone"
        );
        drop(journal);
        // A process that another test is just starting holds a copy of the lock until it runs its program.
        let jobs = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            interrupted(state.path()).unwrap()
        });
        let jobs = jobs.take(200).find(|jobs| !jobs.is_empty()).unwrap();
        let pending: Vec<_> = jobs[0]
            .pending
            .iter()
            .map(|pending| pending.step.as_str())
            .collect();
        assert_eq!((jobs.len(), pending), (1, vec!["one", "two"]));
    }

    #[test]
    fn a_closed_journal_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        Journal::begin(state.path(), &begun())
            .unwrap()
            .close()
            .unwrap();
        assert!(interrupted(state.path()).unwrap().is_empty());
    }
}
