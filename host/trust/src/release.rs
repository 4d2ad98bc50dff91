//! A release held against its own statement and the keys of its publisher.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::bundle::{Bundle, COMPONENT, PUBLISHER, STATEMENT};
use crate::publisher::PublisherDocument;
use crate::refusal::Refusal;
use crate::signed::{Signed, Signers};
use crate::statement::Statement;
use crate::store::publishers::Publisher;
use crate::text::sha256;

/// What every component begins with (WebAssembly's component model, Binary.md, "component-preamble").
const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// What every core module begins with.
const MODULE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

/// How far two clocks may be apart. Beyond that one of them is wrong, and if it is this machine's, no expiry means anything.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// A release that is whole by what it brings itself.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The statement.
    pub statement: Statement,
    /// The publisher's document.
    pub publisher: PublisherDocument,
    /// The SHA-256 of the publisher document's bytes.
    pub fingerprint: String,
    /// How many of the publisher's keys signed the statement.
    pub signed: usize,
}

/// Checks a release by the publisher document that it brings, as a vendor does before giving it away. That the publisher is who it says it is, only
/// somebody who knows the fingerprint can tell.
///
/// # Errors
/// Something is missing, not signed by enough keys, expired, revoked, or not the component that was signed.
pub fn verify(bundle: &Bundle, now: Timestamp) -> Result<Verified, Refusal> {
    let statement = parts(bundle)?;
    let newest = Signed::newest_of(bundle)?.ok_or(Refusal::NoPublisher)?;
    belongs(&statement, &newest)?;
    let publisher = Publisher::new(newest.with_history(bundle)?).ok_or(Refusal::NoPublisher)?;
    let retired = publisher.retired_keys();
    let signers = Signers {
        retired: &retired,
        ..Signers::of(&publisher.document)
    };
    let signed = signed(bundle, &statement, &signers)?;
    in_time(&statement, &publisher.document, now)?;
    unrevoked(&statement, &publisher.document)?;
    Ok(Verified {
        fingerprint: publisher.fingerprint,
        statement,
        publisher: publisher.document,
        signed,
    })
}

/// The publisher document of a bundle, if as many of its own keys signed it as its threshold says, and as many of those before it, as far as the bundle
/// brings older versions.
///
/// # Errors
/// It is missing, none of format 1, not signed by enough keys, or not made after the version before.
pub fn signed_document(bundle: &Bundle) -> Result<PublisherDocument, Refusal> {
    let newest = Signed::newest_of(bundle)?.ok_or(Refusal::NoPublisher)?;
    let document = newest.document.clone();
    newest.with_history(bundle)?;
    Ok(document)
}

/// Reads each document of a bundle, and believes nothing of it: whatever else lies under such a name is not given away as one.
///
/// # Errors
/// One is none of format 1.
pub fn read_documents(bundle: &Bundle) -> Result<(), Refusal> {
    for (name, bytes) in bundle.files() {
        if name == STATEMENT {
            Statement::parse(bytes)?;
        } else if name.ends_with(".json") {
            PublisherDocument::parse(bytes)?;
        }
    }
    Ok(())
}

/// The statement of a release, about the very component that it brings. Who signed it is not looked at.
///
/// # Errors
/// One of them is missing, the statement is none of format 1, or it is about another component.
pub fn statement_of(bundle: &Bundle) -> Result<Statement, Refusal> {
    let statement = parts(bundle)?;
    component(bundle, &statement)?;
    Ok(statement)
}

/// The statement of a release that has a component too.
pub(crate) fn parts(bundle: &Bundle) -> Result<Statement, Refusal> {
    match (bundle.get(STATEMENT), bundle.get(COMPONENT)) {
        (Some(bytes), Some(_)) => Statement::parse(bytes),
        (Some(_), None) => Err(Refusal::NoComponent),
        (None, Some(_)) => Err(Refusal::NoStatement),
        (None, None) => Err(Refusal::Empty),
    }
}

/// Refuses a release whose statement's bytes were not signed by enough keys, or whose component is not the one that is stated. Returns how many of the
/// keys signed.
pub(crate) fn signed(
    bundle: &Bundle,
    statement: &Statement,
    signers: &Signers<'_>,
) -> Result<usize, Refusal> {
    let signatures: Vec<Bytes> = bundle.signatures(STATEMENT).cloned().collect();
    let bytes = bundle.get(STATEMENT).ok_or(Refusal::NoStatement)?;
    let signed = signers.require(STATEMENT, bytes, &signatures)?;
    component(bundle, statement)?;
    Ok(signed)
}

/// Refuses another component than the one that is stated.
pub(crate) fn component(bundle: &Bundle, statement: &Statement) -> Result<(), Refusal> {
    let component = bundle.get(COMPONENT).ok_or(Refusal::NoComponent)?;
    header(component)?;
    let found = sha256(component);
    if component.len() as u64 != statement.size || found != statement.sha256 {
        return Err(Refusal::Tampered {
            plugin: statement.name.clone(),
            version: statement.version.clone(),
            expected: statement.sha256.clone(),
            found,
        });
    }
    Ok(())
}

/// Refuses what is no component at first sight. The digest covers these bytes too; a message of their own tells what was done to them.
pub(crate) fn header(component: &[u8]) -> Result<(), Refusal> {
    let header = component.get(..COMPONENT_HEADER.len()).unwrap_or(component);
    let found = match header {
        header if header == COMPONENT_HEADER => return Ok(()),
        header if header == MODULE_HEADER => "a core module's".to_owned(),
        other => format!("`{}`", other.escape_ascii()),
    };
    Err(Refusal::Header { found })
}

/// Refuses the document of another publisher than the statement's.
pub(crate) fn belongs(statement: &Statement, publisher: &Signed) -> Result<(), Refusal> {
    if publisher.document.publisher == statement.name.publisher() {
        return Ok(());
    }
    Err(Refusal::OtherPublisher {
        document: PUBLISHER.to_owned(),
        expected: statement.name.publisher().to_owned(),
        found: publisher.document.publisher.clone(),
    })
}

/// Refuses what an expired document vouches for, and what was made tomorrow.
pub(crate) fn in_time(
    statement: &Statement,
    publisher: &PublisherDocument,
    now: Timestamp,
) -> Result<(), Refusal> {
    not_from_the_future(STATEMENT, statement.created, now)?;
    not_from_the_future(PUBLISHER, publisher.created, now)?;
    unexpired(publisher, now)
}

/// Refuses an expired document.
pub(crate) fn unexpired(publisher: &PublisherDocument, now: Timestamp) -> Result<(), Refusal> {
    if publisher.is_expired(now) {
        return Err(Refusal::Expired {
            publisher: publisher.publisher.clone(),
            version: publisher.version,
            not_after: publisher.not_after,
        });
    }
    Ok(())
}

/// Refuses what was made more than a day from now.
pub(crate) fn not_from_the_future(
    document: &str,
    created: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    if created.duration_since(now) > CLOCKS {
        return Err(Refusal::FromTheFuture {
            document: document.to_owned(),
            created,
            now,
        });
    }
    Ok(())
}

/// Refuses a release that its publisher took back.
pub(crate) fn unrevoked(
    statement: &Statement,
    publisher: &PublisherDocument,
) -> Result<(), Refusal> {
    match publisher.revoked(&statement.sha256) {
        Some(release) => Err(Refusal::ReleaseRevoked {
            plugin: statement.name.clone(),
            publisher: publisher.publisher.clone(),
            reason: release.reason.clone(),
        }),
        None => Ok(()),
    }
}
