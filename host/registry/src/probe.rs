//! Fetching a release where nothing can be listed: by asking for the names that it may have.

use bytes::Bytes;
use copal_trust::{Bundle, COMPONENT, MAX_VERSIONS, PUBLISHER, STATEMENT};
use serde::Deserialize;

use crate::gather::Gathered;
use crate::place::Item;
use crate::{Error, archive};

/// A folder that gives files by name.
pub(crate) trait Shelf {
    /// A file of at most `limit` bytes, if it is there.
    async fn get(&self, name: &str, limit: usize) -> Result<Option<Bytes>, Error>;
}

/// Whether a file of this name is part of what is meant.
pub(crate) fn belongs(name: &str, item: &Item) -> bool {
    match item {
        Item::Release => Bundle::limit(name).is_some(),
        Item::Publisher => Bundle::limit(name).is_some() && name.starts_with("publisher."),
        Item::Archive(_) | Item::Component(_) => false,
    }
}

/// Fetches what is meant from `shelf`.
pub(crate) async fn fetch(shelf: &impl Shelf, place: &str, item: &Item) -> Result<Bundle, Error> {
    let require = async |name, limit| {
        let found = shelf.get(name, limit).await?;
        found.ok_or_else(|| Error::Missing {
            place: place.to_owned(),
        })
    };
    match item {
        Item::Release | Item::Publisher => probe(shelf, place, item).await,
        Item::Archive(name) => archive::read(&require(name, archive::max_size()).await?, place),
        Item::Component(name) => {
            let mut gathered = Gathered::new(place);
            let limit = gathered.limit(COMPONENT).unwrap_or_default();
            gathered.add(COMPONENT, require(name, limit).await?)?;
            gathered.finish()
        }
    }
}

/// Fetches the release, or the publisher's documents, from `shelf`.
pub(crate) async fn probe(shelf: &impl Shelf, place: &str, item: &Item) -> Result<Bundle, Error> {
    let mut probe = Probe {
        shelf,
        gathered: Gathered::new(place),
    };
    if belongs(COMPONENT, item) {
        probe.file(COMPONENT).await?;
        probe.document(STATEMENT).await?;
    }
    probe.document(PUBLISHER).await?;
    if let Some(newest) = probe.gathered.get(PUBLISHER).and_then(version) {
        // Each version is signed by the one before it: beyond a missing one there is nothing to follow.
        for version in (1..newest).rev() {
            if !probe.document(&format!("publisher.{version}.json")).await? {
                break;
            }
        }
        for version in newest..=MAX_VERSIONS {
            let found = probe.document(&format!("publisher.{version}.json")).await?;
            if !found && version > newest {
                break;
            }
        }
    }
    probe.gathered.finish()
}

struct Probe<'a, S> {
    shelf: &'a S,
    gathered: Gathered,
}

impl<S: Shelf> Probe<'_, S> {
    /// Adds a file and tells whether it is there.
    async fn file(&mut self, name: &str) -> Result<bool, Error> {
        let Some(limit) = self.gathered.limit(name) else {
            return Ok(false);
        };
        match self.shelf.get(name, limit).await {
            Ok(Some(bytes)) => self.gathered.add(name, bytes).map(|()| true),
            Ok(None) => Ok(false),
            // Where files may be read but not listed, some services refuse what isn't there, and some send a page.
            Err(Error::Denied { .. } | Error::WebPage { .. }) if !self.gathered.is_empty() => {
                tracing::debug!(file = name, "refused, so it counts as missing");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a document with its signatures and tells whether it is there.
    async fn document(&mut self, name: &str) -> Result<bool, Error> {
        if !self.file(name).await? {
            return Ok(false);
        }
        for signature in Bundle::signature_names(name) {
            if !self.file(&signature).await? {
                break;
            }
        }
        Ok(true)
    }
}

/// The version that a publisher document claims.
fn version(document: &Bytes) -> Option<u32> {
    #[derive(Deserialize)]
    struct Document {
        version: u32,
    }
    let document: Document = serde_json::from_slice(document).ok()?;
    (1..=MAX_VERSIONS)
        .contains(&document.version)
        .then_some(document.version)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    /// Files, and what was asked for.
    #[derive(Default)]
    struct Files {
        files: BTreeMap<String, String>,
        asked: RefCell<Vec<String>>,
        denies: bool,
    }

    impl Files {
        fn new(files: &[(&str, &str)]) -> Self {
            let files = files.iter();
            Self {
                files: files
                    .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()))
                    .collect(),
                ..Self::default()
            }
        }
    }

    impl Shelf for Files {
        async fn get(&self, name: &str, _limit: usize) -> Result<Option<Bytes>, Error> {
            self.asked.borrow_mut().push(name.to_owned());
            match self.files.get(name) {
                None if self.denies => Err(Error::Denied {
                    place: "here".into(),
                    file: name.into(),
                    status: 403,
                }),
                content => Ok(content.cloned().map(Bytes::from)),
            }
        }
    }

    const RELEASE: &[(&str, &str)] = &[
        ("plugin.wasm", "component"),
        ("release.json", "{}"),
        ("release.json.minisig", "1"),
        ("release.json.1.minisig", "2"),
        ("publisher.json", r#"{"version":3}"#),
        ("publisher.json.minisig", "3"),
        ("publisher.2.json", "2"),
        ("publisher.2.json.minisig", "4"),
        ("publisher.4.json", "4"),
    ];

    #[tokio::test]
    async fn all_files_of_a_release_are_found_by_their_names_alone() {
        for denies in [false, true] {
            let mut files = Files::new(RELEASE);
            files.denies = denies;
            let bundle = probe(&files, "here", &Item::Release).await.unwrap();
            let mut expected: Vec<_> = RELEASE.iter().map(|(name, _)| *name).collect();
            expected.sort_unstable();
            assert_eq!(
                bundle.files().map(|file| file.0).collect::<Vec<_>>(),
                expected
            );
            assert!(files.asked.borrow().len() < 20);
        }
    }

    #[tokio::test]
    async fn the_documents_of_a_publisher_are_found_without_the_component() {
        let files = Files::new(RELEASE);
        let bundle = probe(&files, "here", &Item::Publisher).await.unwrap();
        assert_eq!(bundle.files().count(), 5);
        assert!(!files.asked.borrow().iter().any(|name| name == COMPONENT));
    }

    #[tokio::test]
    async fn a_hostile_version_leads_to_no_more_than_two_questions() {
        for document in [r#"{"version":4000000000}"#, r#"{"version":-1}"#, "[", ""] {
            let files = Files::new(&[(PUBLISHER, document)]);
            probe(&files, "here", &Item::Publisher).await.unwrap();
            assert_eq!(*files.asked.borrow(), [PUBLISHER, "publisher.json.minisig"]);
        }
    }

    #[tokio::test]
    async fn a_refusal_before_anything_was_found_is_told() {
        let mut files = Files::new(&[]);
        let error = probe(&files, "here", &Item::Release).await.unwrap_err();
        assert_eq!(error.kind(), "empty");
        files.denies = true;
        let error = probe(&files, "here", &Item::Release).await.unwrap_err();
        assert_eq!(error.kind(), "denied");
    }
}
