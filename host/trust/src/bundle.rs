//! The files of a release, as every transport carries them.

use std::collections::BTreeMap;

use bytes::Bytes;

/// The component.
pub const COMPONENT: &str = "plugin.wasm";
/// The statement about it.
pub const STATEMENT: &str = "release.json";
/// The document of who publishes it.
pub const PUBLISHER: &str = "publisher.json";

/// Bytes of a component: the sandbox takes no more.
pub(crate) const MAX_COMPONENT: usize = 128 << 20;
/// Bytes of a document.
pub(crate) const MAX_DOCUMENT: usize = 1 << 20;
/// Bytes of a signature: its two comments are the most of it, and minisign takes no longer ones.
pub(crate) const MAX_SIGNATURE: usize = 24 << 10;
/// Bytes of all files together but the component.
const MAX_DOCUMENTS: usize = 32 << 20;
/// Signatures of one document.
pub const MAX_SIGNATURES: usize = 16;
/// Versions of a publisher document that one release may bring.
pub const MAX_VERSIONS: u32 = 256;

/// Why a file is none of a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A name that no file of a release has.
    #[error("`{}` is no file of a plugin's release", .0.escape_debug())]
    Name(String),
    /// More bytes than such a file may have.
    #[error("`{name}` has more than {limit} bytes, the most that such a file may have")]
    Size {
        /// The file.
        name: String,
        /// The most that it may have.
        limit: usize,
    },
    /// A file that is there twice.
    #[error("{}", twice(.0))]
    Twice(String),
    /// More documents than a release needs.
    #[error("the documents of the release have more than {limit} bytes together")]
    Documents {
        /// The most that they may have.
        limit: usize,
    },
}

impl BundleError {
    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Twice(name) if name == COMPONENT => "plugin-two-components",
            Self::Name(_) | Self::Size { .. } | Self::Twice(_) | Self::Documents { .. } => {
                "plugin-release"
            }
        }
    }
}

fn twice(name: &str) -> String {
    if name == COMPONENT {
        format!("there are two components for one statement: `{COMPONENT}` is there twice")
    } else {
        format!("`{name}` is there twice")
    }
}

/// The files of a release by their names: nothing of them is believed yet.
///
/// | name | what it is |
/// |---|---|
/// | `plugin.wasm` | the component |
/// | `release.json` | the statement about it |
/// | `publisher.json` | the newest document of its publisher |
/// | `publisher.N.json` | version N of that document, for those who know an older one |
/// | `NAME.minisig`, `NAME.1.minisig`, `NAME.2.minisig`, … | signatures of the document NAME, one key each |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Bytes>,
    /// Bytes of all files but the component.
    documents: usize,
}

impl Bundle {
    /// How many bytes a file of this name may have at most; none where no file of a release has it.
    pub fn limit(name: &str) -> Option<usize> {
        if name == COMPONENT {
            return Some(MAX_COMPONENT);
        }
        let document = match name.strip_suffix(".minisig") {
            Some(signed) => match signed.rsplit_once('.') {
                Some((document, number)) if is_number(number, MAX_SIGNATURES as u32 - 1) => {
                    document
                }
                _ => signed,
            },
            None => name,
        };
        let version = document
            .strip_prefix("publisher.")
            .and_then(|rest| rest.strip_suffix(".json"));
        let known = [STATEMENT, PUBLISHER].contains(&document)
            || version.is_some_and(|version| is_number(version, MAX_VERSIONS));
        let limit = if name.ends_with(".minisig") {
            MAX_SIGNATURE
        } else {
            MAX_DOCUMENT
        };
        known.then_some(limit)
    }

