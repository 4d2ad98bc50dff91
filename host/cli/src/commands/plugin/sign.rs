//! `copal plugin sign`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use copal_trust::key::{self, SecretKey};
use copal_trust::{Bundle, Refusal};
use jiff::Timestamp;
use serde::Serialize;

use super::keygen;
use crate::args::SignArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

/// A signature that was made, or was there.
#[derive(Serialize)]
struct Signed {
    file: PathBuf,
    signature: PathBuf,
    key: String,
    /// Whether it was there already.
    already: bool,
}

pub(super) fn run(args: &SignArgs, session: &Session) -> Outcome {
    let secret = keygen::read_secret(&args.key, &args.password)?;
    let mut all = Vec::new();
    for file in &args.files {
        all.push(sign(file, &secret)?);
    }
    if session.global.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for signed in &all {
        let how = if signed.already {
            "is signed already by"
        } else {
            "signed by"
        };
        output::print(&format!(
            "{} {how} {}: {}\n",
            signed.file.display(),
            signed.key,
            signed.signature.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Signs a file. The signature takes the first place that holds no other key's; one of the same key that the file has outgrown is replaced.
fn sign(file: &Path, secret: &SecretKey) -> Result<Signed, Failure> {
    let failed = |what: &str, path: &Path, e: std::io::Error| {
        Failure::usage("sign", format!("can't {what} {}: {e}", path.display()))
    };
    let bytes = std::fs::read(file).map_err(|e| failed("read", file, e))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    for place in Bundle::signature_names(&name) {
        let place = file.with_file_name(place);
        let signed = |already| Signed {
            file: file.to_owned(),
            signature: place.clone(),
            key: secret.public().id(),
            already,
        };
        match std::fs::read(&place) {
            Ok(there) => match key::verify(secret.public(), &name, &bytes, &there) {
                Ok(_) => return Ok(signed(true)),
                Err(Refusal::SignatureWrong { .. }) => {}
                Err(_) => continue,
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("read", &place, e)),
        }
        let signature = text(secret, &name, &bytes)?;
        std::fs::write(&place, signature).map_err(|e| failed("write", &place, e))?;
        return Ok(signed(false));
    }
    let message = format!(
        "{} has as many signatures as a document can have",
        file.display()
    );
    Err(Failure::usage("sign", message))
}

/// The text of a signature, as minisign writes it.
pub(super) fn text(secret: &SecretKey, file: &str, bytes: &[u8]) -> Result<String, Failure> {
    let comment = key::trusted_comment(file, Timestamp::now());
    Ok(key::sign(secret, bytes, &comment)?)
}
