//! What happens to a dump on its way into a snapshot and out of it.

use copal_sdk::{Direction, Entry, Failure, Filter, Pass};
use serde::{Deserialize, Serialize};

use crate::postgres::WIPE;
use crate::recorder::{Recorder, Recording};

/// What a plan hands to its passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// A backup records the history.
    Backup(Recording),
    /// A restore executes the dump in one transaction.
    Restore {
        /// Whether it first drops what the database holds.
        replace: bool,
    },
}

/// The pass.
pub struct LiquibasePass(State);

impl Pass for LiquibasePass {
    type State = State;

    fn start(_direction: Direction, state: State) -> Result<Self, Failure> {
        Ok(Self(state))
    }

    fn open(&mut self, _root: &str, _entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        Ok(match &self.0 {
            State::Backup(recording) => Box::new(Recorder::new(recording.clone())),
            State::Restore { replace } => Box::new(Transaction {
                begun: false,
                replace: *replace,
            }),
        })
    }
}

/// Puts a dump into one transaction. `psql -1` would commit a dump of which only the beginning arrives, because the end of its input is all it sees
/// of a Copal that was killed; here the `COMMIT` is missing then.
struct Transaction {
    begun: bool,
    replace: bool,
}

impl Transaction {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.extend(b"BEGIN;\n");
            if self.replace {
                out.extend(WIPE.as_bytes());
                out.push(b'\n');
            }
        }
    }
}

impl Filter for Transaction {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.begin(out);
        out.extend(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.begin(out);
        out.extend(b"\nCOMMIT;\n");
        Ok(())
    }
}
