//! Where a job's steps may reach: its roots and its scratch folder.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use copal_sandbox::{Base, Location, name};

/// A named directory that a job works on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Root {
    /// The plugin's name for it, such as `home`.
    pub name: String,
    /// An absolute path of this machine.
    pub path: PathBuf,
}

/// The roots and the scratch folder, by which locations and placeholders are resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    roots: BTreeMap<String, PathBuf>,
    scratch: Option<PathBuf>,
}

/// Why a location or a placeholder has no meaning here.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// A root that the job was not given.
    #[error("there is no root named `{0}` in this job")]
    NoRoot(String),
    /// Scratch is used where there is none.
    #[error("there is no scratch folder while probing")]
    NoScratch,
    /// A placeholder that is not one.
    #[error("`{0}` is no placeholder: use {{scratch}} or {{root:NAME}}, and double a brace that stands for itself")]
    Placeholder(String),
    /// A path of the plugin that can't be one.
    #[error("the path `{0}` can't be used: {1}")]
    Path(String, String),
    /// The directory can't be opened.
    #[error("can't open {0}: {1}")]
    Open(PathBuf, #[source] std::io::Error),
}

impl Places {
    /// The places of a job; without scratch for probes.
    pub(crate) fn new(roots: &[Root], scratch: Option<PathBuf>) -> Self {
        let roots = roots.iter().map(|root| (root.name.clone(), root.path.clone())).collect();
        Self { roots, scratch }
    }

    fn root(&self, name: &str) -> Result<&Path, PlaceError> {
        self.roots.get(name).map(PathBuf::as_path).ok_or_else(|| PlaceError::NoRoot(name.to_owned()))
    }

    fn scratch(&self) -> Result<&Path, PlaceError> {
        self.scratch.as_deref().ok_or(PlaceError::NoScratch)
    }

    /// Puts the absolute paths in for `{scratch}` and `{root:NAME}`; `{{` and `}}` become single braces.
    pub(crate) fn expand(&self, template: &str) -> Result<OsString, PlaceError> {
        let mut out = Vec::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            out.extend_from_slice(before.as_bytes());
            if let Some(tail) = after.strip_prefix("{{") {
                out.push(b'{');
                rest = tail;
            } else if let Some(tail) = after.strip_prefix("}}") {
                out.push(b'}');
                rest = tail;
            } else {
                let (placeholder, tail) = after
                    .strip_prefix('{')
                    .and_then(|inner| inner.split_once('}'))
                    .ok_or_else(|| PlaceError::Placeholder(after.to_owned()))?;
                let path = match placeholder.split_once(':') {
                    None if placeholder == "scratch" => self.scratch()?,
                    Some(("root", name)) => self.root(name)?,
                    _ => return Err(PlaceError::Placeholder(format!("{{{placeholder}}}"))),
                };
                out.extend_from_slice(path.as_os_str().as_bytes());
                rest = tail;
            }
        }
        out.extend_from_slice(rest.as_bytes());
        Ok(OsString::from_vec(out))
    }

    /// Opens the base of a location as a directory out of which no path leads, and gives the path within it.
    ///
    /// With `create`, an absent root is made first.
    pub(crate) fn resolve(&self, location: &Location, create: bool) -> Result<(Dir, PathBuf), PlaceError> {
        let base = match &location.base {
            Base::Root(name) => self.root(name)?,
            Base::Scratch => self.scratch()?,
        };
        if create {
            std::fs::create_dir_all(base).map_err(|source| PlaceError::Open(base.to_owned(), source))?;
        }
        let dir = Dir::open_ambient_dir(base, ambient_authority())
            .map_err(|source| PlaceError::Open(base.to_owned(), source))?;
        let raw = name::unescape(&location.path)
            .map_err(|problem| PlaceError::Path(location.path.clone(), problem.to_string()))?;
        let path = PathBuf::from(OsStr::from_bytes(&raw));
        let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain || raw.is_empty() {
            return Err(PlaceError::Path(location.path.clone(), "it must name something beneath its base".into()));
        }
        Ok((dir, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let root = Root { name: "home".into(), path: "/srv/jpom".into() };
        Places::new(&[root], Some("/tmp/s".into()))
    }

    #[test]
    fn placeholders_become_paths_and_doubled_braces_single_ones() {
        let expand = |text: &str| places().expand(text).unwrap().into_string().unwrap();
        assert_eq!(expand("@{scratch}/a.args"), "@/tmp/s/a.args");
        assert_eq!(expand("jdbc:h2:{root:home}/db/Server"), "jdbc:h2:/srv/jpom/db/Server");
        assert_eq!(expand("{{{{.State.Running}}}}"), "{{.State.Running}}");
    }

    #[test]
    fn unknown_placeholders_and_roots_are_refused() {
        for bad in ["{home}", "{", "a}b", "{root:data}", "{scratch"] {
            assert!(places().expand(bad).is_err(), "{bad}");
        }
        assert!(matches!(Places::new(&[], None).expand("{scratch}"), Err(PlaceError::NoScratch)));
    }

    #[test]
    fn locations_may_not_leave_their_base() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(&[Root { name: "home".into(), path: dir.path().into() }], None);
        for bad in ["", "..", "a/../b", "/etc/passwd", "./a"] {
            let location = Location { base: Base::Root("home".into()), path: bad.into() };
            assert!(places.resolve(&location, false).is_err(), "{bad}");
        }
    }
}
