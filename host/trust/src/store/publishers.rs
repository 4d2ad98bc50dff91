//! The publishers that are trusted, and the documents that say who they are.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;

use super::install::MAX_FROM;
use super::{Store, files};
use crate::bundle::{Bundle, MAX_DOCUMENT, MAX_SIGNATURE, MAX_VERSIONS, PUBLISHER};
use crate::key::PublicKey;
use crate::name::{self, RESERVED};
use crate::publisher::PublisherDocument;
use crate::refusal::Refusal;
use crate::release::{not_from_the_future, unexpired};
use crate::signed::Signed;

/// The file that says where later documents are looked for.
const ADDRESS: &str = "address";

/// A publisher that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The newest document.
    pub document: PublisherDocument,
    /// The SHA-256 of its bytes.
    pub fingerprint: String,
    /// All documents known, the oldest first; never empty.
    pub(crate) versions: Vec<Signed>,
}

impl Publisher {
    pub(crate) fn new(versions: Vec<Signed>) -> Option<Self> {
        let newest = versions.last()?;
        Some(Self {
            document: newest.document.clone(),
            fingerprint: newest.fingerprint(),
            versions,
        })
    }

    /// Keys of older documents that the newest neither has nor revokes.
    pub(crate) fn retired_keys(&self) -> Vec<PublicKey> {
        let older = self.versions.iter().flat_map(|v| &v.document.keys);
        let gone = |key: &&PublicKey| {
            let mut revoked = self.document.revoked_keys.iter();
            !self.document.keys.contains(key) && !revoked.any(|other| other.clashes(key))
        };
        older.filter(gone).cloned().collect()
    }

    /// The documents that a release brings beyond those that are known.
    pub(crate) fn news(&self, newest: Signed, bundle: &Bundle) -> Result<Vec<Signed>, Refusal> {
        let Some(known) = self.versions.last() else {
            return Ok(Vec::new());
        };
        let (known_version, found) = (known.document.version, newest.document.version);
        if found > known_version {
            return known.path_to(newest, bundle);
        }
        // An old release brings the document of its day: what is known already takes nothing away.
        if self.versions.iter().any(|old| old.bytes == newest.bytes) {
            return Ok(Vec::new());
        }
        let publisher = known.document.publisher.clone();
        if !known.document.shares_a_key(&newest.document) {
            return Err(known.name_taken(&newest));
        }
        if found == known_version {
            return Err(Refusal::Forked {
                publisher,
                version: found,
            });
        }
        Err(Refusal::Replayed {
            publisher,
            known: known_version,
            found,
        })
    }

    /// The same publisher with newer documents.
    pub(crate) fn with(&self, news: &[Signed]) -> Self {
        let versions = self.versions.iter().chain(news).cloned().collect();
        Self::new(versions).unwrap_or_else(|| self.clone())
    }

    /// Adds the documents to a release, as `publisher.json` and as `publisher.N.json` for those who know an older one.
    pub(crate) fn add_to(&self, bundle: &mut Bundle) -> Result<(), Refusal> {
        self.add_newest_to(bundle)?;
        for signed in &self.versions {
            let version = signed.document.version;
            if version != self.document.version {
                add(signed, &format!("publisher.{version}.json"), bundle)?;
            }
        }
        Ok(())
    }

    /// Adds the newest document alone.
    pub(crate) fn add_newest_to(&self, bundle: &mut Bundle) -> Result<(), Refusal> {
        match self.versions.last() {
            Some(newest) => add(newest, PUBLISHER, bundle),
            None => Ok(()),
        }
    }
}

/// A publisher, or newer documents of one, that may be trusted: the operator compares the fingerprint first.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The publisher's name.
    pub publisher: String,
    /// The newest document.
    pub document: PublisherDocument,
    /// The SHA-256 of its bytes.
    pub fingerprint: String,
    /// The version that is known already; none at the first meeting.
    pub known: Option<u32>,
    /// The fingerprint of that version.
    pub known_fingerprint: Option<String>,
    /// What would be added.
    news: Vec<Signed>,
}

impl Introduction {
    /// Whether trusting it would change anything.
    pub fn is_new(&self) -> bool {
        !self.news.is_empty()
    }
}

