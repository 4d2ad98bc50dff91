//! `copal trust …`: the publishers whose plugins may be installed.

use std::process::ExitCode;

use copal_registry::Source;
use copal_trust::{Publisher, Refusal};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::plugin::{agree_to_publisher, fetch};
use crate::args::{PublisherNameArgs, TrustAddArgs, TrustCommand};
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(command: &TrustCommand, session: &Session) -> Outcome {
    match command {
        TrustCommand::Add(args) => add(args, session),
        TrustCommand::List => list(session),
        TrustCommand::Show(args) => show(args, session),
        TrustCommand::Remove(args) => remove(args, session),
    }
}

fn add(args: &TrustAddArgs, session: &Session) -> Outcome {
    let bundle = fetch(&args.source, session).map_err(|failure| match failure.kind() {
        "address" | "empty" | "missing" => failure.advise(
            "Give the publisher's document under its own name, `publisher.json`, the folder or address in which it lies, or one of its releases.",
        ),
        _ => failure,
    })?;
    let introduction = session.trust.introduce(&bundle, Timestamp::now())?;
    agree_to_publisher(&introduction, args.fingerprint.as_deref(), session)?;
    session.trust.trust(&introduction)?;
    let source = Source::parse(&args.source)?;
    if !source.is_local() {
        let publisher = &introduction.publisher;
        session
            .trust
            .keep_news_address(publisher, &source.to_string())?;
    }
    let (publisher, version) = (&introduction.publisher, introduction.document.version);
    if session.global.json {
        output::json(&json!({
            "publisher": publisher,
            "version": version,
            "before": introduction.known,
            "fingerprint": introduction.fingerprint,
        }))?;
    } else {
        output::print(&match introduction.known {
            None => format!("{publisher} is trusted, by version {version} of its document\n"),
            Some(known) if known == version => {
                format!("{publisher} is trusted already, by version {version} of its document\n")
            }
            Some(known) => format!(
                "{publisher} is trusted by version {version} of its document instead of {known}\n"
            ),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn document(publisher: &Publisher) -> Value {
    json!({
        "document": publisher.document,
        "fingerprint": publisher.fingerprint,
        "expired": publisher.document.is_expired(Timestamp::now()),
    })
}

fn list(session: &Session) -> Outcome {
    let publishers = session.trust.publishers()?;
    if session.global.json {
        output::json(&publishers.iter().map(document).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    if publishers.is_empty() {
        output::print("No publisher is trusted but Copal itself.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["Publisher", "Version", "Valid until", "Fingerprint"]);
    for publisher in &publishers {
        let document = &publisher.document;
        let expired = match document.is_expired(Timestamp::now()) {
            true => " (expired)",
            false => "",
        };
        table.add_row([
            document.publisher.clone(),
            document.version.to_string(),
            format!("{}{expired}", output::time(document.not_after)),
            publisher.fingerprint.clone(),
        ]);
    }
    output::print(&output::table_text(&table))?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &PublisherNameArgs, session: &Session) -> Outcome {
    let publisher = session.trust.publisher(&args.name)?;
    let publisher = publisher.ok_or_else(|| Refusal::NotTrusted(args.name.clone()))?;
    if session.global.json {
        let mut document = document(&publisher);
        document["address"] = json!(session.trust.news_address(&args.name)?);
        output::json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    let told = &publisher.document;
    let mut text = format!(
        "{}, version {}\nfingerprint {}\nvalid until {}\n",
        told.publisher,
        told.version,
        publisher.fingerprint,
        output::time(told.not_after)
    );
    if let Some(address) = session.trust.news_address(&args.name)? {
        let address = output::printable(&address);
        text += &format!("later documents are looked for at {address}\n");
    }
    text += &format!("{} of these keys must sign\n", told.threshold);
    text.extend(
        told.keys
            .iter()
            .map(|key| format!("  {} {key}\n", key.id())),
    );
    if !told.revoked_keys.is_empty() {
        text += "Revoked keys\n";
        text.extend(
            told.revoked_keys
                .iter()
                .map(|key| format!("  {} {key}\n", key.id())),
        );
    }
    if !told.revoked_releases.is_empty() {
        text += "Revoked releases\n";
        let releases = told.revoked_releases.iter();
        text.extend(releases.map(|release| {
            format!(
                "  sha256 {}\n      {}\n",
                release.sha256,
                output::printable(&release.reason)
            )
        }));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn remove(args: &PublisherNameArgs, session: &Session) -> Outcome {
    session.trust.distrust(&args.name)?;
    if session.global.json {
        output::json(&json!({"publisher": args.name}))?;
    } else {
        output::print(&format!(
            "{} is trusted no longer; what it revoked is forgotten too\n",
            args.name
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
