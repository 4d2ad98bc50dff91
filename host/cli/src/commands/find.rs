//! `copal find`

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use copal_repository::finder::{Finder, Hit, Query, Wanted};
use copal_repository::format::BlobKind;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::pattern::Pattern;
use copal_repository::progress::ItemError;
use copal_repository::{LockMode, ReadableSnapshots, Repository, SnapshotId};
use copal_sandbox::name;
use serde_json::{Value, json};

use super::entries::{Row, line};
use super::select;
use crate::args::FindArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &FindArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshot, &args.filter)?;
    let mut code = select::complain(&damaged, session);
    let query = query(args, &repository)?;
    // Without it all would count as lost.
    repository.load_index()?;
    let mut finder = Finder::new(&repository, &query);
    let mut found = Found {
        json: session.global.json,
        long: args.long,
        out: io::BufWriter::new(io::stdout()),
        first: true,
    };
    for snapshot in &snapshots {
        // What the others hold may be what is looked for.
        let lost = match found.look_into(&mut finder, snapshot) {
            Err(Failure::Output(error)) => return Err(Failure::Output(error)),
            Err(failure) => vec![failure.to_string()],
            Ok(lost) => lost.iter().map(ToString::to_string).collect(),
        };
        let within = |what| format!("snapshot {}: {what}", snapshot.0.short());
        let lost: Vec<_> = lost.into_iter().map(within).collect();
        if !lost.is_empty() {
            code = select::complain(&lost, session);
        }
    }
    found.end()?;
    Ok(code)
}

fn query(args: &FindArgs, repository: &Repository) -> Result<Query, Failure> {
    if args.blob || args.tree || args.pack {
        let mut wanted = Wanted::default();
        for id in &args.patterns {
            let id = id.to_string_lossy();
            if args.blob {
                wanted.blobs(repository, BlobKind::Data, &id)?;
            }
            if args.tree {
                wanted.blobs(repository, BlobKind::Tree, &id)?;
            }
            if args.pack {
                wanted.pack(repository, &id)?;
            }
        }
        return Ok(Query::Blobs(wanted));
    }
    let patterns = args
        .patterns
        .iter()
        .map(|pattern| Pattern::new(pattern.as_bytes(), args.ignore_case))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::arguments(error.to_string(), ""))?;
    Ok(Query::Entries {
        patterns,
        oldest: args.oldest,
        newest: args.newest,
    })
}

/// Prints what is found, snapshot after snapshot.
struct Found {
    json: bool,
    long: bool,
    out: io::BufWriter<io::Stdout>,
    first: bool,
}

impl Found {
    /// Gives the directories that can't be read.
    fn look_into(
        &mut self,
        finder: &mut Finder<'_>,
        (id, snapshot): &(SnapshotId, Snapshot),
    ) -> Result<Vec<ItemError>, Failure> {
        let mut hits = 0_u64;
        let found = &mut |hit: &Hit<'_>| {
            if hits == 0 {
                self.begin(id, snapshot).map_err(unwritten)?;
            }
            hits += 1;
            self.hit(hit, hits == 1).map_err(unwritten)
        };
        let searched = finder.search(&snapshot.tree, found);
        if hits > 0 {
            self.first = false;
            if self.json {
                write!(self.out, "\n], \"hits\": {hits}}}")?;
            }
        }
        Ok(searched.map_err(Failure::of_output)?.lost)
    }

    fn begin(&mut self, id: &SnapshotId, snapshot: &Snapshot) -> io::Result<()> {
        if !self.json {
            return self.title(id, snapshot);
        }
        let begin = if self.first { "[\n" } else { ",\n" };
        writeln!(self.out, "{begin}{{\"snapshot\": \"{id}\", \"matches\": [")
    }

    fn hit(&mut self, hit: &Hit<'_>, first: bool) -> io::Result<()> {
        let path = name::escape(hit.path);
        if self.json {
            let begin = if first { "" } else { ",\n" };
            write!(self.out, "{begin}")?;
            return Ok(serde_json::to_writer(&mut self.out, &document(&path, hit))?);
        }
        let shown = line(&path, hit.node, self.long);
        match &hit.blob {
            Some((kind, blob)) => writeln!(self.out, "{kind} {blob} {shown}"),
            None => writeln!(self.out, "{shown}"),
        }
    }

    fn title(&mut self, id: &SnapshotId, snapshot: &Snapshot) -> io::Result<()> {
        let space = if self.first { "" } else { "\n" };
        let time = output::stored_time(snapshot.time);
        writeln!(self.out, "{space}In snapshot {} of {time}:", id.short())
    }

    fn end(mut self) -> Result<(), Failure> {
        match (self.json, self.first) {
            (true, true) => self.out.write_all(b"[]\n")?,
            (true, false) => self.out.write_all(b"\n]\n")?,
            (false, true) => self.out.write_all(b"nothing was found\n")?,
            (false, false) => {}
        }
        Ok(self.out.flush()?)
    }
}

fn unwritten(error: io::Error) -> copal_repository::Error {
    copal_repository::Error::io("standard output", error)
}

fn document(path: &str, hit: &Hit<'_>) -> Value {
    let mut document = json!(Row::new(path, hit.node));
    if let (Some((kind, id)), Some(fields)) = (&hit.blob, document.as_object_mut()) {
        fields.insert("blob".to_owned(), json!({"kind": kind, "id": id}));
    }
    document
}