impl Store {
    /// Reads the publisher document that a release, or a folder of documents alone, brings, and holds it against what is known of that publisher. A
    /// newer version of a known publisher's is welcome even when it has expired, since it may revoke something. An older one that was known before is
    /// nothing new.
    ///
    /// # Errors
    /// It does not vouch for itself, or somebody else uses a known name, or it is older than what is known and never was.
    pub fn introduce(&self, bundle: &Bundle, now: Timestamp) -> Result<Introduction, Refusal> {
        let newest = Signed::newest_of(bundle)?.ok_or(Refusal::NoPublisher)?;
        let (document, fingerprint) = (newest.document.clone(), newest.fingerprint());
        if document.publisher == RESERVED {
            return Err(Refusal::Reserved {
                name: document.publisher,
            });
        }
        not_from_the_future(PUBLISHER, document.created, now)?;
        let known = self.publisher(&document.publisher)?;
        let news = match &known {
            Some(known) => known.news(newest, bundle)?,
            None => {
                unexpired(&document, now)?;
                newest.with_history(bundle)?
            }
        };
        Ok(Introduction {
            publisher: document.publisher.clone(),
            known: known.as_ref().map(|known| known.document.version),
            known_fingerprint: known.map(|known| known.fingerprint),
            document,
            fingerprint,
            news,
        })
    }

    /// Trusts a publisher from now on.
    ///
    /// # Errors
    /// The document is older than the one that is known; or what is known changed since the introduction, or can't be written.
    pub fn trust(&self, introduction: &Introduction) -> Result<(), Refusal> {
        let found = introduction.document.version;
        if let Some(known) = introduction.known.filter(|known| *known > found) {
            return Err(Refusal::Replayed {
                publisher: introduction.publisher.clone(),
                known,
                found,
            });
        }
        let _lock = self.lock()?;
        let known = self.publisher(&introduction.publisher)?;
        if known.map(|known| known.document.version) != introduction.known {
            return Err(Refusal::Changed(introduction.publisher.clone()));
        }
        self.add_documents(&introduction.news)
    }

    /// The publishers that are trusted, sorted by name.
    ///
    /// # Errors
    /// A document can't be read.
    pub fn publishers(&self) -> Result<Vec<Publisher>, Refusal> {
        self.require_own()?;
        let names = files::names(&self.publishers_folder())?;
        let mut publishers = Vec::new();
        for name in names {
            if name::publisher(&name).is_ok() {
                publishers.extend(self.publisher(&name)?);
            }
        }
        Ok(publishers)
    }

    /// A publisher that is trusted; none where it is not.
    ///
    /// # Errors
    /// The name is none, or a document can't be read.
    pub fn publisher(&self, name: &str) -> Result<Option<Publisher>, Refusal> {
        name::publisher(name)?;
        self.require_own()?;
        files::is_folder(&self.publishers_folder())?;
        let folder = self.publisher_folder(name);
        let mut versions: Vec<u32> = files::names(&folder)?
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect();
        versions.sort_unstable();
        let damaged = |problem: &str| Refusal::damaged(&folder, problem);
        let mut documents: Vec<Signed> = Vec::new();
        for version in versions {
            let signed = self.document(name, version)?;
            let before = documents.last().map(|signed| signed.document.version);
            if before.is_some_and(|before| before.saturating_add(1) != version) {
                return Err(damaged("a version between is missing"));
            }
            documents.push(signed);
        }
        if documents.is_empty() && files::is_folder(&folder)? {
            return Err(damaged("it holds no document"));
        }
        Ok(Publisher::new(documents))
    }

    /// Where later documents of a publisher are looked for; none where nobody said.
    ///
    /// # Errors
    /// The name is none, or the file can't be read.
    pub fn news_address(&self, publisher: &str) -> Result<Option<String>, Refusal> {
        name::publisher(publisher)?;
        let path = self.publisher_folder(publisher).join(ADDRESS);
        let Some(bytes) = files::read(&path, MAX_FROM)? else {
            return Ok(None);
        };
        let address = std::str::from_utf8(&bytes);
        let address = address.map_err(|error| Refusal::damaged(&path, error.to_string()))?;
        Ok(Some(address.to_owned()))
    }

    /// Keeps the address, without credentials, at which later documents of a trusted publisher are looked for.
    ///
    /// # Errors
    /// It is too long, the publisher is not trusted, or the file can't be written.
    pub fn keep_news_address(&self, publisher: &str, address: &str) -> Result<(), Refusal> {
        name::publisher(publisher)?;
        if address.len() > MAX_FROM {
            return Err(Refusal::Source { limit: MAX_FROM });
        }
        let _lock = self.lock()?;
        let folder = self.publisher_folder(publisher);
        if !files::is_folder(&folder)? {
            return Err(Refusal::NotTrusted(publisher.to_owned()));
        }
        files::write(&folder.join(ADDRESS), address.as_bytes())
    }

