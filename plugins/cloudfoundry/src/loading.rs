//! What becomes of a dump on its way into a target's database.

use std::collections::BTreeSet;

use copal_sdk::sql::{Decision, Editor, Kind, Rewriter, Statement};
use copal_sdk::{Failure, Filter};
use serde::{Deserialize, Serialize};

/// What pg_dump writes last, besides an `\unrestrict`.
const COMPLETE: &[u8] = b"PostgreSQL database dump complete";
/// How much of a dump's end is looked at for it.
const TAIL: usize = 512;
/// The settings of a dump that matter for what it means. The others are PostgreSQL's defaults, or unknown to servers that are older than the
/// `pg_dump` that wrote them.
const SETTINGS: [&str; 3] = [
    "client_encoding",
    "standard_conforming_strings",
    "check_function_bodies",
];

/// How a dump is loaded: in one transaction, which replaces the rows of some tables and leaves others alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// Whether the dump creates a schema; else it may hold nothing but rows.
    pub schema: bool,
    /// Tables whose rows are emptied first.
    pub replaced: BTreeSet<String>,
    /// Tables whose rows in the dump are left out, spelled `TABLE` or `SCHEMA.TABLE`.
    pub left_out: BTreeSet<String>,
    /// Sequences that the dump sets and the target lacks.
    pub missing_sequences: BTreeSet<String>,
}

impl Loading {
    /// The filter that makes a dump what is loaded.
    pub fn filter(&self) -> impl Filter + use<> {
        // The transaction is the text's own, so that a dump that is cut off anywhere, or that is refused half-way, is never committed: psql's
        // `--single-transaction` commits whatever came before the end of its input.
        let mut prologue = "BEGIN;\n".to_owned();
        if !self.schema {
            // Foreign keys that form a circle can be loaded in no order; they are checked afterwards.
            prologue += "SET LOCAL session_replication_role = replica;\n";
        }
        for table in &self.replaced {
            prologue += &format!("DELETE FROM public.\"{}\";\n", table.replace('"', "\"\""));
        }
        WholeDump {
            rewriter: Rewriter::new(self.clone())
                .prepend(prologue)
                .append("COMMIT;\n"),
            tail: Vec::new(),
        }
    }
}

impl Editor for Loading {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        let drop = match statement.kind {
            Kind::Insert | Kind::Copy => {
                self.left_out.iter().any(|table| statement.concerns(table))
            }
            Kind::Setval => self.missing_sequences.contains(&statement.name),
            Kind::Set => !SETTINGS.contains(&statement.name.as_str()),
            // Nothing else gets through, and a psql from before 2025 does not know it.
            Kind::Meta => true,
            Kind::Other if self.schema || statement.name == "select" => false,
            Kind::Other => {
                return Err(Failure::unsupported(
                    "cloudfoundry.dump.statement",
                    format!("the dump does more than load rows: it has a statement that begins with `{}`", statement.name),
                )
                .remedy("only what `pg_dump --data-only` wrote is loaded"));
            }
        };
        Ok(match drop {
            true => Decision::Drop,
            false => Decision::Keep,
        })
    }
}

/// Ends only where the dump was ended by pg_dump.
struct WholeDump {
    rewriter: Rewriter<Loading>,
    tail: Vec<u8>,
}

impl Filter for WholeDump {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let new = &chunk[chunk.len().saturating_sub(TAIL)..];
        let surplus = (self.tail.len() + new.len()).saturating_sub(TAIL);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(new);
        self.rewriter.push(chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self
            .tail
            .windows(COMPLETE.len())
            .any(|bytes| bytes == COMPLETE)
        {
            return Err(Failure::corrupt(
                "cloudfoundry.dump.incomplete",
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

    fn load(loading: &Loading, dump: &str) -> Result<String, Failure> {
        let (mut filter, mut out) = (loading.filter(), Vec::new());
        filter.push(dump.as_bytes(), &mut out)?;
        filter.finish(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_dump_is_loaded_in_a_transaction_of_its_own_without_what_is_left_out() {
        let loading = Loading {
            schema: false,
            replaced: set(&["a\"b", "users"]),
            left_out: set(&["schema_migrations"]),
            missing_sequences: set(&["old_seq"]),
        };
        let dump = "\\restrict x
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
COPY public.schema_migrations (filename) FROM stdin;
1
\\.
INSERT INTO \"schema_migrations\" VALUES ('COMMIT;');
COPY public.users (id) FROM stdin;
1
\\.
SELECT pg_catalog.setval('public.old_seq', 1, true);
SELECT pg_catalog.setval('public.users_id_seq', 1, true);
-- PostgreSQL database dump complete
\\unrestrict x
";
        assert_eq!(
            load(&loading, dump).unwrap(),
            "BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM public.\"a\"\"b\";
DELETE FROM public.\"users\";


SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

COPY public.users (id) FROM stdin;
1
\\.

SELECT pg_catalog.setval('public.users_id_seq', 1, true);
-- PostgreSQL database dump complete

COMMIT;
"
        );
    }

    #[test]
    fn a_dump_that_is_cut_off_or_does_more_is_never_committed() {
        let complete = "-- PostgreSQL database dump complete\n";
        for (dump, code) in [
            ("SELECT 1;\n".to_owned(), "cloudfoundry.dump.incomplete"),
            (
                format!("COMMIT;\n{complete}"),
                "cloudfoundry.dump.statement",
            ),
            (
                format!("DROP TABLE users;\n{complete}"),
                "cloudfoundry.dump.statement",
            ),
            (format!("\\! id\n{complete}"), "sql.meta.refused"),
            (
                format!("INSERT INTO t VALUES ('\n{complete}"),
                "sql.end.open",
            ),
        ] {
            assert_eq!(
                load(&Loading::default(), &dump).unwrap_err().code,
                code,
                "{dump}"
            );
        }
    }

    #[test]
    fn the_end_of_a_dump_is_seen_however_it_is_cut() {
        let dump = format!(
            "{}-- PostgreSQL database dump complete\n--\n\n",
            "SELECT 1;\n".repeat(100)
        );
        for size in 1..dump.len() {
            let (mut filter, mut out) = (Loading::default().filter(), Vec::new());
            for chunk in dump.as_bytes().chunks(size) {
                filter.push(chunk, &mut out).unwrap();
            }
            filter.finish(&mut out).unwrap();
        }
    }
}
