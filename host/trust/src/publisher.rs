//! `publisher.json`: who a publisher is, as a document that its own keys sign.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bundle::{MAX_SIGNATURES, MAX_VERSIONS, PUBLISHER};
use crate::capability::twice;
use crate::document::{self, Format};
use crate::key::PublicKey;
use crate::name;
use crate::refusal::Refusal;
use crate::statement::{sha256, whole_seconds};
use crate::text::{self, line};

/// Keys of one document: a document that replaces them all carries the signatures of both sets.
pub const MAX_KEYS: usize = MAX_SIGNATURES / 2;
/// Keys that one publisher may revoke in all.
const MAX_REVOKED_KEYS: usize = 64;
/// Releases that one publisher may revoke in all.
const MAX_REVOKED_RELEASES: usize = 1024;
/// Bytes of a reason.
const MAX_REASON: usize = 400;

/// A release that its publisher takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedRelease {
    /// The SHA-256 of its component.
    pub sha256: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// One version of the document of a publisher.
///
/// Version 1 is signed by as many of its keys as its threshold says; version N+1 by those of version N and by its own, and it names version N by its
/// fingerprint: otherwise whoever signs the bytes of version N+1 too could give it a past of his own. What a version revokes, every
/// later version revokes too: a revocation is for good, since those who have seen it can't tell a correction from an attacker's way back in. A
/// publisher who revoked a release by mistake makes a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherDocument {
    /// The format that it is written in.
    pub format: Format,
    /// The publisher's name, the first half of its plugins' names.
    pub publisher: String,
    /// 1, 2, 3 and so on, without a gap, up to [`MAX_VERSIONS`].
    pub version: u32,
    /// The fingerprint of the version before; none in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// How many of the keys must sign a release.
    pub threshold: u32,
    /// The keys, at most [`MAX_KEYS`].
    pub keys: Vec<PublicKey>,
    /// When this version was made, in whole seconds.
    #[serde(with = "text::spelt")]
    pub created: Timestamp,
    /// Until when releases may be installed and updated by this version, in whole seconds.
    #[serde(with = "text::spelt")]
    pub not_after: Timestamp,
    /// Keys whose signatures count for nothing any more.
    pub revoked_keys: Vec<PublicKey>,
    /// Releases that are taken back.
    pub revoked_releases: Vec<RevokedRelease>,
}

impl PublisherDocument {
    /// Version 1 of a publisher's document.
    pub fn first(
        publisher: &str,
        keys: Vec<PublicKey>,
        threshold: u32,
        created: Timestamp,
        not_after: Timestamp,
    ) -> Self {
        Self {
            format: Format,
            publisher: publisher.to_owned(),
            version: 1,
            previous: None,
            threshold,
            keys,
            created: to_seconds(created),
            not_after: to_seconds(not_after),
            revoked_keys: Vec::new(),
            revoked_releases: Vec::new(),
        }
    }

    /// The version after this one, whose bytes have this [`fingerprint`]; it changes nothing yet but how long it is valid.
    #[must_use]
    pub fn next(&self, fingerprint: &str, created: Timestamp, not_after: Timestamp) -> Self {
        Self {
            version: self.version.saturating_add(1),
            previous: Some(fingerprint.to_owned()),
            created: to_seconds(created),
            not_after: to_seconds(not_after),
            ..self.clone()
        }
    }

    /// The same with a key more, unless it has that key.
    #[must_use]
    pub fn with_key(mut self, key: PublicKey) -> Self {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self
    }

    /// The same without a key. What the key signed before stays installed.
    #[must_use]
    pub fn without_key(mut self, key: &PublicKey) -> Self {
        self.keys.retain(|known| known != key);
        self
    }

    /// The same with a key revoked: it is no key of the publisher's any more, and what only revoked keys signed counts as revoked too.
    #[must_use]
    pub fn with_revoked_key(self, key: &PublicKey) -> Self {
        let mut revoking = self.without_key(key);
        if !revoking.revoked_keys.contains(key) {
            revoking.revoked_keys.push(key.clone());
        }
        revoking
    }

    /// The same with a release revoked, by the SHA-256 of its component. A release that is revoked already keeps its reason.
    #[must_use]
    pub fn with_revoked_release(mut self, sha256: &str, reason: &str) -> Self {
        if self.revoked(sha256).is_none() {
            self.revoked_releases.push(RevokedRelease {
                sha256: sha256.to_owned(),
                reason: reason.to_owned(),
            });
        }
        self
    }

