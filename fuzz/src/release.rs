//! Whatever a publisher signs, and the keys and signatures.

use copal_trust::key::PublicKey;
use copal_trust::{Bundle, PUBLISHER, PublisherDocument, Statement};

use super::survives;

/// A publisher's document. Nobody who still has its key has signed anything in the corpora that is to hold.
const UNSIGNED: &[u8] = include_bytes!("../corpus/publisher/first.json");

/// What a publisher states of a release.
pub fn statement(bytes: &[u8]) -> bool {
    survives(bytes, Statement::parse, Statement::to_bytes)
}

/// A publisher's document: its keys, and what it revoked.
pub fn publisher(bytes: &[u8]) -> bool {
    survives(bytes, PublisherDocument::parse, PublisherDocument::to_bytes)
}

/// A signature, which nobody can make without the key, or the text of a public key.
pub fn signature(bytes: &[u8]) -> bool {
    let signature = format!("{PUBLISHER}.minisig");
    let mut bundle = Bundle::default();
    for (name, bytes) in [(PUBLISHER, UNSIGNED), (&signature, bytes)] {
        if bundle.insert(name, bytes.to_vec().into()).is_err() {
            return false;
        }
    }
    assert!(copal_trust::signed_document(&bundle).is_err());
    let key = std::str::from_utf8(bytes).map(PublicKey::read);
    let Ok(Ok(key)) = key else {
        return false;
    };
    assert_eq!(PublicKey::read(&key.file()).expect("a key"), key);
    true
}
