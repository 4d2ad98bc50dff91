//! Reading a case's folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copal_sandbox::name;
use copal_sandbox::types::{Entry, Kind};
use serde::de::DeserializeOwned;

use super::Case;
use super::manifest::{Amendments, Manifest, amend};
use crate::error::Error;
use crate::memory::{MemoryTree, entry, join};
use crate::recording::Recording;

/// Bytes that the files of one case may have together: all of them are held in memory.
const MAX_CASE: u64 = 256 << 20;

/// What a case's folder may hold.
const PARTS: [&str; 7] = [
    "case.toml",
    "roots",
    "targets",
    "streams",
    "calls.json",
    "expected",
    "README.md",
];

pub(super) fn all(folder: &Path) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for path in sorted(folder)? {
        if path.is_dir() {
            cases.push(case(&path)?);
        }
    }
    Ok(cases)
}

pub(super) fn case(folder: &Path) -> Result<Case, Error> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = name.into_owned();
    let loading = Loading {
        name: &name,
        folder,
        left: MAX_CASE,
    };
    loading.case()
}

struct Loading<'a> {
    name: &'a str,
    folder: &'a Path,
    /// Bytes that may still be read.
    left: u64,
}

impl Loading<'_> {
    fn case(mut self) -> Result<Case, Error> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !self.name.chars().all(fits) {
            return Err(self.problem("its name is not of lower-case letters, digits and `-`"));
        }
        for part in sorted(self.folder)? {
            let part = part.file_name().unwrap_or_default().to_string_lossy();
            if !PARTS.contains(&part.as_ref()) {
                let known = PARTS.join(", ");
                return Err(self.problem(format!("it holds `{part}`; a case may hold {known}")));
            }
        }
        let manifest: Manifest = self.toml("case.toml")?;
        let now = manifest
            .now()
            .map_err(|problem| self.problem(format!("in case.toml, {problem}")))?;
        let roots = self.trees("roots")?;
        if roots.is_empty() {
            return Err(self.problem("it has no root: put a directory into roots/ROOT"));
        }
        let targets = self.trees("targets")?;
        let mut streams = BTreeMap::new();
        for path in self.listed("streams")? {
            let name = name::escape(path.file_name().unwrap_or_default().as_bytes());
            streams.insert(name, self.read(&path)?);
        }
        let recording = self.folder.join("calls.json");
        let commands = match recording.exists() {
            true => Recording::parse(&self.read(&recording)?)?.commands,
            false => Vec::new(),
        };
        Ok(Case {
            name: self.name.to_owned(),
            folder: self.folder.to_owned(),
            manifest,
            now,
            roots,
            targets,
            streams,
            commands,
        })
    }

    fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Case {
            case: self.name.to_owned(),
            problem: problem.into(),
        }
    }

    /// A file of TOML; an absent one says nothing.
    fn toml<T: DeserializeOwned + Default>(&mut self, relative: &str) -> Result<T, Error> {
        let path = self.folder.join(relative);
        if !path.exists() {
            return Ok(T::default());
        }
        let text = String::from_utf8(self.read(&path)?)
            .map_err(|_| self.problem(format!("{relative} is not UTF-8")))?;
        toml::from_str(&text).map_err(|error| {
            let error = error.to_string();
            self.problem(format!("{relative}: {}", error.trim_end()))
        })
    }

    /// What lies in a part of the case; nothing where it is absent.
    fn listed(&self, part: &str) -> Result<Vec<PathBuf>, Error> {
        let folder = self.folder.join(part);
        match folder.exists() {
            true => sorted(&folder),
            false => Ok(Vec::new()),
        }
    }

    /// The trees in `roots` or `targets`: a folder each, or only a file of TOML for one that files can't hold at all.
    fn trees(&mut self, part: &str) -> Result<Vec<Arc<MemoryTree>>, Error> {
        let mut names: Vec<String> = Vec::new();
        for path in self.listed(part)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.strip_suffix(".toml").unwrap_or(&name);
            if !names.iter().any(|other| other == name) {
                names.push(name.to_owned());
            }
        }
        let mut trees = Vec::new();
        for name in names {
            let mut tree = MemoryTree::new(&name, format!("/case/{part}/{name}"));
            let folder = self.folder.join(part).join(&name);
            if folder.is_dir() {
                self.fill(&mut tree, &folder, "")?;
            }
            let relative = format!("{part}/{name}.toml");
            let amendments: Amendments = self.toml(&relative)?;
            amend(&mut tree, &amendments)
                .map_err(|problem| self.problem(format!("{relative}: {problem}")))?;
            trees.push(Arc::new(tree));
        }
        Ok(trees)
    }

    fn fill(&mut self, tree: &mut MemoryTree, folder: &Path, path: &str) -> Result<(), Error> {
        for file in sorted(folder)? {
            let name = name::escape(file.file_name().unwrap_or_default().as_bytes());
            let at = join(path, &name);
            let metadata = file
                .symlink_metadata()
                .map_err(Error::file("look at", &file))?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                tree.put(entry(&at, Kind::Directory), []);
                self.fill(tree, &file, &at)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&file).map_err(Error::file("read", &file))?;
                let target = name::escape(target.as_os_str().as_bytes());
                let link = Entry {
                    link_target: Some(target),
                    ..entry(&at, Kind::Symlink)
                };
                tree.put(link, []);
            } else if kind.is_file() {
                let content = self.read(&file)?;
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let file = Entry {
                    size: content.len() as u64,
                    mode: if executable { 0o755 } else { 0o644 },
                    ..entry(&at, Kind::File)
                };
                tree.put(file, content);
            } else {
                let problem = format!(
                    "{} is neither a file, a directory nor a symlink: describe it in a file ROOT.toml",
                    file.display()
                );
                return Err(self.problem(problem));
            }
        }
        Ok(())
    }

    fn read(&mut self, path: &Path) -> Result<Vec<u8>, Error> {
        let size = path.metadata().map_err(Error::file("look at", path))?.len();
        self.left = self
            .left
            .checked_sub(size)
            .ok_or_else(|| self.problem("its files have more than 256 MiB"))?;
        fs::read(path).map_err(Error::file("read", path))
    }
}

/// The paths in a folder, sorted.
pub(super) fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut paths = Vec::new();
    for file in listed {
        paths.push(file.map_err(Error::file("list", folder))?.path());
    }
    paths.sort();
    Ok(paths)
}
