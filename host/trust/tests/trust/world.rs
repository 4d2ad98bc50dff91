//! A machine, publishers with keys, and releases made from parts.

use std::path::PathBuf;

use bytes::Bytes;
use copal_trust::key::{self, PublicKey, SecretKey};
use copal_trust::{
    Bundle, COMPONENT, Candidate, Capability, Confirmed, Described, Format, Installation,
    PUBLISHER, PluginName, PublisherDocument, Refusal, STATEMENT, Statement, Store, Terms,
};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) const NAME: &str = "acme/notebook";

pub(crate) fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

pub(crate) fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

pub(crate) fn name(name: &str) -> PluginName {
    name.parse().unwrap()
}

/// A component of its own for each text.
pub(crate) fn component(text: &str) -> Bytes {
    [b"\0asm\x0d\0\x01\0", text.as_bytes()].concat().into()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn capability(grant: &str) -> Capability {
    Capability {
        grant: grant.into(),
        reason: "The notebook must hold still.".into(),
    }
}

pub(crate) fn statement(name: &str, version: &str, component: &[u8]) -> Statement {
    Statement {
        format: Format,
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        sha256: sha256(component),
        size: component.len() as u64,
        contract: "copal:plugin@0.1.0".into(),
        world: "copal:plugin/plugin".into(),
        imports: vec!["copal:plugin/log@0.1.0".into()],
        capabilities: vec![capability("run:docker stop *")],
        minimum_host: "0.1.0".parse().unwrap(),
        created: now() - days(1),
        description: "Saves notebooks.".into(),
        license: Some("MIT".into()),
        source: None,
    }
}

/// What a component says of itself when it is the one that is stated.
pub(crate) fn described(statement: &Statement) -> Described {
    Described {
        name: statement.name.to_string(),
        version: statement.version.to_string(),
        imports: statement.imports.clone(),
        capabilities: statement.capabilities.clone(),
    }
}

pub(crate) struct Signer {
    pub(crate) secret: SecretKey,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let files = key::generate(None).unwrap();
        let secret = SecretKey::read(&files.secret_file, None).unwrap();
        Self { secret }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.secret.public().clone()
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Bytes {
        let comment = key::trusted_comment(STATEMENT, now());
        key::sign(&self.secret, bytes, &comment).unwrap().into()
    }
}

pub(crate) fn first(publisher: &str, signers: &[&Signer], threshold: u32) -> PublisherDocument {
    let keys = signers.iter().map(|signer| signer.public()).collect();
    PublisherDocument::first(
        publisher,
        keys,
        threshold,
        now() - days(30),
        now() + days(30),
    )
}

pub(crate) fn next(document: &PublisherDocument) -> PublisherDocument {
    let fingerprint = copal_trust::fingerprint(&document.to_bytes().unwrap());
    document.next(&fingerprint, now() - days(1), now() + days(60))
}

/// A bundle with a document more, signed by each of these.
pub(crate) fn signed(mut bundle: Bundle, name: &str, bytes: &[u8], signers: &[&Signer]) -> Bundle {
    bundle.insert(name, Bytes::copy_from_slice(bytes)).unwrap();
    for (name, signer) in Bundle::signature_names(name).zip(signers) {
        bundle.insert(&name, signer.sign(bytes)).unwrap();
    }
    bundle
}

/// A publisher document alone.
pub(crate) fn introduction(document: &PublisherDocument, signers: &[&Signer]) -> Bundle {
    with_publisher(Bundle::default(), document, signers)
}

pub(crate) fn with_publisher(
    bundle: Bundle,
    document: &PublisherDocument,
    signers: &[&Signer],
) -> Bundle {
    signed(bundle, PUBLISHER, &document.to_bytes().unwrap(), signers)
}

pub(crate) fn with_version(
    bundle: Bundle,
    document: &PublisherDocument,
    signers: &[&Signer],
) -> Bundle {
    let name = format!("publisher.{}.json", document.version);
    signed(bundle, &name, &document.to_bytes().unwrap(), signers)
}

/// A release without a publisher document.
pub(crate) fn release(statement: &Statement, component: &Bytes, signers: &[&Signer]) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.insert(COMPONENT, component.clone()).unwrap();
    signed(bundle, STATEMENT, &statement.to_bytes().unwrap(), signers)
}

/// The same files but for one, which has other bytes or is gone.
pub(crate) fn with(bundle: &Bundle, name: &str, bytes: Option<&[u8]>) -> Bundle {
    let mut changed = Bundle::default();
    for (file, old) in bundle.files().filter(|(file, _)| *file != name) {
        changed.insert(file, old.clone()).unwrap();
    }
    if let Some(bytes) = bytes {
        changed.insert(name, Bytes::copy_from_slice(bytes)).unwrap();
    }
    changed
}

pub(crate) fn terms() -> Terms {
    Terms {
        now: now(),
        host: "0.1.0".parse().unwrap(),
        name: None,
        unsigned: None,
    }
}

/// A machine that trusts the publisher `acme`, whose document is version 1 with one key.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) store: Store,
    pub(crate) acme: Signer,
    pub(crate) document: PublisherDocument,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("copal"));
        let acme = Signer::new();
        let document = first("acme", &[&acme], 1);
        let world = Self {
            folder,
            store,
            acme,
            document,
        };
        world.trust(&introduction(&world.document, &[&world.acme]));
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("copal").join(name)
    }

    pub(crate) fn trust(&self, bundle: &Bundle) {
        let introduction = self.store.introduce(bundle, now()).unwrap();
        self.store.trust(&introduction).unwrap();
    }

    /// A release by `acme`, whose component is the version's text.
    pub(crate) fn release(&self, version: &str) -> (Statement, Bundle) {
        let component = component(version);
        let statement = statement(NAME, version, &component);
        let bundle = release(&statement, &component, &[&self.acme]);
        (statement, bundle)
    }

    pub(crate) fn check(&self, bundle: &Bundle) -> Result<Candidate, Refusal> {
        self.store.check(bundle, &terms())
    }

    /// Why the release is refused.
    pub(crate) fn refusal(&self, bundle: &Bundle) -> &'static str {
        kind(self.check(bundle))
    }

    pub(crate) fn confirmed(&self, statement: &Statement, bundle: &Bundle) -> Confirmed {
        let candidate = self.check(bundle).unwrap();
        candidate.confirm(&described(statement)).unwrap()
    }

    /// Installs a release as an operator does who approves all that it may ask for.
    pub(crate) fn install(&self, statement: &Statement, bundle: &Bundle) -> Installation {
        let confirmed = self.confirmed(statement, bundle);
        let hash = statement.capability_hash();
        let installation = self.store.install(&confirmed, Some(&hash), "a folder");
        installation.unwrap()
    }

    pub(crate) fn install_version(&self, version: &str) -> Installation {
        let (statement, bundle) = self.release(version);
        self.install(&statement, &bundle)
    }
}

/// The kind of the refusal that there must be, whose message and advice steer no terminal.
pub(crate) fn kind<T>(result: Result<T, Refusal>) -> &'static str {
    let refusal = result.err().unwrap();
    for text in [refusal.to_string(), refusal.advice().unwrap_or_default()] {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    refusal.kind()
}
