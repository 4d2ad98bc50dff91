//! The members of a file, such as those of an archive: where its content is cut for them, and the directory that lists them as
//! files of their own.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use super::job::Job;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::id::TreeId;
use crate::pass::{Member, is_file_name};
use crate::progress::display;

/// What the name of the directory that lists a file's members adds to the file's.
pub(super) const SUFFIX: &str = ".members";

/// How much the members of one file may take, by a rough count of bytes: half a million with long paths. What is beyond that is
/// neither listed nor cut.
const MOST: usize = 256 << 20;

/// What a name in a member's path takes besides its bytes: a part of a list here, and later perhaps a directory.
const NAME: usize = 64;

/// A member whose bytes are all cut.
pub(super) struct Listed {
    path: Vec<u8>,
    size: u64,
    /// Which of the file's chunks it consists of.
    chunks: Range<usize>,
}

/// The members of one file, while that is read.
#[derive(Default)]
pub(super) struct Members {
    /// What is yet to begin.
    ahead: VecDeque<Member>,
    /// What the next bytes belong to, with the number of its first chunk.
    open: Option<(Member, usize)>,
    listed: Vec<Listed>,
    /// Where the last that is known of ends.
    end: u64,
    /// What all members take that were announced so far.
    size: usize,
}

impl Members {
    /// Takes members that begin at `position` or later.
    pub(super) fn announce(&mut self, members: Vec<Member>, position: u64) -> Result<(), Error> {
        for member in members {
            let end = member.offset.checked_add(member.length);
            let fit = names(&member.path).all(is_file_name);
            match end {
                Some(end) if fit && member.offset >= self.end.max(position) => self.end = end,
                _ => {
                    let path = display(&member.path);
                    let message = format!(
                        "the member `{path}`, {} bytes from {} on, is not one that a file of {position} bytes so far can \
                         go on with",
                        member.length, member.offset
                    );
                    return Err(Error::Pass(message.into()));
                }
            }
            let size = member.path.len() + NAME * names(&member.path).count();
            self.size = self.size.saturating_add(size);
            if self.size <= MOST {
                self.ahead.push_back(member);
            }
        }
        if self.size > MOST {
            (self.ahead, self.listed, self.open) = Default::default();
        }
        Ok(())
    }

    /// Where the file has to be cut next: at the end of a member, or at the beginning of one.
    pub(super) fn border(&self) -> Option<u64> {
        match &self.open {
            Some((member, _)) => Some(member.offset + member.length),
            None => self.ahead.front().map(|member| member.offset),
        }
    }

    /// The file has been cut at the border, into so many chunks up to there.
    pub(super) fn cross(&mut self, chunks: usize) {
        match self.open.take() {
            None => self.open = self.ahead.pop_front().map(|member| (member, chunks)),
            Some((member, first)) => self.listed.push(Listed {
                path: member.path,
                size: member.length,
                chunks: first..chunks,
            }),
        }
    }

    /// All members of the file `name`, which has been read to its end, in the order of a walk through them; or why they can't be
    /// listed.
    pub(super) fn finish(mut self, name: &[u8]) -> Result<Vec<Listed>, String> {
        if self.size > MOST {
            return Err("they are too many".to_owned());
        }
        if let Some(member) = self.open.map(|open| open.0).or(self.ahead.pop_front()) {
            return Err(format!(
                "`{}` goes on past the end of the file",
                display(&member.path)
            ));
        }
        if !self.listed.is_empty() && !is_file_name(&view_name(name)) {
            return Err("the name of the file is too long".to_owned());
        }
        self.listed
            .sort_by(|a, b| names(&a.path).cmp(names(&b.path)));
        let mut pairs = self.listed.windows(2);
        let twice = pairs.find_map(|pair| match pair {
            [one, other] if is_beneath(&other.path, &one.path) => Some(display(&one.path)),
            _ => None,
        });
        match twice {
            Some(path) => Err(format!("`{path}` is in it twice, or a directory too")),
            None => Ok(self.listed),
        }
    }
}

