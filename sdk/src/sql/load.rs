//! The filter that makes a dump what is loaded.

use super::{Decision, Editor, Kind, Rewriter, Row, Statement};
use crate::{Failure, Filter};

/// What pg_dump writes last, besides an `\unrestrict`.
const COMPLETE: &str = "-- PostgreSQL database dump complete";
/// How much of a dump's end is looked at for it.
const TAIL: usize = 512;
/// The settings of a dump that matter for what it means. The others are PostgreSQL's defaults, or unknown to servers that are older than the
/// `pg_dump` that wrote them.
const SETTINGS: [&str; 4] = [
    "check_function_bodies",
    "client_encoding",
    "search_path",
    "standard_conforming_strings",
];
/// What begins or ends a transaction.
const TRANSACTION: [&str; 7] = [
    "abort", "begin", "commit", "end", "prepare", "rollback", "start",
];

/// Makes a whole dump by `pg_dump` one transaction: what comes out begins with `BEGIN` and ends with `COMMIT`, and `psql` loads it whole or not at all.
///
/// `COMMIT` is written only where the input ends as pg_dump ends a dump, and where nothing was refused. So a dump that is cut off anywhere, a filter
/// that fails, a Copal that is killed leave the database as it was, which psql's `--single-transaction` does not do: it commits whatever came before
/// the end of its input.
///
/// The editor decides about statements as with a [`Rewriter`], but does not see what never gets through: meta-commands, which a `psql` from before
/// August 2025 does not know, and settings other than those that the text needs to mean what it says.
///
/// | code | refused |
/// |---|---|
/// | `sql.load.incomplete` | the dump does not end as pg_dump ends it |
/// | `sql.load.transaction` | the dump begins or ends a transaction itself |
///
/// ```
/// use copal_sdk::sql::{Decision, Load, Statement};
/// use copal_sdk::{Failure, Filter};
///
/// let mut filter = Load::new(|_: &Statement| Ok(Decision::Keep)).prepend("DELETE FROM public.users;");
///
/// let mut out = Vec::new();
/// filter.push(b"\\restrict a\nINSERT INTO public.users VALUES (1);\n", &mut out)?;
/// filter.push(b"-- PostgreSQL database dump complete\n", &mut out)?;
/// filter.finish(&mut out)?;
/// assert_eq!(
///     out,
///     b"BEGIN;\nDELETE FROM public.users;\nINSERT INTO public.users VALUES (1);\n-- PostgreSQL database dump complete\n\nCOMMIT;\n"
/// );
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct Load<E> {
    rewriter: Rewriter<Guard<E>>,
    tail: Vec<u8>,
}

/// Decides about what no load lets through, and asks the editor about the rest.
#[derive(Debug)]
struct Guard<E>(E);

impl<E: Editor> Load<E> {
    /// A load of what `editor` lets through.
    pub fn new(editor: E) -> Self {
        let load = Self {
            rewriter: Rewriter::new(Guard(editor)).append("COMMIT;\n"),
            tail: Vec::new(),
        };
        load.prepend("")
    }

    /// Puts statements at the transaction's beginning, on lines of their own.
    #[must_use]
    pub fn prepend(mut self, sql: impl AsRef<str>) -> Self {
        self.rewriter = self.rewriter.prepend(format!("BEGIN;\n{}", sql.as_ref()));
        self
    }

    /// Puts statements at the transaction's end, on lines of their own.
    #[must_use]
    pub fn append(mut self, sql: impl AsRef<str>) -> Self {
        self.rewriter = self.rewriter.append(format!("{}\nCOMMIT;\n", sql.as_ref()));
        self
    }
}

impl<E: Editor> Editor for Guard<E> {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        let name = statement.name.as_str();
        match statement.kind {
            Kind::Meta => Ok(Decision::Drop),
            Kind::Set if !SETTINGS.contains(&name) => Ok(Decision::Drop),
            Kind::Other if TRANSACTION.contains(&name) => Err(Failure::unsupported(
                "sql.load.transaction",
                format!("the dump has a statement that begins with `{name}`, and is loaded in one transaction"),
            )
            .remedy("dump with `pg_dump`'s plain format, without large objects")),
            _ => self.0.statement(statement),
        }
    }

    fn row(&mut self, statement: &Statement, row: &Row<'_>) -> Result<bool, Failure> {
        self.0.row(statement, row)
    }
}

