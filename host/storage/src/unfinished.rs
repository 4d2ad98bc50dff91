//! What writes that were cut off left in a local directory: an object is written under a name with a number behind it, and renamed when it is
//! whole. No listing shows such files, and nothing else removes them.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use crate::{Error, Store};

/// A file that never became an object, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When it was last written to: seconds since 1970.
    pub written: i64,
}

impl Unfinished {
    /// Whether it was to become the object of this name.
    pub fn is_of(&self, object: &str) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.rsplit_once('#'));
        name.is_some_and(|(name, _)| name == object)
    }

    /// Whether it lies in the directory of this name.
    pub fn is_in(&self, directory: &str) -> bool {
        let parent = self.path.parent().and_then(|parent| parent.file_name());
        parent.is_some_and(|parent| parent == directory)
    }
}

/// Whether it is a name that objects have while they are written: `NAME#NUMBER`.
fn is_temporary(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

impl Store {
    /// The unfinished files in the directories `names`; none where this is no local directory.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn unfinished<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Unfinished>, Error> {
        let Some(root) = &self.directory else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for name in names {
            let path = root.join(name);
            let failed = |source| Error::File {
                action: "read",
                path: path.clone(),
                source,
            };
            let entries = match std::fs::read_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                if !entry.file_name().to_str().is_some_and(is_temporary) {
                    continue;
                }
                // One that is renamed or removed meanwhile is finished.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                let written = metadata.modified().ok();
                let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                found.push(Unfinished {
                    path: entry.path(),
                    size: metadata.len(),
                    written: written.map_or(0, |time| time.as_secs().cast_signed()),
                });
            }
        }
        Ok(found)
    }

    /// Removes an unfinished file; that it is gone already is fine.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn discard(&self, file: &Unfinished) -> Result<(), Error> {
        match std::fs::remove_file(&file.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::File {
                action: "remove",
                path: file.path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_is_being_written_is_unfinished() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::open(directory.path().to_str().unwrap()).unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        for name in ["whole", "half#1", "other#27", "a#b", "c#"] {
            std::fs::write(directory.path().join("data").join(name), b"xyz").unwrap();
        }
        let found = store.unfinished(["data", "nowhere"]).unwrap();
        assert_eq!(found.iter().map(|file| file.size).sum::<u64>(), 6);
        assert!(found.iter().all(|file| file.written > 1_700_000_000));
        assert_eq!(found.iter().filter(|file| file.is_of("half")).count(), 1);
        assert!(
            found
                .iter()
                .all(|file| file.is_in("data") && !file.is_in("locks"))
        );
        for file in found.iter().chain(&found[..1]) {
            store.discard(file).unwrap();
        }
        let left = std::fs::read_dir(directory.path().join("data")).unwrap();
        assert_eq!(left.count(), 3);
        assert_eq!(
            crate::open("memory:")
                .unwrap()
                .unfinished(["data"])
                .unwrap(),
            []
        );
    }
}
