//! `copal cat`

use std::io::Write as _;
use std::process::ExitCode;

use copal_repository::{BlobId, Document, Repository};
use serde_json::Value;

use super::ls::find;
use super::select;
use crate::args::{CatCommand, FilterArgs, IdArgs, MasterkeyArgs, TreeArgs};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(command: &CatCommand, session: &Session) -> Outcome {
    if let CatCommand::Masterkey(MasterkeyArgs { reveal: false }) = command {
        let message = "the master key is not printed unasked: whoever sees it reads and forges all that the repository holds, for ever, \
                       whatever its passwords are";
        return Err(Failure::arguments(
            message,
            "Add --reveal where nobody looks on.",
        ));
    }
    let repository = session.repository()?;
    let document = |kind, args: &IdArgs| Ok(repository.document(kind, &args.id)?);
    match command {
        CatCommand::Config => json(&repository.config_document()?),
        CatCommand::Masterkey(_) => json(&repository.master_key_document()?),
        CatCommand::Key(args) => document(Document::Key, args).and_then(|found| json(&found)),
        CatCommand::Snapshot(args) => {
            let id = match args.id.as_str() {
                "latest" => {
                    let latest = select::one(&repository, "latest", &FilterArgs::default());
                    latest?.0.to_string()
                }
                id => id.to_owned(),
            };
            json(&repository.document(Document::Snapshot, &id)?)
        }
        CatCommand::Index(args) => document(Document::Index, args).and_then(|found| json(&found)),
        CatCommand::Lock(args) => document(Document::Lock, args).and_then(|found| json(&found)),
        CatCommand::Tree(args) => json(&tree(args, &repository)?),
        CatCommand::Pack(args) => bytes(&repository.pack(&args.id)?),
        CatCommand::Blob(args) => {
            let id: BlobId = args.id.parse().map_err(|error| {
                Failure::usage(
                    "not-found",
                    format!("{error}; of a blob's id all digits are needed"),
                )
            })?;
            bytes(&repository.blob(&id)?)
        }
    }
}

/// The listing of a directory in a snapshot, given as `SNAPSHOT[:PATH]`.
fn tree(args: &TreeArgs, repository: &Repository) -> Result<Vec<u8>, Failure> {
    let (snapshot, path) = args.tree.split_once(':').unwrap_or((&args.tree, ""));
    let (id, snapshot) = copal_job::snapshot(repository, snapshot)?;
    let node = find(repository, &id, &snapshot.tree, path)?;
    let tree = node.subtree.ok_or_else(|| {
        let message = format!("`{path}` is no directory of snapshot {}", id.short());
        Failure::usage("not-found", message)
    })?;
    Ok(repository.blob(&tree.into())?.into())
}

/// Prints JSON in any case, laid out: that is what it is.
fn json(document: &[u8]) -> Outcome {
    let value: Value = serde_json::from_slice(document)?;
    output::json(&value)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints bytes in any case.
fn bytes(bytes: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
