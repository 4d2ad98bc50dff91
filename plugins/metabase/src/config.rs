//! What the operator configures. Keys that Metabase knows as variables (`MB_DB_HOST`, …) have the same names.

use copal_sdk::Failure;
pub use copal_sdk::config::Secret;
use copal_sdk::service::Service;
use schemars::JsonSchema;
use serde::Deserialize;

/// The operator's configuration; every key may be left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name of the PostgreSQL application database (`MB_DB_DBNAME`). Without it the application database is an H2 file in the root `data`.
    pub db_dbname: Option<String>,
    /// The database server's name or address, or the directory of its socket (`MB_DB_HOST`).
    pub db_host: Option<String>,
    /// The database server's port (`MB_DB_PORT`).
    pub db_port: u16,
    /// The database's user (`MB_DB_USER`).
    pub db_user: Option<String>,
    /// The database's password (`MB_DB_PASS`), where `~/.pgpass` does not hold it.
    pub db_pass: Option<Secret>,
    /// The command that starts psql, where it is not just `psql`: `docker,exec,-i,postgres,psql`.
    pub psql: Vec<String>,
    /// The command that starts `pg_dump`, where it is not just `pg_dump`.
    pub pg_dump: Vec<String>,
    /// Seconds that a command with all of the database to work on may take, such as a dump or its restore.
    pub timeout: u32,
    /// The H2 database within the root `data`, without `.mv.db` (`MB_DB_FILE`). By default `metabase.db`, or `metabase.db/metabase.db` as in the Docker image.
    pub db_file: Option<String>,
    /// The Docker container that Metabase runs in: stopped while its data is read or replaced.
    pub container: Option<String>,
    /// The systemd unit that Metabase runs as: stopped while its data is read or replaced.
    pub unit: Option<String>,
    /// You have stopped Metabase yourself, on every node, and it stays stopped until the work is done.
    pub stopped: bool,
    /// Metabase's address, such as `http://127.0.0.1:3000`. With `api_key`, a running Metabase is told of the read-only mode, and need not notice it itself.
    pub api_url: Option<String>,
    /// A key of Metabase's API that belongs to the group Administrators.
    pub api_key: Option<Secret>,
    /// Seconds between two looks of a node for changed settings. Metabase's own value is 60.
    pub cache_interval: u32,
    /// The path of the Java program, such as `java`, for `jar` and `h2_jar`.
    pub java: Option<String>,
    /// The path of `metabase.jar`, of the version that is backed up, or that will run on the restored data. A backup of a PostgreSQL application database then
    /// is one that Metabase itself dumps to H2.
    pub jar: Option<String>,
    /// The path of a jar of H2 of the database's format. By default `jar`, which has H2 in it.
    pub h2_jar: Option<String>,
    /// `MB_ENCRYPTION_SECRET_KEY`.
    pub encryption_key: Option<Secret>,
    /// The version of the Metabase that will run on the restored data, such as `v0.50.3`, where `jar` is not set. In a backup with `jar`, that of the one that runs, where `api_url` is not set.
    pub version: Option<String>,
    /// The address that users will reach the restored Metabase at (`site-url`).
    pub site_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            db_dbname: None,
            db_host: None,
            db_port: 5432,
            db_user: None,
            db_pass: None,
            psql: vec!["psql".to_owned()],
            pg_dump: vec!["pg_dump".to_owned()],
            timeout: 86_400,
            db_file: None,
            container: None,
            unit: None,
            stopped: false,
            api_url: None,
            api_key: None,
            cache_interval: 60,
            java: None,
            jar: None,
            h2_jar: None,
            encryption_key: None,
            version: None,
            site_url: None,
        }
    }
}

/// Seconds that a question to a database may take while a plan is made.
pub(crate) const PROBE: u32 = 120;

/// The longest that a command may take: a week.
const LONGEST: u32 = 604_800;

/// The fewest characters that Metabase takes for a key.
const SHORTEST_KEY: usize = 16;

