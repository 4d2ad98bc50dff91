//! Whatever reads a repository's files.

use copal_repository::format::config::Config;
use copal_repository::format::crypto::{Key, Secrets};
use copal_repository::format::index::IndexFile;
use copal_repository::format::key::KeyFile;
use copal_repository::format::lock::LockFile;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::Tree;
use copal_repository::format::{Malformed, pack, unpacked as file};
use copal_repository::pattern::Pattern;

use super::survives;

/// The file `config`.
pub fn config(bytes: &[u8]) -> bool {
    survives(bytes, Config::decode, Config::encode)
}

/// A file of `keys/`, which whoever holds the storage may write.
pub fn key(bytes: &[u8]) -> bool {
    survives(bytes, KeyFile::decode, KeyFile::encode)
}

/// A file of `locks/`, opened.
pub fn lock(bytes: &[u8]) -> bool {
    survives(bytes, LockFile::decode, LockFile::encode)
}

/// A file of `index/`, opened.
pub fn index(bytes: &[u8]) -> bool {
    survives(bytes, IndexFile::decode, IndexFile::encode)
}

/// A file of `snapshots/`, opened.
pub fn snapshot(bytes: &[u8]) -> bool {
    survives(bytes, Snapshot::decode, Snapshot::encode)
}

/// A directory's listing.
pub fn tree(bytes: &[u8]) -> bool {
    survives(bytes, Tree::decode, |tree| {
        tree.misplaced();
        Ok::<_, Malformed>(tree.encode())
    })
}

/// A pack and its header's plaintext, which has one spelling.
pub fn pack_header(bytes: &[u8]) -> bool {
    let split = pack::split(bytes);
    if let Ok((blobs, header)) = &split {
        assert_eq!(blobs.len() + header.len() + pack::LENGTH_FIELD, bytes.len());
    }
    let entries = pack::decode_header(bytes);
    if let Ok(entries) = &entries {
        assert_eq!(pack::encode_header(entries), bytes);
    }
    split.is_ok() || entries.is_ok()
}

/// A file outside packs: what nobody sealed is not opened, and whoever knows the key may have sealed anything.
pub fn unpacked(bytes: &[u8]) -> bool {
    let key = Key::new(&Secrets::from_bytes(&[7; Secrets::LENGTH])).expect("a key");
    assert!(file::open(&key, bytes).is_err());
    let mut sealed = Vec::new();
    key.seal(bytes, &mut sealed).expect("it can be sealed");
    let Ok(json) = file::open(&key, &sealed) else {
        return false;
    };
    let again = file::seal(&key, 2, &json).expect("it can be sealed again");
    assert_eq!(file::open(&key, &again).expect("and opened"), json);
    true
}

/// A pattern, a zero byte and a path: no directory is passed over that leads to a match.
pub fn pattern(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let (Some(text), Some(path)) = (parts.next(), parts.next()) else {
        return false;
    };
    for ignore_case in [false, true] {
        let Ok(pattern) = Pattern::new(text, ignore_case) else {
            return false;
        };
        if !pattern.matches(path) {
            continue;
        }
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in above {
            let directory = &path[..end];
            assert!(
                pattern.matches(directory) || pattern.may_match_beneath(directory),
                "{:?}",
                String::from_utf8_lossy(directory)
            );
        }
    }
    true
}