impl<E: Editor> Filter for Load<E> {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let new = &chunk[chunk.len().saturating_sub(TAIL)..];
        let surplus = (self.tail.len() + new.len()).saturating_sub(TAIL);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(new);
        self.rewriter.push(chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if memchr::memmem::find(&self.tail, COMPLETE.as_bytes()).is_none() {
            return Err(Failure::corrupt(
                "sql.load.incomplete",
                "the dump does not end as pg_dump ends it",
            )
            .remedy("it is cut off: use another snapshot"));
        }
        self.rewriter.finish(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(_: &Statement) -> Result<Decision, Failure> {
        Ok(Decision::Keep)
    }

    fn run<E: Editor>(mut load: Load<E>, chunks: &[&[u8]]) -> Result<String, Failure> {
        let mut out = Vec::new();
        for chunk in chunks {
            load.push(chunk, &mut out)?;
        }
        load.finish(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_dump_becomes_a_transaction_that_any_psql_and_server_understands() {
        let dump = "\\restrict x
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET search_path = public, pg_catalog;
SELECT pg_catalog.set_config('search_path', '', false);
SELECT pg_catalog.set_config('row_security', 'off', false);
CREATE TABLE t ();
DROP TABLE gone;
COPY public.t (id) FROM stdin;
COMMIT;
\\.
-- PostgreSQL database dump complete
\\unrestrict x
";
        let editor = |statement: &Statement| {
            assert!(!matches!(statement.kind, Kind::Meta));
            Ok(match statement.name.as_str() {
                "drop" => Decision::Drop,
                _ => Decision::Keep,
            })
        };
        let load = Load::new(editor)
            .prepend("DELETE FROM t;")
            .append("ANALYZE;");
        assert_eq!(
            run(load, &[dump.as_bytes()]).unwrap(),
            "BEGIN;
DELETE FROM t;

SET client_encoding = 'UTF8';
SET search_path = public, pg_catalog;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE t ();

COPY public.t (id) FROM stdin;
COMMIT;
\\.
-- PostgreSQL database dump complete

ANALYZE;
COMMIT;
"
        );
    }

    #[test]
    fn nothing_is_committed_that_is_cut_off_or_is_a_transaction_itself() {
        for (dump, code) in [
            ("SELECT 1;\n", "sql.load.incomplete"),
            (
                "COMMIT;\n-- PostgreSQL database dump complete\n",
                "sql.load.transaction",
            ),
            (
                "end work;\n-- PostgreSQL database dump complete\n",
                "sql.load.transaction",
            ),
            (
                "\\! id\n-- PostgreSQL database dump complete\n",
                "sql.meta.refused",
            ),
            (
                "SELECT '\n-- PostgreSQL database dump complete\n",
                "sql.end.open",
            ),
        ] {
            let failure = run(Load::new(keep), &[dump.as_bytes()]).unwrap_err();
            assert_eq!(failure.code, code, "{dump}");
        }
    }

    #[test]
    fn the_end_of_a_dump_is_seen_however_it_is_cut() {
        let dump = format!("{}{COMPLETE}\n--\n\n", "SELECT 1;\n".repeat(100));
        for size in 1..dump.len() {
            let chunks: Vec<_> = dump.as_bytes().chunks(size).collect();
            run(Load::new(keep), &chunks).unwrap();
        }
    }

    #[test]
    fn a_dump_to_which_something_was_appended_is_refused() {
        let dump = format!("{COMPLETE}\n{}", "-- more\n".repeat(100));
        let failure = run(Load::new(keep), &[dump.as_bytes()]).unwrap_err();
        assert_eq!(failure.code, "sql.load.incomplete");
    }
}
