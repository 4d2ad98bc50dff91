//! Where statements begin and end: a lexer that can be stopped after any byte.

use memchr::{memchr, memchr2};

use super::{refused, unreadable};
use crate::Failure;

/// The longest tag of a dollar quote. PostgreSQL itself writes tags of a few characters.
const TAG_LIMIT: usize = 256;

/// What a scan stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The first byte of a statement, which has not been consumed.
    Start,
    /// A backslash between statements, which has not been consumed.
    Meta,
    /// A parenthesis that opens at the top level.
    Open,
    /// The parenthesis that closes it.
    Close,
    /// A quote or comment within a statement: its first word is complete.
    Mark,
    /// The semicolon that ends a statement.
    End,
}

/// Which events within a statement a scan stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// Only its end.
    End,
    /// Parentheses at the top level too.
    Rows,
    /// All.
    Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between statements.
    Between,
    /// Within a statement, outside of literals, names and comments.
    Code,
    /// After the first byte of a comment between statements.
    CommentMark(u8),
    LineComment,
    /// With how deep comments are nested, and the byte before unless it was part of a mark.
    BlockComment(u32, u8),
    Literal,
    /// A literal with escapes, and whether the byte before was a backslash that escapes.
    Escaped(bool),
    /// Behind a literal with escapes, which goes on where the next thing is a quote, and what has been seen since.
    AfterEscaped(Gap),
    Name,
    /// After a dollar sign, while the tag of a dollar quote is read.
    DollarTag,
    /// Within a dollar quote, with how many bytes of its end have been seen.
    Dollar(usize),
}

/// What stands between a literal and the quote behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    None,
    Blank,
    /// Blanks with the end of a line, behind which alone a literal goes on.
    Newline,
}

#[derive(Debug)]
pub(super) struct Lexer {
    state: State,
    /// Whether a statement has begun.
    within: bool,
    /// Parentheses that are open.
    depth: u32,
    /// The last two bytes of code before the chunk, the latest first; zero where there were none since a literal, name or comment.
    history: [u8; 2],
    /// `$tag$` of the dollar quote that is open.
    tag: Vec<u8>,
    body: Option<Body>,
}

/// What is known of a body of statements, `BEGIN ATOMIC … END`, in a statement that creates a function.
#[derive(Debug, Default)]
struct Body {
    /// How many blocks are open.
    blocks: u32,
    /// The word before, in lower case, of which no more is kept than it takes to tell keywords.
    word: Vec<u8>,
}

/// Bytes of code at which something may happen.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let special = b"'\"$-*;()\\";
    let mut i = 0;
    while i < special.len() {
        table[special[i] as usize] = true;
        i += 1;
    }
    table
};

