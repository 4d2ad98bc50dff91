//! The SQL of a survey.
//!
//! It runs on every PostgreSQL from 9.3 on and with every psql: what is looked at only where it exists is put together by a `DO` block, which hands
//! its results over in settings of its own, because it can return none and nothing may be written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::database::Owner;

/// What one survey looks at besides the schema.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// No rows but those that a restore has to know, and those of these tables in these columns, as far as they exist; in all columns where none are named.
    Kept(BTreeMap<String, Vec<String>>),
    /// All rows of all tables, and the foreign keys.
    Rows,
    /// All rows of these tables in these columns, and the foreign keys.
    RowsOf(BTreeMap<String, Vec<String>>),
}

/// A value that is asked for where the columns exist that it needs.
struct Extra {
    name: &'static str,
    needs: &'static [(&'static str, &'static str)],
    /// Gives one JSON value.
    query: &'static str,
}

macro_rules! sealed {
    ($name:literal, $table:literal, $column:literal) => {
        Extra {
            name: $name,
            needs: &[($table, $column), ($table, "salt")],
            // The newest and the longest are not needed, and an answer has its limit.
            query: concat!(
                "SELECT json_agg(x) FROM (SELECT t.",
                $column,
                " AS value, t.salt, row_to_json(t)->>'encryption_key_label' AS label, \
                 row_to_json(t)->>'encryption_iterations' AS iterations FROM public.",
                $table,
                " t \
                 WHERE length(t.",
                $column,
                ") BETWEEN 1 AND 4000 ORDER BY t.id LIMIT 20) x"
            ),
        }
    };
}

const CLOUD_CONTROLLER: &[Extra] = &[
    Extra {
        name: "migrations",
        needs: &[("schema_migrations", "filename")],
        query: "SELECT json_agg(filename ORDER BY filename) FROM public.schema_migrations",
    },
    Extra {
        name: "domains",
        needs: &[("domains", "name"), ("domains", "owning_organization_id")],
        query: "SELECT json_agg(name ORDER BY id) FROM public.domains WHERE owning_organization_id IS NULL",
    },
    Extra {
        name: "buildpacks",
        needs: &[("buildpacks", "name")],
        query: "SELECT json_agg(name ORDER BY name) FROM public.buildpacks",
    },
    Extra {
        name: "occupants",
        needs: &[("apps", "guid")],
        query: "SELECT row_to_json(x) FROM (SELECT count(*) AS count, md5(string_agg(guid::text, ' ' ORDER BY guid::text COLLATE \"C\")) AS digest \
                FROM public.apps) x",
    },
    sealed!("sealed_groups", "env_groups", "environment_json"),
    sealed!("sealed_brokers", "service_brokers", "auth_password"),
    sealed!("sealed_apps", "apps", "encrypted_environment_variables"),
];

const UAA: &[Extra] = &[
    Extra {
        name: "migrations",
        needs: &[("schema_version", "version")],
        query: "SELECT json_agg(version ORDER BY installed_rank) FROM public.schema_version WHERE version IS NOT NULL",
    },
    Extra {
        name: "migrations",
        needs: &[("flyway_schema_history", "version")],
        query: "SELECT json_agg(version ORDER BY installed_rank) FROM public.flyway_schema_history WHERE version IS NOT NULL",
    },
    Extra {
        name: "admins",
        needs: &[
            ("users", "username"),
            ("users", "origin"),
            ("users", "identity_zone_id"),
        ],
        query: "SELECT json_agg(x) FROM (SELECT trim(id) AS id, identity_zone_id AS zone FROM public.users \
                WHERE lower(username) = 'admin' AND origin = 'uaa' ORDER BY 2, 1 LIMIT 20) x",
    },
    Extra {
        name: "occupants",
        needs: &[("users", "username"), ("users", "origin")],
        query: "SELECT row_to_json(x) FROM (SELECT count(*) AS count, md5(string_agg(trim(id), ' ' ORDER BY trim(id) COLLATE \"C\")) AS digest \
                FROM public.users WHERE NOT (lower(username) = 'admin' AND origin = 'uaa')) x",
    },
];

/// What makes a row's text the same on every server.
const SETTINGS: &str = "\
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL search_path = pg_catalog;
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 3;
SET LOCAL client_min_messages = warning;
";

/// The columns of all tables.
const ALL_COLUMNS: &str = "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c \
    JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'";

/// Digests the tables and columns that the query in the place of `@columns` gives. The digests of rows are added up, so that neither their order
/// matters nor the memory that an aggregate of all their text would take.
const DIGESTS: &str = r#"
  gathered := '';
  FOR item IN
    SELECT v.t AS name, string_agg('x.' || quote_ident(v.c), ', ' ORDER BY v.c COLLATE "C") AS columns
    FROM (@columns) v (t, c) GROUP BY v.t ORDER BY v.t COLLATE "C"
  LOOP
    EXECUTE format(
      'SELECT count(*), md5(concat(sum((''x'' || substr(h, 1, 16))::bit(64)::bigint::numeric), '' '', sum((''x'' || substr(h, 17))::bit(64)::bigint::numeric))) '
      'FROM (SELECT md5(ROW(%s)::text) AS h FROM public.%I x) y', item.columns, item.name) INTO n, d;
    SELECT gathered || ',' || row_to_json(r)::text INTO gathered FROM (SELECT item.name AS "table", n AS rows, d AS digest) r;
  END LOOP;
  PERFORM set_config('copal.digests', '[' || substr(gathered, 2) || ']', true);
"#;

