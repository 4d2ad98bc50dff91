use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use rustix::fs::{AtFlags, Mode, OFlags, XattrFlags, fsetxattr, fstat, openat, statat};
use rustix::process::geteuid;

use super::*;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};

#[test]
fn a_file_s_node_says_what_the_system_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"12345").unwrap();
    fs::hard_link(&path, directory.path().join("link")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    let file = File::open(&path).unwrap();
    fsetxattr(&file, "user.copal", b"\0\xff", XattrFlags::empty()).unwrap();

    let mut reader = Reader::new();
    let stat = fstat(&file).unwrap();
    let node = reader.node(b"file", &stat);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(node.kind, NodeKind::File);
    assert_eq!((node.mode, node.size, node.links), (0o4751, 5, 2));
    assert_eq!((node.uid, node.gid), (metadata.uid(), metadata.gid()));
    assert_eq!(
        (node.inode, node.device_id),
        (metadata.ino(), metadata.dev())
    );
    assert_eq!(node.modified.seconds, metadata.mtime());
    assert_eq!(i64::from(node.modified.nanoseconds), metadata.mtime_nsec());
    assert_eq!(node.changed.seconds, metadata.ctime());
    assert_eq!(node.accessed, node.modified);

    let parent = File::open(directory.path()).unwrap();
    let expected = (b"user.copal".to_vec(), b"\0\xff".to_vec());
    for item in [Item::Open(file.as_fd()), Item::At(parent.as_fd(), b"file")] {
        let (attributes, problem) = reader.extended_attributes(item);
        assert_eq!(problem, None);
        assert!(attributes.contains(&expected), "{attributes:?}");
    }
}

#[test]
fn what_is_applied_is_what_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let parent = File::open(directory.path()).unwrap();
    let root = geteuid().is_root();
    let mut reader = Reader::new();
    for kind in [
        NodeKind::File,
        NodeKind::Directory,
        NodeKind::Symlink,
        NodeKind::Fifo,
        NodeKind::CharacterDevice,
    ] {
        if kind == NodeKind::CharacterDevice && !root {
            continue;
        }
        let name = kind.as_str();
        let mut node = Node {
            mode: if kind == NodeKind::Symlink {
                0o777
            } else {
                0o1640
            },
            modified: Timestamp::utc(-86_400, 123_456_789),
            accessed: Timestamp::utc(1_700_000_000, 1),
            uid: if root { 12_345 } else { geteuid().as_raw() },
            gid: if root {
                54_321
            } else {
                rustix::process::getegid().as_raw()
            },
            device: rustix::fs::makedev(1, 3),
            link_target: b"to \xff nowhere".to_vec(),
            ..Node::new(name, kind)
        };
        let path = directory.path().join(name);
        let opened = match kind {
            NodeKind::File => Some(File::create(&path).unwrap()),
            NodeKind::Directory => {
                fs::create_dir(&path).unwrap();
                Some(File::open(&path).unwrap())
            }
            _ => {
                create_special(parent.as_fd(), name.as_bytes(), &node).unwrap();
                None
            }
        };
        let item = match &opened {
            Some(file) => {
                node.extended_attributes = vec![(b"user.a".to_vec(), b"b".to_vec())];
                Item::Open(file.as_fd())
            }
            None => Item::At(parent.as_fd(), name.as_bytes()),
        };
        assert_eq!(
            Applier::new().apply(&node, item),
            Vec::<String>::new(),
            "{name}"
        );

        let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let found = reader.node(name.as_bytes(), &stat);
        assert_eq!((found.kind, found.mode), (kind, node.mode), "{name}");
        assert_eq!((found.uid, found.gid), (node.uid, node.gid), "{name}");
        let moment = |time: Timestamp| (time.seconds, time.nanoseconds);
        assert_eq!(moment(found.modified), moment(node.modified), "{name}");
        assert_eq!(stat.st_atime, node.accessed.seconds, "{name}");
        if opened.is_some() {
            let (attributes, _) = reader.extended_attributes(item);
            assert!(attributes.contains(&node.extended_attributes[0]), "{name}");
        }
    }
    assert!(
        fs::symlink_metadata(directory.path().join("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
}

/// rustic notes none for the directory that a snapshot begins with.
#[test]
fn a_time_that_nobody_noted_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("file")).unwrap();
    let before = fstat(&file).unwrap();
    let node = Node {
        uid: before.st_uid,
        gid: before.st_gid,
        mode: before.st_mode & 0o7777,
        ..Node::new("file", NodeKind::File)
    };
    let item = Item::Open(file.as_fd());
    let mut applier = Applier::new();
    assert!(!applier.differs(&node, item, &before));
    assert_eq!(applier.apply(&node, item), Vec::<String>::new());
    let after = fstat(&file).unwrap();
    let times = |stat: rustix::fs::Stat| (stat.st_mtime, stat.st_mtime_nsec, stat.st_atime);
    assert_eq!(times(after), times(before));
}

#[test]
fn what_cannot_be_applied_is_told_and_the_rest_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("file")).unwrap();
    let node = Node {
        mode: 0o4604,
        uid: u32::MAX,
        extended_attributes: vec![(b"nonsense".to_vec(), b"".to_vec())],
        ..Node::new("file", NodeKind::File)
    };
    let problems = Applier::new().apply(&node, Item::Open(file.as_fd()));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("owner"), "{problems:?}");
    assert!(problems[1].contains("set-id"), "{problems:?}");
    assert!(problems[2].contains("nonsense"), "{problems:?}");
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o604);
}

#[test]
fn the_mode_of_what_a_symlink_points_to_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, b"").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("victim", directory.path().join("fifo")).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let parent = openat(rustix::fs::CWD, directory.path(), flags, Mode::empty()).unwrap();
    let node = Node {
        mode: 0o777,
        uid: geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        ..Node::new("fifo", NodeKind::Fifo)
    };
    let problems = Applier::new().apply(&node, Item::At(parent.as_fd(), b"fifo"));
    assert!(
        problems.iter().any(|problem| problem.contains("mode")),
        "{problems:?}"
    );
    assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
}
