//! A restore that is cut off leaves nothing half under its name, and goes on where it was when it is run again.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use copal_repository::ErrorKind;
use copal_repository::progress::Progress;
use copal_repository::restorer::{RestoreOptions, restore_node};

use crate::fixture::{Place, assert_same, describe, noise};

/// Ends the work once so many bytes are written.
struct Cancel {
    cancel: Arc<AtomicBool>,
    left: AtomicU64,
}

impl Progress for Cancel {
    fn advance(&self, _: u64, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        self.cancel.fetch_or(left == 0, Ordering::Relaxed);
    }
}

/// Restores, and is cut off after so many bytes.
fn cut_off(place: &Place, tree: copal_repository::TreeId, bytes: u64) {
    let cancel = Arc::new(AtomicBool::new(false));
    let options = RestoreOptions {
        cancel: Arc::clone(&cancel),
        ..RestoreOptions::default()
    };
    let progress = Cancel {
        cancel,
        left: AtomicU64::new(bytes),
    };
    let node = place.find(&tree, b"home");
    let target = place.path("target");
    let result = restore_node(&place.repository, &node, &target, None, &options, &progress);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
}

/// The unfinished files at the target.
fn parts(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path("target")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let unfinished = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(".copal-tmp-")
    };
    paths.filter(unfinished).collect()
}

#[test]
fn a_restore_that_was_cut_off_writes_only_the_rest() {
    let place = Place::new();
    let total = 4 * (12 << 20);
    for index in 0..4 {
        place.write(&format!("{index}"), noise(12 << 20, index));
    }
    let whole = describe(&place.path("source"));
    let archived = place.archive(None, None);
    cut_off(&place, archived.tree, total / 2);
    let parts = parts(&place);
    let found = describe(&place.path("target"));
    for (path, item) in &found {
        let unfinished = parts.contains(&place.path("target").join(path));
        assert!(
            unfinished || path.as_os_str().is_empty() || whole.get(path) == Some(item),
            "{path:?}"
        );
    }
    assert!(!parts.is_empty(), "nothing was cut off: {found:?}");

    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors, []);
    assert_eq!(summary.files, 4);
    assert!(
        summary.bytes <= total - total / 4,
        "{} of {total} bytes were fetched again",
        summary.bytes
    );
    assert_same(&whole, &describe(&place.path("target")));
}

/// The name of the unfinished file of the only file that there is.
fn part_of_the_only_file(place: &Place, tree: copal_repository::TreeId) -> PathBuf {
    cut_off(place, tree, 1);
    let [part] = &parts(place)[..] else {
        panic!("{:?}", parts(place));
    };
    part.clone()
}

#[test]
fn what_is_in_an_unfinished_file_is_believed_only_as_far_as_it_is_right() {
    let place = Place::new();
    // Zeros, which are not written where nothing was written before.
    let mut content = noise(12 << 20, 1);
    content[4 << 20..8 << 20].fill(0);
    place.write("file", &content);
    let archived = place.archive(None, None);
    let part = part_of_the_only_file(&place, archived.tree);
    let file = File::options().write(true).open(&part).unwrap();
    file.write_all_at(&noise(11 << 20, 9), 1 << 20).unwrap();
    file.set_len(40 << 20).unwrap();
    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors, []);
    assert!(fs::read(place.path("target/file")).unwrap() == content);
    assert_eq!(parts(&place), [] as [PathBuf; 0]);
}

#[test]
fn an_unfinished_file_that_is_whole_is_put_in_place() {
    let place = Place::new();
    let content = noise(6 << 20, 1);
    place.write("file", &content);
    let archived = place.archive(None, None);
    let part = part_of_the_only_file(&place, archived.tree);
    fs::write(&part, &content).unwrap();
    let summary = place.restore(archived.tree, None);
    assert_eq!((summary.errors.len(), summary.bytes), (0, 0));
    assert_same(
        &describe(&place.path("source")),
        &describe(&place.path("target")),
    );
}

#[test]
fn what_somebody_else_put_there_is_not_gone_on_with() {
    let place = Place::new();
    let content = noise(6 << 20, 1);
    place.write("file", &content);
    let archived = place.archive(None, None);
    let part = part_of_the_only_file(&place, archived.tree);
    let outside = place.path("outside");
    for others in 0..3 {
        fs::remove_file(&part).unwrap();
        fs::remove_file(place.path("target/file")).ok();
        fs::write(&outside, "mine").unwrap();
        match others {
            0 => symlink(&outside, &part).unwrap(),
            1 => {
                fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
                fs::hard_link(&outside, &part).unwrap();
            }
            _ => {
                fs::write(&part, "open to all").unwrap();
                fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
            }
        }
        let summary = place.restore(archived.tree, None);
        assert_eq!(summary.errors, [], "{others}");
        assert_eq!(fs::read(&outside).unwrap(), b"mine", "{others}");
        assert!(fs::read(place.path("target/file")).unwrap() == content);
        fs::write(&part, "").unwrap();
    }
}

#[test]
fn what_another_restore_left_is_removed() {
    let place = Place::new();
    place.write("file", noise(6 << 20, 1));
    let archived = place.archive(None, None);
    let part = part_of_the_only_file(&place, archived.tree);
    place.write("file", noise(6 << 20, 2));
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    assert!(!part.exists());
}
