use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::rewriter::{Edit, Fate, rewrite, store_content};
use copal_repository::{Error, ErrorKind, Repository, TreeId, WriterOptions};

use crate::fixture::{World, contents};

/// Leaves out what a closure says.
struct Without<F>(F);

impl<F: Fn(&[u8], &Node) -> Fate> Edit for Without<F> {
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<Fate, Error> {
        Ok((self.0)(path, node))
    }
}

fn rewritten(
    repository: &Repository,
    tree: &TreeId,
    edit: impl Fn(&[u8], &Node) -> Fate,
) -> Result<TreeId, Error> {
    let mut edit = Without(edit);
    let told = rewrite(repository, tree, &mut edit, None)?;
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let made = rewrite(repository, tree, &mut edit, Some(&writer))?;
    writer.finish().unwrap();
    assert_eq!(told, made);
    Ok(made)
}

#[test]
fn what_is_left_out_is_gone_and_all_else_keeps_its_ids() {
    let (world, _) = World::with_history();
    let repository = world.open();
    let (_, snapshot) = repository.snapshot("latest").unwrap();
    let same = rewritten(&repository, &snapshot.tree, |_, _| Fate::Keep).unwrap();
    assert_eq!(same, snapshot.tree);
    let without = rewritten(&repository, &snapshot.tree, |path, _| match path {
        b"home/own" => Fate::Drop,
        _ => Fate::Keep,
    });
    let without = without.unwrap();
    let mut expected = contents(&repository, &snapshot.tree);
    expected.retain(|path, _| !path.starts_with("home/own"));
    assert_eq!(contents(&repository, &without), expected);
    let find = |tree: &TreeId, path: &[u8]| {
        let node = copal_repository::walk::find(&repository, tree, path);
        node.unwrap().unwrap().subtree.unwrap()
    };
    let same = b"home/same";
    assert_eq!(find(&without, same), find(&snapshot.tree, same));
}

#[test]
fn a_file_that_is_replaced_has_the_new_content() {
    let (world, _) = World::with_history();
    let repository = world.open();
    let (_, snapshot) = repository.snapshot("latest").unwrap();
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let content = store_content(&repository, b"new content", Some(&writer)).unwrap();
    writer.finish().unwrap();
    let replaced = rewritten(&repository, &snapshot.tree, |path, node| match path {
        b"home/same/small" => Fate::Replace(Box::new(Node {
            content: content.clone(),
            size: 11,
            ..node.clone()
        })),
        _ => Fate::Keep,
    });
    let replaced = replaced.unwrap();
    let old = contents(&repository, &snapshot.tree);
    let new = contents(&repository, &replaced);
    let differ: Vec<_> = old.keys().filter(|path| old[*path] != new[*path]).collect();
    assert_eq!(differ, ["home/same/small"]);
}

/// Stores a tree whose JSON this is.
fn tree(repository: &Repository, json: &str) -> TreeId {
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let tree = writer.store(BlobKind::Tree, json.as_bytes()).unwrap().id;
    writer.finish().unwrap();
    tree.into()
}

#[test]
fn fields_that_a_later_version_added_are_kept() {
    let world = World::new();
    let repository = world.open();
    let node = |name: &str, more: &str| {
        format!(r#"{{"name":"{name}","type":"file","content":[],"future":{{"a":[1,2]}}{more}}}"#)
    };
    let inner = tree(
        &repository,
        &format!("{{\"nodes\":[{},{}]}}\n", node("a", ""), node("b", "")),
    );
    let outer = format!(
        r#"{{"nodes":[{{"name":"\\\"subtree\\\":\\\"x","type":"dir","future":7,"subtree":"{inner}","more":null}}]}}"#
    );
    let root = tree(&repository, &format!("{outer}\n"));
    let made = rewritten(&repository, &root, |path, _| match path.ends_with(b"/a") {
        true => Fate::Drop,
        false => Fate::Keep,
    });
    let expected = format!("{{\"nodes\":[{}]}}\n", node("b", ""));
    let inner_made = TreeId::of(expected.as_bytes());
    let outer = outer.replace(&inner.to_string(), &inner_made.to_string());
    assert_eq!(made.unwrap(), TreeId::of(format!("{outer}\n").as_bytes()));
}

#[test]
fn what_cannot_be_rewritten_without_loss_is_refused() {
    let world = World::new();
    let repository = world.open();
    let node = r#"{"name":"a","type":"file","content":[]}"#;
    for json in [
        format!(r#"{{"nodes":[{node}],"version":3}}"#),
        format!(r#"{{ "nodes": [{node}] }}"#),
    ] {
        let root = tree(&repository, &json);
        assert_eq!(
            rewritten(&repository, &root, |_, _| Fate::Keep).unwrap(),
            root
        );
        let error = rewritten(&repository, &root, |_, _| Fate::Drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{json}");
    }
}

#[test]
fn trees_nested_without_end_are_refused() {
    let world = World::new();
    let repository = world.open();
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let mut subtree = None;
    for _ in 0..5_000 {
        let mut node = Node::new("d", NodeKind::Directory);
        node.subtree = subtree;
        let tree = Tree { nodes: vec![node] }.encode();
        subtree = Some(writer.store(BlobKind::Tree, &tree).unwrap().id.into());
    }
    writer.finish().unwrap();
    let root = subtree.unwrap();
    let error = rewritten(&repository, &root, |_, _| Fate::Keep).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
