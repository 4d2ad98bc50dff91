//! SQL text as `pg_dump` writes it, read and rewritten statement by statement while it streams by.
//!
//! A [`Rewriter`] is a [`Filter`]: it takes bytes cut anywhere, finds where statements begin and end as PostgreSQL's own lexer does,
//! and asks an [`Editor`] what becomes of each. It never splits by lines, holds no more than a statement's head (its table and columns) and, where the
//! editor asked for rows, one row. The same input gives the same output however it is cut.
//!
//! It knows literals (`'…'` with doubled quotes, `E'…'` with escapes, `$tag$…$tag$`), quoted names, comments, `COPY … FROM stdin` with its rows,
//! bodies of functions in standard SQL, and the meta-commands `\restrict` and `\unrestrict`. H2's `SCRIPT` writes a language that is read the same way.
//! A [`Load`] is a rewriter whose output PostgreSQL takes whole or not at all.
//!
//! What it can't be sure of it refuses with a [`Failure`], because text that is cut at a wrong place may be executed:
//! `psql` runs a line that begins with `\!` through a shell.
//!
//! | code | refused |
//! |---|---|
//! | `sql.end.open` | the input ends inside a literal, a comment, a statement or the rows of a `COPY` |
//! | `sql.strings.nonconforming` | `standard_conforming_strings` is off, so backslashes escape in plain literals |
//! | `sql.encoding.unsafe` | a client encoding in which a backslash may be half a character |
//! | `sql.byte.nul` | there is a NUL byte, at which psql ends a line early |
//! | `sql.meta.refused` | a meta-command other than `\restrict` and `\unrestrict`, or a backslash within a statement |
//! | `sql.copy.options` | `COPY … FROM stdin` with options, whose rows may be written otherwise |
//! | `sql.statement.unreadable` | a comment mark, name, head or row that is not as it must be, or is longer than any that a database writes |
//!
//! ```
//! use copal_sdk::sql::{Decision, Rewriter, Statement};
//! use copal_sdk::{Failure, Filter};
//!
//! let mut filter = Rewriter::new(|statement: &Statement| {
//!     Ok(match statement.concerns("sessions") {
//!         true => Decision::Drop,
//!         false => Decision::Keep,
//!     })
//! })
//! .prepend("BEGIN;")
//! .append("COMMIT;\n");
//!
//! let mut out = Vec::new();
//! filter.push(b"INSERT INTO public.sessions VALUES ('a;b');\nINSERT IN", &mut out)?;
//! filter.push(b"TO public.users VALUES (1);\n", &mut out)?;
//! filter.finish(&mut out)?;
//! assert_eq!(out, b"BEGIN;\n\nINSERT INTO public.users VALUES (1);\n\nCOMMIT;\n");
//! # Ok::<(), Failure>(())
//! ```

mod head;
mod lexer;
mod load;
mod rewriter;
mod row;
#[cfg(test)]
mod tests;
mod token;

pub use head::{Kind, Statement};
pub use load::Load;
pub use rewriter::Rewriter;
pub use row::{Row, Value};

use crate::{Failure, Filter, READ_LIMIT, Tree};

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes through as it is.
    Keep,
    /// It is left out; a `COPY` with its rows.
    Drop,
    /// [`Editor::row`] decides about each row of an `INSERT … VALUES` or `COPY`. Any other statement is kept.
    Rows,
}

/// Decides about statements. A closure from `&Statement` to `Result<Decision, Failure>` is one too.
pub trait Editor {
    /// What becomes of a statement; called once for each, in their order.
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure>;

    /// Whether a row is kept; called for each row of a statement that was decided by [`Decision::Rows`]. An `INSERT` that loses all its rows is left out.
    fn row(&mut self, statement: &Statement, row: &Row<'_>) -> Result<bool, Failure> {
        let _ = (statement, row);
        Ok(true)
    }
}

impl<F: FnMut(&Statement) -> Result<Decision, Failure>> Editor for F {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        self(statement)
    }
}

/// Shows an editor all statements of the file `path`, such as a stream of a snapshot, and gives it back. Its decisions matter only in so far as
/// [`Decision::Rows`] shows it rows.
pub fn read<E: Editor>(tree: &dyn Tree, path: &str, editor: E) -> Result<E, Failure> {
    let mut rewriter = Rewriter::new(editor);
    let (mut offset, mut out) = (0, Vec::new());
    loop {
        let chunk = tree.read(path, offset, READ_LIMIT)?;
        rewriter.push(&chunk, &mut out)?;
        out.clear();
        if chunk.len() < READ_LIMIT as usize {
            break;
        }
        offset += chunk.len() as u64;
    }
    rewriter.finish(&mut out)?;
    Ok(rewriter.into_editor())
}

/// A refusal of text that can't be read with certainty.
fn unreadable(what: impl Into<String>) -> Failure {
    Failure::unsupported("sql.statement.unreadable", what)
}

/// A refusal of text that psql would carry out rather than send.
fn refused(what: &str) -> Failure {
    Failure::unsupported("sql.meta.refused", what)
        .remedy("only plain dumps by pg_dump are read; look at what wrote this one")
}
