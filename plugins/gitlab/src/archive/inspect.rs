//! Looks at an archive while a backup reads it: whether it is whole, and what it holds.

use std::cell::RefCell;
use std::rc::Rc;

use copal_sdk::tar::{self, Event, Gunzip, Kind, Reader};
use copal_sdk::{Failure, Filter, Finding, Member, name};

use super::information::{self, Information};
use super::tasks::Seen;
use super::{INFORMATION, within};
use crate::layout::{BACKUPS, join};

/// The end of a dump is looked for in so many of its last bytes.
const TAIL: usize = 4 << 10;

/// What `pg_dump` writes when it is done.
const DUMP_IS_COMPLETE: &[u8] = b"PostgreSQL database dump complete";

/// How a git bundle begins, up to its version.
const BUNDLE: &[u8] = b"# v";

/// Without these an archive is no backup.
const ESSENTIAL: [&str; 2] = ["db/database.sql.gz", "repositories"];

/// The most members that are named for one fault.
const NAMED: usize = 10;

/// Lets an archive through as it is. Fails where it is damaged or cut off, itself or an archive in it, or where its
/// database or repositories are not whole; notes what else it lacks.
pub(crate) struct Inspector {
    /// The archive's path in its root.
    path: String,
    reader: Reader,
    content: Content,
    information: Option<Information>,
    seen: Seen,
    bad_bundles: Named,
    dumps_cut_off: Named,
    /// Not yet handed to the host.
    members: Vec<Member>,
    findings: Rc<RefCell<Vec<Finding>>>,
}

/// Members with one fault: how many there are, and the paths of the first.
#[derive(Default)]
struct Named {
    paths: Vec<String>,
    count: usize,
}

/// How the content of the member at hand is looked at.
enum Content {
    /// Not at all.
    Ignored,
    Information(Vec<u8>),
    Compressed(String, Box<Gunzip<Inside>>),
    /// The hooks of a repository.
    Tar(String, Box<Reader>),
    /// A repository, whose first bytes are still to come.
    Bundle(String, Vec<u8>),
}

/// What is looked for in a compressed file.
enum Inside {
    Archive(Box<Reader>),
    /// The last bytes of a database's dump.
    Dump(Vec<u8>),
}

impl Inspector {
    /// A filter for the archive at `path`, which adds what it has to say to `findings`.
    pub(crate) fn new(path: &str, findings: Rc<RefCell<Vec<Finding>>>) -> Self {
        Self {
            path: path.to_owned(),
            reader: Reader::new(),
            content: Content::Ignored,
            information: None,
            seen: Seen::default(),
            bad_bundles: Named::default(),
            dumps_cut_off: Named::default(),
            members: Vec::new(),
            findings,
        }
    }

    fn member(&mut self, member: &tar::Member) {
        let path = name::escape(&member.path);
        self.seen.note(&path);
        if member.kind != Kind::File {
            return;
        }
        if member.size > 0 && is_plain(&path) {
            self.members.push(Member {
                path: path.clone(),
                offset: member.content_offset(),
                length: member.size,
            });
        }
        self.content = if path == INFORMATION && member.size <= information::LARGEST as u64 {
            Content::Information(Vec::new())
        } else if path.ends_with(".tar.gz") && !path.contains('/') {
            let inside = Inside::Archive(Box::default());
            Content::Compressed(path, Box::new(Gunzip::new(inside)))
        } else if path.starts_with("db/") && path.ends_with(".gz") {
            let inside = Inside::Dump(Vec::new());
            Content::Compressed(path, Box::new(Gunzip::new(inside)))
        } else if path.ends_with("custom_hooks.tar") && path.starts_with("repositories/") {
            Content::Tar(path, Box::default())
        } else if path.ends_with(".bundle") && path.starts_with("repositories/") {
            Content::Bundle(path, Vec::new())
        } else {
            Content::Ignored
        };
    }

