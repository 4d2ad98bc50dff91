//! What the operator configures.

use copal_sdk::Failure;
pub use copal_sdk::config::Secret;
use copal_sdk::service::Service;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::install_json;

/// The operator's configuration; every key may be left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which builds to save: `all` (the default), `none`, or a list of the ids to keep.
    pub build: Builds,
    /// Leave out Jpom's own SQL backups in `db/backup`.
    pub without_db_backup: bool,
    /// Leave out the databases that Jpom set aside in `db/recover_backup`.
    pub without_recover_backup: bool,
    /// The Docker container that Jpom runs in: stopped while its files are read, then started again.
    pub container: Option<String>,
    /// The systemd unit that Jpom runs as: stopped while its files are read, then started again.
    pub unit: Option<String>,
    /// You have stopped Jpom yourself, and it stays stopped until the work is done.
    pub stopped: bool,
    /// The path of the Java program, such as `java`. With `h2_jar`, the database is exported as SQL too and a restore changes it by itself.
    pub java: Option<String>,
    /// The path of a jar of H2 of the database's format, such as `/usr/share/java/h2-2.1.214.jar`.
    pub h2_jar: Option<String>,
    /// The database's user, where `application.yml` does not tell it.
    pub db_user: Option<String>,
    /// The database's password, where `application.yml` does not tell it.
    pub db_password: Option<Secret>,
    /// `separate` says that the MySQL, MariaDB or PostgreSQL database is backed up in another way.
    pub external_database: Option<ExternalDatabase>,
    /// The id of a clone. By default the target's own, or one made from the old id, the place and the time.
    pub install_id: Option<String>,
    /// Where Jpom itself sees the folder that holds `db` and `data`, if that is not where it lies on this host (a container).
    pub jpom_path: Option<String>,
}

/// Which builds to save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Builds {
    /// All or none.
    Every(Every),
    /// These ids alone.
    Ids(Vec<String>),
    /// Nothing is said.
    #[default]
    #[serde(skip)]
    Unsaid,
}

/// All or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// Every build.
    All,
    /// No build.
    None,
}

/// What becomes of a database that Jpom does not keep in its own folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExternalDatabase {
    /// It is backed up in another way.
    Separate,
}

impl Config {
    /// Checks what the types can't say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: &str, remedy: &str| {
            Err(Failure::invalid_config(code, message).remedy(remedy))
        };
        self.service()?;
        if self.java.is_some() != self.h2_jar.is_some() {
            return fail(
                "jpom.config.java",
                "of `java` and `h2_jar` only one is set, and neither is of use alone",
                "set both, for example --set java=java --set h2_jar=/usr/share/java/h2-2.1.214.jar",
            );
        }
        if self
            .install_id
            .as_deref()
            .is_some_and(|id| !install_json::is_id(id))
        {
            return fail(
                "jpom.config.install-id",
                "`install_id` is not an id: Jpom's have 32 hexadecimal digits",
                "leave it out to have one made",
            );
        }
        Ok(())
    }

    /// The container or unit that Jpom runs as, where one is set.
    pub(crate) fn service(&self) -> Result<Option<Service>, Failure> {
        Service::choose("jpom", self.container.as_deref(), self.unit.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use copal_sdk::config::parse;

    fn config(json: &str) -> Config {
        parse(json).unwrap()
    }

    #[test]
    fn builds_are_all_none_or_ids() {
        assert_eq!(config("{}").build, Builds::Unsaid);
        assert_eq!(
            config(r#"{"build":"all"}"#).build,
            Builds::Every(Every::All)
        );
        assert_eq!(
            config(r#"{"build":"none"}"#).build,
            Builds::Every(Every::None)
        );
        assert_eq!(
            config(r#"{"build":["a"]}"#).build,
            Builds::Ids(vec!["a".to_owned()])
        );
        assert!(parse::<Config>(r#"{"build":"some"}"#).is_err());
        assert!(parse::<Config>(r#"{"builds":"all"}"#).is_err());
    }

    #[test]
    fn settings_that_contradict_or_mislead_are_refused() {
        for (json, code) in [
            (r#"{"container":"a","unit":"b"}"#, "jpom.config.service"),
            (r#"{"java":"java"}"#, "jpom.config.java"),
            (r#"{"h2_jar":"h2.jar"}"#, "jpom.config.java"),
            (r#"{"container":"--help"}"#, "jpom.config.name"),
            (r#"{"unit":"a b"}"#, "jpom.config.name"),
            (r#"{"install_id":"x'y"}"#, "jpom.config.install-id"),
        ] {
            assert_eq!(config(json).check().unwrap_err().code, code, "{json}");
        }
        config(r#"{"container":"jpom-server","java":"java","h2_jar":"h2.jar"}"#)
            .check()
            .unwrap();
    }

    #[test]
    fn the_password_never_shows_in_debug_output() {
        assert!(!format!("{:?}", config(r#"{"db_password":"hunter2"}"#)).contains("hunter2"));
    }
}