    /// Reads a document, and believes nothing of it.
    ///
    /// # Errors
    /// It is not what format 1 is, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse(PUBLISHER, bytes, Self::validate)
    }

    /// The document as it is signed and stored; the same document always has the same bytes.
    ///
    /// # Errors
    /// It would not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        document::write(PUBLISHER, self, Self::validate)
    }

    /// Why the release of this component is revoked; none where it is not.
    pub fn revoked(&self, sha256: &str) -> Option<&RevokedRelease> {
        self.revoked_releases
            .iter()
            .find(|release| release.sha256 == sha256)
    }

    /// Whether the document is of no use any more for installing and updating.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Whether both know a key.
    pub(crate) fn shares_a_key(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.contains(key))
    }

    /// What this version no longer revokes of what an older one did.
    pub(crate) fn taken_back(&self, older: &Self) -> Option<String> {
        let key = older
            .revoked_keys
            .iter()
            .find(|key| !self.revoked_keys.contains(key))
            .map(|key| format!("the key {}", key.id()));
        let release = || {
            older
                .revoked_releases
                .iter()
                .find(|release| self.revoked(&release.sha256).is_none())
                .map(|release| format!("the release {}", release.sha256))
        };
        key.or_else(release)
    }

    fn validate(&self) -> Result<(), String> {
        name::publisher(&self.publisher).map_err(|refusal| refusal.to_string())?;
        if !(1..=MAX_VERSIONS).contains(&self.version) {
            return Err(format!(
                "its version {} is not one of 1 to {MAX_VERSIONS}",
                self.version
            ));
        }
        match &self.previous {
            None if self.version == 1 => {}
            None => {
                return Err(format!(
                    "it is version {}, and does not name the version before as its `previous`",
                    self.version
                ));
            }
            Some(_) if self.version == 1 => {
                return Err("it is version 1, and names a version before".to_owned());
            }
            Some(previous) => sha256("previous", previous)?,
        }
        for (what, count, limit) in [
            ("keys", self.keys.len(), MAX_KEYS),
            ("revoked keys", self.revoked_keys.len(), MAX_REVOKED_KEYS),
            (
                "revoked releases",
                self.revoked_releases.len(),
                MAX_REVOKED_RELEASES,
            ),
        ] {
            if count > limit {
                return Err(format!(
                    "it has {count} {what}, at most {limit} are allowed"
                ));
            }
        }
        let threshold = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        if !(1..=self.keys.len()).contains(&threshold) {
            return Err(format!(
                "its threshold {threshold} is not one of 1 to {}, the number of its keys",
                self.keys.len()
            ));
        }
        self.validate_keys()?;
        whole_seconds("created", self.created)?;
        whole_seconds("not_after", self.not_after)?;
        if self.not_after <= self.created {
            return Err(format!(
                "it was made at {} and is valid until {} only",
                self.created, self.not_after
            ));
        }
        for release in &self.revoked_releases {
            sha256("revoked release", &release.sha256)?;
            line("reason for a revocation", &release.reason, MAX_REASON)?;
        }
        let releases = self.revoked_releases.iter();
        twice("revoked release", releases.map(|r| r.sha256.as_str()))
    }

    /// One key under two ids would count twice for the threshold.
    fn validate_keys(&self) -> Result<(), String> {
        for keys in [&self.keys, &self.revoked_keys] {
            for (i, key) in keys.iter().enumerate() {
                if keys.iter().skip(i + 1).any(|other| other.clashes(key)) {
                    return Err(format!("it has the key {} twice, or its id", key.id()));
                }
            }
        }
        let revoked = |key: &&PublicKey| self.revoked_keys.iter().any(|other| other.clashes(key));
        match self.keys.iter().find(revoked) {
            Some(key) => Err(format!(
                "it has the key {} both as a valid and as a revoked one",
                key.id()
            )),
            None => Ok(()),
        }
    }
}

/// The fingerprint of a publisher document, by which people compare it: the SHA-256 of its bytes in hexadecimal digits.
pub fn fingerprint(bytes: &[u8]) -> String {
    text::sha256(bytes)
}

/// Documents say no fractions of a second.
pub fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
