//! The same archive with something else in it.

use super::{Change, Event, Member, Reader, padding};
use crate::{Failure, Filter, name};

/// What becomes of a member.
#[derive(Default)]
pub struct Treatment {
    /// What changes in its headers. A header comes before the content, so the size of what `content` makes has to stand here, unless it
    /// is the member's own.
    pub change: Change,
    /// What makes its new content; none where it stays.
    pub content: Option<Box<dyn Filter>>,
}

/// A filter that rewrites an archive: a rule says for each member what becomes of it. Every byte that no rule changes stays as it is.
pub struct Rewriter<R> {
    reader: Reader,
    rule: R,
    /// The content that is being replaced.
    content: Option<Content>,
    /// Whether the padding that comes is of a content that was replaced.
    replaced: bool,
}

struct Content {
    path: String,
    filter: Box<dyn Filter>,
    /// Bytes that are still to come out of the filter, and all of them.
    left: u64,
    size: u64,
}

impl<R: FnMut(&Member) -> Result<Treatment, Failure>> Rewriter<R> {
    /// A filter that asks `rule` once for each member, in their order.
    pub fn new(rule: R) -> Self {
        Self {
            reader: Reader::new(),
            rule,
            content: None,
            replaced: false,
        }
    }

    fn member(&mut self, member: &Member, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Treatment { change, content } = (self.rule)(member)?;
        let size = change.size.unwrap_or(member.size);
        out.extend(member.changed(&change)?);
        self.replaced = false;
        self.content = content.map(|filter| Content {
            path: name::escape(&member.path),
            filter,
            left: size,
            size,
        });
        if self.content.is_none() && size != member.size {
            return Err(Failure::internal(
                "sdk.tar.size",
                "a rule changes a member's size without its content",
            ));
        }
        Ok(())
    }
}

impl Content {
    /// Lets the filter write, and counts.
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut dyn Filter, &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let before = out.len();
        write(self.filter.as_mut(), out).map_err(|failure| within(&self.path, failure))?;
        let written = out.len().saturating_sub(before) as u64;
        let Some(left) = self.left.checked_sub(written) else {
            return Err(self.miscounted("more"));
        };
        self.left = left;
        Ok(())
    }

    fn miscounted(&self, how: &str) -> Failure {
        Failure::internal(
            "sdk.tar.size",
            format!(
                "the new content of {} has {how} than the {} bytes that its header says",
                self.path, self.size
            ),
        )
    }
}

/// A failure with the member that it happened in.
pub(super) fn within(path: &str, failure: Failure) -> Failure {
    Failure {
        message: format!("{path}: {}", failure.message),
        ..failure
    }
}

impl<R: FnMut(&Member) -> Result<Treatment, Failure>> Filter for Rewriter<R> {
    fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        while let Some(event) = self.reader.next(&mut chunk)? {
            match event {
                Event::Member(member) => self.member(&member, out)?,
                Event::Data(data) => match &mut self.content {
                    Some(content) => content.write(out, |filter, out| filter.push(data, out))?,
                    None => out.extend_from_slice(data),
                },
                Event::End => {
                    if let Some(mut content) = self.content.take() {
                        content.write(out, |filter, out| filter.finish(out))?;
                        if content.left > 0 {
                            return Err(content.miscounted("less"));
                        }
                        out.resize(out.len() + padding(content.size), 0);
                        self.replaced = true;
                    }
                }
                Event::Padding(_) if self.replaced => {}
                Event::Padding(bytes) | Event::Trailer(bytes) => out.extend_from_slice(bytes),
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Failure> {
        self.reader.finish()
    }
}
