use proptest::prelude::*;

use super::*;

/// As restic 0.14 wrote it.
const RESTIC: &str = concat!(
    r#"{"nodes":[{"name":"a.txt","type":"file","mode":8389101,"mtime":"2026-11-21T01:07:24.560208701Z","#,
    r#""atime":"2026-11-21T01:07:24.560208701Z","ctime":"2026-11-21T01:07:24.583120625Z","uid":0,"gid":0,"#,
    r#""user":"root","group":"root","inode":10036281,"device_id":65024,"size":5,"links":2,"#,
    r#""extended_attributes":[{"name":"user.foo","value":"YmFy"}],"#,
    r#""content":["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]},"#,
    r#"{"name":"bad\\xff\\xfename\\\"q\\\\\\x01\\x7f","type":"file","mode":420,"#,
    r#""mtime":"2026-11-21T02:07:24.5+01:00","atime":"2026-11-21T01:07:24Z","ctime":"0001-01-01T00:00:00Z","#,
    r#""uid":0,"gid":0,"content":[]},"#,
    r#"{"name":"li\u003cn\u0026k","type":"symlink","mode":134218239,"mtime":"2026-11-21T01:07:24.571120625Z","#,
    r#""atime":"2026-11-21T01:07:24.571120625Z","ctime":"2026-11-21T01:07:24.571120625Z","uid":0,"gid":0,"#,
    r#""links":1,"linktarget":"a\u003cb\u003e\u0026\ufffd.txt","linktarget_raw":"YTxiPib/LnR4dA==","content":null},"#,
    r#"{"name":"sub","type":"dir","mode":2148532735,"mtime":"2026-11-21T01:07:24.575120625Z","#,
    r#""atime":"2026-11-21T01:07:24.575120625Z","ctime":"2026-11-21T01:07:24.581716112Z","uid":0,"gid":0,"#,
    r#""generic_attributes":{"windows.file_attributes":32},"content":null,"#,
    r#""subtree":"ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8"}]}"#,
    "\n"
);

#[test]
fn a_tree_that_restic_wrote_is_written_back_byte_for_byte() {
    let tree = Tree::decode(RESTIC.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(tree.encode()).unwrap(), RESTIC);
    assert_eq!(tree.misplaced(), None);
    assert_eq!(tree.nodes[0].mode, 0o4755);
    assert_eq!(tree.nodes[1].name, b"bad\xff\xfename\"q\\\x01\x7f");
    assert_eq!(tree.nodes[1].modified.offset_minutes, 60);
    assert_eq!(tree.nodes[2].link_target, b"a<b>&\xff.txt");
    assert_eq!(tree.nodes[3].mode, 0o1777);
}

#[test]
fn the_empty_tree_has_the_id_that_restic_gives_it() {
    let id = TreeId::of(&Tree::default().encode());
    assert_eq!(
        id.to_string(),
        "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8"
    );
}

#[test]
fn broken_order_is_seen() {
    let node = |name: &str| Node::new(name, NodeKind::File);
    let tree = Tree {
        nodes: vec![node("b"), node("b")],
    };
    assert_eq!(tree.misplaced(), Some(&b"b"[..]));
}

#[test]
fn a_node_of_unknown_type_is_irregular_and_keeps_no_other_from_being_read() {
    let json = br#"{"nodes":[{"name":"a","type":"door"},{"name":"b","type":"file"}]}"#;
    let tree = Tree::decode(json).unwrap();
    assert_eq!(tree.nodes[0].kind, NodeKind::Irregular);
    assert_eq!(tree.nodes[0].error, "unknown type `door`");
    assert_eq!(Tree::decode(&tree.encode()).as_ref(), Ok(&tree));
    assert_eq!(tree.nodes[1].kind, NodeKind::File);
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_u32, -840..840_i16).prop_map(
        |(seconds, nanoseconds, offset_minutes)| Timestamp {
            seconds,
            nanoseconds,
            offset_minutes,
        },
    )
}

prop_compose! {
    fn nodes()(
        (name, link_target, attribute) in any::<(Vec<u8>, Vec<u8>, (String, Vec<u8>))>(),
        kind in 0..NodeKind::TABLE.len(),
        mode in 0..=0o7777_u32,
        times in (timestamps(), timestamps(), timestamps()),
        (uid, gid, user, group) in any::<(u32, u32, String, String)>(),
        (inode, device_id, size, links, device) in any::<(u64, u64, u64, u64, u64)>(),
        content in prop::collection::vec(any::<[u8; 32]>().prop_map(BlobId), 0..3),
        subtree in prop::option::of(any::<[u8; 32]>().prop_map(TreeId)),
        error: String,
    ) -> Node {
        let kind = NodeKind::TABLE[kind].0;
        Node {
            name, kind, mode, uid, gid, user, group, inode, device_id, size, links, link_target, device, subtree, error,
            modified: times.0,
            accessed: times.1,
            changed: times.2,
            extended_attributes: vec![(attribute.0.into_bytes(), attribute.1)],
            generic_attributes: None,
            content: if kind == NodeKind::File { content } else { Vec::new() },
        }
    }
}

proptest! {
    #[test]
    fn every_tree_survives_its_json(nodes in prop::collection::vec(nodes(), 0..4)) {
        let tree = Tree { nodes };
        let decoded = Tree::decode(&tree.encode());
        prop_assert_eq!(decoded.as_ref(), Ok(&tree));
        for (node, decoded) in tree.nodes.iter().zip(decoded.iter().flat_map(|tree| &tree.nodes)) {
            prop_assert_eq!(&node.name, &decoded.name);
            prop_assert_eq!(&node.link_target, &decoded.link_target);
        }
    }

    #[test]
    fn no_bytes_panic(position in 0..RESTIC.len(), byte: u8) {
        let mut json = RESTIC.as_bytes().to_vec();
        json[position] = byte;
        if let Ok(tree) = Tree::decode(&json) {
            tree.encode();
        }
    }
}
