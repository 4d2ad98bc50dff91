//! What a statement is and which table it is about, from its first words.

use super::lexer::Event;
use super::token::{Token, Tokens, name};
use super::{refused, unreadable};
use crate::Failure;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `INSERT INTO`.
    Insert,
    /// `COPY … FROM stdin` with its rows.
    Copy,
    /// `SELECT pg_catalog.setval('…', …)`: a sequence goes on from a value.
    Setval,
    /// `SET`, or `SELECT pg_catalog.set_config('…', '…', …)`.
    Set,
    /// A meta-command of psql, `\restrict` or `\unrestrict`.
    Meta,
    /// Any other.
    Other,
}

/// A statement's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub kind: Kind,
    /// The schema of the table or sequence, where it is written.
    pub schema: Option<String>,
    /// The table, the sequence, the setting or the meta-command; of any other statement the first word. Unquoted names are in lower case, as PostgreSQL
    /// takes them.
    pub name: String,
    /// The columns of an `INSERT` or `COPY` in their order; empty where they are not written.
    pub columns: Vec<String>,
    /// Whether rows follow: `VALUES`, or a `COPY`'s.
    pub(super) rows: bool,
}

impl Statement {
    /// Whether it writes to `table`: to `table` as a bare name or in the schema `public`, or, where `table` is written with a schema, in that one. A bare
    /// name is of the schema `public`, as in dumps by a pg_dump from before 10.3.
    pub fn concerns(&self, table: &str) -> bool {
        if !matches!(self.kind, Kind::Insert | Kind::Copy) {
            return false;
        }
        let schema = self.schema.as_deref();
        // Asked for each statement of a dump: from the end, most names differ at once.
        match table.strip_suffix(self.name.as_str()) {
            None => false,
            Some("") => schema.is_none_or(|schema| schema.eq_ignore_ascii_case("public")),
            Some(written) => written.strip_suffix('.') == Some(schema.unwrap_or("public")),
        }
    }

    /// A statement that is neither of those with a table or sequence.
    pub(super) fn other(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            schema: None,
            name: name.into(),
            columns: Vec::new(),
            rows: false,
        }
    }
}

/// What the words so far allow to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More is needed.
    Open,
    Complete(Statement),
    /// Complete, and the body may hold statements.
    Function(Statement),
}

/// Reads the head of a statement as far as it has been seen: up to, and without, what stopped the lexer.
pub(super) fn read(text: &[u8], stopped: Event) -> Result<Head, Failure> {
    let mut tokens = Tokens::of(text).map(|(token, _)| token).peekable();
    let word = match tokens.next() {
        Some(Token::Word(word)) => word.to_ascii_lowercase(),
        _ => Vec::new(),
    };
    let ended = stopped == Event::End;
    let statement = match word.as_slice() {
        b"insert" | b"copy" | b"set" | b"select" if stopped == Event::Mark => {
            return Ok(Head::Open);
        }
        b"insert" => return insert(tokens, stopped),
        b"copy" if ended => copy(tokens)?,
        b"set" if ended => set(tokens)?,
        b"select" if ended => select(tokens)?,
        b"copy" | b"set" | b"select" => return Ok(Head::Open),
        b"create" => {
            let object = tokens
                .filter_map(name)
                .find(|word| !matches!(word.as_str(), "or" | "replace"));
            let other = Statement::other(Kind::Other, "create");
            return Ok(match object.as_deref() {
                Some("function" | "procedure") => Head::Function(other),
                None if stopped == Event::Mark => Head::Open,
                _ => Head::Complete(other),
            });
        }
        _ => Statement::other(Kind::Other, String::from_utf8_lossy(&word)),
    };
    Ok(Head::Complete(statement))
}

fn is_word(token: Option<&Token<'_>>, expected: &str) -> bool {
    matches!(token, Some(Token::Word(word)) if word.eq_ignore_ascii_case(expected.as_bytes()))
}

