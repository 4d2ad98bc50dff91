//! Reads an archive in a tree member by member, leaving out contents that nobody asks for.

use copal_sdk::tar::{Event, Member, Reader};
use copal_sdk::{Failure, Tree};

/// Bytes of one read.
const PIECE: u32 = 256 << 10;

/// What to do with a member's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Hand it over.
    Read,
    /// Go to the next member.
    Skip,
    /// Go no further at all.
    Enough,
}

/// Is told what an archive holds.
pub(crate) trait Visitor {
    /// A member begins.
    fn member(&mut self, member: &Member) -> Result<Look, Failure>;

    /// Some of a content that was asked for.
    fn data(&mut self, data: &[u8]) -> Result<(), Failure> {
        let _ = data;
        Ok(())
    }

    /// That content is over.
    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Reads the archive at `path`, which must be whole unless the visitor has enough before its end.
pub(crate) fn scan(tree: &dyn Tree, path: &str, visitor: &mut dyn Visitor) -> Result<(), Failure> {
    let mut reader = Reader::new();
    loop {
        let piece = tree.read(path, reader.position(), PIECE)?;
        if piece.is_empty() {
            return reader.finish();
        }
        let mut chunk = piece.as_slice();
        while let Some(event) = reader.next(&mut chunk)? {
            match event {
                Event::Member(member) => match visitor.member(&member)? {
                    Look::Read => {}
                    Look::Enough => return Ok(()),
                    Look::Skip => {
                        let skipped = usize::try_from(reader.skip()).unwrap_or(usize::MAX);
                        chunk = chunk.get(skipped..).unwrap_or_default();
                    }
                },
                Event::Data(data) => visitor.data(data)?,
                Event::End => visitor.end()?,
                Event::Padding(_) => {}
                Event::Trailer(_) if reader.finish().is_ok() => return Ok(()),
                Event::Trailer(_) => {}
            }
        }
    }
}