impl Config {
    /// Checks what the types can't say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: &str, remedy: &str| {
            Err(Failure::invalid_config(code, message).remedy(remedy))
        };
        self.service()?;
        if self.java.is_none() && (self.jar.is_some() || self.h2_jar.is_some()) {
            return fail(
                "metabase.config.java",
                "`jar` or `h2_jar` is set, but not the program that runs them",
                "set `java` too, for example --set java=java",
            );
        }
        if !(1..=LONGEST).contains(&self.timeout) {
            return fail(
                "metabase.config.timeout",
                "`timeout` is not 1 to 604800 seconds",
                "give the seconds that a dump or its restore may take",
            );
        }
        if self.psql.is_empty() || self.pg_dump.is_empty() {
            return fail(
                "metabase.config.program",
                "`psql` or `pg_dump` is empty",
                "leave the key out, or name the program",
            );
        }
        if self.api_url.is_some() != self.api_key.is_some() {
            return fail(
                "metabase.config.api",
                "of `api_url` and `api_key` only one is set, and neither is of use alone",
                "set both, or none",
            );
        }
        let addresses = [&self.api_url, &self.site_url];
        if addresses.into_iter().flatten().any(|url| !is_address(url)) {
            return fail(
                "metabase.config.url",
                "`api_url` or `site_url` is not an address",
                "give one that begins with http:// or https://, without spaces, quotes and backslashes",
            );
        }
        if self
            .encryption_key
            .as_ref()
            .is_some_and(|Secret(key)| key.chars().count() < SHORTEST_KEY)
        {
            return fail(
                "metabase.config.key",
                "`encryption_key` has fewer than 16 characters, and Metabase takes none so short",
                "give the value of MB_ENCRYPTION_SECRET_KEY, without quotes around it",
            );
        }
        if self.db_dbname.is_none() && (self.db_host.is_some() || self.db_user.is_some()) {
            return fail(
                "metabase.config.database",
                "`db_host` or `db_user` is set, but not `db_dbname`",
                "set `db_dbname` to the name of the PostgreSQL application database",
            );
        }
        if self
            .version
            .as_deref()
            .is_some_and(|version| crate::version::major(version).is_none())
        {
            return fail(
                "metabase.config.version",
                "`version` is not a version of Metabase",
                "write it as Metabase does, such as v0.50.3",
            );
        }
        Ok(())
    }

    /// The container or unit that Metabase runs as, where one is set.
    pub(crate) fn service(&self) -> Result<Option<Service>, Failure> {
        Service::choose("metabase", self.container.as_deref(), self.unit.as_deref())
    }

    /// Java and a jar that has H2 in it.
    pub(crate) fn h2(&self) -> Option<(&str, &str)> {
        let jar = self.h2_jar.as_deref().or(self.jar.as_deref());
        Some((self.java.as_deref()?, jar?))
    }

    /// Java and Metabase's own jar.
    pub(crate) fn metabase(&self) -> Option<(&str, &str)> {
        Some((self.java.as_deref()?, self.jar.as_deref()?))
    }

    /// `encryption_key`.
    pub(crate) fn key(&self) -> Option<&str> {
        self.encryption_key.as_ref().map(|Secret(key)| key.as_str())
    }
}

/// Whether a text can stand for an address in SQL and in curl's own configuration.
fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use copal_sdk::config::parse;

    #[test]
    fn settings_that_contradict_or_mislead_are_refused() {
        for (json, code) in [
            (r#"{"container":"a","unit":"b"}"#, "metabase.config.service"),
            (r#"{"jar":"metabase.jar"}"#, "metabase.config.java"),
            (r#"{"timeout":0}"#, "metabase.config.timeout"),
            (r#"{"psql":[]}"#, "metabase.config.program"),
            (r#"{"api_url":"http://x"}"#, "metabase.config.api"),
            (r#"{"site_url":"x.example"}"#, "metabase.config.url"),
            (r#"{"site_url":"http://x/'"}"#, "metabase.config.url"),
            (r#"{"encryption_key":"short"}"#, "metabase.config.key"),
            (r#"{"db_host":"db"}"#, "metabase.config.database"),
            (r#"{"version":"newest"}"#, "metabase.config.version"),
        ] {
            let config: Config = parse(json).unwrap();
            assert_eq!(config.check().unwrap_err().code, code, "{json}");
        }
        let config: Config =
            parse(r#"{"db_dbname":"metabase","api_url":"http://127.0.0.1:3000","api_key":"mb_x"}"#)
                .unwrap();
        config.check().unwrap();
        assert!(!format!("{config:?}").contains("mb_x"));
    }
}
