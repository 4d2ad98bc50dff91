//! Whatever a publisher signs, and the keys and signatures.

use copal_trust::key::PublicKey;
use copal_trust::{Bundle, PUBLISHER, PublisherDocument, Statement};

use super::survives;

/// A publisher's document. Nobody has signed it.
const UNSIGNED: &[u8] = include_bytes!("../corpus/publisher/first.json");

/// What a publisher states of a release.
pub fn statement(bytes: &[u8]) {
    survives(bytes, Statement::parse, Statement::to_bytes);
}

/// A publisher's document: its keys, and what it revoked.
pub fn publisher(bytes: &[u8]) {
    survives(bytes, PublisherDocument::parse, PublisherDocument::to_bytes);
}

/// A signature, which nobody can make without the key, and the text of a public key.
pub fn signature(bytes: &[u8]) {
    let mut bundle = Bundle::default();
    let files = [
        (PUBLISHER.to_owned(), UNSIGNED),
        (format!("{PUBLISHER}.minisig"), bytes),
    ];
    for (name, bytes) in files {
        if bundle.insert(&name, bytes.to_vec().into()).is_err() {
            return;
        }
    }
    assert!(copal_trust::signed_document(&bundle).is_err());
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = PublicKey::read(text)
    {
        assert_eq!(PublicKey::read(&key.file()).expect("a key"), key);
    }
}
