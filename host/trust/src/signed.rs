//! How many of the right keys signed a document, and which document of a publisher follows which.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::bundle::{Bundle, PUBLISHER};
use crate::key::{self, PublicKey};
use crate::publisher::{PublisherDocument, fingerprint};
use crate::refusal::Refusal;
use crate::signature::Signature;

/// Whose signatures count.
pub(crate) struct Signers<'a> {
    pub(crate) publisher: &'a str,
    pub(crate) keys: &'a [PublicKey],
    pub(crate) threshold: u32,
    pub(crate) revoked: &'a [PublicKey],
    /// Keys of older documents.
    pub(crate) retired: &'a [PublicKey],
}

impl<'a> Signers<'a> {
    pub(crate) fn of(document: &'a PublisherDocument) -> Self {
        Self {
            publisher: &document.publisher,
            keys: &document.keys,
            threshold: document.threshold,
            revoked: &document.revoked_keys,
            retired: &[],
        }
    }

    /// Refuses a document that too few of these keys signed. A key counts once, whatever the number of its signatures; a signature that claims to be
    /// one of these keys' and is not is refused whatever the others say. Returns how many of the keys signed.
    pub(crate) fn require(
        &self,
        document: &str,
        bytes: &[u8],
        signatures: &[Bytes],
    ) -> Result<usize, Refusal> {
        let mut signed = BTreeSet::new();
        let mut others = Vec::new();
        for signature in signatures {
            let signature = Signature::parse(signature).map_err(|problem| Refusal::Signature {
                document: document.to_owned(),
                problem,
            })?;
            let Some(key) = by_id(self.keys, signature.raw_id()) else {
                others.push(signature.raw_id());
                continue;
            };
            if !signature.is_by(key, bytes) {
                return Err(Refusal::SignatureWrong {
                    document: document.to_owned(),
                    key: key.id(),
                });
            }
            signed.insert(key);
        }
        if signed.len() >= usize::try_from(self.threshold).unwrap_or(usize::MAX) {
            return Ok(signed.len());
        }
        Err(self.shortfall(document, signed.len(), &others))
    }

    /// Why the signatures do not suffice.
    fn shortfall(&self, document: &str, signed: usize, others: &[[u8; 8]]) -> Refusal {
        let (document, publisher) = (document.to_owned(), self.publisher.to_owned());
        let among = |keys: &[PublicKey]| {
            let id = others.iter().find(|id| by_id(keys, **id).is_some())?;
            Some(key::id(*id))
        };
        if let Some(key) = among(self.revoked) {
            return Refusal::KeyRevoked {
                document,
                publisher,
                key,
            };
        }
        if signed > 0 {
            return Refusal::TooFewSignatures {
                document,
                publisher,
                signed,
                threshold: self.threshold,
            };
        }
        match (among(self.retired), others.first()) {
            (Some(key), _) => Refusal::KeyRetired {
                document,
                publisher,
                key,
            },
            (None, Some(id)) => Refusal::NameTaken {
                publisher,
                known: ids(self.keys),
                found: key::id(*id),
            },
            (None, None) => Refusal::Unsigned { document },
        }
    }
}

fn by_id(keys: &[PublicKey], id: [u8; 8]) -> Option<&PublicKey> {
    keys.iter().find(|key| key.raw_id() == id)
}

/// The ids of keys, for people.
pub(crate) fn ids(keys: &[PublicKey]) -> String {
    let ids: Vec<String> = keys.iter().map(PublicKey::id).collect();
    ids.join(", ")
}

/// A publisher document that its own keys signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) document: PublisherDocument,
    pub(crate) bytes: Bytes,
    pub(crate) signatures: Vec<Bytes>,
}

impl Signed {
    /// Reads a document and has its own keys vouch for it.
    pub(crate) fn new(name: &str, bytes: Bytes, signatures: Vec<Bytes>) -> Result<Self, Refusal> {
        let document = PublisherDocument::parse(&bytes)?;
        Signers::of(&document)
            .require(name, &bytes, &signatures)
            .map_err(|refusal| match refusal {
                // Whose the name is, is no question yet: the document only fails to vouch for itself.
                Refusal::NameTaken { publisher, .. } => Refusal::TooFewSignatures {
                    document: name.to_owned(),
                    publisher,
                    signed: 0,
                    threshold: document.threshold,
                },
                other => other,
            })?;
        Ok(Self {
            document,
            bytes,
            signatures,
        })
    }

