//! `copal plugin update`

use std::collections::BTreeSet;
use std::process::ExitCode;

use copal_registry::Source;
use copal_trust::{Installed, PUBLISHER, PluginName, Refusal};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::export;
use super::install::{Done, Order};
use crate::args::UpdateArgs;
use crate::failure::{FAILED, Failure};
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &UpdateArgs, session: &Session) -> Outcome {
    let wanted = wanted(args, session)?;
    if args.from.is_some() && wanted.len() != 1 {
        let message = "--from is where one plugin is, so one must be named";
        return Err(Failure::arguments(message, ""));
    }
    if args.consent.approve.is_some() && args.names.len() != 1 {
        let message = "--approve is for what one plugin may ask for, so one must be named";
        return Err(Failure::arguments(message, ""));
    }
    let mut documents = Vec::new();
    let mut failed = None;
    let publishers: BTreeSet<_> = wanted
        .iter()
        .map(|plugin| plugin.name.publisher())
        .collect();
    for publisher in publishers {
        // What can't be learned does not keep anybody from an update.
        if let Err(failure) = learn(publisher, session) {
            documents.push(tell("publisher", publisher, &failure, session));
            failed = Some(failure);
        }
    }
    for installed in &wanted {
        match update(args, installed, session) {
            Ok(done) if session.global.json => documents.push(json!(done)),
            Ok(done) => output::print(&done.text())?,
            // One that can't be had does not keep the others from theirs.
            Err(failure) if wanted.len() > 1 || failed.is_some() => {
                let name = installed.name.as_str();
                documents.push(tell("name", name, &failure, session));
                failed = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if session.global.json {
        output::json(&documents)?;
    }
    Ok(match failed {
        Some(_) => ExitCode::from(FAILED),
        None => ExitCode::SUCCESS,
    })
}

/// Says to people what failed for whom, and returns the same for scripts.
fn tell(what: &str, whom: &str, failure: &Failure, session: &Session) -> Value {
    if !session.global.json {
        output::complain(&format!("{whom}:\n"));
        output::failure(failure, false);
    }
    json!({what: whom, "error": output::failure_document(failure)})
}

/// Takes over the later documents of a publisher that lie where it was met: a release may be where none of them ever comes.
fn learn(publisher: &str, session: &Session) -> Result<(), Failure> {
    let Some(address) = session.trust.news_address(publisher)? else {
        return Ok(());
    };
    let bundle = export::fetch(&address, session)?;
    let introduction = session.trust.introduce(&bundle, Timestamp::now())?;
    if introduction.publisher != publisher {
        return Err(Refusal::OtherPublisher {
            document: PUBLISHER.to_owned(),
            expected: publisher.to_owned(),
            found: introduction.publisher,
        }
        .into());
    }
    match introduction.is_new() {
        true => Ok(session.trust.trust(&introduction)?),
        false => Ok(()),
    }
}

fn wanted(args: &UpdateArgs, session: &Session) -> Result<Vec<Installed>, Failure> {
    if args.names.is_empty() {
        return Ok(session.trust.list()?);
    }
    let find = |name: &String| {
        let name: PluginName = name.parse()?;
        let installed = session.trust.installed(&name)?;
        Ok(installed.ok_or(Refusal::NotInstalled(name))?)
    };
    args.names.iter().map(find).collect()
}

fn update(args: &UpdateArgs, installed: &Installed, session: &Session) -> Result<Done, Failure> {
    let from = args.from.as_deref().unwrap_or(&installed.from);
    let order = Order {
        name: Some(installed.name.clone()),
        from: Source::parse(from)?.to_string(),
        consent: &args.consent,
        allow_unsigned: args.allow_unsigned,
    };
    let fetched = export::fetch(from, session).map_err(|failure| {
        // What is secret in an address is never kept, so it is missed there.
        let kept = args.from.is_none() && from.starts_with("http");
        match failure.kind() {
            "denied" | "answer" | "missing" | "web-page" if kept => failure.advise(
                "Of the address that it was installed from, a name, a password and a query are not kept. If the server wants them, give the whole address by --from.",
            ),
            _ => failure,
        }
    });
    order.fill(fetched?, session)
}
