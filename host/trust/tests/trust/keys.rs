//! Keys and signatures.

use std::os::unix::fs::PermissionsExt as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use copal_trust::key::{self, PublicKey, SecretKey};

use crate::world::{Signer, kind, now};

/// The second line of a key's file, decoded, changed, and put back.
fn altered(file: &str, alter: impl FnOnce(&mut Vec<u8>)) -> String {
    let (comment, line) = file.trim_end().split_once('\n').unwrap();
    let mut bytes = BASE64_STANDARD.decode(line).unwrap();
    alter(&mut bytes);
    format!("{comment}\n{}\n", BASE64_STANDARD.encode(bytes))
}

#[test]
fn a_key_signs_what_its_public_half_verifies() {
    let signer = Signer::new();
    let signature = key::sign(&signer.secret, b"document", "timestamp:1\tfile:x\thashed").unwrap();
    let verified = key::verify(&signer.public(), "x", b"document", signature.as_bytes());
    assert_eq!(verified.unwrap(), "timestamp:1\tfile:x\thashed");
    assert!(signature.starts_with("untrusted comment: signature from minisign secret key\nRU"));
}

#[test]
fn a_signature_is_bound_to_key_document_and_comment() {
    let (signer, other) = (Signer::new(), Signer::new());
    let signature = key::sign(&signer.secret, b"document", "comment").unwrap();
    let verify = |key: &PublicKey, bytes: &[u8], signature: &str| {
        kind(key::verify(key, "x", bytes, signature.as_bytes()))
    };
    let key = signer.public();
    assert_eq!(
        verify(&other.public(), b"document", &signature),
        "signature-other-key"
    );
    assert_eq!(verify(&key, b"Document", &signature), "signature-wrong");
    let commented = signature.replace("trusted comment: comment", "trusted comment: Comment");
    assert_eq!(verify(&key, b"document", &commented), "signature-wrong");
    for blank in ["trusted comment:  comment", "trusted comment: comment "] {
        let padded = signature.replace("trusted comment: comment", blank);
        assert_eq!(verify(&key, b"document", &padded), "signature-wrong");
    }
    // The first comment is nobody's.
    let anything = signature.replacen("signature from minisign secret key", "anything", 1);
    assert!(key::verify(&key, "x", b"document", anything.as_bytes()).is_ok());
    // A key that only has the other's id.
    let line = altered(&other.public().file(), |bytes| {
        let id = BASE64_STANDARD.decode(key.to_string()).unwrap();
        bytes[2..10].copy_from_slice(&id[2..10]);
    });
    let pretender = PublicKey::read(&line).unwrap();
    assert_eq!(pretender.id(), key.id());
    assert_eq!(
        verify(&pretender, b"document", &signature),
        "signature-wrong"
    );
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let signer = Signer::new();
    let signature = key::sign(&signer.secret, b"document", "comment").unwrap();
    let lines: Vec<&str> = signature.lines().collect();
    let [first, second, third, fourth] = lines[..] else {
        panic!("{signature}");
    };
    let short = &BASE64_STANDARD.encode([0; 10]);
    let mut unknown = BASE64_STANDARD.decode(second).unwrap();
    unknown[0] = b'X';
    let unknown = &BASE64_STANDARD.encode(unknown);
    let long = &"A".repeat(10_000);
    let comment = &format!("trusted comment: {}", "x".repeat(9000));
    for lines in [
        vec![],
        vec![first, second, third],
        vec![first, second, third, fourth, "more"],
        vec!["comment", second, third, fourth],
        vec![first, short, third, fourth],
        vec![first, unknown, third, fourth],
        vec![first, long, third, fourth],
        vec![first, "###", third, fourth],
        vec![first, second, "comment", fourth],
        vec![first, second, comment, fourth],
        vec![first, second, third, short],
        vec![first, second, third, ""],
        vec![second, first, third, fourth],
    ] {
        let text = lines.join("\n");
        let refused = key::verify(&signer.public(), "x", b"document", text.as_bytes());
        assert_eq!(kind(refused), "signature-unreadable", "{text}");
    }
    let refused = key::verify(&signer.public(), "x", b"document", b"\xff\xfe");
    assert_eq!(kind(refused), "signature-unreadable");
    let windows = signature.replace('\n', "\r\n");
    assert!(key::verify(&signer.public(), "x", b"document", windows.as_bytes()).is_ok());
}

