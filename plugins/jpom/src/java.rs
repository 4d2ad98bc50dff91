//! H2's tools and Jpom's database, as the configuration and `application.yml` tell of them.

use copal_sdk::Failure;
use copal_sdk::h2::{Database, Tools};

use crate::application_yml::Settings;
use crate::config::{Config, Secret};

/// The user and the password that Jpom gives its database where nothing else is said.
const DEFAULT: &str = "jpom";

/// The tools that the operator configured, with the user and password of the configuration, else of `application.yml`.
pub(crate) fn tools(config: &Config, settings: &Settings) -> Option<Tools> {
    let password = config
        .db_password
        .as_ref()
        .map(|Secret(text)| text.as_str());
    let password = password.unwrap_or_else(|| settings.password.or(DEFAULT));
    let (java, jar) = (config.java.clone()?, config.h2_jar.clone()?);
    Some(Tools::new(java, jar, user(config, settings), password))
}

/// The database's user.
pub(crate) fn user<'a>(config: &'a Config, settings: &'a Settings) -> &'a str {
    let user = config.db_user.as_deref();
    user.unwrap_or_else(|| settings.user.or(DEFAULT))
}

/// The database at `path`, opened as Jpom's settings say.
pub(crate) fn database(path: String, settings: &Settings) -> Result<Database, Failure> {
    match settings.database() {
        Some(url) => Database::new(path, url.reading_options().map(str::to_owned)),
        None => Database::new(path, ["MODE=MYSQL".to_owned()]),
    }
}
