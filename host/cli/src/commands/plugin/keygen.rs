//! `copal plugin keygen`, and the reading of secret keys.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use copal_trust::key::{self, PublicKey, SecretKey};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{KeyPassword, KeygenArgs};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output, password};

pub(super) fn run(args: &KeygenArgs, session: &Session) -> Outcome {
    let (public, secret) = (with(&args.file, ".pub"), with(&args.file, ".key"));
    let password = match args.no_password {
        true => None,
        false => Some(new_password(&args.password)?),
    };
    let files = key::generate(password.as_deref().map(String::as_str))?;
    key::write(&files, &public, &secret)?;
    if session.global.json {
        output::json(&json!({
            "id": files.public.id(),
            "public": public,
            "secret": secret,
        }))?;
    } else {
        output::print(&format!(
            "Key {}\n  {}: keep it secret, and a copy of it in a safe place\n  {}: give it away\n",
            files.public.id(),
            secret.display(),
            public.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The path with something added to its name.
pub(super) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Reads a public key's file.
pub(super) fn read_public(path: &Path) -> Result<PublicKey, Failure> {
    let text = read(path)?;
    PublicKey::read(&text).map_err(|refusal| {
        let file = path.display();
        match SecretKey::is_protected(&text) {
            Ok(_) => Failure::usage("key", format!("{file} holds a secret key"))
                .advise("Give the file of its public key, which ends in .pub, and keep this one to yourself."),
            Err(_) => Failure::usage("key", format!("{file}: {refusal}"))
                .advise(refusal.advice().unwrap_or_default()),
        }
    })
}

/// Reads a secret key's file, and asks for its password where it has one.
pub(super) fn read_secret(path: &Path, password: &KeyPassword) -> Result<SecretKey, Failure> {
    let text = read(path)?;
    if !SecretKey::is_protected(&text)? {
        return Ok(SecretKey::read(&text, None)?);
    }
    let password = match from_file(password)? {
        Some(password) => password,
        None => ask(&format!("Password of {}", path.display()))?,
    };
    Ok(SecretKey::read(&text, Some(&password))?)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|e| Failure::usage("key", format!("can't read the key {}: {e}", path.display())))
}

fn from_file(password: &KeyPassword) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(path) = &password.key_password_file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|e| {
            let message = format!("can't read the key's password from {}: {e}", path.display());
            Failure::usage("key-password", message)
        })?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Some(Zeroizing::new(line.to_owned())))
}

fn new_password(password: &KeyPassword) -> Result<Zeroizing<String>, Failure> {
    if let Some(password) = from_file(password)? {
        return Ok(password);
    }
    let password = ask("Password for the new key")?;
    if ask("The same again")? != password {
        return Err(Failure::usage("key-password", "the two passwords differ"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        let message = "a password for the key is needed, and there is no terminal to ask on";
        let advice = "Give --key-password-file, or make a key without a password by --no-password.";
        return Err(Failure::usage("key-password", message).advise(advice));
    }
    password::ask(prompt, "key-password")
}