    fn end(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.content, Content::Ignored) {
            Content::Ignored => {}
            Content::Information(text) => self.information = Some(Information::parse(&text)?),
            Content::Compressed(path, mut file) => {
                // What is inside is looked at and goes nowhere.
                let mut nothing = Vec::new();
                let ended = file.finish(&mut nothing);
                ended.map_err(|failure| within(&path, failure))?;
                if let Inside::Dump(tail) = file.inner()
                    && !holds(tail, DUMP_IS_COMPLETE)
                {
                    self.dumps_cut_off.add(path);
                }
            }
            Content::Tar(path, reader) => {
                reader.finish().map_err(|failure| within(&path, failure))?;
            }
            Content::Bundle(path, beginning) => {
                if !beginning.starts_with(BUNDLE) {
                    self.bad_bundles.add(path);
                }
            }
        }
        Ok(())
    }

    /// Says what the archive leaves out. Fails where its database or repositories are not whole.
    fn report(&self, information: &Information) -> Result<(), Failure> {
        let mut findings = self.findings.borrow_mut();
        let at = join(BACKUPS, &self.path);
        if !information.skipped.is_empty() {
            findings.push(
                Finding::info(
                    "gitlab.archive.skipped",
                    format!(
                        "The archive leaves out on purpose: {}.",
                        information.skipped.join(", ")
                    ),
                )
                .at(&at),
            );
        }
        let missing = self.seen.missing(information);
        let lacks = format!(
            "archive of GitLab {} lacks {}, which it does not say that it left out; GitLab packs an archive also where a part of the backup failed",
            information.version,
            missing.join(", ")
        );
        let faults = [
            (
                missing.iter().any(|member| ESSENTIAL.contains(member)),
                "gitlab.archive.missing",
                format!("the {lacks}"),
            ),
            (
                self.dumps_cut_off.count > 0,
                "gitlab.archive.database",
                format!(
                    "{} of the dumps do not end as PostgreSQL ends one, so part of the database may be missing: {}",
                    self.dumps_cut_off.count,
                    self.dumps_cut_off.paths.join(", ")
                ),
            ),
            (
                self.bad_bundles.count > 0,
                "gitlab.archive.bundle",
                format!(
                    "{} of the repositories are no git bundles: {}",
                    self.bad_bundles.count,
                    self.bad_bundles.paths.join(", ")
                ),
            ),
        ];
        let remedy = "Look at what GitLab said when it made the archive, and make another.";
        if let Some((_, code, message)) = faults.into_iter().find(|(is, ..)| *is) {
            return Err(Failure::corrupt(code, message).remedy(remedy));
        }
        if !missing.is_empty() {
            findings.push(
                Finding::warning("gitlab.archive.missing", format!("The {lacks}."))
                    .remedy(remedy)
                    .at(&at),
            );
        }
        Ok(())
    }
}

impl Named {
    fn add(&mut self, path: String) {
        self.count += 1;
        if self.paths.len() < NAMED {
            self.paths.push(path);
        }
    }
}

impl Content {
    fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Ignored => Ok(()),
            Self::Information(text) => {
                text.extend_from_slice(data);
                Ok(())
            }
            Self::Compressed(path, file) => {
                let mut nothing = Vec::new();
                let pushed = file.push(data, &mut nothing);
                pushed.map_err(|failure| within(path, failure))
            }
            Self::Tar(path, reader) => read(reader, data).map_err(|failure| within(path, failure)),
            Self::Bundle(_, beginning) => {
                let wanted = BUNDLE.len().saturating_sub(beginning.len());
                beginning.extend(data.iter().take(wanted));
                Ok(())
            }
        }
    }
}

impl Filter for Inspector {
    fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(chunk);
        while let Some(event) = self.reader.next(&mut chunk)? {
            match event {
                Event::Member(member) => self.member(&member),
                Event::Data(data) => self.content.push(data)?,
                Event::End => self.end()?,
                Event::Padding(_) | Event::Trailer(_) => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Failure> {
        self.reader.finish()?;
        let Some(information) = &self.information else {
            return Err(information::absent(&self.path));
        };
        self.report(information)
    }

    fn members(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.members)
    }
}

impl Filter for Inside {
    fn push(&mut self, chunk: &[u8], _out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Archive(reader) => read(reader, chunk),
            Self::Dump(tail) => {
                let last = &chunk[chunk.len().saturating_sub(TAIL)..];
                let kept = tail.len().min(TAIL - last.len());
                tail.drain(..tail.len() - kept);
                tail.extend_from_slice(last);
                Ok(())
            }
        }
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Archive(reader) => reader.finish(),
            Self::Dump(_) => Ok(()),
        }
    }
}

/// Reads through an archive for nothing but its being one.
fn read(reader: &mut Reader, mut data: &[u8]) -> Result<(), Failure> {
    while reader.next(&mut data)?.is_some() {}
    Ok(())
}

/// Whether a member's path is one that a file can have, so that the host may list it.
fn is_plain(path: &str) -> bool {
    let name = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255;
    path.split('/').all(name)
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
