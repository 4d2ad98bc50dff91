//! `copal key list`, `copal key add`, `copal key remove` and `copal key passwd`

use std::process::ExitCode;

use copal_repository::{KeyId, KeyInfo, KeyOptions, LockMode, Repository};
use serde_json::json;

use crate::args::{KeyAddArgs, KeyCommand, KeyRemoveArgs};
use crate::failure::{Failure, INCOMPLETE};
use crate::password::Places;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(command: &KeyCommand, session: &Session) -> Outcome {
    let repository = session.repository()?;
    match command {
        KeyCommand::List => list(&repository, session),
        KeyCommand::Add(args) => add(args, &repository, session),
        KeyCommand::Remove(args) => remove(args, &repository, session),
        KeyCommand::Passwd(args) => passwd(args, &repository, session),
    }
}

fn list(repository: &Repository, session: &Session) -> Outcome {
    let keys = repository.keys()?;
    if session.global.json {
        output::json(&keys)?;
    } else {
        let mut table = output::table(&["", "ID", "User", "Host", "Created"]);
        for key in &keys {
            table.add_row([
                if key.current { "*" } else { "" }.to_owned(),
                key.id.short(),
                output::printable(&key.username),
                output::printable(&key.hostname),
                match (&key.damage, key.created) {
                    (Some(damage), _) => output::printable(damage),
                    (None, Some(created)) => output::stored_time(created),
                    (None, None) => String::new(),
                },
            ]);
        }
        output::print(&format!(
            "{}* opened the repository",
            output::table_text(&table)
        ))?;
    }
    let damaged = keys.iter().any(|key| key.damage.is_some());
    Ok(ExitCode::from(if damaged { INCOMPLETE } else { 0 }))
}

fn add(args: &KeyAddArgs, repository: &Repository, session: &Session) -> Outcome {
    let password = Places::of_key(args).read(None)?;
    let _lock = session.lock(repository, LockMode::Write)?;
    if args.dry_run {
        return said(session, None, "A key would be added.");
    }
    let id = repository.add_key(&password, &options(args))?;
    let key = key(repository, &id)?;
    let text = format!("Key {} was added: {}.", id.short(), owner(&key));
    said(session, Some(key), &text)
}

fn remove(args: &KeyRemoveArgs, repository: &Repository, session: &Session) -> Outcome {
    let id = repository.key_named(&args.id)?;
    let key = key(repository, &id)?;
    repository.check_removable(&id)?;
    let (id, owner) = (id.short(), owner(&key));
    if args.dry_run {
        return said(
            session,
            Some(key),
            &format!("Key {id} would be removed: {owner}."),
        );
    }
    let lock = session.lock(repository, LockMode::Exclusive)?;
    repository.remove_key(&key.id, &lock)?;
    said(
        session,
        Some(key),
        &format!("Key {id} was removed: {owner}."),
    )
}

fn passwd(args: &KeyAddArgs, repository: &Repository, session: &Session) -> Outcome {
    let password = Places::of_key(args).read(None)?;
    let lock = session.lock(repository, LockMode::Exclusive)?;
    if args.dry_run {
        return said(session, None, "The password would be changed.");
    }
    let change = repository.change_password(&password, &options(args), &lock)?;
    if let Some(error) = change.left {
        let message = format!(
            "the new password opens the repository, but so does the old one: key {} can't be removed: {error}",
            change.old
        );
        let advice = format!("Remove it with `copal key remove {}`.", change.old.short());
        return Err(Failure::usage("key-left", message).advise(advice));
    }
    let key = key(repository, &change.new)?;
    let others = match repository.keys()?.len().saturating_sub(1) {
        0 => String::new(),
        1 => "\nOne other key stays as it is, with whatever password it has.".to_owned(),
        count => {
            format!("\n{count} other keys stay as they are, with whatever passwords they have.")
        }
    };
    let text = format!(
        "The password was changed: key {} is in the place of key {}, {}.{others}",
        change.new.short(),
        change.old.short(),
        owner(&key)
    );
    said(session, Some(key), &text)
}

fn options(args: &KeyAddArgs) -> KeyOptions {
    KeyOptions {
        username: args.user.clone(),
        hostname: args.host.clone(),
        ..KeyOptions::default()
    }
}

fn key(repository: &Repository, id: &KeyId) -> Result<KeyInfo, Failure> {
    let keys = repository.keys()?.into_iter();
    let mut keys = keys.filter(|key| key.id == *id);
    keys.next()
        .ok_or_else(|| Failure::usage("not-found", format!("key {id} is there no more")))
}

fn owner(key: &KeyInfo) -> String {
    let or_nobody = |text: &str| match text {
        "" => "–".to_owned(),
        text => output::printable(text),
    };
    format!("{}@{}", or_nobody(&key.username), or_nobody(&key.hostname))
}

/// Prints what came of it: the key for machines, `text` for people.
fn said(session: &Session, key: Option<KeyInfo>, text: &str) -> Outcome {
    match session.global.json {
        true => output::json(&json!({"key": key}))?,
        false => output::print(text)?,
    }
    Ok(ExitCode::SUCCESS)
}