    /// The newest document that a release brings.
    pub(crate) fn newest_of(bundle: &Bundle) -> Result<Option<Self>, Refusal> {
        Self::from_bundle(bundle, PUBLISHER)
    }

    fn from_bundle(bundle: &Bundle, name: &str) -> Result<Option<Self>, Refusal> {
        let Some(bytes) = bundle.get(name) else {
            return Ok(None);
        };
        let signatures = bundle.signatures(name).cloned().collect();
        Self::new(name, bytes.clone(), signatures).map(Some)
    }

    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.bytes)
    }

    /// An older document that a release brings.
    fn older(bundle: &Bundle, version: u32) -> Result<Option<(String, Self)>, Refusal> {
        let name = format!("publisher.{version}.json");
        let Some(found) = Self::from_bundle(bundle, &name)? else {
            return Ok(None);
        };
        if found.document.version != version {
            return Err(Refusal::Document {
                document: name,
                problem: format!("its version is {}", found.document.version),
            });
        }
        Ok(Some((name, found)))
    }

    /// The documents that lead to this one without a gap, as far as a release brings them, the oldest first and this one last: others, who know an older
    /// one, may be handed them from here.
    pub(crate) fn with_history(self, bundle: &Bundle) -> Result<Vec<Self>, Refusal> {
        let mut path = vec![self];
        while let Some(oldest) = path.last() {
            let version = oldest.document.version.saturating_sub(1);
            let Some((_, before)) = Self::older(bundle, version)? else {
                break;
            };
            let name = match path.len() {
                1 => PUBLISHER.to_owned(),
                _ => format!("publisher.{}.json", oldest.document.version),
            };
            before.precedes(oldest, &name)?;
            path.push(before);
        }
        path.reverse();
        Ok(path)
    }

    /// The documents that lead from this one to a newer one, which is the last of them.
    pub(crate) fn path_to(&self, newest: Self, bundle: &Bundle) -> Result<Vec<Self>, Refusal> {
        let mut path: Vec<Self> = Vec::new();
        for version in self.document.version.saturating_add(1)..newest.document.version {
            let Some((name, step)) = Self::older(bundle, version)? else {
                return Err(self.gap(&newest, version));
            };
            path.last().unwrap_or(self).precedes(&step, &name)?;
            path.push(step);
        }
        path.last().unwrap_or(self).precedes(&newest, PUBLISHER)?;
        path.push(newest);
        Ok(path)
    }

    /// The versions between are missing. Keys of which none is known are rather somebody else's.
    fn gap(&self, newest: &Self, missing: u32) -> Refusal {
        if self.document.shares_a_key(&newest.document) {
            Refusal::VersionMissing {
                publisher: self.document.publisher.clone(),
                known: self.document.version,
                found: newest.document.version,
                missing,
            }
        } else {
            self.name_taken(newest)
        }
    }

    /// Refuses what is not the document after this one: of the same publisher, signed by the keys of this one, and made after this very document.
    fn precedes(&self, next: &Self, name: &str) -> Result<(), Refusal> {
        if next.document.publisher != self.document.publisher {
            return Err(Refusal::OtherPublisher {
                document: name.to_owned(),
                expected: self.document.publisher.clone(),
                found: next.document.publisher.clone(),
            });
        }
        Signers::of(&self.document)
            .require(name, &next.bytes, &next.signatures)
            .map_err(|refusal| match refusal {
                Refusal::NameTaken { .. } => self.name_taken(next),
                other => other,
            })?;
        if next.document.previous != Some(self.fingerprint()) {
            return Err(Refusal::Forked {
                publisher: self.document.publisher.clone(),
                version: self.document.version,
            });
        }
        match next.document.taken_back(&self.document) {
            Some(what) => Err(Refusal::RevocationTakenBack {
                publisher: next.document.publisher.clone(),
                version: next.document.version,
                what,
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn name_taken(&self, other: &Self) -> Refusal {
        Refusal::NameTaken {
            publisher: self.document.publisher.clone(),
            known: ids(&self.document.keys),
            found: ids(&other.document.keys),
        }
    }
}
