//! What a database knows of its migrations: Liquibase's change sets and lock, Flyway's migrations.

use copal_sdk::{Failure, Probe};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::postgres::{Database, identifier, text};

/// Rows that one probe asks for, so that an answer stays well below 1 MiB.
const PAGE: usize = 1_000;

/// More rows than any application's history has.
const MOST: usize = 200_000;

/// Flyway's table, and what it was called before Flyway 5.
pub(crate) const FLYWAY: [&str; 2] = ["flyway_schema_history", "schema_version"];

/// All that a database knows of its migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct History {
    /// What Liquibase wrote; none where it has no table.
    pub(crate) liquibase: Option<Liquibase>,
    /// What Flyway wrote; none where it has no table.
    pub(crate) flyway: Option<Flyway>,
}

/// Liquibase's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Liquibase {
    /// The schema of its tables.
    pub(crate) schema: String,
    /// The table of its history; its lock's is the same with `lock` behind it.
    pub(crate) table: String,
    /// The lock, where it is held.
    pub(crate) lock: Option<Lock>,
    /// Whether there is a table of the lock.
    pub(crate) has_lock: bool,
    /// The change sets that ran, in their order.
    pub(crate) change_sets: Vec<Ran>,
}

/// A lock that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// The host and address that hold it.
    pub(crate) by: Option<String>,
    /// Since when.
    pub(crate) since: Option<String>,
}

/// A change set that ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// With the author and the file, its identity.
    pub(crate) id: String,
    /// Who wrote it.
    pub(crate) author: String,
    /// The changelog's file, as it was given.
    pub(crate) filename: String,
    /// `EXECUTED`, `RERAN`, `MARK_RAN`, …
    pub(crate) exectype: Option<String>,
    /// A checksum that releases of Liquibase compute differently.
    pub md5sum: Option<String>,
    /// The run of Liquibase that it was part of.
    pub(crate) deployment_id: Option<String>,
}

/// Flyway's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flyway {
    /// The schema of its table.
    pub(crate) schema: String,
    /// The table.
    pub(crate) table: String,
    /// What was installed, in its order.
    pub(crate) migrations: Vec<Installed>,
}

/// A migration that Flyway installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    /// Its place in the order.
    pub(crate) installed_rank: i64,
    /// None for one that is repeatable.
    pub(crate) version: Option<String>,
    /// The name's part behind the version.
    pub(crate) description: String,
    /// `SQL`, `JDBC`, `BASELINE`, …
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The file or class.
    pub(crate) script: String,
    /// Whether it ran to its end.
    pub(crate) success: bool,
}

/// What is in a database, seen from its catalog.
#[derive(Debug, Deserialize)]
pub(crate) struct Survey {
    /// PostgreSQL's version as a number: 150018.
    pub(crate) version: u32,
    /// Tables, views, sequences, functions and types that are not PostgreSQL's own or an extension's.
    pub(crate) objects: u64,
    tables: Vec<Table>,
}

/// A table that holds a history or a lock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Table {
    schema: String,
    name: String,
}

impl Ran {
    /// As Liquibase itself shows it.
    pub(crate) fn shown(&self) -> String {
        format!("{}::{}::{}", self.filename, self.id, self.author)
    }
}

impl Lock {
    /// Who holds it since when, as a part of a sentence.
    pub(crate) fn shown(&self) -> String {
        let by = self.by.as_deref().unwrap_or("somebody");
        let since = self.since.as_ref().map(|since| format!(" since {since}"));
        format!("{by}{}", since.unwrap_or_default())
    }
}

impl Survey {
    /// Asks a database's catalog.
    pub(crate) fn of(
        database: &Database<'_>,
        config: &Config,
        probe: &dyn Probe,
    ) -> Result<Self, Failure> {
        let names: Vec<String> = [&config.history_table, &lock_table(config)]
            .into_iter()
            .map(|name| text(name))
            .chain(FLYWAY.map(text))
            .collect();
        let user = "nspname !~ '^pg_' AND nspname <> 'information_schema'";
        let own = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')";
        let sql = format!(
            "SELECT json_build_object('version', current_setting('server_version_num')::int, 'objects', \
             (SELECT count(*) FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','S','f') AND {user} AND {own}) + \
             (SELECT count(*) FROM pg_proc o JOIN pg_namespace n ON n.oid = pronamespace WHERE {user} AND {own}) + \
             (SELECT count(*) FROM pg_type o JOIN pg_namespace n ON n.oid = typnamespace WHERE typtype IN ('d','e','r') AND {user} AND {own}), \
             'tables', (SELECT coalesce(json_agg(json_build_object('schema', nspname, 'name', relname) ORDER BY nspname, relname), '[]') \
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p') AND {user} AND relname IN ({}) \
             AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname IN ('orderexecuted', 'lockgranted', 'installed_rank'))))",
            names.join(", ")
        );
        let rows = database.query(probe, &sql)?;
        rows.into_iter().next().ok_or_else(|| {
            let message = format!(
                "the database {} does not say what it holds",
                database.shown()
            );
            Failure::corrupt("liquibase.database.answer", message)
        })
    }