    /// Trusts a publisher no longer, and forgets its documents with all that they revoke: otherwise one that lost its keys could not begin anew.
    ///
    /// # Errors
    /// It is Copal itself or not trusted, or plugins of it are installed.
    pub fn distrust(&self, name: &str) -> Result<(), Refusal> {
        name::publisher(name)?;
        if name == RESERVED {
            return Err(Refusal::Reserved {
                name: name.to_owned(),
            });
        }
        let _lock = self.lock()?;
        // Not read: what is damaged must be removable too.
        if !files::is_folder(&self.publisher_folder(name))? {
            return Err(Refusal::NotTrusted(name.to_owned()));
        }
        let ledger = self.ledger()?;
        let of_it: Vec<&str> = ledger
            .plugins
            .iter()
            .filter(|(plugin, entry)| {
                let signed = entry.installed.as_ref().is_some_and(|r| !r.unsigned);
                plugin.publisher() == name && signed
            })
            .map(|(plugin, _)| plugin.as_str())
            .collect();
        if !of_it.is_empty() {
            return Err(Refusal::InUse {
                publisher: name.to_owned(),
                plugins: of_it.join(", "),
            });
        }
        files::remove_folder(&self.publisher_folder(name))
    }

    /// Adds documents of one publisher, the oldest first: wherever it is cut off, what is there is whole. The caller holds the lock.
    pub(super) fn add_documents(&self, news: &[Signed]) -> Result<(), Refusal> {
        let Some(first) = news.first() else {
            return Ok(());
        };
        files::make_folder(&self.publishers_folder())?;
        let folder = self.publisher_folder(&first.document.publisher);
        let files: Vec<(String, Bytes)> = news.iter().flat_map(stored).collect();
        if !files::is_folder(&folder)? {
            let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes));
            return files::replace_folder(&folder, files);
        }
        for signed in news {
            // Signatures that an attempt left which was cut off may be of another document.
            for name in Bundle::signature_names(&file_name(signed)) {
                files::remove(&folder.join(name))?;
            }
        }
        for (name, bytes) in files {
            files::write(&folder.join(name), &bytes)?;
        }
        Ok(())
    }

    /// The stored signatures of a document.
    pub(super) fn signatures(&self, folder: &Path, document: &str) -> Result<Vec<Bytes>, Refusal> {
        let mut signatures = Vec::new();
        for name in Bundle::signature_names(document) {
            signatures.extend(files::read(&folder.join(name), MAX_SIGNATURE)?);
        }
        Ok(signatures)
    }

    fn publisher_folder(&self, name: &str) -> PathBuf {
        self.publishers_folder().join(name)
    }

    /// Reads a stored document, and has its keys vouch for it again.
    fn document(&self, publisher: &str, version: u32) -> Result<Signed, Refusal> {
        let folder = self.publisher_folder(publisher);
        let name = format!("{version}.json");
        let path = folder.join(&name);
        let damaged = |problem: String| Refusal::damaged(&path, problem);
        let bytes =
            files::read(&path, MAX_DOCUMENT)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let signatures = self.signatures(&folder, &name)?;
        let signed = Signed::new(&name, bytes, signatures)
            .map_err(|refusal| damaged(refusal.to_string()))?;
        let found = &signed.document;
        if found.publisher != publisher || found.version != version || version > MAX_VERSIONS {
            return Err(damaged(format!(
                "it is version {} of the document of `{}`",
                found.version, found.publisher
            )));
        }
        Ok(signed)
    }
}

/// Adds a document and its signatures to a release.
fn add(signed: &Signed, name: &str, bundle: &mut Bundle) -> Result<(), Refusal> {
    bundle.insert(name, signed.bytes.clone())?;
    for (name, bytes) in Bundle::signature_names(name).zip(&signed.signatures) {
        bundle.insert(&name, bytes.clone())?;
    }
    Ok(())
}

/// The files of a document. The document itself comes last: once it is there, its signatures are.
fn stored(signed: &Signed) -> Vec<(String, Bytes)> {
    let name = file_name(signed);
    let signatures = Bundle::signature_names(&name).zip(signed.signatures.iter().cloned());
    let mut files: Vec<(String, Bytes)> = signatures.collect();
    files.push((name, signed.bytes.clone()));
    files
}

fn file_name(signed: &Signed) -> String {
    format!("{}.json", signed.document.version)
}