#[test]
fn public_keys_are_read_from_files_and_lines() {
    let key = Signer::new().public();
    assert_eq!(key.id().len(), 16);
    assert!(key.file().starts_with(&format!(
        "untrusted comment: minisign public key {}\n",
        key.id()
    )));
    assert_eq!(PublicKey::read(&key.file()).unwrap(), key);
    assert_eq!(PublicKey::read(&format!(" {key}\n\n")).unwrap(), key);
    assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
    let cut = &key.to_string()[..52];
    let long = "A".repeat(1 << 20);
    for bad in ["", "\u{1b}[2J", "RW", cut, &long, &format!("{key}AAAA")] {
        assert_eq!(kind(PublicKey::read(bad)), "key", "{bad}");
    }
    let other = altered(&key.file(), |bytes| bytes[0] = b'X');
    assert_eq!(kind(PublicKey::read(&other)), "key");
}

#[test]
fn a_secret_key_that_is_damaged_is_refused() {
    let file = key::generate(None).unwrap().secret_file;
    assert!(!SecretKey::is_protected(&file).unwrap());
    // The seed, and the public half.
    for place in [70, 110] {
        let damaged = altered(&file, |bytes| bytes[place] ^= 1);
        assert_eq!(kind(SecretKey::read(&damaged, None)), "key", "{place}");
    }
    let unknown = altered(&file, |bytes| bytes[2] = b'X');
    let cut = altered(&file, |bytes| bytes.truncate(157));
    for bad in [
        "",
        "one line",
        "a\nb\nc\n",
        &unknown,
        &cut,
        &"x\n".repeat(5000),
    ] {
        assert_eq!(kind(SecretKey::read(bad, None)), "key", "{bad}");
        assert_eq!(kind(SecretKey::is_protected(bad)), "key");
    }
}

#[test]
fn a_password_protects_a_secret_key() {
    let files = key::generate(Some("correct horse")).unwrap();
    assert!(SecretKey::is_protected(&files.secret_file).unwrap());
    let read = |password| SecretKey::read(&files.secret_file, password);
    assert_eq!(read(Some("correct horse")).unwrap().public(), &files.public);
    assert_eq!(kind(read(Some("wrong"))), "key-password");
    assert_eq!(kind(read(None)), "key-password");
    for unfit in ["", &"x".repeat(1025)] {
        assert_eq!(kind(key::generate(Some(unfit))), "key-password");
    }
}

#[test]
fn scrypt_that_takes_too_much_is_not_run() {
    let file = key::generate(Some("password")).unwrap().secret_file;
    let greedy = altered(&file, |bytes| bytes[46..54].fill(0xff));
    assert_eq!(kind(SecretKey::read(&greedy, Some("password"))), "key");
}

#[test]
fn key_files_are_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (public, secret) = (folder.path().join("a.pub"), folder.path().join("a.key"));
    let files = key::generate(None).unwrap();
    key::write(&files, &public, &secret).unwrap();
    let mode = secret.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(
        SecretKey::read(&text, None).unwrap().public(),
        &files.public
    );

    let again = key::generate(None).unwrap();
    assert_eq!(kind(key::write(&again, &public, &secret)), "key-exists");
    let elsewhere = folder.path().join("b.key");
    assert_eq!(kind(key::write(&again, &public, &elsewhere)), "key-exists");
    assert!(!elsewhere.exists());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), text);
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &elsewhere).unwrap();
    assert_eq!(
        kind(key::write(&again, &folder.path().join("b.pub"), &elsewhere)),
        "key-exists"
    );
}

#[test]
fn a_secret_key_is_not_shown() {
    let files = key::generate(None).unwrap();
    let secret = SecretKey::read(&files.secret_file, None).unwrap();
    assert_eq!(
        format!("{secret:?}"),
        format!("SecretKey({})", files.public.id())
    );
}

#[test]
fn comments_are_one_line() {
    let signer = Signer::new();
    assert_eq!(
        key::trusted_comment("release.json", now()),
        "timestamp:1795867200\tfile:release.json\thashed"
    );
    for bad in ["two\nlines", "\u{1b}[2J", &"x".repeat(8193)] {
        assert_eq!(
            kind(key::sign(&signer.secret, b"x", bad)),
            "signature-comment"
        );
    }
}
