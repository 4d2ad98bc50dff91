//! Where things lie: both layouts of Jpom's data path, beneath the root that holds it.
//!
//! Jpom's folder (`jpom.path`, the *base* here) holds `db` and `data`. In the Docker layout the base is the mounted `data` folder, so
//! `INSTALL.json` is `data/data/INSTALL.json`; in the plain layout it is the installation's own folder. Jpom's guide
//! speaks of an `INSTALL.json` directly in the base, so that place is looked at too.

use serde::{Deserialize, Serialize};

/// The root that holds a whole installation.
pub(crate) const HOME: &str = "home";
/// The root that is the base alone.
pub(crate) const DATA: &str = "data";
/// The root that is the `conf` folder alone.
pub(crate) const CONF: &str = "conf";

/// The database's name: it lies in `db/Server.mv.db`.
pub(crate) const DATABASE: &str = "Server";

/// How a Jpom is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The base is `data` beneath the installation.
    Docker,
    /// The base is the installation.
    Plain,
    /// The base is a root of its own.
    Data,
    /// `application.yml` puts the base elsewhere in the root.
    Configured,
}

/// A base within a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The root's name.
    pub(crate) root: String,
    /// The base, relative to the root.
    pub(crate) base: String,
}

impl Layout {
    pub(crate) fn new(root: impl Into<String>, base: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            base: base.into(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match (self.root.as_str(), self.base.as_str()) {
            (HOME, "data") => Kind::Docker,
            (HOME, "") => Kind::Plain,
            (DATA, "") => Kind::Data,
            _ => Kind::Configured,
        }
    }

    /// A path beneath the base, relative to the root.
    pub(crate) fn path(&self, beneath: &str) -> String {
        join(&self.base, beneath)
    }

    /// The database without its suffix, where no URL puts it elsewhere.
    pub(crate) fn database(&self) -> String {
        self.path(&format!("db/{DATABASE}"))
    }

    /// Where `INSTALL.json` may lie: where Jpom reads it, then where its guide says.
    pub(crate) fn install_files(&self) -> [String; 2] {
        [self.path("data/INSTALL.json"), self.path("INSTALL.json")]
    }
}

/// Two paths joined; either may be empty.
pub(crate) fn join(folder: &str, beneath: &str) -> String {
    match (folder, beneath) {
        ("", path) | (path, "") => path.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// The path `absolute` as one relative to the folder at `location`; none where it lies outside or climbs.
pub(crate) fn relative(location: &str, absolute: &str) -> Option<String> {
    if location.is_empty() {
        return None;
    }
    let rest = absolute.strip_prefix(location.trim_end_matches('/'))?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = rest
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_differ_in_where_the_base_is() {
        let docker = Layout::new(HOME, "data");
        assert_eq!(
            (docker.kind(), docker.database()),
            (Kind::Docker, "data/db/Server".to_owned())
        );
        assert_eq!(
            docker.install_files(),
            ["data/data/INSTALL.json", "data/INSTALL.json"]
        );
        let plain = Layout::new(HOME, "");
        assert_eq!(
            (plain.kind(), plain.database()),
            (Kind::Plain, "db/Server".to_owned())
        );
        assert_eq!(plain.install_files(), ["data/INSTALL.json", "INSTALL.json"]);
        assert_eq!(Layout::new(DATA, "").kind(), Kind::Data);
    }

    #[test]
    fn an_absolute_path_is_relative_to_a_root_that_holds_it_and_to_no_other() {
        for (location, path, expected) in [
            ("/srv/jpom", "/srv/jpom/data", Some("data")),
            ("/srv/jpom/", "/srv/jpom/./data//db/", Some("data/db")),
            ("/srv/jpom", "/srv/jpom", Some("")),
            ("/srv/jpom", "/srv/jpom2", None),
            ("/srv/jpom", "/srv/jpom/../x", None),
            ("", "/srv", None),
        ] {
            assert_eq!(
                relative(location, path).as_deref(),
                expected,
                "{path} in {location}"
            );
        }
    }
}
