//! Words, literals and signs of a piece of SQL that is there as a whole.

use super::lexer::{is_space, is_word};

/// One token, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, an unquoted name or a number.
    Word(&'a [u8]),
    /// A quoted name, without its quotes.
    Name(&'a [u8]),
    /// What stands between the quotes of a literal, where quotes are doubled.
    Literal(&'a [u8]),
    /// The same of a literal with escapes.
    Escaped(&'a [u8]),
    /// What stands between the marks of a dollar quote.
    Dollar(&'a [u8]),
    /// Any other byte.
    Sign(u8),
}

/// The tokens of `text` in their order, each with where it begins and ends. Comments are left out.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the token before was a literal with escapes, which a quote continues.
    escaped: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            escaped: false,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes what is quoted by `quote` from the opening quote on, which is `skip` bytes ahead; where it is not closed, all that there is.
    fn quoted(&mut self, skip: usize, quote: u8, escapes: bool) -> &'a [u8] {
        let begin = (self.at + skip + 1).min(self.text.len());
        let mut at = begin;
        loop {
            match self.text.get(at) {
                Some(b'\\') if escapes => at += 2,
                Some(byte) if *byte == quote => {
                    if self.text.get(at + 1) != Some(&quote) {
                        self.at = at + 1;
                        return &self.text[begin..at];
                    }
                    at += 2;
                }
                Some(_) => at += 1,
                None => {
                    self.at = self.text.len();
                    return &self.text[begin..];
                }
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.rest() {
                [byte, ..] if is_space(*byte) => self.at += 1,
                [b'-', b'-', comment @ ..] => {
                    let length = memchr::memchr2(b'\n', b'\r', comment).unwrap_or(comment.len());
                    self.at += 2 + length;
                }
                [b'/', b'*', comment @ ..] => self.at += 2 + nested_comment(comment),
                _ => return,
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (Token<'a>, std::ops::Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blanks();
        let begin = self.at;
        let rest = self.rest();
        let token = match rest {
            [] => return None,
            [b'\'', ..] if self.escaped => Token::Escaped(self.quoted(0, b'\'', true)),
            [b'\'', ..] => Token::Literal(self.quoted(0, b'\'', false)),
            [b'e' | b'E', b'\'', ..] => Token::Escaped(self.quoted(1, b'\'', true)),
            [b'"', ..] => Token::Name(self.quoted(0, b'"', false)),
            [b'$', ..] if dollar_quote(rest).is_some() => {
                let (mark, content) = dollar_quote(rest)?;
                self.at += 2 * mark + content.len();
                Token::Dollar(content)
            }
            [byte, ..] if is_word(*byte) => {
                let length = rest.iter().position(|byte| !is_word(*byte));
                let word = &rest[..length.unwrap_or(rest.len())];
                self.at += word.len();
                Token::Word(word)
            }
            [byte, ..] => {
                self.at += 1;
                Token::Sign(*byte)
            }
        };
        self.escaped = matches!(token, Token::Escaped(_));
        Some((token, begin..self.at))
    }
}

/// The length of a block comment after its opening mark.
fn nested_comment(comment: &[u8]) -> usize {
    let (mut at, mut nested) = (0, 1);
    while nested > 0 {
        match comment.get(at..) {
            Some([b'*', b'/', ..]) => (at, nested) = (at + 2, nested - 1),
            Some([b'/', b'*', ..]) => (at, nested) = (at + 2, nested + 1),
            Some([_, ..]) => at += 1,
            _ => return comment.len(),
        }
    }
    at
}

/// The length of the mark and the content of a dollar quote that is closed.
fn dollar_quote(text: &[u8]) -> Option<(usize, &[u8])> {
    let length = text.iter().skip(1).position(|byte| *byte == b'$')? + 2;
    let mark = text.get(..length)?;
    let tag = &mark[1..length - 1];
    if tag.first().is_some_and(u8::is_ascii_digit) || !tag.iter().all(|byte| is_word(*byte)) {
        return None;
    }
    let content = &text[length..];
    let end = memchr::memmem::find(content, mark)?;
    Some((length, &content[..end]))
}

/// A name as PostgreSQL understands it: unquoted it is lower case, quoted as it is. None for what is no name.
pub(super) fn name(token: Token<'_>) -> Option<String> {
    match token {
        Token::Word(word) => Some(String::from_utf8_lossy(word).to_lowercase()),
        Token::Name(name) => Some(String::from_utf8_lossy(name).replace("\"\"", "\"")),
        _ => None,
    }
}
