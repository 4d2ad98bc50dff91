//! Whatever an application writes and a plugin reads with the SDK: SQL, archives, YAML, the headers of H2's files; and the patterns that name its files.

use copal_sdk::sql::{self, Decision, Editor, Load, Row, Statement};
use copal_sdk::tar::{self, Change, Event, Gunzip, Member, Reader, Treatment};
use copal_sdk::yaml::{self, Limits, Node, Value};
use copal_sdk::{Failure, Filter, Glob, h2};

/// SQL: what is kept stays as it is, what an editor let through it lets through again, and a load is one transaction.
pub fn sql(bytes: &[u8]) -> bool {
    let keep = |_: &Statement| Ok(Decision::Keep);
    if let Some(loaded) = in_any_cut(|| Load::new(keep), bytes) {
        assert!(loaded.starts_with(b"BEGIN;\n") && loaded.ends_with(b"\nCOMMIT;\n"));
    }
    let picked = || sql::Rewriter::new(Picky);
    if let Some(once) = in_any_cut(picked, bytes) {
        assert_eq!(in_any_cut(picked, &once), Some(once));
    }
    let kept = in_any_cut(|| sql::Rewriter::new(keep), bytes);
    if let Some(kept) = &kept {
        assert_eq!(kept, bytes);
    }
    kept.is_some()
}

/// Leaves out the table `gone`, and of `picked` the rows that begin with `no`.
struct Picky;

impl Editor for Picky {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        Ok(match statement.name.as_str() {
            "gone" => Decision::Drop,
            "picked" => Decision::Rows,
            _ => Decision::Keep,
        })
    }

    fn row(&mut self, _statement: &Statement, row: &Row<'_>) -> Result<bool, Failure> {
        Ok(row.values().first().and_then(Option::as_deref) != Some(b"no"))
    }
}

/// A tar archive: what no rule changes stays as it is, and what one changes is so afterwards.
pub fn archive(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    mend_checksums(&mut bytes);
    let kept = in_any_cut(unchanged, &bytes);
    if let Some(kept) = &kept {
        assert_eq!(*kept, bytes);
    }
    let owned = || {
        let change = Change {
            uid: Some(998),
            user: Some("git".to_owned()),
            ..Change::default()
        };
        tar::Rewriter::new(move |_: &Member| {
            Ok(Treatment {
                change: change.clone(),
                content: None,
            })
        })
    };
    if let Some(changed) = in_any_cut(owned, &bytes) {
        let [before, after] = [&bytes, &changed].map(|archive| members(archive));
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            let same = |member: &Member| (member.path.clone(), member.size, member.kind);
            assert_eq!(same(before), same(after));
            assert_eq!(after.uid, 998);
            // Archives from before 1988 have no names of owners.
            assert!(after.user == b"git" || (before.user.is_empty() && after.user.is_empty()));
        }
    }
    kept.is_some()
}

/// What is in a gzip file, taken for an archive.
pub fn compressed(bytes: &[u8]) -> bool {
    in_any_cut(|| Gunzip::new(unchanged()), bytes).is_some()
}

fn unchanged() -> impl Filter {
    tar::Rewriter::new(|_: &Member| Ok(Treatment::default()))
}

/// The members of an archive that was read before.
fn members(mut archive: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut reader = Reader::new();
    while let Some(event) = reader.next(&mut archive).expect("it was read before") {
        if let Event::Member(member) = event {
            members.push(*member);
        }
    }
    members
}

/// A fuzzer knows no checksums: every block that looks like a header gets its own.
fn mend_checksums(archive: &mut [u8]) {
    const SUM: std::ops::Range<usize> = 148..156;
    for block in archive.chunks_exact_mut(512) {
        if block[257..].starts_with(b"ustar") {
            block[SUM].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// YAML: never more than the limits allow, and an error lies within the file.
pub fn yaml(bytes: &[u8]) -> bool {
    let limits = Limits {
        bytes: 16 << 10,
        depth: 16,
        nodes: 1_000,
    };
    match yaml::parse_all(bytes, limits) {
        Ok(documents) => {
            let (mut nodes, mut text) = (0, 0);
            for document in &documents {
                measure(document, limits.depth, &mut nodes, &mut text);
            }
            assert!(nodes <= limits.nodes, "{nodes} nodes");
            assert!(text <= limits.bytes, "{text} bytes");
            true
        }
        Err(error) => {
            let lines = 2 + bytes.iter().filter(|byte| b"\r\n".contains(byte)).count();
            assert!(error.line <= lines, "{error}");
            assert!(!error.problem.is_empty());
            false
        }
    }
}

fn measure(node: &Node, depth: usize, nodes: &mut usize, text: &mut usize) {
    *nodes += 1;
    let inner: Vec<&Node> = match &node.value {
        Value::Scalar { text: own, .. } => return *text += own.len(),
        Value::List(list) => list.iter().collect(),
        Value::Map(map) => map.iter().flat_map(|(key, value)| [key, value]).collect(),
    };
    let depth = depth.checked_sub(1).expect("no deeper than is allowed");
    for node in inner {
        measure(node, depth, nodes, text);
    }
}

/// A pattern, and on the next line a path: it is spelled as it was read, and says of a directory no less than of a file.
pub fn glob(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "a/b.c"));
    let Ok(glob) = pattern.parse::<Glob>() else {
        return false;
    };
    assert_eq!(glob.to_string(), pattern);
    assert!(glob.matches(path, true) || !glob.matches(path, false));
    true
}

/// The two headers of an H2 database, a line each without its checksum.
pub fn h2_header(bytes: &[u8]) -> bool {
    let mut file = vec![b' '; h2::HEADER_LENGTH];
    let blocks = file.chunks_mut(h2::HEADER_LENGTH / 2);
    for (block, entries) in blocks.zip(bytes.splitn(2, |byte| *byte == b'\n')) {
        let sum = format!(",fletcher:{:x}\n", h2::fletcher32(entries));
        let text = [entries, sum.as_bytes()].concat();
        let length = text.len().min(block.len());
        block[..length].copy_from_slice(&text[..length]);
    }
    let header = h2::Header::read(&file);
    if let Err(error) = &header {
        assert!(!error.to_string().is_empty());
    }
    header.is_ok()
}

/// What a filter makes of bytes, if it takes them: always the same, however they are cut.
fn in_any_cut<F: Filter>(filter: impl Fn() -> F, bytes: &[u8]) -> Option<Vec<u8>> {
    let outcome = |size: usize| {
        let (mut filter, mut out) = (filter(), Vec::new());
        let mut chunks = bytes.chunks(size);
        let pushed = chunks.try_for_each(|chunk| filter.push(chunk, &mut out));
        let finished = pushed.and_then(|()| filter.finish(&mut out));
        finished.ok().map(|()| out)
    };
    let whole = outcome(bytes.len().max(1));
    for size in [1, 7, 512] {
        assert_eq!(outcome(size), whole, "in chunks of {size} bytes");
    }
    whole
}
