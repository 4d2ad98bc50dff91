//! Trees and contents that nobody expects and every plugin may meet.

use copal_sandbox::types::{Entry, Kind, Owner, Timestamp};

use crate::memory::{MemoryTree, entry, join, user};
use crate::noise::Noise;

/// Entries of the directory that is larger than one batch.
const CROWD: usize = 1_500;

/// Directories that lie in one another.
const DEPTH: usize = 150;

/// A tree of names, sizes, modes, owners and times as only an adversary chooses them. All of them could lie in a file system.
pub(crate) fn tree(root: &str) -> MemoryTree {
    let mut tree = MemoryTree::new(root, format!("/hostile/{root}"));
    for (number, name) in names().iter().enumerate() {
        tree = tree.file(name, format!("content {number}\n"));
        let inside = join(&format!("directories/{name}"), name);
        tree = tree.file(&inside, "");
        tree.put(link(&format!("links/{name}"), name), []);
    }
    for number in 0..CROWD {
        tree = tree.file(&format!("crowd/{number:05}"), "");
    }
    let mut deep = String::from("deep");
    for _ in 0..DEPTH {
        deep = join(&deep, "a-name-of-thirty-bytes-or-so--");
    }
    tree = tree.file(&deep, "at the bottom");
    for (path, target) in [
        ("links/self", "self"),
        ("links/out", "../../../../etc/passwd"),
        ("links/absolute", "/etc/passwd"),
        ("links/dangling", "nowhere"),
        ("links/up", "../links"),
        ("links/empty-names", "a//b/./c/"),
        ("links/not-text", r"\xff\xfe"),
    ] {
        tree.put(link(path, target), []);
    }
    tree.put(link("links/long", &"../".repeat(1_000)), []);
    for (path, kind) in [
        ("special/fifo", Kind::Fifo),
        ("special/socket", Kind::Socket),
        ("special/block", Kind::BlockDevice),
        ("special/character", Kind::CharDevice),
    ] {
        tree.put(entry(path, kind), []);
    }
    for odd in odd() {
        tree.put(odd, *b"a few bytes");
    }
    tree
}

fn link(path: &str, target: &str) -> Entry {
    Entry {
        link_target: Some(target.to_owned()),
        ..entry(path, Kind::Symlink)
    }
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "...",
        "..x",
        "x..",
        ". ",
        " ",
        " leading",
        "trailing ",
        "-rf",
        "--",
        "*",
        "?",
        "~",
        "$HOME",
        "`id`",
        "%s%n",
        "a'b\"c",
        "{scratch}",
        "{root:home}",
        "CON",
        "line\nbreak",
        "tab\tand\rreturn",
        "\u{1b}[31mred",
        "\u{202e}drow",
        "\u{feff}bom",
        "默认",
        "한국어",
        "e\u{301}",
        "\u{e9}",
        "\u{1f9d1}\u{200d}\u{1f4bb}",
        r"\\",
        r"\\x41",
        r"\xff",
        r"caf\xe9",
        r"\xff\xfe\xfd",
        r"\xed\xa0\x80",
        ".git",
        ".copal",
        "streams",
    ]
    .map(str::to_owned)
    .into();
    names.push("n".repeat(255));
    names.push(r"\xff".repeat(255));
    names.push("語".repeat(85));
    names.push(r"\\".repeat(255));
    names
}

/// Entries whose sizes, modes, owners and times are at their bounds.
fn odd() -> Vec<Entry> {
    let mut all = Vec::new();
    for (name, size) in [
        ("huge", u64::MAX),
        ("huge.sql", u64::MAX),
        ("large.tar", 1 << 50),
        ("said-to-be-empty", 0),
    ] {
        all.push(Entry {
            size,
            ..entry(&format!("odd/{name}"), Kind::File)
        });
    }
    for mode in [0, 0o7777, 0o4755, 0o1000] {
        all.push(Entry {
            mode,
            ..entry(&format!("odd/mode-{mode:o}"), Kind::File)
        });
        all.push(Entry {
            mode,
            ..entry(&format!("odd/directory-{mode:o}"), Kind::Directory)
        });
    }
    for (number, owner) in [
        Owner {
            uid: u32::MAX,
            gid: u32::MAX,
            user: String::new(),
            group: String::new(),
        },
        Owner {
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
        },
        Owner {
            user: r"\xff name with spaces:and;more".to_owned(),
            group: "g".repeat(255),
            ..user()
        },
    ]
    .into_iter()
    .enumerate()
    {
        all.push(Entry {
            owner,
            ..entry(&format!("odd/owner-{number}"), Kind::File)
        });
    }
    for (number, seconds) in [i64::MIN, -1, 0, 253_402_300_800, i64::MAX]
        .into_iter()
        .enumerate()
    {
        all.push(Entry {
            modified: Timestamp {
                seconds,
                nanoseconds: 999_999_999,
            },
            ..entry(&format!("odd/time-{number}"), Kind::File)
        });
    }
    all
}

