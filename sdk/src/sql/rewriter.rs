//! The filter that asks an editor what becomes of each statement.

mod copy;

use memchr::memchr;

use self::copy::Line;
use super::head::{self, Head, Kind};
use super::lexer::{Attention, Event, Lexer};
use super::row::Row;
use super::token::{Token, Tokens};
use super::{Decision, Editor, Statement, unreadable};
use crate::{Failure, Filter};

/// The longest head of a statement: PostgreSQL's 1,600 columns with the longest names, several times over.
const HEAD_LIMIT: usize = 1 << 20;
/// The longest row that an editor can look at.
const ROW_LIMIT: usize = 8 << 20;

/// Rewrites SQL text; see [the module](super).
#[derive(Debug)]
pub struct Rewriter<E> {
    editor: E,
    prologue: Vec<u8>,
    epilogue: Vec<u8>,
    lexer: Lexer,
    mode: Mode,
    /// The statement that is going on.
    statement: Statement,
    /// How the heads of `INSERT` statements like `statement` are written, with the parenthesis that opens the first row: most follow one of their kind.
    known: Vec<u8>,
    /// What has been read and waits for a decision: a head or a row.
    held: Vec<u8>,
    /// What stands between the last row of an `INSERT` and what follows it.
    gap: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Between,
    Meta,
    Head,
    /// To the end of the statement, kept or not.
    Body(bool),
    /// Within a row of an `INSERT`, and whether one has been kept.
    Row(bool),
    /// Behind a row of an `INSERT`, and whether one has been kept.
    AfterRow(bool),
    /// To the end of the line that begins a `COPY`.
    CopyLine(Decision),
    /// In the rows of a `COPY`, kept or not, with what a line has shown of the last one.
    Copy(bool, Line),
    /// In the rows of a `COPY` that the editor sees.
    CopyRows,
}

/// Output that is a piece of the input as long as possible.
struct Output<'a> {
    chunk: &'a [u8],
    begin: usize,
    end: usize,
    out: &'a mut Vec<u8>,
}

impl Output<'_> {
    /// Goes on with a piece of the chunk.
    fn keep(&mut self, begin: usize, end: usize) {
        if begin != self.end {
            self.flush();
            self.begin = begin;
        }
        self.end = end;
    }

    /// Goes on with other text.
    fn text(&mut self, text: &[u8]) {
        self.flush();
        self.out.extend_from_slice(text);
    }

    fn flush(&mut self) {
        self.out
            .extend_from_slice(&self.chunk[self.begin..self.end]);
        self.begin = self.end;
    }
}

impl<E: Editor> Rewriter<E> {
    /// A rewriter that does what `editor` decides.
    pub fn new(editor: E) -> Self {
        Self {
            editor,
            prologue: Vec::new(),
            epilogue: Vec::new(),
            lexer: Lexer::new(),
            mode: Mode::Between,
            statement: Statement::other(Kind::Other, ""),
            known: Vec::new(),
            held: Vec::new(),
            gap: Vec::new(),
        }
    }

    /// Puts text before everything else, on lines of its own.
    #[must_use]
    pub fn prepend(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.prologue = text.into();
        self.prologue.push(b'\n');
        self
    }

    /// Puts text behind everything else, on lines of its own; it is left out where the input is refused.
    #[must_use]
    pub fn append(mut self, text: impl AsRef<[u8]>) -> Self {
        self.epilogue = [b"\n", text.as_ref()].concat();
        self
    }

    /// The editor, after everything it has seen.
    pub fn into_editor(self) -> E {
        self.editor
    }

