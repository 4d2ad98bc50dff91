//! Feeding a stored stream to a command.

use std::io::{self, Write};

use copal_repository::format::tree::Node;
use copal_repository::pass::{Pass, PassError, Passes};
use copal_repository::{Repository, walk};
use copal_sandbox::types::Command;

use crate::convert;
use crate::error::Error;
use crate::passes::PluginPasses;
use crate::process::{self, ProcessError};
use crate::steps::Steps;

/// Feeds the stream of that name, whose file in the snapshot is `node`, to the command, through `passes` if there are any.
pub(crate) fn feed(
    repository: &Repository,
    (name, node): (&str, &Node),
    command: &Command,
    passes: Option<&PluginPasses<'_>>,
    steps: &Steps<'_>,
) -> Result<(), Error> {
    let fed = process::feed(command, steps.places(), steps.supervisor(), |stdin| {
        let Some(passes) = passes else {
            return Ok(walk::dump(repository, node, stdin)?);
        };
        let mut pass = passes.start().map_err(PassFailed)?;
        pass.open(name.as_bytes(), node).map_err(PassFailed)?;
        let mut filtered = Filtered {
            pass: &mut *pass,
            out: stdin,
            failed: None,
        };
        let dumped = walk::dump(repository, node, &mut filtered);
        if let Some(failed) = filtered.failed.take() {
            return Err(PassFailed(failed).into());
        }
        dumped?;
        let rest = pass.finish_file().map_err(PassFailed)?;
        Ok(stdin
            .write_all(&rest)
            .map_err(|e| copal_repository::Error::io(name, e))?)
    });
    fed.map_err(|error| match error {
        FeedError::Process(ProcessError::Interrupted(_)) => Error::interrupted(),
        FeedError::Process(source) => Error::Stream {
            name: name.to_owned(),
            source,
        },
        FeedError::Repository(error) => convert::engine_error(error),
    })
}

/// Why feeding a command ended early.
enum FeedError {
    Process(ProcessError),
    Repository(copal_repository::Error),
}

impl From<ProcessError> for FeedError {
    fn from(error: ProcessError) -> Self {
        Self::Process(error)
    }
}

impl From<copal_repository::Error> for FeedError {
    fn from(error: copal_repository::Error) -> Self {
        Self::Repository(error)
    }
}

struct PassFailed(PassError);

impl From<PassFailed> for FeedError {
    fn from(PassFailed(error): PassFailed) -> Self {
        Self::Repository(copal_repository::Error::Pass(match error {
            PassError::Item(message) => message.into(),
            PassError::Fatal(error) => error,
        }))
    }
}

/// Sends what is written through a pass.
struct Filtered<'a> {
    pass: &'a mut dyn Pass,
    out: &'a mut dyn Write,
    failed: Option<PassError>,
}

impl Write for Filtered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(1 << 20)];
        match self.pass.push(chunk) {
            Ok(ready) => self.out.write_all(&ready)?,
            Err(error) => {
                self.failed = Some(error);
                return Err(io::Error::other("the plugin's filter failed"));
            }
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
