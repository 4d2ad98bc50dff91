//! A restore that is cut off leaves nothing half under its name, and goes on where it was when it is run again.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::progress::Progress;
use copal_repository::restorer::{RestoreOptions, restore_node};
use copal_repository::{ErrorKind, TreeId, WriterOptions};

use crate::fixture::{Place, noise};

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

/// So many pieces that not all can be fetched at once.
fn many() -> usize {
    4 * std::thread::available_parallelism().map_or(2, usize::from) + 8
}

/// Stores files whose every piece lies in a pack of its own, in the root `home`.
fn scatter(place: &Place, files: &[(&str, Vec<Vec<u8>>)]) -> TreeId {
    let store = |kind, data: &[u8]| {
        let writer = place.repository.writer(WriterOptions::default()).unwrap();
        let id = writer.store(kind, data).unwrap().id;
        writer.finish().unwrap();
        id
    };
    let directory = |nodes| store(BlobKind::Tree, &Tree { nodes }.encode()).into();
    let file = |(name, pieces): &(&str, Vec<Vec<u8>>)| Node {
        mode: 0o644,
        size: pieces.iter().map(|piece| piece.len() as u64).sum(),
        content: pieces
            .iter()
            .map(|piece| store(BlobKind::Data, piece))
            .collect(),
        ..Node::new(*name, NodeKind::File)
    };
    let home = Node {
        mode: 0o755,
        subtree: Some(directory(files.iter().map(file).collect())),
        ..Node::new("home", NodeKind::Directory)
    };
    directory(vec![home])
}

/// Pieces without any pattern.
fn pieces(seed: u64) -> Vec<Vec<u8>> {
    let piece = |number| noise(seed * 1_000 + number as u64, 20_000);
    (0..many()).map(piece).collect()
}

/// Restores, and is cut off after so many bytes.
fn cut_off(place: &Place, tree: TreeId, bytes: u64) {
    cut_off_with(place, tree, bytes, RestoreOptions::default());
}

fn cut_off_with(place: &Place, tree: TreeId, bytes: u64, options: RestoreOptions) {
    let cancel = Arc::new(AtomicBool::new(false));
    let options = RestoreOptions {
        cancel: Arc::clone(&cancel),
        ..options
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
    let files = ["0", "1", "2", "3"].map(|name| (name, pieces(name.parse().unwrap())));
    let tree = scatter(&place, &files);
    let whole = |name: &str| files[name.parse::<usize>().unwrap()].1.concat();
    let total = 4 * 20_000 * many() as u64;
    cut_off(&place, tree, total / 2);
    let unfinished = parts(&place);
    assert!(!unfinished.is_empty(), "nothing was cut off");
    for entry in fs::read_dir(place.path("target")).unwrap() {
        let path = entry.unwrap().path();
        if !unfinished.contains(&path) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(fs::read(&path).unwrap() == whole(name), "{name} is half");
        }
    }

    let summary = place.restore(tree, None);
    assert_eq!((summary.errors.len(), summary.files), (0, 4));
    assert!(
        summary.bytes <= total / 2,
        "{} of {total} bytes were fetched again",
        summary.bytes
    );
    for (name, _) in &files {
        let content = fs::read(place.path("target").join(name)).unwrap();
        assert!(content == whole(name), "{name}");
    }
    assert_eq!(parts(&place), [] as [PathBuf; 0]);
}

/// The name of the unfinished file of the only file that there is.
fn part_of_the_only_file(place: &Place, tree: TreeId) -> PathBuf {
    cut_off(place, tree, 1);
    let [part] = &parts(place)[..] else {
        panic!("{:?}", parts(place));
    };
    part.clone()
}

#[test]
fn what_is_in_an_unfinished_file_is_believed_only_as_far_as_it_is_right() {
    let place = Place::new();
    let mut pieces: Vec<_> = (0..many())
        .map(|number| noise(number as u64, 64 << 10))
        .collect();
    // Zeros, which are not written where nothing was written before.
    for piece in pieces.iter_mut().skip(2).step_by(2) {
        piece.fill(0);
    }
    let content = pieces.concat();
    let tree = scatter(&place, &[("file", pieces)]);
    let part = part_of_the_only_file(&place, tree);
    let file = File::options().write(true).open(&part).unwrap();
    file.write_all_at(&content[..100_000], 0).unwrap();
    file.write_all_at(&noise(99, content.len() - 100_000), 100_000)
        .unwrap();
    file.set_len(40 << 20).unwrap();
    let summary = place.restore(tree, None);
    assert_eq!(summary.errors, []);
    assert_eq!(summary.bytes, content.len() as u64 - (64 << 10));
    assert!(fs::read(place.path("target/file")).unwrap() == content);
    assert_eq!(parts(&place), [] as [PathBuf; 0]);
}

#[test]
fn an_unfinished_file_that_is_whole_is_put_in_place() {
    let place = Place::new();
    let pieces = pieces(1);
    let content = pieces.concat();
    let tree = scatter(&place, &[("file", pieces)]);
    let part = part_of_the_only_file(&place, tree);
    fs::write(&part, &content).unwrap();
    let summary = place.restore(tree, None);
    assert_eq!((summary.errors.len(), summary.bytes), (0, 0));
    let file = place.path("target/file");
    assert!(fs::read(&file).unwrap() == content);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn what_somebody_else_put_there_is_not_gone_on_with() {
    let place = Place::new();
    let pieces = pieces(1);
    let content = pieces.concat();
    let tree = scatter(&place, &[("file", pieces)]);
    let part = part_of_the_only_file(&place, tree);
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
        let summary = place.restore(tree, None);
        assert_eq!(summary.errors, [], "{others}");
        assert_eq!(fs::read(&outside).unwrap(), b"mine", "{others}");
        assert!(fs::read(place.path("target/file")).unwrap() == content);
        fs::write(&part, "").unwrap();
    }
}

#[test]
fn what_another_restore_left_is_removed() {
    let place = Place::new();
    let tree = scatter(&place, &[("file", pieces(1))]);
    let part = part_of_the_only_file(&place, tree);
    let tree = scatter(&place, &[("file", pieces(2))]);
    assert_eq!(place.restore(tree, None).errors, []);
    assert!(!part.exists());
}

#[test]
fn what_is_to_go_is_there_until_what_comes_is() {
    let place = Place::new();
    let files = ["0", "1", "2", "3"].map(|name| (name, pieces(name.parse().unwrap())));
    let tree = scatter(&place, &files);
    let old = ["extra/file", "0/file", "1/file", "2/file", "3/file"];
    for path in old {
        let path = place.path("target").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "old").unwrap();
    }
    let exact = RestoreOptions {
        exact: true,
        ..RestoreOptions::default()
    };
    cut_off_with(&place, tree, 1, exact.clone());
    for path in old {
        assert!(place.path("target").join(path).exists(), "{path}");
    }
    let summary = place.restore_with(tree, None, &exact);
    assert_eq!((summary.errors, summary.removed.count), (vec![], 5));
    let mut left: Vec<_> = fs::read_dir(place.path("target"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["0", "1", "2", "3"]);
    for (name, pieces) in &files {
        let content = fs::read(place.path("target").join(name)).unwrap();
        assert!(content == pieces.concat(), "{name}");
    }
}

#[test]
fn directories_get_their_metadata_though_the_restore_is_cut_off() {
    let place = Place::new();
    let tree = scatter(&place, &[("file", pieces(1))]);
    cut_off(&place, tree, 1);
    let mode = fs::metadata(place.path("target"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
}
