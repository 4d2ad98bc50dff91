//! Files through a plugin's filter.

use copal_sandbox::types::{Entry, Member};
use copal_sandbox::{Pass, Tree};

use crate::error::Error;

/// Bytes that are read and sent at once.
const CHUNK: u32 = 1 << 20;

/// What a filter made of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filtered {
    /// Its output.
    pub(crate) output: Vec<u8>,
    /// The members of its output, where they were asked for.
    pub(crate) members: Vec<Member>,
}

/// Sends chunks through a filter of `pass` and keeps all of its output.
pub(crate) fn chunks<'a>(
    pass: &mut Pass,
    root: &str,
    entry: &Entry,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    members: bool,
) -> Result<Filtered, copal_sandbox::Error> {
    let mut filtered = Filtered::default();
    pass.open(root, entry)?;
    for chunk in chunks {
        filtered.output.extend(pass.push(chunk)?);
        if members {
            filtered.members.extend(pass.members()?);
        }
    }
    filtered.output.extend(pass.finish_filter()?);
    if members {
        filtered.members.extend(pass.members()?);
    }
    Ok(filtered)
}

/// Sends a content through a filter of `pass`. `read` gives the bytes from an offset on, none at the end; `write` takes the output bit by bit.
pub fn filter(
    pass: &mut Pass,
    root: &str,
    entry: &Entry,
    mut read: impl FnMut(u64) -> Result<Vec<u8>, Error>,
    mut write: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    pass.open(root, entry)?;
    let mut offset = 0;
    loop {
        let chunk = read(offset)?;
        if chunk.is_empty() {
            break;
        }
        offset += chunk.len() as u64;
        write(&pass.push(&chunk)?)?;
    }
    write(&pass.finish_filter()?)
}

/// A piece of a file's content from an offset on; none at its end.
pub fn piece(tree: &dyn Tree, path: &str, offset: u64) -> Result<Vec<u8>, Error> {
    Ok(tree.read(path, offset, CHUNK)?)
}

/// All of a file's content.
pub(crate) fn content(tree: &dyn Tree, path: &str) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    loop {
        let chunk = piece(tree, path, content.len() as u64)?;
        if chunk.is_empty() {
            return Ok(content);
        }
        content.extend(chunk);
    }
}