/// JSON that is valid and deeper than any parser that calls itself can follow.
pub(crate) fn nested_lists() -> Vec<u8> {
    const DEPTH: usize = 60_000;
    ["[".repeat(DEPTH), "]".repeat(DEPTH)].concat().into_bytes()
}

/// The beginning of JSON, or of YAML in its flow style, as deep.
fn nested_objects() -> Vec<u8> {
    "{\"a\":".repeat(20_000).into_bytes()
}

/// Trees in which something else lies at `path` than the plugin looks for, each with what was done.
pub(crate) fn mangled<'a>(
    tree: &'a MemoryTree,
    path: &'a str,
) -> impl Iterator<Item = (&'static str, MemoryTree)> + 'a {
    let put = |kind: Kind, content: &[u8]| {
        let mut tree = tree.clone();
        let size = content.len() as u64;
        tree.put(
            Entry {
                size,
                ..entry(path, kind)
            },
            content,
        );
        tree
    };
    let removed = || {
        let mut tree = tree.clone();
        tree.remove(path);
        tree
    };
    let halved = || {
        let content = tree.get(path).map(|(_, content)| content.clone());
        let content = content.unwrap_or_else(|| [].into());
        put(
            Kind::File,
            content.get(..content.len() / 2).unwrap_or_default(),
        )
    };
    let looped = || {
        let mut tree = tree.clone();
        tree.put(link(path, crate::memory::split(path).1), []);
        tree
    };
    [
        ("nothing", removed()),
        ("an empty file", put(Kind::File, b"")),
        ("the half of it", halved()),
        (
            "bytes without sense",
            put(Kind::File, &Noise::new(11).bytes(5_000)),
        ),
        (
            "brackets and quotes that nothing closes",
            put(Kind::File, "{[(<\"'".repeat(2_000).as_bytes()),
        ),
        ("lists in lists", put(Kind::File, &nested_lists())),
        (
            "objects in objects that nothing closes",
            put(Kind::File, &nested_objects()),
        ),
        ("an empty directory", put(Kind::Directory, b"")),
        ("a symlink to itself", looped()),
        ("a fifo", put(Kind::Fifo, b"")),
    ]
    .into_iter()
}

/// Contents that a filter of this one may meet instead, each with what it is.
pub(crate) fn contents(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut noise = Noise::new(23);
    let mut damaged = content.to_vec();
    for _ in 0..(content.len() / 100).clamp(1, 50) {
        let place = noise.below(damaged.len());
        if let Some(byte) = damaged.get_mut(place) {
            *byte ^= 1 + u8::try_from(noise.below(255)).unwrap_or_default();
        }
    }
    let part = |share: usize| {
        content
            .get(..content.len() * share / 100)
            .unwrap_or_default()
            .to_vec()
    };
    vec![
        ("no bytes at all", Vec::new()),
        ("one byte", vec![0]),
        ("its first half", part(50)),
        ("all but its end", part(97)),
        ("it twice over", [content, content].concat()),
        ("it with damaged bytes", damaged),
        ("bytes without sense", noise.bytes(70_000)),
        ("zeros", vec![0; 70_000]),
        ("quotes", vec![b'\''; 10_000]),
        ("lists in lists", nested_lists()),
        ("objects in objects that nothing closes", nested_objects()),
        ("one long line", vec![b'x'; 2 << 20]),
        ("text", "not what it should be\n".repeat(500).into_bytes()),
        (
            "the beginning of an insertion",
            b"INSERT INTO t (a) VALUES ('".to_vec(),
        ),
    ]
}
