//! Against Debian's minisign: what it signs is verified here, and the other way round.

#![allow(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use copal_trust::key::{self, PublicKey, SecretKey};
use copal_trust::{Bundle, PUBLISHER, PublisherDocument, STATEMENT};
use tempfile::TempDir;

use crate::world::{NAME, component, days, kind, now, statement};

const DOCUMENT: &[u8] = b"a document\n";
const PASSWORD: &str = "correct horse battery staple";

/// The program, in a folder of its own.
struct Minisign {
    program: PathBuf,
    folder: TempDir,
}

impl Minisign {
    /// None where it is not installed; where `CI` is set, nothing may be skipped.
    fn find() -> Option<Self> {
        let program = ["/usr/bin/minisign", "/usr/local/bin/minisign"].map(Path::new);
        let Some(program) = program.into_iter().find(|path| path.is_file()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "minisign is not installed (Debian package minisign); every test must run where CI is set"
            );
            eprintln!("skipped: minisign is not installed (Debian package minisign)");
            return None;
        };
        Some(Self {
            program: program.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs it with at most so many KiB of memory, which scrypt fits itself to when a key is made.
    fn run(&self, arguments: &[&str], input: &str, memory: u32) -> Output {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("ulimit -v {memory} && exec \"$@\""), "sh"])
            .arg(&self.program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn works(&self, arguments: &[&str], input: &str) {
        let output = self.run(arguments, input, 200_000);
        assert!(output.status.success(), "{output:?}");
    }

    fn verifies(&self, key: &PublicKey, document: &str) -> bool {
        let arguments = ["-V", "-P", &key.to_string(), "-m", document];
        self.run(&arguments, "", 200_000).status.success()
    }
}

#[test]
fn what_minisign_signs_is_verified() {
    let Some(minisign) = Minisign::find() else {
        return;
    };
    minisign.works(&["-G", "-W", "-p", "a.pub", "-s", "a.key"], "");
    minisign.write("x", DOCUMENT);
    let key = PublicKey::read(&minisign.read("a.pub")).unwrap();
    for (options, comment) in [
        (&["-H"][..], None),
        (&[], None),
        (&["-l"], None),
        (&["-t", "  blanks around  "], Some("  blanks around  ")),
        (
            &["-t", "Ünïcode 默认", "-c", "anything"],
            Some("Ünïcode 默认"),
        ),
    ] {
        let arguments = [&["-S", "-s", "a.key", "-m", "x"], options].concat();
        minisign.works(&arguments, "");
        let signature = minisign.read("x.minisig");
        let verified = key::verify(&key, "x", DOCUMENT, signature.as_bytes()).unwrap();
        match comment {
            Some(comment) => assert_eq!(verified, comment),
            None => assert!(
                verified.starts_with("timestamp:") && verified.contains("\tfile:x"),
                "{verified}"
            ),
        }
        assert_eq!(
            kind(key::verify(&key, "x", b"other", signature.as_bytes())),
            "signature-wrong"
        );
    }
}

#[test]
fn what_is_signed_here_minisign_verifies() {
    let Some(minisign) = Minisign::find() else {
        return;
    };
    let files = key::generate(None).unwrap();
    let secret = SecretKey::read(&files.secret_file, None).unwrap();
    minisign.write("x", DOCUMENT);
    let comment = key::trusted_comment("x", now());
    minisign.write("x.minisig", key::sign(&secret, DOCUMENT, &comment).unwrap());
    assert!(minisign.verifies(&files.public, "x"));
    minisign.write("a.pub", &files.public_file);
    let output = minisign.run(&["-V", "-p", "a.pub", "-m", "x"], "", 200_000);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&comment));
    minisign.write("x", b"other");
    assert!(!minisign.verifies(&files.public, "x"));
}

