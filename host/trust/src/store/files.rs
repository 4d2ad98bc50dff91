//! Files of the data folder: read without following links, written in one piece.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::refusal::Refusal;

/// How often, and how long apart, another process's lock is tried: five seconds in all, more than any change takes.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// What the names begin with of what is not yet there and of what is on its way out.
const NEW: &str = ".new-";
const OLD: &str = ".old-";

/// Waits until no other process changes the data folder. Closing the file unlocks it.
pub(super) fn lock(path: &Path) -> Result<File, Refusal> {
    let failed = |error: Errno| Refusal::state("lock", path, error.into());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    for _ in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file.into()),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Refusal::Busy(path.to_owned()))
}

/// A file's bytes; none where there is no file. A link, and what is no plain file or too large, is damage.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Bytes>, Refusal> {
    let failed = |error| Refusal::state("read", path, error);
    // Not to block at a pipe that lies where a file should.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Refusal::damaged(path, "it is a symbolic link")),
        Err(error) => return Err(failed(error.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Refusal::damaged(path, "it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > limit {
        return Err(Refusal::damaged(
            path,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(Some(bytes.into()))
}

/// Writes a file in one piece, which only this user can read, and has it on disk before it returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let failed = |error| Refusal::state("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(NEW)
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync(folder)
}

/// Has the names in a folder on disk.
pub(super) fn sync(folder: &Path) -> Result<(), Refusal> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Refusal::state("write", folder, error))
}

/// Whether there is a folder, which no other user may write to. A link to one is damage.
pub(super) fn is_folder(path: &Path) -> Result<bool, Refusal> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => require_private(path, &metadata).map(|()| true),
        Ok(_) => Err(Refusal::damaged(path, "it is no folder")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Refusal::state("look at", path, error)),
    }
}

/// Makes a folder that only this user can enter, unless it is there. The one above it is there.
pub(super) fn make_folder(path: &Path) -> Result<(), Refusal> {
    if is_folder(path)? {
        return Ok(());
    }
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| Refusal::state("make the folder", path, error))?;
    path.parent().map_or(Ok(()), sync)
}

/// The names in a folder that are text, sorted; none where there is no folder. Names that begin with a dot are leftovers of work that was cut off.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Refusal> {
    if !is_folder(folder)? {
        return Ok(Vec::new());
    }
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    };
    let mut names = read().map_err(|error| Refusal::state("read", folder, error))?;
    names.retain(|name| !name.starts_with('.'));
    names.sort_unstable();
    Ok(names)
}

/// Puts a whole folder of files in the place of the one that may be there.
pub(super) fn replace_folder<'a>(
    path: &Path,
    files: impl Iterator<Item = (&'a str, &'a Bytes)>,
) -> Result<(), Refusal> {
    let failed = |error| Refusal::state("write", path, error);
    let above = path.parent().unwrap_or(Path::new("/"));
    let new = tempfile::Builder::new()
        .prefix(NEW)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(above)
        .map_err(failed)?;
    for (name, bytes) in files {
        write(&new.path().join(name), bytes)?;
    }
    if is_folder(path)? {
        // Exchanged in one go, so that there is a whole one at every moment. What was there is removed with the temporary folder.
        renameat_with(CWD, new.path(), CWD, path, RenameFlags::EXCHANGE)
            .map_err(|error| failed(error.into()))?;
    } else {
        std::fs::rename(new.path(), path).map_err(failed)?;
        // Nothing lies there any more that would have to be removed.
        let _ = new.keep();
    }
    sync(above)
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) -> Result<(), Refusal> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Refusal::state("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder, which is gone at once although its files go one by one.
pub(super) fn remove_folder(path: &Path) -> Result<(), Refusal> {
    if !is_folder(path)? {
        return Ok(());
    }
    let failed = |error| Refusal::state("remove", path, error);
    let above = path.parent().unwrap_or(Path::new("/"));
    let old = tempfile::Builder::new()
        .prefix(OLD)
        .tempdir_in(above)
        .map_err(failed)?;
    std::fs::rename(path, old.path().join("folder")).map_err(failed)?;
    sync(above)?;
    old.close().map_err(failed)
}

/// Removes what work that was cut off left in a folder. Nobody else works there while the lock is held.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let leftover = [NEW, OLD].iter().any(|prefix| {
            let name = name.as_encoded_bytes();
            name.starts_with(prefix.as_bytes())
        });
        if !leftover {
            continue;
        }
        let path = entry.path();
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = match folder {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        if let Err(error) = removed {
            tracing::warn!("can't remove {}: {error}", path.display());
        }
    }
}