    /// How many bytes a file of this name may still have beside those that are there; none where no file of a release has it.
    pub fn room(&self, name: &str) -> Option<usize> {
        let limit = Self::limit(name)?;
        Some(match name {
            COMPONENT => limit,
            _ => limit.min(MAX_DOCUMENTS.saturating_sub(self.documents)),
        })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// A release has no such file, or none so large, or has it already.
    pub fn insert(&mut self, name: &str, bytes: Bytes) -> Result<(), BundleError> {
        let limit = Self::limit(name).ok_or_else(|| BundleError::Name(name.to_owned()))?;
        if bytes.len() > limit {
            return Err(BundleError::Size {
                name: name.to_owned(),
                limit,
            });
        }
        if self.files.contains_key(name) {
            return Err(BundleError::Twice(name.to_owned()));
        }
        if name != COMPONENT {
            let documents = self.documents.saturating_add(bytes.len());
            if documents > MAX_DOCUMENTS {
                return Err(BundleError::Documents {
                    limit: MAX_DOCUMENTS,
                });
            }
            self.documents = documents;
        }
        self.files.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// A file's bytes.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// The files, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The names under which the signatures of a document lie, in the order in which a transport that can't list asks for them.
    pub fn signature_names(document: &str) -> impl Iterator<Item = String> + '_ {
        (0..MAX_SIGNATURES).map(move |number| match number {
            0 => format!("{document}.minisig"),
            number => format!("{document}.{number}.minisig"),
        })
    }

    /// The signatures of a document.
    pub fn signatures(&self, document: &str) -> impl Iterator<Item = &Bytes> {
        Self::signature_names(document).filter_map(|name| self.files.get(&name))
    }
}

/// A number from 1 to `most`, spelled without leading zeros.
fn is_number(text: &str, most: u32) -> bool {
    text.parse()
        .is_ok_and(|number: u32| (1..=most).contains(&number) && number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_certain_files_and_no_others() {
        for name in [
            "plugin.wasm",
            "release.json",
            "release.json.minisig",
            "release.json.15.minisig",
            "publisher.json",
            "publisher.7.json",
            "publisher.7.json.minisig",
            "publisher.7.json.2.minisig",
        ] {
            assert!(Bundle::limit(name).is_some(), "{name}");
        }
        for name in [
            "",
            "../plugin.wasm",
            "/release.json",
            "plugin.wasm.minisig",
            "release.json.16.minisig",
            "release.json.01.minisig",
            "release.1.json",
            "publisher.0.json",
            "publisher.x.json",
            "README.md",
        ] {
            assert_eq!(
                Bundle::default().insert(name, Bytes::new()),
                Err(BundleError::Name(name.to_owned()))
            );
        }
    }

    #[test]
    fn documents_are_small() {
        let mut bundle = Bundle::default();
        let large = Bytes::from(vec![0; MAX_DOCUMENT + 1]);
        assert!(matches!(
            bundle.insert(STATEMENT, large.clone()),
            Err(BundleError::Size { .. })
        ));
        assert!(bundle.insert(COMPONENT, large.clone()).is_ok());
        assert_eq!(bundle.files().count(), 1);
        let signature = Bytes::from(vec![0; MAX_SIGNATURE + 1]);
        assert!(bundle.insert("release.json.minisig", signature).is_err());
    }

    #[test]
    fn many_documents_are_no_more_than_a_release_needs() {
        let mut bundle = Bundle::default();
        let large = Bytes::from(vec![0; MAX_DOCUMENT]);
        let mut insert = |version: u32| {
            let name = format!("publisher.{version}.json");
            bundle.insert(&name, large.clone())
        };
        assert!((1..=32).all(|version| insert(version).is_ok()));
        assert!(matches!(insert(33), Err(BundleError::Documents { .. })));
    }

    #[test]
    fn a_file_is_there_once() {
        let mut bundle = Bundle::default();
        for (name, kind) in [
            (COMPONENT, "plugin-two-components"),
            (STATEMENT, "plugin-release"),
        ] {
            assert!(bundle.insert(name, Bytes::from_static(b"one")).is_ok());
            let again = bundle.insert(name, Bytes::from_static(b"other"));
            assert_eq!(again.map_err(|error| error.kind()), Err(kind));
            assert_eq!(bundle.get(name).unwrap().as_ref(), b"one");
        }
    }
}