#[test]
fn secret_keys_serve_both_programs() {
    let Some(minisign) = Minisign::find() else {
        return;
    };
    minisign.write("x", DOCUMENT);
    // Made by minisign, used here.
    minisign.works(&["-G", "-W", "-p", "a.pub", "-s", "a.key"], "");
    let secret = SecretKey::read(&minisign.read("a.key"), None).unwrap();
    assert_eq!(
        secret.public(),
        &PublicKey::read(&minisign.read("a.pub")).unwrap()
    );
    minisign.write("x.minisig", key::sign(&secret, DOCUMENT, "by us").unwrap());
    assert!(minisign.verifies(secret.public(), "x"));
    // Made here, used by minisign.
    let files = key::generate(None).unwrap();
    minisign.write("b.key", &files.secret_file);
    minisign.works(&["-S", "-s", "b.key", "-m", "x"], "");
    let signature = minisign.read("x.minisig");
    assert!(key::verify(&files.public, "x", DOCUMENT, signature.as_bytes()).is_ok());
    minisign.works(&["-R", "-W", "-s", "b.key", "-p", "b.pub"], "");
    assert_eq!(
        PublicKey::read(&minisign.read("b.pub")).unwrap(),
        files.public
    );
}

#[test]
fn secret_keys_with_passwords_serve_both_programs() {
    let Some(minisign) = Minisign::find() else {
        return;
    };
    minisign.write("x", DOCUMENT);
    let password = format!("{PASSWORD}\n");
    // Made by minisign, used here. In little memory, lest a test takes a gigabyte.
    minisign.works(&["-G", "-p", "a.pub", "-s", "a.key"], &password.repeat(2));
    let text = minisign.read("a.key");
    assert!(SecretKey::is_protected(&text).unwrap());
    assert_eq!(kind(SecretKey::read(&text, Some("wrong"))), "key-password");
    let secret = SecretKey::read(&text, Some(PASSWORD)).unwrap();
    assert_eq!(
        secret.public(),
        &PublicKey::read(&minisign.read("a.pub")).unwrap()
    );
    minisign.write("x.minisig", key::sign(&secret, DOCUMENT, "by us").unwrap());
    assert!(minisign.verifies(secret.public(), "x"));
    // Made here, used by minisign.
    let files = key::generate(Some(PASSWORD)).unwrap();
    minisign.write("b.key", &files.secret_file);
    minisign.works(&["-S", "-s", "b.key", "-m", "x"], &password);
    let signature = minisign.read("x.minisig");
    assert!(key::verify(&files.public, "x", DOCUMENT, signature.as_bytes()).is_ok());
    let output = minisign.run(&["-S", "-s", "b.key", "-m", "x"], "wrong\n", 200_000);
    assert!(!output.status.success());
}

#[test]
fn a_vendor_with_nothing_but_minisign_makes_a_release() {
    let Some(minisign) = Minisign::find() else {
        return;
    };
    for key in ["a", "b"] {
        let (public, secret) = (format!("{key}.pub"), format!("{key}.key"));
        minisign.works(&["-G", "-W", "-p", &public, "-s", &secret], "");
    }
    let keys = ["a.pub", "b.pub"].map(|file| PublicKey::read(&minisign.read(file)).unwrap());
    let document = PublisherDocument::first("acme", keys.to_vec(), 2, now(), now() + days(365));
    let component = component("plugin");
    minisign.write(PUBLISHER, document.to_bytes().unwrap());
    minisign.write(
        STATEMENT,
        statement(NAME, "1.0.0", &component).to_bytes().unwrap(),
    );
    minisign.write("plugin.wasm", &component);
    for name in [PUBLISHER, STATEMENT] {
        minisign.works(&["-S", "-s", "a.key", "-m", name], "");
        let second = format!("{name}.1.minisig");
        minisign.works(&["-S", "-l", "-s", "b.key", "-m", name, "-x", &second], "");
    }
    let mut bundle = Bundle::default();
    for name in ["a.pub", "b.pub", "a.key", "b.key"] {
        fs::remove_file(minisign.path(name)).unwrap();
    }
    for entry in fs::read_dir(minisign.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        bundle
            .insert(name, fs::read(&path).unwrap().into())
            .unwrap();
    }
    let verified = copal_trust::verify(&bundle, now()).unwrap();
    assert_eq!(verified.publisher, document);
}
