//! Where the parts of a Metabase lie in its roots.

use copal_sdk::h2::{self, FILE_SUFFIX, HEADER_LENGTH, Header};
use copal_sdk::{Failure, Tree, literal};

use crate::config::Config;

/// The root that holds the H2 database.
pub(crate) const DATA: &str = "data";
/// The root that holds drivers.
pub(crate) const PLUGINS: &str = "plugins";

/// The stream of a PostgreSQL application database.
pub(crate) const SQL_STREAM: &str = "metabase.sql";
/// The stream of a database that Metabase dumped to H2.
pub(crate) const DUMP_STREAM: &str = "metabase.db.mv.db";
/// The stream with what the database said of itself.
pub(crate) const INSPECTION_STREAM: &str = "inspection.txt";

/// Where Metabase puts the database where nothing else is said, and where its Docker image does.
const USUAL: [&str; 2] = ["metabase.db", "metabase.db/metabase.db"];

/// The endings of the drivers that come with Metabase: it writes them into the folder whenever it starts.
const DRIVER: &str = ".metabase-driver.jar";

/// The drivers that come or came with Metabase.
const BUNDLED: [&str; 21] = [
    "athena",
    "bigquery",
    "bigquery-cloud-sdk",
    "clickhouse",
    "databricks",
    "databricks-jdbc",
    "druid",
    "druid-jdbc",
    "google",
    "googleanalytics",
    "hive-like",
    "mongo",
    "oracle",
    "presto",
    "presto-jdbc",
    "redshift",
    "snowflake",
    "sparksql",
    "sqlite",
    "sqlserver",
    "vertica",
];

/// Whether a file of the plugins folder comes with Metabase itself.
pub(crate) fn is_bundled(name: &str) -> bool {
    name.strip_suffix(DRIVER)
        .is_some_and(|driver| BUNDLED.contains(&driver))
}

/// An H2 database's file.
#[derive(Debug)]
pub(crate) struct Database {
    /// Its path in the root `data`, without suffix.
    pub(crate) path: String,
    pub(crate) header: Result<Header, h2::Error>,
}

impl Database {
    /// Looks for the database's file in a tree.
    pub(crate) fn find(config: &Config, data: &dyn Tree) -> Result<Option<Self>, Failure> {
        for path in candidates(config, &data.location()) {
            let file = format!("{path}{FILE_SUFFIX}");
            if data.stat(&file)?.is_some_and(|entry| entry.is_file()) {
                let beginning = data.read(&file, 0, HEADER_LENGTH as u32)?;
                return Ok(Some(Self {
                    path,
                    header: Header::read(&beginning),
                }));
            }
        }
        Ok(None)
    }

    /// The file's path in the root.
    pub(crate) fn file(&self) -> String {
        format!("{}{FILE_SUFFIX}", self.path)
    }

    pub(crate) fn clean(&self) -> bool {
        self.header.as_ref().is_ok_and(|header| header.clean)
    }
}

/// The database at `path` in the root `data` for H2's tools, where the root is at `location`. Fails with `h2.path` where no URL can name it.
pub(crate) fn opened(location: &str, path: &str) -> Result<h2::Database, Failure> {
    h2::Database::new(location, [])?;
    h2::Database::new(format!("{{root:{DATA}}}/{}", literal(path)), [])
}

/// The paths in the root where the database may lie. Whoever copies `MB_DB_FILE` may have written the ending, or the whole path.
pub(crate) fn candidates(config: &Config, location: &str) -> Vec<String> {
    let Some(path) = config.db_file.as_deref() else {
        return USUAL.map(str::to_owned).to_vec();
    };
    let path = path.strip_prefix("file:").unwrap_or(path);
    let path = path.strip_suffix(FILE_SUFFIX).unwrap_or(path);
    let inside = path
        .strip_prefix(location)
        .filter(|_| !location.is_empty())
        .and_then(|rest| rest.strip_prefix('/'));
    vec![inside.unwrap_or(path).trim_start_matches("./").to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_database_may_be_written_in_every_way_that_metabase_takes() {
        for path in [
            "db/mb",
            "./db/mb",
            "db/mb.mv.db",
            "/srv/db/mb.mv.db",
            "file:/srv/db/mb",
        ] {
            let config = Config {
                db_file: Some(path.to_owned()),
                ..Config::default()
            };
            assert_eq!(candidates(&config, "/srv"), ["db/mb"], "{path}");
        }
    }

    #[test]
    fn drivers_of_others_are_told_from_metabases_own() {
        assert!(is_bundled("snowflake.metabase-driver.jar"));
        for name in ["duckdb.metabase-driver.jar", "ojdbc8.jar", "snowflake.jar"] {
            assert!(!is_bundled(name), "{name}");
        }
    }
}
