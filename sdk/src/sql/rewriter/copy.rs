//! The rows of a `COPY`, to the line that ends them.

use memchr::memchr;

use super::super::lexer::is_space;
use super::super::{Decision, Editor, Row, unreadable};
use super::{Mode, Output, ROW_LIMIT, Rewriter, extend, line};
use crate::Failure;

/// What has been read of a line that may be the end of a `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Start,
    Backslash,
    End,
    Row,
}

impl<E: Editor> Rewriter<E> {
    /// Goes on to the end of the line that begins a `COPY`.
    pub(super) fn copy_line(
        &mut self,
        decision: Decision,
        at: usize,
        output: &mut Output<'_>,
    ) -> Result<usize, Failure> {
        let chunk = output.chunk;
        let (end, complete) = line(chunk, at);
        if chunk[at..end].iter().any(|byte| !is_space(*byte)) {
            return Err(unreadable(
                "something follows COPY … FROM stdin on its line",
            ));
        }
        if decision != Decision::Drop {
            output.keep(at, end);
        }
        if complete {
            self.mode = match decision {
                Decision::Rows => Mode::CopyRows,
                decision => Mode::Copy(decision == Decision::Keep, Line::Start),
            };
        }
        Ok(end)
    }

    /// Goes on in rows that the editor does not see.
    pub(super) fn copy(
        &mut self,
        keep: bool,
        mut seen: Line,
        at: usize,
        output: &mut Output<'_>,
    ) -> usize {
        let chunk = output.chunk;
        let mut end = at;
        while let Some(byte) = chunk.get(end)
            && self.mode != Mode::Between
        {
            end += 1;
            seen = match (seen, byte) {
                (Line::Start, b'\\') => Line::Backslash,
                (Line::Backslash, b'.') => Line::End,
                (Line::End, b'\r') => Line::End,
                (Line::End, b'\n') => {
                    self.mode = Mode::Between;
                    break;
                }
                (_, b'\n') => Line::Start,
                _ => match memchr(b'\n', &chunk[end..]) {
                    Some(length) => {
                        end += length + 1;
                        Line::Start
                    }
                    None => {
                        end = chunk.len();
                        Line::Row
                    }
                },
            };
        }
        if self.mode != Mode::Between {
            self.mode = Mode::Copy(keep, seen);
        }
        if keep {
            output.keep(at, end);
        }
        end
    }

    /// Goes on in rows that the editor sees.
    pub(super) fn copy_rows(
        &mut self,
        at: usize,
        output: &mut Output<'_>,
    ) -> Result<usize, Failure> {
        let chunk = output.chunk;
        let (end, complete) = line(chunk, at);
        extend(&mut self.held, &chunk[at..end], ROW_LIMIT)?;
        if complete {
            self.copy_row(output)?;
        }
        Ok(end)
    }

    /// Shows the editor the line of a `COPY` that is held, with its end.
    pub(super) fn copy_row(&mut self, output: &mut Output<'_>) -> Result<(), Failure> {
        let line = self.held.strip_suffix(b"\n").unwrap_or(&self.held);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let keep = match line {
            b"\\." => {
                self.mode = Mode::Between;
                true
            }
            _ => {
                let row = Row::of_copy(&self.statement, line)?;
                self.editor.row(&self.statement, &row)?
            }
        };
        if keep {
            output.text(&self.held);
        }
        self.held.clear();
        Ok(())
    }
}