    /// Handles the chunk from `at` on as far as one mode goes, and returns where that is.
    fn step(&mut self, at: usize, output: &mut Output<'_>) -> Result<usize, Failure> {
        let chunk = output.chunk;
        match self.mode {
            Mode::Between => match self.lexer.scan(chunk, at, Attention::Head)? {
                None => {
                    output.keep(at, chunk.len());
                    Ok(chunk.len())
                }
                Some((start, Event::Meta)) => {
                    output.keep(at, start);
                    self.mode = Mode::Meta;
                    Ok(start)
                }
                Some((start, _)) => {
                    output.keep(at, start);
                    self.begin(start, output)
                }
            },
            Mode::Meta => {
                let (end, complete) = line(chunk, at);
                extend(&mut self.held, &chunk[at..end], HEAD_LIMIT)?;
                if complete {
                    self.meta(output)?;
                }
                Ok(end)
            }
            Mode::Head => match self.lexer.scan(chunk, at, Attention::Head)? {
                None => {
                    extend(&mut self.held, &chunk[at..], HEAD_LIMIT)?;
                    Ok(chunk.len())
                }
                Some((event_at, event)) => {
                    extend(&mut self.held, &chunk[at..event_at], HEAD_LIMIT)?;
                    self.head(event, output)?;
                    if self.mode == Mode::Head {
                        extend(&mut self.held, &chunk[event_at..=event_at], HEAD_LIMIT)?;
                        return Ok(event_at + 1);
                    }
                    self.after_head(event_at, event, output)
                }
            },
            Mode::Body(keep) => {
                let end = match self.lexer.scan(chunk, at, Attention::End)? {
                    None => chunk.len(),
                    Some((end, _)) => {
                        self.mode = Mode::Between;
                        end + 1
                    }
                };
                if keep {
                    output.keep(at, end);
                }
                Ok(end)
            }
            Mode::Row(any) => match self.lexer.scan(chunk, at, Attention::Rows)? {
                None => {
                    extend(&mut self.held, &chunk[at..], ROW_LIMIT)?;
                    Ok(chunk.len())
                }
                Some((end, _)) => {
                    extend(&mut self.held, &chunk[at..=end], ROW_LIMIT)?;
                    self.row(any, output)?;
                    Ok(end + 1)
                }
            },
            Mode::AfterRow(any) => self.after_row(any, at, output),
            Mode::CopyLine(decision) => self.copy_line(decision, at, output),
            Mode::Copy(keep, seen) => Ok(self.copy(keep, seen, at, output)),
            Mode::CopyRows => self.copy_rows(at, output),
        }
    }

    /// Begins a statement.
    fn begin(&mut self, start: usize, output: &mut Output<'_>) -> Result<usize, Failure> {
        self.held.clear();
        let known = self.known.len();
        if known > 0 && begins_with(&output.chunk[start..], &self.known) {
            self.lexer.skip_head();
            let decision = self.editor.statement(&self.statement)?;
            self.mode = match decision {
                Decision::Keep => {
                    output.keep(start, start + known);
                    Mode::Body(true)
                }
                Decision::Drop => Mode::Body(false),
                Decision::Rows => {
                    self.held.push(b'(');
                    Mode::Row(false)
                }
            };
            return Ok(start + known);
        }
        self.mode = Mode::Head;
        Ok(start)
    }

    /// Looks at the head that is held, up to an event, and decides if that is enough.
    fn head(&mut self, event: Event, output: &mut Output<'_>) -> Result<(), Failure> {
        let statement = match head::read(&self.held, event)? {
            Head::Open => return Ok(()),
            Head::Complete(statement) => statement,
            Head::Function(statement) => {
                self.lexer.mind_body();
                statement
            }
        };
        self.known.clear();
        self.statement = statement;
        let decision = self.editor.statement(&self.statement)?;
        let rows = self.statement.rows;
        if self.statement.kind == Kind::Insert && rows {
            self.known.extend_from_slice(&self.held);
            self.known.push(b'(');
        }
        self.mode = match (self.statement.kind, decision) {
            (Kind::Copy, decision) => Mode::CopyLine(decision),
            (Kind::Insert, Decision::Rows) if rows => Mode::Row(false),
            (_, decision) => Mode::Body(decision != Decision::Drop),
        };
        // An INSERT whose rows are looked at waits for the first that is kept; its head is in `known`.
        if decision != Decision::Drop && !matches!(self.mode, Mode::Row(_)) {
            output.text(&self.held);
        }
        self.held.clear();
        Ok(())
    }

    /// Handles what stopped the lexer behind a head that is complete.
    fn after_head(
        &mut self,
        at: usize,
        event: Event,
        output: &mut Output<'_>,
    ) -> Result<usize, Failure> {
        match self.mode {
            Mode::Row(_) => self.held.push(b'('),
            Mode::Body(true) | Mode::CopyLine(Decision::Keep | Decision::Rows) => {
                output.keep(at, at + 1);
            }
            _ => {}
        }
        if event == Event::End && matches!(self.mode, Mode::Body(_)) {
            self.mode = Mode::Between;
        }
        Ok(at + 1)
    }

    /// Shows the editor the row of an `INSERT` that is held. `any`: whether one before it has been kept.
    fn row(&mut self, any: bool, output: &mut Output<'_>) -> Result<(), Failure> {
        let row = Row::of_insert(&self.statement, &self.held)?;
        let keep = self.editor.row(&self.statement, &row)?;
        if keep {
            match any {
                true => output.text(&self.gap),
                // Without the parenthesis, which is the row's.
                false => output.text(self.known.split_last().map_or(&[], |(_, head)| head)),
            }
            output.text(&self.held);
        }
        self.held.clear();
        self.gap.clear();
        self.mode = Mode::AfterRow(any || keep);
        Ok(())
    }

