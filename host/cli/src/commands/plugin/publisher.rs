//! `copal plugin publisher`: a publisher's document, and its next version.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use copal_trust::{Bundle, PublisherDocument, fingerprint};
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
    let before = match std::fs::read(&args.file) {
        Ok(bytes) => Some(PublisherDocument::parse(&bytes)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(failed("read", &args.file, &e)),
    };
    let document = match &before {
        Some(before) => next(args, before, now, not_after, session)?,
        None => first(args, now, not_after)?,
    };
    let bytes = document.to_bytes()?;
    if let Some(before) = &before {
        keep(&args.file, before.version)?;
    }
    std::fs::write(&args.file, &bytes).map_err(|e| failed("write", &args.file, &e))?;
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

fn next(
    args: &PublisherArgs,
    before: &PublisherDocument,
    now: Timestamp,
    not_after: Timestamp,
    session: &Session,
) -> Result<PublisherDocument, Failure> {
    if let Some(name) = args.name.as_ref().filter(|name| **name != before.publisher) {
        let message = format!(
            "the document is of the publisher {}, not {name}",
            before.publisher
        );
        return Err(Failure::arguments(message, "A publisher keeps its name."));
    }
    let mut document = before.next(now, not_after);
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
        document = document.with_revoked_release(&digest(release, session)?, reason);
    }
    Ok(document)
}

/// The SHA-256 of a component that is named by it, or by the release that has it.
fn digest(release: &str, session: &Session) -> Result<String, Failure> {
    let is_digest = release.len() == 64 && release.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return Ok(release.to_ascii_lowercase());
    }
    let bundle = super::export::fetch(release, session)?;
    let statement = bundle.get(copal_trust::STATEMENT).ok_or_else(|| {
        Failure::usage(
            "plugin-without-statement",
            format!("{release} has no release.json"),
        )
    })?;
    Ok(copal_trust::Statement::parse(statement)?.sha256)
}

/// Keeps a version with its signatures beside the one that takes its place, for those who know none since.
fn keep(file: &Path, version: u32) -> Result<(), Failure> {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let kept = format!("publisher.{version}.json");
    let pairs = std::iter::once((name.clone(), kept.clone()))
        .chain(Bundle::signature_names(&name).zip(Bundle::signature_names(&kept)));
    for (from, to) in pairs {
        let (from, to): (PathBuf, PathBuf) = (file.with_file_name(from), file.with_file_name(to));
        match std::fs::rename(&from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("rename", &from, &e));
            }
            _ => {}
        }
    }
    Ok(())
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        "publisher",
        format!("can't {what} {}: {error}", path.display()),
    )
}
