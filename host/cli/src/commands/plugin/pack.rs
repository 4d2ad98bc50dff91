//! `copal plugin pack`: a component becomes a release.

use std::path::Path;
use std::process::ExitCode;

use copal_registry::Destination;
use copal_trust::{Bundle, COMPONENT, PUBLISHER, STATEMENT, Statement};
use jiff::Timestamp;
use semver::Version;
use serde_json::json;

use super::check::for_author;
use super::publisher::own_document;
use super::{export, keygen, sign};
use crate::args::PackArgs;
use crate::failure::Failure;
use crate::plugins::described;
use crate::session::Session;
use crate::{Outcome, output, plugins};

pub(super) fn run(args: &PackArgs, session: &Session) -> Outcome {
    let component = plugins::read(&args.component)?;
    let statement = statement(args, &component, session)?;
    let bytes = statement.to_bytes().map_err(|refusal| {
        let advice = "Change what the plugin says of itself, or the arguments, and pack it again.";
        Failure::from(refusal).advise(advice)
    })?;
    let mut bundle = match &args.publisher {
        Some(file) => publisher(file, session)?,
        None => Bundle::default(),
    };
    if let Some(document) = bundle.get(PUBLISHER) {
        let document = own_document(document)?;
        if document.is_expired(Timestamp::now()) {
            tracing::warn!(
                "the publisher's document expired at {}: nobody can install the release before its next version is made, by `copal plugin publisher --valid-days`",
                output::time(document.not_after)
            );
        }
        let publisher = document.publisher;
        if publisher != statement.name.publisher() {
            let message = format!(
                "{} is no plugin of the publisher {publisher}",
                statement.name
            );
            let advice = "The name of a plugin begins with that of its publisher.";
            return Err(Failure::usage("publisher-other", message).advise(advice));
        }
    }
    if args.key.is_empty() && !Destination::parse(&args.to.to_string_lossy())?.is_local_folder() {
        let message = format!(
            "{} is no folder, where an unsigned release could be signed",
            args.to.display()
        );
        let advice = "Give --key FILE, or pack it into a folder first; `copal plugin export` brings it elsewhere.";
        return Err(Failure::arguments(message, advice));
    }
    if args.key.len() > copal_trust::MAX_SIGNATURES {
        return Err(Failure::arguments(
            "these are more keys than a release can have signatures",
            "",
        ));
    }
    for (key, place) in args.key.iter().zip(Bundle::signature_names(STATEMENT)) {
        let secret = keygen::read_secret(key, &args.password)?;
        let signature = sign::text(&secret, STATEMENT, &bytes)?;
        insert(&mut bundle, &place, signature.into_bytes())?;
    }
    insert(&mut bundle, STATEMENT, bytes)?;
    insert(&mut bundle, COMPONENT, component)?;
    let published = export::publish(&bundle, &args.to.to_string_lossy(), args.replace, session)?;
    if session.global.json {
        output::json(
            &json!({"folder": published.place, "statement": statement, "signatures": args.key.len()}),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let next = match args.key.is_empty() {
        true => format!(
            "\nNow sign it: copal plugin sign --key FILE {}",
            copal_job::shell_quote(&args.to.join(STATEMENT).to_string_lossy())
        ),
        false => String::new(),
    };
    output::print(&format!(
        "{} {} in {}\nsha256 {}\ncapabilities {}{next}\n",
        statement.name,
        statement.version,
        published.place,
        statement.sha256,
        statement.capability_hash()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What is stated of a component: what it says of itself, and what the vendor says.
fn statement(args: &PackArgs, component: &[u8], session: &Session) -> Result<Statement, Failure> {
    let inspection = copal_conformance::check(&session.engine()?, component);
    if let Some(error) = inspection.error {
        return Err(for_author(error.into()));
    }
    let (Some(plugin), Some(contract), Some(world), false) = (
        &inspection.plugin,
        inspection.contract,
        inspection.world,
        inspection.report.failed(),
    ) else {
        let file = args.component.display();
        let advice = format!(
            "See what is wrong with it: copal plugin check {}",
            copal_job::shell_quote(&file.to_string())
        );
        let message = format!("{file} does not keep the rules of a plugin");
        return Err(Failure::usage("unfit", message).advise(advice));
    };
    let described = described(plugin)?;
    let version = |what: &str, text: &str| {
        text.parse::<Version>().map_err(|e| {
            Failure::arguments(format!("{what} `{text}` is no semantic version: {e}"), "")
        })
    };
    let minimum = args
        .minimum_host
        .as_deref()
        .unwrap_or(env!("CARGO_PKG_VERSION"));
    Ok(Statement {
        format: copal_trust::Format,
        name: described.name.parse()?,
        version: version("the plugin's version", &described.version)?,
        sha256: inspection.digest,
        size: inspection.size as u64,
        contract,
        world: world.to_owned(),
        imports: described.imports,
        capabilities: described.capabilities,
        minimum_host: version("the version of --minimum-host", minimum)?,
        created: copal_trust::to_seconds(Timestamp::now()),
        description: plugin.describe()?.summary.clone(),
        license: args.license.clone(),
        source: args.source.clone(),
    })
}

/// The publisher's document with its signatures and older versions, as they lie in one folder.
fn publisher(file: &Path, session: &Session) -> Result<Bundle, Failure> {
    if file.file_name().is_none_or(|name| name != PUBLISHER) {
        let message = format!(
            "{} is not called {PUBLISHER}, as it is in a release",
            file.display()
        );
        return Err(Failure::arguments(message, ""));
    }
    export::fetch(&file.to_string_lossy(), session)
}

fn insert(bundle: &mut Bundle, name: &str, bytes: Vec<u8>) -> Result<(), Failure> {
    bundle
        .insert(name, bytes.into())
        .map_err(|error| Failure::usage(error.kind(), error.to_string()))
}
