//! Whether a publisher has taken back what is installed, or what a snapshot holds.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Store, files};
use crate::bundle::{Bundle, MAX_DOCUMENT, STATEMENT};
use crate::key;
use crate::name::PluginName;
use crate::publisher::PublisherDocument;
use crate::refusal::Refusal;
use crate::signature::Signature;
use crate::statement::Statement;
use crate::text::is_sha256;

use super::publishers::Publisher;

/// That a release was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The publisher that did.
    pub publisher: String,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Whether the publisher of a plugin has revoked a release of it: the component by its digest, or all keys that signed its statement. Only the
    /// plugin's own publisher is asked, so that no publisher can block the plugins of another. `bundle` holds the statement and its signatures; without
    /// it they are those of the component that is installed, if any. Expiry does not matter here.
    ///
    /// # Errors
    /// The publisher's documents can't be read.
    pub fn revoked(
        &self,
        name: &PluginName,
        digest: &str,
        bundle: Option<&Bundle>,
    ) -> Result<Option<Revocation>, Refusal> {
        let Some(publisher) = self.publisher(name.publisher())? else {
            return Ok(None);
        };
        let revocation = |reason: String| Revocation {
            publisher: publisher.document.publisher.clone(),
            reason,
        };
        if let Some(release) = publisher.document.revoked(digest) {
            return Ok(Some(revocation(release.reason.clone())));
        }
        let Some((statement, signatures)) = self.statement_about(digest, bundle)? else {
            return Ok(None);
        };
        let revoked = revoked_signers(&publisher, &statement, &signatures);
        Ok((!revoked.is_empty()).then(|| {
            let keys: Vec<String> = revoked.into_iter().map(key::id).collect();
            revocation(format!(
                "only keys signed it that are revoked ({})",
                keys.join(", ")
            ))
        }))
    }

    /// The statement about a component and its signatures: the one at hand, or the one installed. Signatures of another component's say nothing of this one.
    fn statement_about(
        &self,
        digest: &str,
        bundle: Option<&Bundle>,
    ) -> Result<Option<(Bytes, Vec<Bytes>)>, Refusal> {
        let about_it = |bytes: &Bytes| Statement::parse(bytes).is_ok_and(|s| s.sha256 == digest);
        if let Some(bundle) = bundle
            && let Some(statement) = bundle.get(STATEMENT).filter(|bytes| about_it(bytes))
        {
            let signatures = bundle.signatures(STATEMENT).cloned().collect();
            return Ok(Some((statement.clone(), signatures)));
        }
        if !is_sha256(digest) {
            return Ok(None);
        }
        if !self.has_plugin(digest)? {
            return Ok(None);
        }
        let folder = self.plugin_folder(digest);
        match files::read(&folder.join(STATEMENT), MAX_DOCUMENT)?.filter(about_it) {
            Some(statement) => Ok(Some((statement, self.signatures(&folder, STATEMENT)?))),
            None => Ok(None),
        }
    }
}

/// The revoked keys that signed, where no other key of the publisher's did, present or replaced.
fn revoked_signers(
    publisher: &Publisher,
    statement: &[u8],
    signatures: &[Bytes],
) -> BTreeSet<[u8; 8]> {
    let document = &publisher.document;
    let retired = publisher.retired_keys();
    let mut revoked = BTreeSet::new();
    for signature in signatures {
        let Ok(signature) = Signature::parse(signature) else {
            continue;
        };
        let mut valid = document.keys.iter().chain(&retired);
        if valid.any(|key| signature.is_by(key, statement)) {
            return BTreeSet::new();
        }
        if is_revoked(document, &signature) {
            revoked.insert(signature.raw_id());
        }
    }
    revoked
}

fn is_revoked(document: &PublisherDocument, signature: &Signature) -> bool {
    let mut keys = document.revoked_keys.iter();
    keys.any(|key| key.raw_id() == signature.raw_id())
}