/// Refuses a folder in which another user could write what Copal then trusts, or which he could put another one in the place of. One that is not there
/// yet holds nothing.
pub(super) fn require_own(path: &Path) -> Result<(), Refusal> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Refusal::state("look at", path, error)),
    };
    let look_at = |path: &Path| {
        let metadata = path.metadata();
        metadata.map_err(|error| Refusal::state("look at", path, error))
    };
    let metadata = look_at(&real)?;
    if !metadata.is_dir() {
        return Err(Refusal::damaged(path, "it is no folder"));
    }
    require_private(path, &metadata)?;
    for above in real.ancestors().skip(1) {
        let metadata = look_at(above)?;
        // In a folder such as /tmp nobody renames what is another's; and a group that is this user's own is his alone on most systems.
        let sticky = metadata.mode() & 0o1000 != 0;
        let own_group = metadata.gid() == rustix::process::getegid().as_raw();
        let others = if own_group { 0o002 } else { 0o022 };
        require_of_user(above, &metadata)?;
        if metadata.mode() & others != 0 && !sticky {
            return Err(exposed(above, WRITABLE.to_owned()));
        }
    }
    Ok(())
}

const WRITABLE: &str = "other users may write there";

fn exposed(path: &Path, problem: String) -> Refusal {
    Refusal::Exposed {
        path: path.to_owned(),
        problem,
    }
}

/// Refuses a folder of another user.
fn require_of_user(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Err(exposed(
            path,
            format!("it belongs to another user ({owner})"),
        ));
    }
    Ok(())
}

/// Refuses a folder that another user may write to.
fn require_private(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    require_of_user(path, metadata)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(exposed(path, WRITABLE.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_this_user_can_read_what_is_written() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("folder");
        make_folder(&folder).unwrap();
        let file = folder.join("file");
        write(&file, b"one").unwrap();
        write(&file, b"two").unwrap();
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(read(&file, 3).unwrap().unwrap().as_ref(), b"two");
        assert_eq!(names(&folder).unwrap(), ["file"]);
        assert!(matches!(read(&file, 2), Err(Refusal::Damaged { .. })));
    }

    #[test]
    fn links_are_not_followed() {
        let above = tempfile::tempdir().unwrap();
        let (secret, link) = (above.path().join("secret"), above.path().join("link"));
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert!(matches!(read(&link, 10), Err(Refusal::Damaged { .. })));
        write(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");

        let folder_link = above.path().join("folder-link");
        std::os::unix::fs::symlink(above.path(), &folder_link).unwrap();
        assert!(matches!(
            make_folder(&folder_link),
            Err(Refusal::Damaged { .. })
        ));
        assert!(matches!(names(&folder_link), Err(Refusal::Damaged { .. })));
        assert!(matches!(lock(&folder_link), Err(Refusal::State { .. })));
    }

    #[test]
    fn a_folder_is_replaced_and_removed_as_a_whole() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("folder");
        let (one, two) = (Bytes::from_static(b"1"), Bytes::from_static(b"2"));
        replace_folder(&folder, [("one", &one)].into_iter()).unwrap();
        replace_folder(&folder, [("two", &two)].into_iter()).unwrap();
        assert_eq!(names(&folder).unwrap(), ["two"]);
        assert_eq!(mode(&folder), 0o700);
        remove_folder(&folder).unwrap();
        remove_folder(&folder).unwrap();
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, trusted) in [(0o700, true), (0o755, true), (0o770, false), (0o702, false)] {
            let permissions = Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
            assert_eq!(require_own(folder.path()).is_ok(), trusted, "{mode:o}");
            assert_eq!(is_folder(folder.path()).is_ok(), trusted, "{mode:o}");
        }
    }

    #[test]
    fn a_folder_that_others_can_put_another_in_the_place_of_is_not_trusted() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("folder");
        make_folder(&folder).unwrap();
        for (mode, trusted) in [
            (0o700, true),
            (0o755, true),
            (0o1777, true),
            (0o777, false),
            (0o702, false),
        ] {
            let permissions = Permissions::from_mode(mode);
            std::fs::set_permissions(above.path(), permissions).unwrap();
            assert_eq!(require_own(&folder).is_ok(), trusted, "{mode:o}");
        }
    }
}
