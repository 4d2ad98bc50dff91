//! Reads an archive in chunks cut anywhere.

use std::mem;

use super::header::{self, Header};
use super::member::{Extension, Headers, Member, Overrides, is_pax};
use super::{BLOCK, damaged, padding};
use crate::Failure;

/// More than the headers of any member hold.
const LARGEST_HEADERS: usize = 1 << 20;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What comes next in an archive. The bytes of all events in their order, with [`Member::headers`] for a member, are the archive's own.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A member begins; its headers are over.
    Member(Box<Member>),
    /// Some of the member's content.
    Data(&'a [u8]),
    /// The member's content is over.
    End,
    /// What fills a member's content up to whole blocks.
    Padding(&'a [u8]),
    /// The two blocks that end an archive, and whatever follows them.
    Trailer(&'a [u8]),
}

/// Reads an archive. What it keeps is one member's headers at most.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Where the next byte lies in the archive.
    position: u64,
    headers: Headers,
    globals: Overrides,
    overrides: Option<Overrides>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Gathers headers until there are so many bytes, the last of which are this part.
    Headers {
        until: usize,
        part: Part,
    },
    Content {
        left: u64,
        padding: usize,
    },
    Padding {
        left: usize,
    },
    /// After the first of the two blocks that end an archive.
    FirstZeros,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    /// The data of an extension, without and with padding.
    Extension {
        type_flag: u8,
        length: usize,
    },
    /// One more block of a sparse file's map.
    Map {
        header: usize,
    },
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at an archive's beginning.
    pub fn new() -> Self {
        Self {
            state: NEXT,
            position: 0,
            headers: Headers::default(),
            globals: Overrides::default(),
            overrides: None,
        }
    }

    /// Takes from the front of `input` what makes the next event; none where all of it is taken and more is needed. Fails with `corrupt`
    /// where the bytes are no archive; then the reader is of no further use.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Failure> {
        loop {
            match self.state {
                State::Headers { until, part } => {
                    let wanted = until.saturating_sub(self.headers.bytes.len());
                    let taken = self.take(input, wanted);
                    self.headers.bytes.extend_from_slice(taken);
                    if taken.len() < wanted {
                        return Ok(None);
                    }
                    if let Some(event) = self.gathered(until, part)? {
                        return Ok(Some(event));
                    }
                }
                State::Content { left: 0, padding } => {
                    self.state = State::Padding { left: padding };
                    return Ok(Some(Event::End));
                }
                State::Content { left, padding } => {
                    let data = self.take(input, usize::try_from(left).unwrap_or(usize::MAX));
                    if data.is_empty() {
                        return Ok(None);
                    }
                    let left = left - data.len() as u64;
                    self.state = State::Content { left, padding };
                    return Ok(Some(Event::Data(data)));
                }
                State::Padding { left: 0 } => self.state = NEXT,
                State::Padding { left } => {
                    let bytes = self.take(input, left);
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    let left = left - bytes.len();
                    self.state = State::Padding { left };
                    return Ok(Some(Event::Padding(bytes)));
                }
                State::FirstZeros => {
                    let wanted = BLOCK - self.headers.bytes.len();
                    let taken = self.take(input, wanted);
                    self.headers.bytes.extend_from_slice(taken);
                    if taken.len() < wanted {
                        return Ok(None);
                    }
                    if self.headers.bytes != ZEROS {
                        let offset = self.position - BLOCK as u64;
                        return Err(damaged(format!(
                            "the archive goes on at byte {offset} after a block that should end it"
                        )));
                    }
                    self.state = State::Ended;
                    return Ok(Some(Event::Trailer(&ZEROS)));
                }
                State::Ended => {
                    let rest = self.take(input, usize::MAX);
                    return Ok((!rest.is_empty()).then_some(Event::Trailer(rest)));
                }
            }
        }
    }

    /// Where the next byte lies in the archive.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Says that the rest of the member's content and its padding will not be handed in. Returns how many bytes that is; the next event is
    /// the next member's.
    pub fn skip(&mut self) -> u64 {
        let skipped = match self.state {
            State::Content { left, padding } => left + padding as u64,
            State::Padding { left } => left as u64,
            _ => return 0,
        };
        self.position += skipped;
        self.state = NEXT;
        skipped
    }

    /// Says that the input is over. Fails with `corrupt` where the archive is not.
    pub fn finish(&self) -> Result<(), Failure> {
        if self.state == State::Ended {
            return Ok(());
        }
        Err(Failure::corrupt(
            "sdk.tar.truncated",
            format!(
                "the archive is cut off at byte {}: it lacks its end",
                self.position
            ),
        ))
    }

    fn take<'a>(&mut self, input: &mut &'a [u8], most: usize) -> &'a [u8] {
        let (taken, rest) = input.split_at(most.min(input.len()));
        *input = rest;
        // No stream holds 2^64 bytes.
        self.position = self.position.saturating_add(taken.len() as u64);
        taken
    }

    /// What the part that is now whole says.
    fn gathered(&mut self, until: usize, part: Part) -> Result<Option<Event<'static>>, Failure> {
        let offset = self.position.saturating_sub(until as u64);
        let bytes = &self.headers.bytes;
        match part {
            Part::Header => {
                let block = last_block(bytes)?;
                let header = Header(block);
                let at = self.position.saturating_sub(BLOCK as u64);
                if header.is_zero() && until == BLOCK {
                    self.headers.bytes.clear();
                    self.state = State::FirstZeros;
                    return Ok(Some(Event::Trailer(&ZEROS)));
                }
                header.check(at)?;
                let type_flag = header.type_flag();
                if is_pax(type_flag) || matches!(type_flag, b'L' | b'K') {
                    let length = header.number(&header::SIZE, at)?;
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let part = Part::Extension { type_flag, length };
                    let whole = length.saturating_add(padding(length as u64));
                    return self.gather(whole, part, offset);
                }
                if header.map_goes_on() {
                    let header = until - BLOCK;
                    return self.gather(BLOCK, Part::Map { header }, offset);
                }
                self.member(offset, until - BLOCK)
            }
            Part::Extension { type_flag, length } => {
                let start = until - length - padding(length as u64);
                let data = start..start + length;
                let overrides = if type_flag == b'g' {
                    &mut self.globals
                } else {
                    self.overrides.get_or_insert_with(|| self.globals.clone())
                };
                overrides.read(
                    type_flag,
                    bytes.get(data.clone()).unwrap_or_default(),
                    offset + start as u64,
                )?;
                self.headers.extensions.push(Extension { type_flag, data });
                self.gather(BLOCK, Part::Header, offset)
            }
            Part::Map { header } => match last_block(bytes)?[504] {
                0 => self.member(offset, header),
                _ => self.gather(BLOCK, Part::Map { header }, offset),
            },
        }
    }

    fn gather(
        &mut self,
        more: usize,
        part: Part,
        offset: u64,
    ) -> Result<Option<Event<'static>>, Failure> {
        let until = self.headers.bytes.len().saturating_add(more);
        if until > LARGEST_HEADERS {
            return Err(Failure::unsupported(
                "sdk.tar.headers",
                format!(
                    "the headers of the member at byte {offset} hold more than {LARGEST_HEADERS} bytes"
                ),
            ));
        }
        self.state = State::Headers { until, part };
        Ok(None)
    }

    /// The member whose own header begins at `header` in what was gathered.
    fn member(&mut self, offset: u64, header: usize) -> Result<Option<Event<'static>>, Failure> {
        let headers = mem::take(&mut self.headers);
        let block = headers.bytes.get(header..header + BLOCK);
        let block: [u8; BLOCK] = match block.map(TryInto::try_into) {
            Some(Ok(block)) => block,
            _ => {
                return Err(damaged(format!(
                    "the headers at byte {offset} are not whole"
                )));
            }
        };
        let overrides = self.overrides.take();
        let overrides = overrides.unwrap_or_else(|| self.globals.clone());
        let member = Member::read(offset, &block, headers, &self.globals, overrides)?;
        let padding = padding(member.size);
        let end = self.position.checked_add(member.size);
        if end
            .and_then(|end| end.checked_add(padding as u64))
            .is_none()
        {
            return Err(damaged(format!(
                "the header at byte {offset} tells a size that no archive has"
            )));
        }
        self.state = State::Content {
            left: member.size,
            padding,
        };
        Ok(Some(Event::Member(Box::new(member))))
    }
}

/// At the place where a member or the archive's end begins.
const NEXT: State = State::Headers {
    until: BLOCK,
    part: Part::Header,
};

fn last_block(bytes: &[u8]) -> Result<&[u8; BLOCK], Failure> {
    bytes.last_chunk().ok_or_else(|| {
        Failure::internal(
            "sdk.tar.headers",
            "a header was looked at before it was whole",
        )
    })
}
