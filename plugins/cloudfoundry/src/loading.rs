//! What becomes of a dump on its way into a target's database.

use std::collections::BTreeSet;

use copal_sdk::sql::{Decision, Editor, Kind, Load, Statement};
use copal_sdk::{Failure, Filter};
use serde::{Deserialize, Serialize};

/// How a dump is loaded: in one transaction, which replaces the rows of some tables and leaves others alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// Whether the dump creates a schema; else it may hold nothing but rows.
    pub schema: bool,
    /// Tables whose rows are emptied first.
    pub replaced: BTreeSet<String>,
    /// Tables whose rows in the dump are left out, spelled `TABLE` or `SCHEMA.TABLE`.
    pub left_out: BTreeSet<String>,
    /// Sequences that the dump sets, and that stay as the target has them or that it lacks.
    pub left_sequences: BTreeSet<String>,
}

impl Loading {
    /// The filter that makes a dump what is loaded.
    pub fn filter(&self) -> impl Filter + use<> {
        let mut prologue = String::new();
        if !self.schema {
            // Foreign keys that form a circle can be loaded in no order; they are checked afterwards.
            prologue += "SET LOCAL session_replication_role = replica;\n";
        }
        for table in &self.replaced {
            prologue += &format!("DELETE FROM public.\"{}\";\n", table.replace('"', "\"\""));
        }
        Load::new(self.clone()).prepend(prologue)
    }
}

impl Editor for Loading {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        let drop = match statement.kind {
            Kind::Insert | Kind::Copy => {
                self.left_out.iter().any(|table| statement.concerns(table))
            }
            Kind::Setval => self.left_sequences.contains(&statement.name),
            Kind::Set | Kind::Meta => false,
            Kind::Other if self.schema => false,
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
            left_sequences: set(&["old_seq"]),
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
            (
                "SET check_function_bodies = on;\n".to_owned(),
                "sql.load.incomplete",
            ),
            (format!("COMMIT;\n{complete}"), "sql.load.transaction"),
            (
                format!("DROP TABLE users;\n{complete}"),
                "cloudfoundry.dump.statement",
            ),
            (
                format!("SELECT pg_catalog.lo_create('1');\n{complete}"),
                "cloudfoundry.dump.statement",
            ),
            (
                format!("SELECT pg_catalog.setval('s', (SELECT 1), true);\n{complete}"),
                "cloudfoundry.dump.statement",
            ),
            (
                format!("SELECT pg_catalog.set_config('search_path', '', false), f();\n{complete}"),
                "sql.statement.unreadable",
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
}
