//! Gives everything within an archive, and within the archives in it, to one owner.
//!
//! A header comes before its content, and a compressed archive has another size once the owners in it are others. So a restore measures first
//! ([`measure`]), while it is planned, and the filter ([`normaliser`]) checks that it comes out so.

use std::collections::BTreeMap;

use copal_sdk::tar::{Change, Gunzip, Gzip, Kind, Member, Rewriter, Treatment};
use copal_sdk::{Failure, Filter, Tree, name};

use super::scan::{Look, Visitor, scan};
use super::within;
use crate::pass::Git;

/// The new sizes of members, by where these begin in the archive: of those alone whose size changes.
pub(crate) type Sizes = BTreeMap<u64, u64>;

/// A filter that gives an archive's members to `git`.
pub(crate) fn normaliser(git: Git, sizes: Sizes) -> Box<dyn Filter> {
    Box::new(Rewriter::new(move |member: &Member| {
        let content = content(member, git);
        let size = content
            .is_some()
            .then(|| sizes.get(&member.offset).copied());
        Ok(Treatment {
            change: Change {
                size: size.flatten(),
                ..owner(git)
            },
            content,
        })
    }))
}

/// The sizes that members of the archive at `path` will have. Reads the archives in it and compresses them, and skips all else.
pub(crate) fn measure(tree: &dyn Tree, path: &str, git: Git) -> Result<Sizes, Failure> {
    let mut measuring = Measuring {
        git,
        sizes: Sizes::new(),
        current: None,
        out: Vec::new(),
    };
    scan(tree, path, &mut measuring).map_err(|failure| within(path, failure))?;
    Ok(measuring.sizes)
}

struct Measuring {
    git: Git,
    sizes: Sizes,
    current: Option<Measured>,
    out: Vec<u8>,
}

struct Measured {
    path: String,
    offset: u64,
    old: u64,
    new: u64,
    filter: Box<dyn Filter>,
}

impl Measuring {
    fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Filter, &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(measured) = &mut self.current {
            self.out.clear();
            write(measured.filter.as_mut(), &mut self.out)
                .map_err(|failure| within(&measured.path, failure))?;
            measured.new = measured.new.saturating_add(self.out.len() as u64);
        }
        Ok(())
    }
}

impl Visitor for Measuring {
    fn member(&mut self, member: &Member) -> Result<Look, Failure> {
        let Some(filter) = content(member, self.git) else {
            return Ok(Look::Skip);
        };
        self.current = Some(Measured {
            path: name::escape(&member.path),
            offset: member.offset,
            old: member.size,
            new: 0,
            filter,
        });
        Ok(Look::Read)
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.write(|filter, out| filter.push(data, out))
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.write(|filter, out| filter.finish(out))?;
        let changed = self
            .current
            .take()
            .filter(|member| member.new != member.old);
        self.sizes
            .extend(changed.map(|member| (member.offset, member.new)));
        Ok(())
    }
}

/// What rewrites a member that is an archive itself; none for all others. What users uploaded is never looked into.
fn content(member: &Member, git: Git) -> Option<Box<dyn Filter>> {
    if member.kind != Kind::File {
        return None;
    }
    let inner = || {
        Rewriter::new(move |_: &Member| {
            Ok(Treatment {
                change: owner(git),
                content: None,
            })
        })
    };
    let path = &member.path;
    if path.ends_with(b".tar.gz") && !path.contains(&b'/') {
        Some(Box::new(Gunzip::new(Gzip::new(inner()))))
    } else if path.ends_with(b"custom_hooks.tar") && path.starts_with(b"repositories/") {
        Some(Box::new(inner()))
    } else {
        None
    }
}

fn owner(git: Git) -> Change {
    Change {
        uid: Some(git.uid.into()),
        gid: Some(git.gid.into()),
        user: Some("git".to_owned()),
        group: Some("git".to_owned()),
        ..Change::default()
    }
}