    /// Goes on behind a row of an `INSERT`, to the next row or to the clause that ends the statement.
    fn after_row(
        &mut self,
        any: bool,
        at: usize,
        output: &mut Output<'_>,
    ) -> Result<usize, Failure> {
        let chunk = output.chunk;
        let event = self.lexer.scan(chunk, at, Attention::Rows)?;
        let end = event.map_or(chunk.len(), |(end, _)| end);
        extend(&mut self.gap, &chunk[at..end], HEAD_LIMIT)?;
        let Some((_, event)) = event else {
            return Ok(end);
        };
        let mut tokens = Tokens::of(&self.gap).map(|(token, _)| token);
        let comma = tokens.next() == Some(Token::Sign(b',')) && tokens.next().is_none();
        if event == Event::Open && comma {
            self.held.push(b'(');
            self.mode = Mode::Row(any);
            return Ok(end + 1);
        }
        if any {
            output.text(&self.gap);
            output.keep(end, end + 1);
        }
        self.gap.clear();
        self.mode = match event {
            Event::End => Mode::Between,
            _ => Mode::Body(any),
        };
        Ok(end + 1)
    }

    /// Decides about the meta-command that is held, with the end of its line if there is one.
    fn meta(&mut self, output: &mut Output<'_>) -> Result<(), Failure> {
        let statement = head::meta(&self.held)?;
        if self.editor.statement(&statement)? != Decision::Drop {
            output.text(&self.held);
        }
        self.held.clear();
        self.mode = Mode::Between;
        Ok(())
    }
}

impl<E: Editor> Filter for Rewriter<E> {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        if memchr(0, chunk).is_some() {
            return Err(Failure::unsupported(
                "sql.byte.nul",
                "the SQL text holds a NUL byte, at which psql ends a line early",
            )
            .remedy("PostgreSQL stores none: look at what wrote this text"));
        }
        out.append(&mut self.prologue);
        let mut output = Output {
            chunk,
            begin: 0,
            end: 0,
            out,
        };
        let mut at = 0;
        while at < chunk.len() {
            at = self.step(at, &mut output)?;
        }
        output.flush();
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.push(b"", out)?;
        let mut output = Output {
            chunk: b"",
            begin: 0,
            end: 0,
            out,
        };
        match self.mode {
            Mode::Meta => self.meta(&mut output)?,
            Mode::CopyRows if self.held.starts_with(b"\\.") => self.copy_row(&mut output)?,
            Mode::Copy(_, Line::End) => self.mode = Mode::Between,
            _ => {}
        }
        let open = match self.mode {
            Mode::CopyLine(_) | Mode::Copy(..) | Mode::CopyRows => Some("the rows of a COPY"),
            _ => self.lexer.open(),
        };
        match open {
            None => {
                out.append(&mut self.epilogue);
                Ok(())
            }
            Some(what) => Err(Failure::corrupt(
                "sql.end.open",
                format!("the SQL text ends inside {what}"),
            )
            .remedy("the dump is cut off: make it again")),
        }
    }
}

/// As `starts_with`, which in WebAssembly goes byte by byte: a dump begins almost every row with the same head.
fn begins_with(text: &[u8], beginning: &[u8]) -> bool {
    let Some(text) = text.get(..beginning.len()) else {
        return false;
    };
    let (blocks, rest) = text.as_chunks::<16>();
    let (expected, expected_rest) = beginning.as_chunks::<16>();
    let mut pairs = blocks.iter().zip(expected);
    let equal = |(one, other): (&[u8; 16], &[u8; 16])| {
        u128::from_ne_bytes(*one) == u128::from_ne_bytes(*other)
    };
    pairs.all(equal) && rest == expected_rest
}

/// Where the line that goes on at `at` ends in the chunk, and whether that is its end.
fn line(chunk: &[u8], at: usize) -> (usize, bool) {
    match memchr(b'\n', &chunk[at..]) {
        Some(length) => (at + length + 1, true),
        None => (chunk.len(), false),
    }
}

/// Holds bytes back, up to a limit.
fn extend(held: &mut Vec<u8>, bytes: &[u8], limit: usize) -> Result<(), Failure> {
    if held.len() + bytes.len() > limit {
        return Err(unreadable(format!(
            "a statement's head or row is longer than {limit} bytes"
        )));
    }
    held.extend_from_slice(bytes);
    Ok(())
}