/// Looks for rows whose foreign keys lead nowhere.
const KEYS: &str = r#"
  gathered := '';
  checked := 0;
  FOR item IN
    SELECT k.conname::text AS name, k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent,
      string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') AS present,
      string_agg(format('p.%I = c.%I', f.attname, a.attname), ' AND ') AS matched
    FROM (SELECT con.*, generate_subscripts(con.conkey, 1) AS i FROM pg_constraint con WHERE con.contype = 'f') k
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[k.i]
    JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[k.i]
    JOIN pg_namespace s ON s.oid = k.connamespace AND s.nspname = 'public'
    GROUP BY 1, 2, 3 ORDER BY 2, 1
  LOOP
    EXECUTE format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s)', item.child, item.present, item.parent, item.matched) INTO n;
    checked := checked + 1;
    IF n > 0 THEN
      SELECT gathered || ',' || row_to_json(r)::text INTO gathered FROM (SELECT item.name AS key, item.child AS "table", n AS rows) r;
    END IF;
  END LOOP;
  PERFORM set_config('copal.violations', '[' || substr(gathered, 2) || ']', true);
  PERFORM set_config('copal.keys', checked::text, true);
"#;

/// Tells of each table whether it has a row.
const FILLED: &str = r#"
  gathered := '';
  FOR item IN SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', item.name) INTO filled;
    gathered := gathered || ',' || to_json(item.name)::text || ':' || filled::text;
  END LOOP;
  PERFORM set_config('copal.filled', '{' || substr(gathered, 2) || '}', true);
"#;

const TABLES: &str = "(SELECT json_agg(x) FROM (SELECT t.table_name AS name, \
    (current_setting('copal.filled')::json->>t.table_name::text)::boolean AS filled, \
    (SELECT json_agg(y) FROM (SELECT c.column_name AS name, \
    c.is_nullable = 'NO' AND c.column_default IS NULL AND c.is_identity = 'NO' AND c.is_generated = 'NEVER' AS required \
    FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name = t.table_name ORDER BY c.ordinal_position) y) AS columns \
    FROM information_schema.tables t WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY t.table_name) x) AS tables";

/// Sequences, each with the table whose column owns it.
const SEQUENCES: &str = "(SELECT json_agg(x) FROM (SELECT s.relname AS name, t.relname AS \"table\" FROM pg_class s \
    JOIN pg_namespace n ON n.oid = s.relnamespace AND n.nspname = 'public' \
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 \
    AND d.deptype IN ('a', 'i') \
    LEFT JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S' ORDER BY s.relname) x) AS sequences";

impl Script {
    /// The SQL, for `psql` without alignment and headings.
    pub(crate) fn sql(&self, owner: Owner) -> String {
        let extras = match owner {
            Owner::CloudController => CLOUD_CONTROLLER,
            Owner::Uaa => UAA,
        };
        let mut names: Vec<_> = extras.iter().map(|extra| extra.name).collect();
        names.extend(["digests", "violations", "keys"]);
        names.dedup();
        let rows = match self {
            Self::Kept(tables) => DIGESTS.replace("@columns", &existing(tables)),
            Self::Rows => DIGESTS.replace("@columns", ALL_COLUMNS) + KEYS,
            Self::RowsOf(tables) => DIGESTS.replace("@columns", &values(tables)) + KEYS,
        };
        let mut sql = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;\n{SETTINGS}DO $copal$\nDECLARE\n  item record; n bigint; d text; \
             gathered text; checked bigint; filled boolean;\nBEGIN\n"
        );
        // Writing to a string can't fail.
        for name in &names {
            let _ = writeln!(sql, "  PERFORM set_config('copal.{name}', 'null', true);");
        }
        for Extra { name, needs, query } in extras {
            let columns: Vec<_> = needs
                .iter()
                .map(|(table, column)| format!("('{table}', '{column}')"))
                .collect();
            let _ = writeln!(
                sql,
                "  IF (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND (table_name, column_name) IN ({})) = {} THEN\n    \
                 EXECUTE $query$ {query} $query$ INTO d;\n    PERFORM set_config('copal.{name}', coalesce(d, 'null'), true);\n  END IF;",
                columns.join(", "),
                columns.len(),
            );
        }
        sql += &rows;
        sql += FILLED;
        sql += "END\n$copal$;\nSELECT row_to_json(s) FROM (SELECT current_setting('server_version') AS server, \
             (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser";
        for part in [TABLES, SEQUENCES] {
            let _ = write!(sql, ", {part}");
        }
        for name in &names {
            let _ = write!(sql, ", current_setting('copal.{name}')::json AS {name}");
        }
        sql += ") s;\nCOMMIT;\n";
        sql
    }
}

/// A query that gives these tables and columns.
fn values(tables: &BTreeMap<String, Vec<String>>) -> String {
    let rows: Vec<_> = tables
        .iter()
        .flat_map(|(table, columns)| {
            columns
                .iter()
                .map(move |column| format!("({}, {})", quoted(table), quoted(column)))
        })
        .collect();
    match rows.is_empty() {
        true => "SELECT ''::text, ''::text WHERE false".to_owned(),
        false => format!("VALUES {}", rows.join(", ")),
    }
}

/// A query that gives those of these tables and columns that exist.
fn existing(tables: &BTreeMap<String, Vec<String>>) -> String {
    let mut query = format!("{ALL_COLUMNS} AND (false");
    for (table, columns) in tables {
        let columns: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
        query += &format!(" OR (c.table_name = {}", quoted(table));
        if !columns.is_empty() {
            query += &format!(" AND c.column_name IN ({})", columns.join(", "));
        }
        query.push(')');
    }
    query + ")"
}

/// A text as an SQL literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