fn insert<'a>(
    mut tokens: std::iter::Peekable<impl Iterator<Item = Token<'a>>>,
    stopped: Event,
) -> Result<Head, Failure> {
    let into = tokens.next_if(|token| is_word(Some(token), "into"));
    let Some((schema, name)) = into.and_then(|_| table(&mut tokens)) else {
        return Err(unreadable("there is an INSERT that names no table"));
    };
    let columns = columns(&mut tokens);
    let rows = is_word(tokens.last().as_ref(), "values") && stopped == Event::Open;
    if !rows && stopped != Event::End {
        return Ok(Head::Open);
    }
    Ok(Head::Complete(Statement {
        kind: Kind::Insert,
        schema,
        name,
        columns,
        rows,
    }))
}

fn copy<'a>(
    mut tokens: std::iter::Peekable<impl Iterator<Item = Token<'a>>>,
) -> Result<Statement, Failure> {
    let Some((schema, name)) = table(&mut tokens) else {
        return Ok(Statement::other(Kind::Other, "copy"));
    };
    let columns = columns(&mut tokens);
    let from = is_word(tokens.next().as_ref(), "from");
    if !from || !is_word(tokens.next().as_ref(), "stdin") {
        return Ok(Statement::other(Kind::Other, "copy"));
    }
    if tokens.next().is_some() {
        return Err(Failure::unsupported(
            "sql.copy.options",
            format!("the rows of the table `{name}` are copied with options"),
        )
        .remedy("dump with `pg_dump`'s plain format"));
    }
    Ok(Statement {
        kind: Kind::Copy,
        schema,
        name,
        columns,
        rows: true,
    })
}

fn set<'a>(tokens: impl Iterator<Item = Token<'a>>) -> Result<Statement, Failure> {
    let tokens: Vec<_> = tokens.collect();
    if has_escaped_name(&tokens) {
        return Err(unreadable("a SET names its setting by escapes"));
    }
    let scope = |token: &&Token<'_>| {
        ["session", "local"]
            .iter()
            .any(|word| is_word(Some(token), word))
    };
    let scoped = tokens.iter().take_while(scope).count();
    let (setting, value) = match tokens.get(scoped..).unwrap_or_default() {
        [] => (None, &[][..]),
        [setting, Token::Sign(b'='), value @ ..] => (name(*setting), value),
        [setting, to, value @ ..] if is_word(Some(to), "to") => (name(*setting), value),
        [setting, value @ ..] => (name(*setting), value),
    };
    let setting = setting.unwrap_or_default().to_lowercase();
    check_setting(&setting, value)?;
    Ok(Statement::other(Kind::Set, setting))
}

/// Refuses values of settings by which other text than ours would be read.
fn check_setting(setting: &str, value: &[Token<'_>]) -> Result<(), Failure> {
    let value = match value {
        [Token::Literal(text) | Token::Word(text) | Token::Name(text)] => {
            Some(String::from_utf8_lossy(text).to_lowercase())
        }
        _ => None,
    };
    let value = value.as_deref();
    match setting {
        "standard_conforming_strings" if !matches!(value, Some("on" | "true" | "yes" | "1")) => {
            Err(Failure::unsupported(
                "sql.strings.nonconforming",
                "standard_conforming_strings is not on, so backslashes escape in plain literals",
            )
            .remedy("set it on in the source database, and dump again"))
        }
        "client_encoding" | "names" if value.is_none_or(has_halved_backslashes) => {
            let encoding = value.unwrap_or("that an expression gives");
            Err(Failure::unsupported(
                "sql.encoding.unsafe",
                format!(
                    "the text is in the encoding {encoding}, in which a backslash may be half a character"
                ),
            )
            .remedy("dump with `--encoding=UTF8`"))
        }
        _ => Ok(()),
    }
}

/// Tells what `SELECT pg_catalog.setval(…)` and `SELECT pg_catalog.set_config(…)` do, where they are written as pg_dump writes them.
fn select<'a>(tokens: impl Iterator<Item = Token<'a>>) -> Result<Statement, Failure> {
    let tokens: Vec<_> = tokens.collect();
    let (call, qualified) = match tokens.as_slice() {
        [catalog, Token::Sign(b'.'), call @ ..] if is_word(Some(catalog), "pg_catalog") => {
            (call, true)
        }
        call => (call, false),
    };
    let other = Statement::other(Kind::Other, "select");
    match call {
        [
            function,
            Token::Sign(b'('),
            Token::Literal(setting),
            Token::Sign(b','),
            value @ Token::Literal(_),
            Token::Sign(b','),
            Token::Word(_),
            Token::Sign(b')'),
        ] if is_word(Some(function), "set_config") => {
            let setting = String::from_utf8_lossy(setting).to_lowercase();
            check_setting(&setting, std::slice::from_ref(value))?;
            Ok(match qualified {
                true => Statement::other(Kind::Set, setting),
                false => other,
            })
        }
        [
            function,
            Token::Sign(b'('),
            Token::Literal(sequence),
            Token::Sign(b','),
            value @ ..,
            Token::Sign(b')'),
        ] if is_word(Some(function), "setval") && qualified && is_plain(value) => {
            let mut tokens = Tokens::of(sequence).map(|(token, _)| token).peekable();
            let Some((schema, name)) = table(&mut tokens) else {
                return Err(unreadable("a setval() without a sequence"));
            };
            Ok(Statement {
                kind: Kind::Setval,
                schema,
                name,
                columns: Vec::new(),
                rows: false,
            })
        }
        _ if has_escaped_name(&tokens) || tokens.iter().any(is_set_config) => Err(unreadable(
            "a SELECT calls set_config() otherwise than pg_dump does",
        )),
        _ => Ok(other),
    }
}