/// Whether the byte can be part of a name or keyword.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Whether PostgreSQL skips the byte between words.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            state: State::Between,
            within: false,
            depth: 0,
            history: [0; 2],
            tag: Vec::new(),
            body: None,
        }
    }

    /// What the lexer is in the middle of, if it is.
    pub(super) fn open(&self) -> Option<&'static str> {
        match self.state {
            State::Between | State::LineComment if !self.within => None,
            State::Literal | State::Escaped(_) | State::DollarTag | State::Dollar(_) => {
                Some("a literal")
            }
            State::Name => Some("a quoted name"),
            State::BlockComment(..) | State::CommentMark(_) => Some("a comment"),
            _ => Some("a statement"),
        }
    }

    /// Goes on as if the statement that has just started had been scanned up to and with the parenthesis that opens its first row.
    pub(super) fn skip_head(&mut self) {
        self.depth = 1;
        self.history = [0; 2];
    }

    /// Minds `BEGIN` and `END` to the end of the statement: it creates a function.
    pub(super) fn mind_body(&mut self) {
        self.body = Some(Body::default());
    }

    /// Scans `chunk` from `at` on to the next event: where it is, and which. None where the chunk is used up.
    pub(super) fn scan(
        &mut self,
        chunk: &[u8],
        mut at: usize,
        attention: Attention,
    ) -> Result<Option<(usize, Event)>, Failure> {
        while at < chunk.len() {
            match self.state {
                State::Between => {
                    let blank = chunk[at..].iter().position(|byte| !is_space(*byte));
                    let Some(blank) = blank else { return Ok(None) };
                    at += blank;
                    match chunk[at] {
                        b'\\' => return Ok(Some((at, Event::Meta))),
                        b';' => at += 1,
                        mark @ (b'-' | b'/') => {
                            self.state = State::CommentMark(mark);
                            at += 1;
                        }
                        _ => {
                            self.within = true;
                            self.depth = 0;
                            self.body = None;
                            self.enter_code();
                            return Ok(Some((at, Event::Start)));
                        }
                    }
                }
                State::Code => {
                    let (next, event) = self.code(chunk, at, attention == Attention::Head)?;
                    at = next;
                    let wanted = match event {
                        None => false,
                        Some(Event::Open | Event::Close) => attention != Attention::End,
                        Some(Event::Mark) => attention == Attention::Head,
                        Some(_) => true,
                    };
                    if let Some(event) = event.filter(|_| wanted) {
                        return Ok(Some((at - 1, event)));
                    }
                }
                State::CommentMark(mark) => {
                    self.state = match (mark, chunk[at]) {
                        (b'-', b'-') => State::LineComment,
                        (b'/', b'*') => State::BlockComment(1, 0),
                        _ => return Err(unreadable("a statement begins with a sign")),
                    };
                    at += 1;
                }
                State::LineComment => match memchr2(b'\n', b'\r', &chunk[at..]) {
                    Some(length) => {
                        at += length + 1;
                        self.leave();
                    }
                    None => return Ok(None),
                },
                State::BlockComment(nested, before) => {
                    self.state = match (before, chunk[at]) {
                        (b'/', b'*') => State::BlockComment(nested.saturating_add(1), 0),
                        (b'*', b'/') => State::BlockComment(nested - 1, 0),
                        (_, byte) => State::BlockComment(nested, byte),
                    };
                    at += 1;
                    if matches!(self.state, State::BlockComment(0, _)) {
                        self.leave();
                    }
                }
                State::Literal => match memchr(b'\'', &chunk[at..]) {
                    Some(length) => {
                        // A doubled quote ends one literal and begins another, which is the same to us.
                        at += length + 1;
                        self.enter_code();
                    }
                    None => return Ok(None),
                },
                State::Escaped(true) => {
                    self.state = State::Escaped(false);
                    at += 1;
                }
                State::Escaped(false) => match memchr2(b'\'', b'\\', &chunk[at..]) {
                    Some(length) => {
                        at += length + 1;
                        self.state = match chunk[at - 1] {
                            b'\'' => State::AfterEscaped(Gap::None),
                            _ => State::Escaped(true),
                        };
                    }
                    None => return Ok(None),
                },
                State::AfterEscaped(gap) => match chunk[at] {
                    b'\'' if gap == Gap::Blank => {
                        return Err(unreadable(
                            "a literal stands on one line with one with escapes before it",
                        ));
                    }
                    b'\'' => {
                        self.state = State::Escaped(false);
                        at += 1;
                    }
                    byte if is_space(byte) => {
                        let newline = gap == Gap::Newline || matches!(byte, b'\n' | b'\r');
                        self.state = State::AfterEscaped(match newline {
                            true => Gap::Newline,
                            false => Gap::Blank,
                        });
                        at += 1;
                    }
                    b'-' | b'/' => {
                        return Err(unreadable(
                            "a comment or sign stands behind a literal with escapes",
                        ));
                    }
                    _ => self.enter_code(),
                },
                State::Name => match memchr(b'"', &chunk[at..]) {
                    Some(length) => {
                        at += length + 1;
                        self.enter_code();
                    }
                    None => return Ok(None),
                },
                State::DollarTag => {
                    let byte = chunk[at];
                    if byte == b'$' {
                        self.tag.push(byte);
                        self.state = State::Dollar(0);
                        at += 1;
                    } else if is_word(byte) && !(self.tag.len() == 1 && byte.is_ascii_digit()) {
                        if self.tag.len() == TAG_LIMIT {
                            return Err(unreadable("the tag of a dollar quote is too long"));
                        }
                        self.tag.push(byte);
                        at += 1;
                    } else {
                        // A parameter, such as `$1`: what has been read is a word.
                        self.state = State::Code;
                        self.history = [b'$'; 2];
                    }
                }
                State::Dollar(0) => match memchr(b'$', &chunk[at..]) {
                    Some(length) => {
                        at += length + 1;
                        self.state = State::Dollar(1);
                    }
                    None => return Ok(None),
                },
                State::Dollar(seen) => {
                    // Only its first and last byte are dollar signs, so a wrong byte can begin the end anew only if it is one.
                    let byte = chunk[at];
                    let seen = match self.tag.get(seen) {
                        Some(expected) if *expected == byte => seen + 1,
                        _ => usize::from(byte == b'$'),
                    };
                    at += 1;
                    if seen == self.tag.len() {
                        self.enter_code();
                    } else {
                        self.state = State::Dollar(seen);
                    }
                }
            }
        }
        Ok(None)
    }

    fn enter_code(&mut self) {
        self.state = State::Code;
        self.history = [0; 2];
    }

    /// Ends a comment.
    fn leave(&mut self) {
        match self.within {
            true => self.enter_code(),
            false => self.state = State::Between,
        }
    }

    /// Scans code up to and with the first byte at which something happens: what follows it, and what it was. Unless `marks` are asked for,
    /// plain literals are skipped here and now: most of a dump are literals.
    fn code(
        &mut self,
        chunk: &[u8],
        mut start: usize,
        marks: bool,
    ) -> Result<(usize, Option<Event>), Failure> {
        let mut at = start;
        loop {
            if self.body.is_none() {
                let plain = chunk[at..]
                    .iter()
                    .position(|byte| SPECIAL[usize::from(*byte)]);
                at = plain.map_or(chunk.len(), |plain| at + plain);
            }
            let Some(&byte) = chunk.get(at) else {
                self.history = self.before(chunk, start, at);
                return Ok((at, None));
            };
            if self.body.is_some() {
                let in_word = is_word(self.before(chunk, start, at)[0]);
                if self.body_goes_on(byte, in_word) {
                    at += 1;
                    continue;
                }
            }
            let event = match byte {
                b'\'' => {
                    let before = self.before(chunk, start, at);
                    if matches!(before[0], b'e' | b'E') && !is_word(before[1]) {
                        self.state = State::Escaped(false);
                    } else if marks {
                        self.state = State::Literal;
                    } else if let Some(length) = memchr(b'\'', &chunk[at + 1..]) {
                        at += length + 2;
                        start = at;
                        self.history = [0; 2];
                        continue;
                    } else {
                        self.state = State::Literal;
                        return Ok((chunk.len(), None));
                    }
                    Event::Mark
                }
                b'"' => {
                    self.state = State::Name;
                    Event::Mark
                }
                b'$' if !is_word(self.before(chunk, start, at)[0]) => {
                    self.tag.clear();
                    self.tag.push(b'$');
                    self.state = State::DollarTag;
                    Event::Mark
                }
                b'-' if self.before(chunk, start, at)[0] == b'-' => {
                    self.state = State::LineComment;
                    Event::Mark
                }
                b'*' if self.before(chunk, start, at)[0] == b'/' => {
                    self.state = State::BlockComment(1, 0);
                    Event::Mark
                }
                b'\\' => return Err(refused("there is a backslash within a statement")),
                b'(' => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth > 1 {
                        at += 1;
                        continue;
                    }
                    Event::Open
                }
                b')' => {
                    let closes = self.depth == 1;
                    self.depth = self.depth.saturating_sub(1);
                    if !closes {
                        at += 1;
                        continue;
                    }
                    Event::Close
                }
                b';' if self.depth == 0 && self.body.as_ref().is_none_or(|b| b.blocks == 0) => {
                    self.within = false;
                    self.state = State::Between;
                    Event::End
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            at += 1;
            self.history = self.before(chunk, start, at);
            return Ok((at, Some(event)));
        }
    }

    /// The two bytes of code before `at`, the latest first, where the code in this chunk begins at `start`.
    fn before(&self, chunk: &[u8], start: usize, at: usize) -> [u8; 2] {
        match at - start {
            0 => self.history,
            1 => [chunk[at - 1], self.history[0]],
            _ => [chunk[at - 1], chunk[at - 2]],
        }
    }

    /// Takes note of a byte of code where bodies are minded: whether it is part of a word.
    fn body_goes_on(&mut self, byte: u8, in_word: bool) -> bool {
        const LONGEST: usize = b"begin".len();
        let Some(body) = &mut self.body else {
            return false;
        };
        if is_word(byte) && (byte != b'$' || in_word) {
            if body.word.len() <= LONGEST {
                body.word.push(byte.to_ascii_lowercase());
            }
            return true;
        }
        if self.depth == 0 {
            match body.word.as_slice() {
                b"begin" => body.blocks += 1,
                b"case" if body.blocks > 0 => body.blocks += 1,
                b"end" => body.blocks = body.blocks.saturating_sub(1),
                _ => {}
            }
        }
        body.word.clear();
        false
    }
}
