//! `copal plugin publisher`: a publisher's document, and its next version.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use copal_trust::{Bundle, PUBLISHER, PublisherDocument, RESERVED, Refusal, fingerprint};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::keygen;
use crate::args::PublisherArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &PublisherArgs, session: &Session) -> Outcome {
    let now = Timestamp::now();
    let not_after = now + SignedDuration::from_hours(24 * i64::from(args.valid_days));
    let before = signed(&args.file)?;
    let document = match &before {
        Some((before, files)) => {
            let fingerprint = files.get(PUBLISHER).map(|bytes| fingerprint(bytes));
            let next = before.next(&fingerprint.unwrap_or_default(), now, not_after);
            changed(args, before, next, session)?
        }
        None => first(args, now, not_after)?,
    };
    let bytes = document.to_bytes().map_err(|refusal| {
        Failure::from(refusal).advise("Give other arguments. Nothing was changed.")
    })?;
    if let Some((before, files)) = &before {
        keep(&args.file, before.version, files)?;
    }
    let before = before.map(|(before, _)| before);
    write(&args.file, &bytes)?;
    let signers = match &before {
        Some(before) if before.threshold > 1 || before.keys != document.keys => format!(
            "{} of the keys of version {} and {} of its own",
            before.threshold, before.version, document.threshold
        ),
        _ => format!("{} of its keys", document.threshold),
    };
    if session.global.json {
        output::json(&json!({
            "file": args.file,
            "publisher": document.publisher,
            "version": document.version,
            "fingerprint": fingerprint(&bytes),
            "not_after": document.not_after,
        }))?;
    } else {
        output::print(&format!(
            "{}: version {} of {}, valid until {}\nfingerprint {}\nNow sign it with {signers}: copal plugin sign --key FILE {}\n",
            args.file.display(),
            document.version,
            document.publisher,
            output::time(document.not_after),
            fingerprint(&bytes),
            copal_job::shell_quote(&args.file.to_string_lossy()),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn first(
    args: &PublisherArgs,
    now: Timestamp,
    not_after: Timestamp,
) -> Result<PublisherDocument, Failure> {
    let Some(name) = &args.name else {
        let message = format!(
            "{} is not there, so a new document is made, and it needs a name",
            args.file.display()
        );
        return Err(Failure::arguments(message, "Give --name PUBLISHER."));
    };
    if name == RESERVED {
        return Err(Refusal::Reserved { name: name.clone() }.into());
    }
    if args.key.is_empty() {
        let advice = "Give --key FILE.pub; `copal plugin keygen` makes one.";
        return Err(Failure::arguments("a publisher needs a key", advice));
    }
    if !args.revoke_key.is_empty() || !args.revoke_release.is_empty() {
        let message = "there is nothing to revoke: this is the first version of the document";
        return Err(Failure::arguments(message, ""));
    }
    let keys: Result<Vec<_>, _> = args
        .key
        .iter()
        .map(|key| keygen::read_public(key))
        .collect();
    let threshold = args.threshold.unwrap_or(1);
    Ok(PublisherDocument::first(
        name, keys?, threshold, now, not_after,
    ))
}

/// The next version with what the arguments change.
fn changed(
    args: &PublisherArgs,
    before: &PublisherDocument,
    next: PublisherDocument,
    session: &Session,
) -> Result<PublisherDocument, Failure> {
    if let Some(name) = args.name.as_ref().filter(|name| **name != before.publisher) {
        let message = format!(
            "the document is of the publisher {}, not {name}",
            before.publisher
        );
        return Err(Failure::arguments(message, "A publisher keeps its name."));
    }
    let mut document = next;
    if !args.key.is_empty() {
        document.keys.clear();
        for key in &args.key {
            document = document.with_key(keygen::read_public(key)?);
        }
    }
    document.threshold = args.threshold.unwrap_or(document.threshold);
    for key in &args.revoke_key {
        document = document.with_revoked_key(&keygen::read_public(key)?);
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    for release in &args.revoke_release {
        let digest = digest(release, &document.publisher, session)?;
        document = document.with_revoked_release(&digest, reason);
    }
    Ok(document)
}

/// The SHA-256 of a component that is named by it, or by the publisher's release that has it. A revocation is for good, so it must not hit another.
fn digest(release: &str, publisher: &str, session: &Session) -> Result<String, Failure> {
    let is_digest = release.len() == 64 && release.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return Ok(release.to_ascii_lowercase());
    }
    let bundle = super::export::fetch(release, session)?;
    let statement = copal_trust::statement_of(&bundle)?;
    if statement.name.publisher() != publisher {
        let message = format!(
            "{release} is a release of {}, not of {publisher}",
            statement.name
        );
        return Err(Failure::usage("publisher-other", message));
    }
    Ok(statement.sha256)
}

/// A document of the vendor's own, who is the one to mend it.
pub(super) fn own_document(bytes: &[u8]) -> Result<PublisherDocument, Failure> {
    PublisherDocument::parse(bytes).map_err(|refusal| {
        Failure::from(refusal).advise(
            "Put back the file that `copal plugin publisher` wrote: it is signed, so nothing in it may change.",
        )
    })
}

/// The version that is there, with its signatures; none where there is none. One that too few keys signed is not built upon: nobody could follow it.
fn signed(file: &Path) -> Result<Option<(PublisherDocument, Bundle)>, Failure> {
    let Some(bytes) = read(file)? else {
        return Ok(None);
    };
    let mut files = Bundle::default();
    let version = own_document(&bytes)?.version;
    let before = format!("publisher.{}.json", version.saturating_sub(1));
    let pairs = [
        (file_name(file), PUBLISHER),
        (before.clone(), before.as_str()),
    ];
    for (own, name) in pairs {
        let signatures = Bundle::signature_names(&own).zip(Bundle::signature_names(name));
        for (own, name) in [(own.clone(), name.to_owned())]
            .into_iter()
            .chain(signatures)
        {
            if Bundle::limit(&name).is_some()
                && let Some(bytes) = read(&file.with_file_name(own))?
            {
                files.insert(&name, bytes.into()).map_err(Refusal::from)?;
            }
        }
    }
    let document = copal_trust::signed_document(&files).map_err(|refusal| {
        let message = format!("{} can't be succeeded: {refusal}", file.display());
        let advice = format!(
            "Sign it first, with as many of its keys as its threshold says, and of those of the version before: copal plugin sign --key FILE {}. If it was made by mistake, put back the version before, which lies beside it.",
            copal_job::shell_quote(&file.to_string_lossy())
        );
        Failure::usage(refusal.kind(), message).advise(advice)
    })?;
    Ok(Some((document, files)))
}

/// Keeps a version with its signatures beside the one that takes its place, for those who know none since. Signatures of the old version are removed
/// from where they would be taken for the new one's.
fn keep(file: &Path, version: u32, files: &Bundle) -> Result<(), Failure> {
    let kept = format!("publisher.{version}.json");
    let signatures = Bundle::signature_names(PUBLISHER).zip(Bundle::signature_names(&kept));
    let mut missing = Vec::new();
    for (name, kept) in signatures.chain([(PUBLISHER.to_owned(), kept.clone())]) {
        let place = file.with_file_name(kept);
        match (files.get(&name), read(&place)?) {
            (Some(bytes), None) => missing.push((place, bytes)),
            (bytes, Some(there)) if bytes.is_none_or(|bytes| *bytes != there) => {
                let message = format!(
                    "{} is there already, and is not the version that would be kept there",
                    place.display()
                );
                return Err(Failure::usage("publisher", message)
                    .advise("Find out which of the two was published, and move the other away."));
            }
            _ => {}
        }
    }
    for (place, bytes) in missing {
        write(&place, bytes)?;
    }
    for name in Bundle::signature_names(&file_name(file)) {
        let signature = file.with_file_name(name);
        match std::fs::remove_file(&signature) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove", &signature, &e));
            }
            _ => {}
        }
    }
    Ok(())
}

fn file_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", file, &e)),
    }
}

/// Writes a file that is whole as soon as it has its name.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let write = || {
        let mut new = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    write().map_err(|e: std::io::Error| failed("write", file, &e))
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        "publisher",
        format!("can't {what} {}: {error}", path.display()),
    )
}
