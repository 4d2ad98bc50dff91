//! Where a job's steps may reach: its roots and its scratch folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use copal_sandbox::name;
use copal_sandbox::placeholder::{self, InvalidPlaceholder, Placeholder};
use copal_sandbox::types::{Base, Location};
use rustix::fs::{Mode, OFlags, openat};

use crate::process::descriptors;

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
    /// A placeholder that can't be put in.
    #[error("can't put the placeholders into `{0}`: {1}")]
    Placeholder(String, #[source] InvalidPlaceholder),
    /// A path of the plugin that can't be one.
    #[error("the path `{0}` can't be used: {1}")]
    Path(String, String),
    /// What is on the way is a symlink.
    #[error(
        "`{0}` is a symlink, and a step works on nothing behind one; put the folder itself there, or give it as a root of its own"
    )]
    Symlink(PathBuf),
    /// The directory can't be opened.
    #[error("can't open {0}: {1}")]
    Open(PathBuf, #[source] std::io::Error),
}

impl Places {
    /// The places of a job; without scratch for probes.
    pub(crate) fn new(roots: &[Root], scratch: Option<PathBuf>) -> Self {
        let roots = roots
            .iter()
            .map(|root| (root.name.clone(), root.path.clone()))
            .collect();
        Self { roots, scratch }
    }

    fn root(&self, name: &str) -> Result<&Path, PlaceError> {
        self.roots
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| PlaceError::NoRoot(name.to_owned()))
    }

    fn scratch(&self) -> Result<&Path, PlaceError> {
        self.scratch.as_deref().ok_or(PlaceError::NoScratch)
    }

    /// Puts the absolute paths in for `{scratch}` and `{root:NAME}`, and that of the Nth of so many descriptors for `{fd:N}`; `{{` and `}}` become
    /// single braces.
    pub(crate) fn expand(&self, text: &str, descriptors: usize) -> Result<String, PlaceError> {
        let expanded = placeholder::expand(text, |asked| {
            let path = match asked {
                Placeholder::Scratch => self.scratch(),
                Placeholder::Root(name) => self.root(name),
                Placeholder::Descriptor(number) => {
                    return (number < descriptors).then(|| descriptors::path(number));
                }
            };
            path.ok()?.to_str().map(str::to_owned)
        });
        expanded.map_err(|problem| PlaceError::Placeholder(text.to_owned(), problem))
    }

    /// Opens the folder that a location lies in, and gives its name there. No symlink is followed on the way from the base: grants are compared with the
    /// path as it is written, so it must lead where it says.
    ///
    /// With `create`, absent folders are made, and an absent root too.
    pub(crate) fn resolve(
        &self,
        location: &Location,
        create: bool,
    ) -> Result<(Dir, PathBuf), PlaceError> {
        let base = match &location.base {
            Base::Root(name) => self.root(name)?,
            Base::Scratch => self.scratch()?,
        };
        if create {
            std::fs::create_dir_all(base)
                .map_err(|source| PlaceError::Open(base.to_owned(), source))?;
        }
        let mut dir = Dir::open_ambient_dir(base, ambient_authority())
            .map_err(|source| PlaceError::Open(base.to_owned(), source))?;
        let raw = name::unescape(&location.path)
            .map_err(|problem| PlaceError::Path(location.path.clone(), problem.to_string()))?;
        let path = PathBuf::from(OsStr::from_bytes(&raw));
        let plain = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        let (true, Some(name)) = (plain, path.file_name()) else {
            return Err(PlaceError::Path(
                location.path.clone(),
                "it must name something beneath its base".into(),
            ));
        };
        let mut at = base.to_owned();
        for folder in path.parent().into_iter().flatten() {
            at.push(folder);
            dir = enter(&dir, folder, create).map_err(|source| {
                match dir.symlink_metadata(folder).is_ok_and(|it| it.is_symlink()) {
                    true => PlaceError::Symlink(at.clone()),
                    false => PlaceError::Open(at.clone(), source),
                }
            })?;
        }
        Ok((dir, name.into()))
    }
}

/// Opens a folder of a folder that is no symlink; with `create`, makes it where it is absent.
pub(crate) fn enter(dir: &Dir, name: &OsStr, create: bool) -> io::Result<Dir> {
    if create
        && let Err(error) = dir.create_dir(name)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(dir, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(folder.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_the_paths_of_the_job() {
        let root = Root {
            name: "home".into(),
            path: "/srv/jpom".into(),
        };
        let places = Places::new(&[root], Some("/tmp/s".into()));
        assert_eq!(
            places
                .expand("jdbc:h2:{root:home}/db {scratch} {fd:1} {{", 2)
                .unwrap(),
            "jdbc:h2:/srv/jpom/db /tmp/s /dev/fd/4 {"
        );
        assert!(places.expand("{root:data}", 0).is_err());
        assert!(places.expand("{fd:0}", 0).is_err());
        assert!(Places::default().expand("{scratch}", 0).is_err());
    }

    #[test]
    fn locations_may_not_leave_their_base() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::new(
            &[Root {
                name: "home".into(),
                path: dir.path().into(),
            }],
            None,
        );
        for bad in ["", "..", "a/../b", "/etc/passwd", "./a"] {
            let location = Location {
                base: Base::Root("home".into()),
                path: bad.into(),
            };
            assert!(places.resolve(&location, false).is_err(), "{bad}");
        }
    }
}
