use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::statistics::{CountMode, Counter};
use copal_repository::walk::{Next, dump, find, read_range, walk, walk_on};
use copal_repository::{BlobId, ErrorKind, TreeId, WriterOptions};

use crate::fixture::{Place, noise};

#[test]
fn paths_are_found() {
    let place = Place::new();
    place.write("a/b/c", "x");
    place.write("ab", "y");
    let tree = place.archive(None, None).tree;
    for (path, kind) in [
        ("", Some(NodeKind::Directory)),
        ("home/a", Some(NodeKind::Directory)),
        ("/home//a/b/", Some(NodeKind::Directory)),
        ("home/a/b/c", Some(NodeKind::File)),
        ("home/a/b/c/d", None),
        ("home/a/b/d", None),
        ("home/..", None),
    ] {
        let node = find(&place.repository, &tree, path.as_bytes()).unwrap();
        assert_eq!(node.map(|node| node.kind), kind, "{path}");
    }
}

#[test]
fn a_walk_shows_directories_before_what_is_in_them_and_obeys() {
    let place = Place::new();
    for name in ["a/1", "a/2", "b/1", "c/1"] {
        place.write(name, name);
    }
    let tree = place.archive(None, None).tree;
    let mut seen = Vec::new();
    walk(&place.repository, &tree, &mut |path, _| {
        seen.push(String::from_utf8(path.to_vec()).unwrap());
        Ok(match path {
            b"home/a" => Next::Pass,
            b"home/c" => Next::Stop,
            _ => Next::Continue,
        })
    })
    .unwrap();
    assert_eq!(seen, ["home", "home/a", "home/b", "home/b/1", "home/c"]);
}

#[test]
fn any_range_of_a_file_can_be_read() {
    let place = Place::new();
    let content = noise(1, 9 << 20);
    place.write("file", &content);
    let tree = place.archive(None, None).tree;
    let node = place.find(&tree, b"home/file");
    assert!(node.content.len() > 1, "no chunk has more than 8 MiB");
    let mut whole = Vec::new();
    dump(&place.repository, &node, &mut whole).unwrap();
    assert!(whole == content);
    let length = content.len() as u64;
    let first = place
        .repository
        .blob_size(BlobKind::Data, &node.content[0])
        .unwrap()
        .unwrap();
    let first = u64::from(first);
    for (offset, count) in [
        (0, 0),
        (0, 1),
        (first - 1, 2),
        (first, 1),
        (1, 9 << 20),
        (length - 3, 10),
        (length, 1),
        (u64::MAX, usize::MAX),
    ] {
        let start = offset.min(length) as usize;
        let end = offset.saturating_add(count as u64).min(length) as usize;
        let found = read_range(&place.repository, &node, offset, count).unwrap();
        assert!(found == content[start..end], "{offset} {count}");
    }
    let directory = place.find(&tree, b"home");
    assert!(read_range(&place.repository, &directory, 0, 1).is_err());
    assert!(dump(&place.repository, &directory, &mut Vec::new()).is_err());
}

#[test]
fn what_is_beside_a_lost_directory_is_shown_and_counted() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let lost = Node {
        subtree: Some(TreeId([7; 32])),
        ..Node::new("lost", NodeKind::Directory)
    };
    let there = writer.store(BlobKind::Data, b"there").unwrap().id;
    let other = Node {
        content: vec![BlobId([8; 32]), there],
        size: 10,
        ..Node::new("other", NodeKind::File)
    };
    let nodes = vec![lost, other];
    let stored = writer.store(BlobKind::Tree, &Tree { nodes }.encode());
    let stored = stored.unwrap().id;
    let id = stored.into();
    writer.finish().unwrap();
    let length = |kind, id| {
        let located = place.repository.locate(kind, id).unwrap();
        u64::from(located.unwrap().length)
    };
    let raw = length(BlobKind::Tree, &stored) + length(BlobKind::Data, &there);
    let mut seen = Vec::new();
    let mut unreadable = Vec::new();
    let visit = &mut |path: &[u8], _: &Node| {
        seen.push(path.to_vec());
        Ok(Next::Continue)
    };
    walk_on(&place.repository, &id, visit, &mut |path, error| {
        unreadable.push((path.to_vec(), error.kind()));
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, [&b"lost"[..], b"other"]);
    assert_eq!(unreadable, [(b"lost".to_vec(), ErrorKind::Corrupt)]);
    let all = walk(&place.repository, &id, &mut |_, _| Ok(Next::Continue));
    assert_eq!(all.unwrap_err().kind(), ErrorKind::Corrupt);

    let lost = vec![b"lost".to_vec()];
    let both = vec![b"lost".to_vec(), b"other".to_vec()];
    for (mode, files, size, expected) in [
        (CountMode::RestoreSize, 2, 10, &lost),
        (CountMode::FilesByContents, 2, 10, &lost),
        (CountMode::BlobsPerFile, 1, 5, &both),
        (CountMode::RawData, 0, raw, &both),
    ] {
        let mut counter = Counter::new(&place.repository, mode);
        let mut unreadable = Vec::new();
        let mut lost = |path: &[u8], _| {
            unreadable.push(path.to_vec());
            Ok(())
        };
        counter.add(&id, &mut lost).unwrap();
        let found = counter.statistics();
        assert_eq!(&unreadable, expected, "{mode:?}");
        let counted = (found.total_file_count, found.total_size);
        assert_eq!(counted, (files, size), "{mode:?}");
        let mut counter = Counter::new(&place.repository, mode);
        let failed = counter.add(&id, &mut |_, error| Err(error)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_tree_nested_without_end_is_refused_and_not_followed() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let mut tree = Tree::default();
    let mut id = TreeId([0; 32]);
    for _ in 0..5000 {
        id = writer
            .store(BlobKind::Tree, &tree.encode())
            .unwrap()
            .id
            .into();
        tree.nodes = vec![Node {
            subtree: Some(id),
            ..Node::new("d", NodeKind::Directory)
        }];
    }
    writer.finish().unwrap();
    let error = walk(&place.repository, &id, &mut |_, _| Ok(Next::Continue)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