fn is_set_config(token: &Token<'_>) -> bool {
    name(*token).is_some_and(|name| name.eq_ignore_ascii_case("set_config"))
}

/// Whether there is a name with escapes, `U&"…"`, which may be any name.
fn has_escaped_name(tokens: &[Token<'_>]) -> bool {
    tokens.windows(3).any(|three| {
        is_word(three.first(), "u") && matches!(three, [_, Token::Sign(b'&'), Token::Name(_)])
    })
}

/// Whether these are numbers and keywords alone: nothing is called.
fn is_plain(arguments: &[Token<'_>]) -> bool {
    arguments
        .iter()
        .all(|token| matches!(token, Token::Word(_) | Token::Sign(b',' | b'-')))
}

/// A name with or without a schema; of more parts the last two.
fn table<'a>(
    tokens: &mut std::iter::Peekable<impl Iterator<Item = Token<'a>>>,
) -> Option<(Option<String>, String)> {
    let mut schema = None;
    let mut table = name(tokens.next()?)?;
    while tokens.next_if_eq(&Token::Sign(b'.')).is_some() {
        schema = Some(std::mem::replace(&mut table, name(tokens.next()?)?));
    }
    Some((schema, table))
}

/// The names in parentheses, if there are any.
fn columns<'a>(tokens: &mut std::iter::Peekable<impl Iterator<Item = Token<'a>>>) -> Vec<String> {
    if tokens.next_if_eq(&Token::Sign(b'(')).is_none() {
        return Vec::new();
    }
    tokens
        .take_while(|token| *token != Token::Sign(b')'))
        .filter_map(name)
        .collect()
}

/// Encodings that only a client can have, whose second bytes may be a backslash.
fn has_halved_backslashes(encoding: &str) -> bool {
    let plain: String = encoding
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    [
        "sjis",
        "shiftjis",
        "mskanji",
        "win932",
        "windows932",
        "big5",
        "win950",
        "windows950",
        "gbk",
        "win936",
        "windows936",
        "gb18030",
        "uhc",
        "win949",
        "windows949",
        "johab",
    ]
    .iter()
    .any(|unsafe_one| plain.starts_with(unsafe_one))
}

/// The name of a meta-command's line, which begins with the backslash. Arguments are bare words, because psql runs what stands in back-quotes.
pub(super) fn meta(line: &[u8]) -> Result<Statement, Failure> {
    let line = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
    let mut words = line.split_ascii_whitespace();
    let command = words.next().unwrap_or_default();
    let plain = words.all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match matches!(command, "restrict" | "unrestrict") && plain {
        true => Ok(Statement::other(Kind::Meta, command)),
        false => Err(refused(
            "there is a meta-command, which psql would carry out",
        )),
    }
}
