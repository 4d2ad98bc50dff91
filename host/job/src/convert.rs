//! Values of one room in the words of another.

use std::collections::BTreeMap;

use copal_sandbox as sandbox;
use copal_sandbox::types::{self, Fact};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::Error;

/// A point in time as the contract has it.
pub(crate) fn contract_time(time: Timestamp) -> types::Timestamp {
    let nanoseconds = time.subsec_nanosecond();
    types::Timestamp {
        seconds: time.as_second() - i64::from(nanoseconds < 0),
        nanoseconds: nanoseconds.rem_euclid(1_000_000_000).unsigned_abs(),
    }
}

/// A point in time as the repository has it, on the local clock.
pub(crate) fn repository_time(time: Timestamp) -> copal_repository::format::Timestamp {
    let contract = contract_time(time);
    let offset = jiff::tz::TimeZone::system().to_offset(time);
    copal_repository::format::Timestamp {
        offset_minutes: i16::try_from(offset.seconds() / 60).unwrap_or(0),
        ..copal_repository::format::Timestamp::utc(contract.seconds, contract.nanoseconds)
    }
}

/// The facts of a plan, whose values must be JSON.
pub(crate) fn facts(facts: &[Fact]) -> Result<BTreeMap<String, Value>, Error> {
    let parse = |fact: &Fact| match serde_json::from_str(&fact.value) {
        Ok(value) => Ok((fact.name.clone(), value)),
        Err(error) => Err(Error::Plugin(sandbox::Error::Contract {
            call: "plan-backup",
            rule: format!("the value of the fact `{}` is not JSON: {error}", fact.name),
        })),
    };
    facts.iter().map(parse).collect()
}

/// The plugin's own error where it was the plugin that ended the engine's work.
pub(crate) fn engine_error(error: copal_repository::Error) -> Error {
    match error {
        copal_repository::Error::Pass(cause) => match cause.downcast::<sandbox::Error>() {
            Ok(plugin) => Error::Plugin(*plugin),
            Err(cause) => Error::Repository(copal_repository::Error::Pass(cause)),
        },
        error => Error::Repository(error),
    }
}

/// An id for a job, unique on this machine.
pub(crate) fn job_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}