    /// The history's tables. Fails where several schemas hold one.
    fn choose(&self, config: &Config, name: &str) -> Result<Option<&Table>, Failure> {
        let schema = config.schema.as_ref();
        let fits = |table: &&Table| {
            table.name == name && schema.is_none_or(|schema| *schema == table.schema)
        };
        let found: Vec<&Table> = self.tables.iter().filter(fits).collect();
        match found[..] {
            [] => Ok(None),
            [table] => Ok(Some(table)),
            [first, second, ..] => Err(ambiguous(name, &first.schema, &second.schema)),
        }
    }
}

/// Says that a history can't be told from another.
pub(crate) fn ambiguous(name: &str, first: &str, second: &str) -> Failure {
    Failure::unsupported(
        "liquibase.history.several",
        format!("the schemas {first} and {second} both hold a table {name}"),
    )
    .remedy("set `schema` to the one whose migrations this is about")
}

/// The name of the lock's table.
pub(crate) fn lock_table(config: &Config) -> String {
    format!("{}lock", config.history_table)
}

impl History {
    /// Reads what a database knows now.
    pub(crate) fn of(
        database: &Database<'_>,
        config: &Config,
        survey: &Survey,
        probe: &dyn Probe,
    ) -> Result<Self, Failure> {
        let mut history = Self::default();
        if let Some(Table { schema, name }) = survey.choose(config, &config.history_table)? {
            let order = "orderexecuted, dateexecuted, id, author, filename";
            let lock_table = lock_table(config);
            let lock_table = survey
                .tables
                .iter()
                .find(|table| table.schema == *schema && table.name == lock_table);
            let lock = match lock_table {
                Some(table) => database.query(probe, &format!(
                    "SELECT json_build_object('by', lockedby, 'since', lockgranted) FROM {} WHERE locked LIMIT 1",
                    qualified(&table.schema, &table.name)
                ))?,
                None => Vec::new(),
            };
            history.liquibase = Some(Liquibase {
                schema: schema.clone(),
                table: name.clone(),
                lock: lock.into_iter().next(),
                has_lock: lock_table.is_some(),
                change_sets: rows(
                    database,
                    probe,
                    &qualified(schema, name),
                    order,
                    "'comments', 'description', 'tag', 'contexts', 'labels', 'liquibase', 'dateexecuted', 'orderexecuted'",
                )?,
            });
        }
        for name in FLYWAY {
            if let (None, Some(Table { schema, name })) =
                (&history.flyway, survey.choose(config, name)?)
            {
                history.flyway = Some(Flyway {
                    schema: schema.clone(),
                    table: name.clone(),
                    migrations: rows(
                        database,
                        probe,
                        &qualified(schema, name),
                        "installed_rank",
                        "'checksum', 'installed_by', 'installed_on', 'execution_time'",
                    )?,
                });
            }
        }
        Ok(history)
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        let liquibase = self
            .liquibase
            .as_ref()
            .map_or(0, |liquibase| liquibase.change_sets.len());
        liquibase
            + self
                .flyway
                .as_ref()
                .map_or(0, |flyway| flyway.migrations.len())
    }

    /// Whether neither tool has a table.
    pub(crate) fn is_none(&self) -> bool {
        self.liquibase.is_none() && self.flyway.is_none()
    }
}

/// All rows of a table, page by page, without some columns that may be long. Which columns there are differs by release.
fn rows<T: serde::de::DeserializeOwned>(
    database: &Database<'_>,
    probe: &dyn Probe,
    table: &str,
    order: &str,
    without: &str,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    loop {
        let page = database.query(
            probe,
            &format!(
                "SELECT to_jsonb(t) - ARRAY[{without}] FROM {table} t ORDER BY {order} LIMIT {PAGE} OFFSET {}",
                all.len()
            ),
        )?;
        let last = page.len() < PAGE;
        all.extend(page);
        limit(all.len())?;
        if last {
            return Ok(all);
        }
    }
}

/// Refuses a history that is longer than any.
pub(crate) fn limit(rows: usize) -> Result<(), Failure> {
    if rows <= MOST {
        return Ok(());
    }
    let message = format!("the history has more than {MOST} rows");
    Err(Failure::unsupported("liquibase.history.long", message))
}

/// A table's name with its schema, as SQL reads it.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(table))
}
