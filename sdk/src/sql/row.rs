//! The values of one row.

use std::borrow::Cow;

use super::token::{Token, Tokens};
use super::{Statement, unreadable};
use crate::Failure;

/// A value: none for `NULL`; the bytes of a literal without quotes and escapes; of anything else, such as a number, its text as it is written.
pub type Value<'a> = Option<Cow<'a, [u8]>>;

/// A row of an `INSERT` or `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    columns: &'a [String],
    values: Vec<Value<'a>>,
}

impl<'a> Row<'a> {
    /// All values, in the order of the statement's columns, or of the table's where the statement names none.
    pub fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// The value of a column that the statement names; none for `NULL` too.
    pub fn get(&self, column: &str) -> Option<&[u8]> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)?.as_deref()
    }

    /// The same as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self, column: &str) -> Option<Cow<'_, str>> {
        self.get(column).map(String::from_utf8_lossy)
    }

    fn new(statement: &'a Statement, values: Vec<Value<'a>>) -> Result<Self, Failure> {
        let columns = statement.columns.as_slice();
        if !columns.is_empty() && columns.len() != values.len() {
            return Err(unreadable(format!(
                "a row of the table `{}` has {} values for {} columns",
                statement.name,
                values.len(),
                columns.len()
            )));
        }
        Ok(Self { columns, values })
    }

    /// Reads a row of `VALUES`, with its parentheses.
    pub(super) fn of_insert(statement: &'a Statement, text: &'a [u8]) -> Result<Self, Failure> {
        let inner = text
            .strip_prefix(b"(")
            .and_then(|text| text.strip_suffix(b")"))
            .unwrap_or(text);
        let mut values = Vec::new();
        let (mut begin, mut nested) = (0, 0_u32);
        let mut end = 0;
        for (token, range) in Tokens::of(inner) {
            match token {
                Token::Sign(b'(' | b'[') => nested += 1,
                Token::Sign(b')' | b']') => nested = nested.saturating_sub(1),
                Token::Sign(b',') if nested == 0 => {
                    values.push(value(inner.get(begin..range.start).unwrap_or_default()));
                    begin = range.end;
                }
                _ => {}
            }
            end = range.end;
        }
        values.push(value(inner.get(begin..end).unwrap_or_default()));
        Self::new(statement, values)
    }

    /// Reads a line of a `COPY`, without its end.
    pub(super) fn of_copy(statement: &'a Statement, line: &'a [u8]) -> Result<Self, Failure> {
        let fields = line.split(|byte| *byte == b'\t');
        let values = fields.map(|field| match field {
            b"\\N" => None,
            _ => Some(unescape(field, Escapes::Copy)),
        });
        let values = values.collect();
        Self::new(statement, values)
    }
}

/// The value that an expression stands for, if it is a literal; else its text.
fn value(expression: &[u8]) -> Value<'_> {
    let mut tokens = Tokens::of(expression);
    match (tokens.next(), tokens.next()) {
        (Some((Token::Literal(content), _)), None) => Some(undouble(content)),
        (Some((Token::Escaped(content), _)), None) => Some(unescape(content, Escapes::Literal)),
        (Some((Token::Dollar(content), _)), None) => Some(content.into()),
        (Some((Token::Word(word), _)), None) if word.eq_ignore_ascii_case(b"null") => None,
        _ => Some(expression.trim_ascii().into()),
    }
}

fn undouble(content: &[u8]) -> Cow<'_, [u8]> {
    if !content.contains(&b'\'') {
        return content.into();
    }
    let mut plain = Vec::with_capacity(content.len());
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        plain.push(*byte);
        if *byte == b'\'' {
            bytes.next();
        }
    }
    plain.into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Copy,
    Literal,
}

fn unescape(text: &[u8], escapes: Escapes) -> Cow<'_, [u8]> {
    let doubled = escapes == Escapes::Literal;
    if !text
        .iter()
        .any(|byte| *byte == b'\\' || (doubled && *byte == b'\''))
    {
        return text.into();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'\\', [escaped, after @ ..]) => {
                rest = after;
                match escaped {
                    b'b' => plain.push(0x08),
                    b'f' => plain.push(0x0c),
                    b'n' => plain.push(b'\n'),
                    b'r' => plain.push(b'\r'),
                    b't' => plain.push(b'\t'),
                    b'v' if escapes == Escapes::Copy => plain.push(0x0b),
                    b'x' => plain.push(number(&mut rest, 0, 16, 2).map_or(b'x', |n| n as u8)),
                    b'u' if doubled => character(&mut plain, &mut rest, 4),
                    b'U' if doubled => character(&mut plain, &mut rest, 8),
                    b'0'..=b'7' => {
                        let first = u32::from(escaped - b'0');
                        plain.push(number(&mut rest, first, 8, 2).unwrap_or(first) as u8);
                    }
                    other => plain.push(*other),
                }
            }
            (b'\'', [b'\'', after @ ..]) if doubled => {
                rest = after;
                plain.push(b'\'');
            }
            _ => plain.push(*byte),
        }
    }
    plain.into()
}

/// Takes up to `most` digits that go on with `number`; none where there are none.
fn number(rest: &mut &[u8], number: u32, radix: u32, most: usize) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(radix);
    let digits = rest.iter().take(most).map_while(digit);
    let (count, number) = digits.fold((0, number), |(count, number), digit| {
        (count + 1, number.wrapping_mul(radix).wrapping_add(digit))
    });
    *rest = rest.get(count..).unwrap_or_default();
    (count > 0).then_some(number)
}

fn character(plain: &mut Vec<u8>, rest: &mut &[u8], digits: usize) {
    let character = number(rest, 0, 16, digits).and_then(char::from_u32);
    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
    plain.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
}