/// The name of the directory that lists the members of the file `name`.
pub(super) fn view_name(name: &[u8]) -> Vec<u8> {
    [name, SUFFIX.as_bytes()].concat()
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
}

/// Whether `path` is `directory` or beneath it.
fn is_beneath(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// A directory with its entries so far.
type Open = (Vec<u8>, Vec<Node>);

/// Stores the directories that list `members` of `file`, in the order of a walk; returns the outermost, which goes beside the file.
/// Nothing where there are no members.
pub(super) fn view(
    file: &Node,
    members: Vec<Listed>,
    store: &mut dyn FnMut(Tree) -> Result<TreeId, Error>,
) -> Result<Option<Node>, Error> {
    if members.is_empty() {
        return Ok(None);
    }
    let made = |name: &[u8], kind, mode| Node {
        mode,
        modified: file.modified,
        accessed: file.accessed,
        changed: file.changed,
        uid: file.uid,
        gid: file.gid,
        user: file.user.clone(),
        group: file.group.clone(),
        ..Node::new(name, kind)
    };
    // Closes all but the first `keep` directories; the outermost comes back if it is closed too.
    let mut close = |open: &mut Vec<Open>, keep: usize| {
        while open.len() > keep
            && let Some((name, nodes)) = open.pop()
        {
            let node = Node {
                subtree: Some(store(Tree { nodes })?),
                ..made(&name, NodeKind::Directory, 0o700)
            };
            match open.last_mut() {
                Some((_, nodes)) => nodes.push(node),
                None => return Ok(Some(node)),
            }
        }
        Ok::<_, Error>(None)
    };
    let mut open: Vec<Open> = vec![(view_name(&file.name), Vec::new())];
    for member in members {
        let mut directories: Vec<_> = names(&member.path).collect();
        let name = directories.pop().unwrap_or_default();
        let mut pairs = open.iter().skip(1).zip(&directories);
        let shared = pairs.position(|(open, name)| open.0 != *name);
        let shared = shared.unwrap_or(directories.len().min(open.len() - 1));
        close(&mut open, 1 + shared)?;
        open.extend(
            directories
                .drain(shared..)
                .map(|name| (name.to_vec(), Vec::new())),
        );
        if let Some((_, nodes)) = open.last_mut() {
            nodes.push(Node {
                size: member.size,
                content: file.content[member.chunks].to_vec(),
                links: 1,
                ..made(name, NodeKind::File, 0o600)
            });
        }
    }
    close(&mut open, 0)
}

/// Whether `view`, of the parent snapshot, lists members rather than what lay in a directory of that name, and the repository has all of it.
pub(super) fn is_whole(view: &Node, job: &Job<'_>) -> Result<bool, Error> {
    // What lay in a file system has a device.
    let Some(subtree) = view.subtree.filter(|_| view.device_id == 0) else {
        return Ok(false);
    };
    let mut open = vec![subtree];
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if !job.writer.knows(BlobKind::Tree, &id.into())? {
            return Ok(false);
        }
        let Some(tree) = job.parent_tree(&id) else {
            return Ok(false);
        };
        for node in tree.nodes {
            if !job.knows_content(&node)? {
                return Ok(false);
            }
            open.extend(node.subtree);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_without_end_take_no_more_memory_and_cut_nothing_more() {
        let mut members = Members::default();
        let mut offset = 0;
        let mut chunks = 0;
        while members.size <= MOST {
            let batch = (0..30_000).map(|index| Member {
                path: format!("{}{index}", "x/".repeat(100)).into(),
                offset: offset + index,
                length: 1,
            });
            members.announce(batch.collect(), offset).unwrap();
            offset += 30_000;
            while members.border().is_some() {
                chunks += 1;
                members.cross(chunks);
            }
        }
        assert!(offset < 100_000, "{offset}");
        assert_eq!(members.listed.len(), 0);
        let late = Member {
            path: b"late".to_vec(),
            offset: 0,
            length: 1,
        };
        assert!(members.announce(vec![late], offset).is_err());
        assert_eq!(members.border(), None);
        assert!(members.finish(b"x.tar").is_err());
    }
}
