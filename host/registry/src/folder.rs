//! Releases in folders of this machine.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use bytes::Bytes;
use copal_trust::{Bundle, COMPONENT, STATEMENT};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Error;
use crate::gather::{Gathered, difference};
use crate::place::Item;
use crate::probe::belongs;

/// The files of a release that lie in `folder`. Its other files are nobody's business here.
pub(crate) fn read(folder: &Path, place: &str, item: &Item) -> Result<Bundle, Error> {
    let mut gathered = Gathered::new(place);
    let listing = |source| failed(place, "list", "its files", source);
    for entry in fs::read_dir(folder).map_err(listing)? {
        let name = entry.map_err(listing)?.file_name();
        let Some(name) = name.to_str().filter(|name| belongs(name, item)) else {
            continue;
        };
        if let Some(limit) = gathered.limit(name) {
            let bytes = read_file(&folder.join(name), Links::Refuse, place, name, limit)?;
            gathered.add(name, bytes)?;
        }
    }
    gathered.finish()
}

/// A component without anything beside it.
pub(crate) fn component(path: &Path, place: &str) -> Result<Bundle, Error> {
    let mut gathered = Gathered::new(place);
    let limit = gathered.limit(COMPONENT).unwrap_or_default();
    gathered.add(
        COMPONENT,
        read_file(path, Links::Follow, place, "it", limit)?,
    )?;
    gathered.finish()
}

/// Writes a release into a folder that is new or empty, or holds a part of the very same release.
pub(crate) fn write(
    bundle: &Bundle,
    folder: &Path,
    place: &str,
    replace: bool,
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| failed(place, "create", "the folder", source))?;
    let existing = match read(folder, place, &Item::Release) {
        Ok(existing) => existing,
        Err(Error::Empty { .. }) => {
            let mut entries = fs::read_dir(folder)
                .map_err(|source| failed(place, "list", "its files", source))?;
            if entries.next().is_some() && !replace {
                return Err(Error::Occupied {
                    place: place.to_owned(),
                    found: "files that are no release's".to_owned(),
                });
            }
            Bundle::default()
        }
        Err(error) => return Err(error),
    };
    if let Some(found) = difference(&existing, bundle) {
        if !replace {
            return Err(Error::Occupied {
                place: place.to_owned(),
                found,
            });
        }
        // The statement goes first and comes last, so that it never stands beside what it is not about.
        let (statement, others): (Vec<_>, Vec<_>) =
            existing.files().partition(|(name, _)| *name == STATEMENT);
        for (name, _) in statement.into_iter().chain(others) {
            fs::remove_file(folder.join(name))
                .map_err(|source| failed(place, "remove", name, source))?;
        }
    }
    for (name, bytes) in statement_last(bundle) {
        save(&folder.join(name), bytes).map_err(|source| failed(place, "write", name, source))?;
    }
    Ok(())
}

/// A release's files in the order in which they are published.
pub(crate) fn statement_last(bundle: &Bundle) -> impl Iterator<Item = (&str, &Bytes)> {
    let others = bundle.files().filter(|(name, _)| *name != STATEMENT);
    others.chain(bundle.get(STATEMENT).map(|bytes| (STATEMENT, bytes)))
}

/// What becomes of a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// The operator named it.
    Follow,
    /// Whoever made the release named it, and could have any file of the operator's published.
    Refuse,
}

/// Reads a plain file of at most `limit` bytes.
pub(crate) fn read_file(
    path: &Path,
    links: Links,
    place: &str,
    name: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    let failed = |source| failed(place, "read", name, source);
    // Not to wait at a pipe for its other end.
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(failed(io::Error::other("it is a symbolic link"))),
        Err(error) => return Err(failed(error.into())),
    };
    let size = match file.metadata() {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(failed(io::Error::other("it is no plain file"))),
        Err(error) => return Err(failed(error)),
    };
    let too_large = || Error::TooLarge {
        place: place.to_owned(),
        file: name.to_owned(),
        limit,
    };
    if size > limit as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes.into())
}

/// Writes a file that is whole as soon as it has its name, readable by everyone whom the umask lets.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// An error of the operating system.
pub(crate) fn failed(place: &str, action: &'static str, file: &str, source: io::Error) -> Error {
    Error::Io {
        place: place.to_owned(),
        action,
        file: file.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use copal_trust::PUBLISHER;

    use super::*;

    fn release(component: &'static [u8]) -> Bundle {
        let mut bundle = Bundle::default();
        for (name, bytes) in [
            (COMPONENT, component),
            (STATEMENT, b"{}"),
            ("release.json.minisig", b"signature"),
            (PUBLISHER, b"{}"),
        ] {
            bundle.insert(name, Bytes::from_static(bytes)).unwrap();
        }
        bundle
    }

    #[test]
    fn a_release_comes_out_of_a_folder_as_it_went_in_and_strangers_stay_there() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("new/folder");
        let bundle = release(b"component");
        write(&bundle, &folder, "here", false).unwrap();
        fs::write(folder.join("README.md"), "a stranger").unwrap();
        fs::write(folder.join("release.json.99.minisig"), "another").unwrap();
        assert_eq!(read(&folder, "here", &Item::Release).unwrap(), bundle);
        let publisher = read(&folder, "here", &Item::Publisher).unwrap();
        assert_eq!(
            publisher.files().map(|file| file.0).collect::<Vec<_>>(),
            [PUBLISHER]
        );
        // What is there already is no obstacle.
        write(&bundle, &folder, "here", false).unwrap();
    }

    #[test]
    fn another_release_is_replaced_only_when_asked_for_and_then_wholly() {
        let scratch = tempfile::tempdir().unwrap();
        let (first, mut second) = (release(b"first"), Bundle::default());
        second
            .insert(COMPONENT, Bytes::from_static(b"second"))
            .unwrap();
        write(&first, scratch.path(), "here", false).unwrap();
        let error = write(&second, scratch.path(), "here", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "here holds something else already: another plugin.wasm"
        );
        assert_eq!(read(scratch.path(), "here", &Item::Release).unwrap(), first);
        write(&second, scratch.path(), "here", true).unwrap();
        assert_eq!(
            read(scratch.path(), "here", &Item::Release).unwrap(),
            second
        );
    }

    #[test]
    fn a_folder_of_other_things_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("letter"), "dear").unwrap();
        let error = write(&release(b"x"), scratch.path(), "here", false).unwrap_err();
        assert_eq!(error.kind(), "occupied");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_plain_file_or_too_large_is_not_read() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join(STATEMENT)).unwrap();
        let error = read(scratch.path(), "here", &Item::Release).unwrap_err();
        assert_eq!(
            error.to_string(),
            "here: can't read release.json: it is no plain file"
        );
        fs::remove_dir(scratch.path().join(STATEMENT)).unwrap();
        let secret = scratch.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, scratch.path().join(STATEMENT)).unwrap();
        let error = read(scratch.path(), "here", &Item::Release).unwrap_err();
        assert_eq!(
            error.to_string(),
            "here: can't read release.json: it is a symbolic link"
        );
        fs::remove_file(scratch.path().join(STATEMENT)).unwrap();
        // One that the operator names is what it leads to.
        let link = scratch.path().join("link.wasm");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let bundle = component(&link, "here").unwrap();
        assert_eq!(bundle.get(COMPONENT).unwrap(), "secret");
        let file = File::create(scratch.path().join(COMPONENT)).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = read(scratch.path(), "here", &Item::Release).unwrap_err();
        assert_eq!(error.kind(), "too-large", "{error}");
    }
}
